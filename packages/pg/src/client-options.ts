import { inspect } from 'node:util';
import type * as pg from 'pg';
import type { AuthenticationDemands } from './connect/authentication.ts';
import { type AuthenticationMethod, answerable } from './connect/require-auth.ts';
import { passwordOf } from './driver/client-internals.ts';
import type { PoolOptions, PoolSettings } from './options.ts';
import { checkOptionsOfPg } from './settings/options-of-pg.ts';
import { tlsOfService } from './settings/tls.ts';

/**
 * The options as `pg` gets them. The caller's object is not changed, and its secrets stay hidden.
 */
export function clientOptions(
  given: PoolOptions | null,
  settings: PoolSettings,
  environment: NodeJS.ProcessEnv = process.env,
): PoolOptions {
  const options = given ?? {};
  // Numbers that were given as text. A `max` without limit becomes one that no process reaches, because permits are counted.
  const numbers = {
    ...checkOptionsOfPg(options),
    ...(options.max === Number.POSITIVE_INFINITY && { max: mostPermits }),
  };
  if (!settings.follows) {
    if (settings.channelBinding === 'disable' && Object.keys(numbers).length === 0) return options;
    const bound = settings.channelBinding === 'disable' ? {} : { enableChannelBinding: true };
    return Object.assign(copyOfOptions(options), numbers, bound);
  }
  const result = Object.assign(copyOfOptions(options), numbers);
  // Tools that show or trace a pool read its host. The endpoint is chosen when a connection is made.
  if (options.host === undefined && options.connectionString === undefined) result.host = settings.name;
  if (options.keepAlive === undefined) result.keepAlive = true;
  // The system's default is two hours. NAT gateways and load balancers forget an idle connection after four minutes or more.
  if (options.keepAliveInitialDelayMillis === undefined) result.keepAliveInitialDelayMillis = keepAliveDelayMillis;
  Object.assign(result, tlsOfService(options, environment).options);
  if (settings.channelBinding !== 'disable') Object.assign(result, { enableChannelBinding: true });
  return result;
}

/**
 * What a client demands of its server. If a password is given, a server that lets us in without asking for it has proved
 * nothing. Over an unverified connection, only SCRAM keeps the password from the other end.
 */
export function demandsOf(settings: PoolSettings, client: pg.Client, where: string): AuthenticationDemands {
  const binding = {
    channelBinding: settings.channelBinding !== 'disable',
    requireChannelBinding: settings.channelBinding === 'require',
  };
  const { requireAuth, refusedAuth } = settings;
  const without = (all: readonly AuthenticationMethod[]) => all.filter((method) => !refusedAuth.includes(method));
  if (requireAuth !== undefined) return { where, accepted: requireAuth, ...binding };
  if (!settings.follows) {
    return { where, accepted: refusedAuth.length > 0 ? without(answerable) : undefined, ...binding };
  }
  const password = passwordOf(client);
  const accepted: AuthenticationMethod[] = ['scram-sha-256'];
  if (settings.tls === 'verified') accepted.push('md5', 'password');
  if (password === null || password === undefined) accepted.push('none');
  return { where, accepted: without(accepted), ...binding };
}

/**
 * Keeps secrets that `pg` does not hide from being printed with the options of a pool: the connection string, which contains the
 * password, and what protects a private key. The values themselves stay.
 */
export function hideSecrets(options: object): void {
  const print = () => {
    const shown: Record<string, unknown> = { ...options };
    if (typeof shown['connectionString'] === 'string') shown['connectionString'] = '[hidden]';
    const { ssl } = shown;
    if (typeof ssl === 'object' && ssl !== null) {
      const { key: _, passphrase: __, pfx: ___, ...rest } = ssl as Record<string, unknown>;
      shown['ssl'] = rest;
    }
    return shown;
  };
  Object.defineProperty(options, inspect.custom, { value: print, enumerable: false, configurable: true });
  Object.defineProperty(options, 'toJSON', { value: print, enumerable: false, configurable: true, writable: true });
}

// The options of another pool have a hidden password, which a spread would lose.
function copyOfOptions(options: PoolOptions): PoolOptions {
  const copy = { ...options };
  if (!('password' in options)) return copy;
  return Object.defineProperty(copy, 'password', { value: options.password, configurable: true, writable: true });
}

const keepAliveDelayMillis = 60_000;
const mostPermits = 1_000_000;
