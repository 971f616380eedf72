import net from 'node:net';
import { type DnsResolverOptions, InvalidArgumentError, type Resolver } from '@externalname/core';
import type { ServiceOptions } from '@externalname/core/connect';
import {
  allowedTargetsFrom,
  aNumber,
  anObjectWith,
  aResolverOption,
  balancingSettings,
  checkMethods,
  checkNumber,
  checkText,
  checkTexts,
  describeValue,
  either,
  type MakeBalancer,
  optional,
  optionsOf,
  ownOptions,
  type ReaderSettings,
  readerSettings,
  type ServiceRouteSettings,
} from '@externalname/core/internal';
import { canonicalName, parseHostName } from '@externalname/core/names';
import type { BalancingOptions, ReaderOptions } from '@externalname/core/targets';
// As a namespace, for this name stands in the public types: users without esModuleInterop have no default import of pg.
import * as pg from 'pg';
import { type RequiredMethods, requiredMethods } from './connect/require-auth.ts';
import type { TargetSessionAttrs } from './connect/session-role.ts';
import { passwordOf, queryTimeoutOf, tlsOptionsOf } from './driver/client-internals.ts';
import { canPipeline } from './driver/pipelining.ts';
import type { LivenessOptions, LivenessSettings } from './liveness/liveness.ts';
import { maskSecrets } from './secrets.ts';
import { hostOf, parametersOf } from './settings/connection-string.ts';
import { type Said, saidInCode, saidToLibpq } from './settings/libpq.ts';
import { warnOfMistyped } from './settings/mistyped.ts';
import { checkOptionsOfPg, checkPort } from './settings/options-of-pg.ts';
import { mayBeService } from './settings/service-name.ts';
import { type TlsMode, tlsOfService, warnOfIgnoredTls } from './settings/tls.ts';

/**
 * Options of {@link Pool}: those of `pg.Pool`, and what connecting through a Service adds.
 *
 * Without `service`, `allowedTargets` and `source`, the pool is a `pg.Pool` for the plain host that `host`, the connection string
 * or `PGHOST` names, and the defaults marked "for a Service" do not apply.
 */
export interface PoolOptions
  extends pg.PoolConfig,
    Pick<ServiceOptions, 'allowedTargets' | 'namespace' | 'clusterDomain' | 'source'>,
    BalancingOptions {
  /**
   * The ExternalName Service to connect through: `webscaler-db`, `webscaler-db.default`, or a longer form of the same.
   * May be left out if the host names the Service and there is an allow-list.
   */
  service?: string | undefined;
  /**
   * The networks that the hosts' addresses must be in, as CIDR blocks; `'any'` turns the check of addresses off.
   * @defaultValue for a Service, every network except loopback, link-local, metadata and similar
   */
  allowedNetworks?: readonly string[] | 'any' | undefined;
  /**
   * Settings of the DNS resolver, or your own resolver, which you close. Pools and clients of one process with equal settings share a
   * resolver, its cache, and one question per TTL for each Service that they follow. Each pool keeps its own policy, errors and
   * connections. @defaultValue resolv.conf
   */
  dns?: DnsResolverOptions | Resolver | undefined;

  /**
   * The role that a server must have (libpq's `target_session_attrs`), known from its start-up parameters. `prefer-standby`
   * chooses, for each new connection, a standby among the addresses of the target's name, and any server if there is none. For a
   * plain host, which has one address, it is the same as `any`.
   * @defaultValue `any` for a plain host; for a Service `target_session_attrs` in the connection string, then `PGTARGETSESSIONATTRS`, then `read-write`. With this default, a session that is read-only by its own setting
   * (`ALTER ROLE ... SET default_transaction_read_only`, or `options`) is accepted too, on a server that is not a standby
   */
  targetSessionAttrs?: TargetSessionAttrs | undefined;
  /**
   * How long a caller waits for a usable server, and how long a statement that certainly did not run is retried. Milliseconds; 0
   * turns both off. Also bounds `connectionTimeoutMillis: 0`.
   * @defaultValue 30000 for a Service, 0 for a plain host
   */
  failoverTimeoutMillis?: number | undefined;
  /**
   * After a switch: how long a statement or transaction on the old server may go on. Short, because what an old primary
   * acknowledges after the switch may be lost. Milliseconds. @defaultValue 250
   */
  drainTimeoutMillis?: number | undefined;
  /**
   * The longest time that callers are held for a switch that the source of the target has announced. Work in progress goes on. A
   * plan that is neither carried out nor given up in that time is forgotten. 0 ignores plans. Milliseconds. @defaultValue 10000
   */
  plannedHoldMillis?: number | undefined;
  /**
   * How many sessions the pool keeps ready at each other host of `allowedTargets` (exact names only, no patterns), whatever the
   * role of its server. A switch to that host then does not wait for TCP, TLS and authentication. They count towards neither `max`
   * nor `totalCount`, and each takes one of that server's `max_connections`. 0 to 100. @defaultValue 0
   */
  readySessions?: number | undefined;
  /**
   * How many connections are open at the new target before the pool moves there, within one second. The first one has proven the role of its
   * server. If the old server is lost meanwhile, the pool moves at once. A switch that the source has announced opens as many as the pool
   * has. 1 to 100. @defaultValue 1
   */
  warmUp?: number | undefined;
  /** After a switch: the time over which the connections after the first are spread. Milliseconds. @defaultValue 200 */
  reconnectSpreadMillis?: number | undefined;
  /**
   * The longest time for one address to get from TCP to a ready session. Milliseconds.
   * @defaultValue for a Service `connect_timeout` in the connection string, then `PGCONNECT_TIMEOUT` (both in seconds), then 5000
   */
  attemptTimeoutMillis?: number | undefined;
  /** How long `end()` waits for connections in use before it closes them. Milliseconds. @defaultValue 30000 for a Service, no limit for a plain host */
  endTimeoutMillis?: number | undefined;
  /**
   * Detects a server that went silent, and a connection that a firewall forgot: with the defaults, within three seconds.
   * `false` leaves it to TCP. @defaultValue on for a Service, off for a plain host
   */
  liveness?: LivenessOptions | false | undefined;
  /**
   * `listen()`: the pause between heartbeats on the listening connection, and the longest time for the answer to one. A lost
   * server is noticed within twice that time. Milliseconds, above 0. @defaultValue 3000
   */
  listenHeartbeatMillis?: number | undefined;
  /**
   * How long a connection may be idle and still be handed out without a check. One that was idle for longer is checked first (an empty
   * statement, one round trip), because a NAT gateway or a firewall may have forgotten it. 0 checks always, `Infinity` never.
   * Milliseconds. @defaultValue 10000 for a Service, `Infinity` for a plain host
   */
  idleCheckMillis?: number | undefined;
  /**
   * What happens to connections to an address that has left the target's name: the name is the same, but now leads to another server (RDS
   * Multi-AZ, a headless Service, labels that move), while the old one may still take writes. `'idle'` closes idle connections at once, and
   * busy ones when they are released. `'all'` also drains busy ones, as in a switch: they end with their statement or transaction, or at
   * `drainTimeoutMillis`. `false` leaves them.
   *
   * An address has left if the answers changed once and stay the same, and then every nameserver, asked separately, names other addresses. One
   * nameserver's word, an empty answer, or an answer that names only a part of the addresses each time (round robin, RDS Proxy, Aurora readers) does
   * not count; see `docs/guides/pool.md`. The connection of `listen()` is treated like an idle one. A plain host is left to `pg`.
   * @defaultValue `'idle'`
   */
  retireOnAddressChange?: 'idle' | 'all' | false | undefined;
  /** Where and how `pool.reader` reads. @defaultValue the standbys among the addresses of the target, and the primary while there are none */
  reader?: ReaderOptions | undefined;
  /** How many callers may wait for a connection; the next one is refused. @defaultValue 10000 for a Service, no limit for a plain host */
  maxWaiting?: number | undefined;
  /**
   * How many statements of `pool.query()` may be in flight on one connection. When all connections are in use, a query is then sent behind
   * those of other callers instead of waiting for a connection of its own. 0 turns it off. Only single plain statements share a connection, never
   * transactions, clients of `connect()`, cursors, or text that may change what belongs to a session: see `docs/guides/pipelining.md`. Needs `pg` 8.23.
   * 0 to 1000. @defaultValue 0
   */
  pipelining?: number | undefined;
  /**
   * How many statements of `pool.query()` the pool prepares on each connection, under names of its own: those that were asked for more than
   * twice, the last used first. 0 turns it off. Behind a pooler it stays off by itself. 0 to 10000. @defaultValue 0
   */
  statementCache?: number | undefined;
  /**
   * The authentication methods that are accepted (libpq's `require_auth`): `scram-sha-256`, `md5`, `password`, `none`, or the same
   * with `!` before each, which takes them out of the default. `gss`, `sspi` and `oauth` may be named too, as in libpq 18; `pg`
   * cannot answer them, so a server that asks for one is always refused.
   * @defaultValue for a Service `require_auth` in the connection string, then `PGREQUIREAUTH`, then SCRAM; over verified TLS also the others, except `none` if a password is given
   */
  requireAuth?: string | readonly string[] | undefined;
  /**
   * Whether SCRAM is bound to the TLS channel (libpq's `channel_binding`). `prefer` goes without binding if the server does not offer it, or
   * its certificate does not allow it (Ed25519, Ed448).
   * @defaultValue `disable` for a plain host; for a Service `channel_binding` in the connection string, then `PGCHANNELBINDING`, then `prefer`
   */
  channelBinding?: 'disable' | 'prefer' | 'require' | undefined;
}

/** What the rest of the package works with: checked, complete, frozen. */
export interface PoolSettings extends ServiceRouteSettings, RequiredMethods {
  /** Whether the pool follows a Service (or a host with an allow-list), or is plain. */
  readonly follows: boolean;
  /** The name of the Service or host, as written. */
  readonly name: string;
  readonly port: number;
  readonly tls: TlsMode;
  /** Whether the caller configured TLS: in code, in the connection string or by `PGSSLMODE`. */
  readonly tlsIsSaid: boolean;
  readonly targetSessionAttrs: TargetSessionAttrs;
  /** Whether `read-write` is the default and was not written explicitly: see `WantedRole`. */
  readonly takesOwnReadOnly: boolean;
  readonly failoverTimeoutMillis: number;
  readonly connectionTimeoutMillis: number;
  readonly drainTimeoutMillis: number;
  readonly plannedHoldMillis: number;
  readonly readySessions: number;
  readonly warmUp: number;
  readonly reconnectSpreadMillis: number;
  readonly attemptTimeoutMillis: number;
  readonly endTimeoutMillis: number;
  readonly idleCheckMillis: number;
  readonly retireOnAddressChange: 'idle' | 'all' | false;
  readonly maxWaiting: number;
  readonly pipelining: number;
  readonly statementCache: number;
  /** `query_timeout` of `pg`; 0 for none. */
  readonly queryTimeoutMillis: number;
  readonly reader: ReaderSettings;
  readonly liveness: LivenessSettings | undefined;
  readonly listenHeartbeatMillis: number;
  readonly channelBinding: 'disable' | 'prefer' | 'require';
  /** `undefined` for `ordered`. */
  readonly makeBalancer: MakeBalancer | undefined;
  /** Secrets that must never be shown, as far as they are known from the start. Not enumerable. */
  readonly secrets: readonly string[];
}

// What the pool adds to the options of `pg`.
const ownNames = {
  service: true,
  allowedTargets: true,
  allowedNetworks: true,
  namespace: true,
  clusterDomain: true,
  source: true,
  dns: true,
  targetSessionAttrs: true,
  failoverTimeoutMillis: true,
  drainTimeoutMillis: true,
  plannedHoldMillis: true,
  readySessions: true,
  warmUp: true,
  reconnectSpreadMillis: true,
  attemptTimeoutMillis: true,
  endTimeoutMillis: true,
  liveness: true,
  listenHeartbeatMillis: true,
  idleCheckMillis: true,
  retireOnAddressChange: true,
  maxWaiting: true,
  pipelining: true,
  statementCache: true,
  reader: true,
  requireAuth: true,
  channelBinding: true,
  balancing: true,
  outlierDetection: true,
  slowStartMillis: true,
} satisfies Record<Exclude<keyof PoolOptions, keyof pg.PoolConfig>, true>;

/**
 * Checks the options and completes them. Reads the environment as `pg` does.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the option
 */
export function poolSettings(given: PoolOptions | null, environment: NodeJS.ProcessEnv = process.env): PoolSettings {
  const options = ownOptions(given ?? {});
  warnOfMistyped(options, Object.keys(ownNames));
  checkOptionsOfPg(options);
  const allowedTargets = options.allowedTargets ?? targetsFor(options, environment);
  const follows = options.service !== undefined || allowedTargets !== undefined || options.source !== undefined;
  const { service } = options;
  if (service !== undefined && (typeof service !== 'string' || service === '')) {
    throw new InvalidArgumentError('service', `must be the name of a Service, got ${describeValue(service)}`);
  }
  checkServiceOptions(options);
  if (follows) refuseNative((options as { Client?: unknown }).Client ?? pg.Client);
  // `pg` itself reads the options, the connection string and the environment: that is exact by definition.
  if (service !== undefined) refuseOtherHost(options, service);
  if (follows && options.stream !== undefined) {
    throw new InvalidArgumentError(
      'stream',
      'is refused for a Service: the pool opens its sockets itself, after the allow-list is checked. Leave it out',
    );
  }
  const tls = follows ? tlsOfService(options, environment) : undefined;
  if (tls === undefined) warnOfIgnoredTls(options);
  const probe = probeClient({ ...options, ...tls?.options });
  checkPort(probe.port, options);
  const liveness = livenessSettings(options.liveness);
  const said = follows ? saidToLibpq(options, environment) : saidInCode(options);
  const settings: Omit<PoolSettings, 'secrets'> = {
    follows,
    name: service ?? probe.host,
    service,
    host: service === undefined ? probe.host : undefined,
    port: probe.port,
    allowedTargets,
    allowedNetworks: options.allowedNetworks,
    namespace: options.namespace,
    clusterDomain: options.clusterDomain,
    source: options.source,
    dns: options.dns,
    tls: tls?.mode ?? tlsOfHost(probe),
    tlsIsSaid: isTlsSaid(options, environment),
    targetSessionAttrs: oneOf(said.targetSessionAttrs, sessionAttrs, follows ? 'read-write' : 'any'),
    takesOwnReadOnly: follows && said.targetSessionAttrs.value === undefined,
    failoverTimeoutMillis: millis(options, 'failoverTimeoutMillis', follows ? 30_000 : 0),
    // A falsy value counts as not set, as in pg.
    connectionTimeoutMillis: timerMillis(Number(options.connectionTimeoutMillis || 0)),
    drainTimeoutMillis: Math.min(millis(options, 'drainTimeoutMillis', 250), longestTimerMillis),
    plannedHoldMillis: Math.min(millis(options, 'plannedHoldMillis', 10_000), longestTimerMillis),
    readySessions: sessionCount('readySessions', options.readySessions, 0),
    warmUp: sessionCount('warmUp', options.warmUp ?? 1, 1),
    reconnectSpreadMillis: millis(options, 'reconnectSpreadMillis', 200),
    attemptTimeoutMillis: millisSaid(said.attemptTimeoutMillis, 5_000),
    endTimeoutMillis: millis(options, 'endTimeoutMillis', follows ? 30_000 : Number.POSITIVE_INFINITY),
    idleCheckMillis: millis(options, 'idleCheckMillis', follows ? 10_000 : Number.POSITIVE_INFINITY),
    maxWaiting: millis(options, 'maxWaiting', follows ? 10_000 : Number.POSITIVE_INFINITY),
    pipelining: pipelineDepth(options.pipelining, probe),
    statementCache: statementCount(options.statementCache),
    queryTimeoutMillis: Number(queryTimeoutOf(probe) || 0) || 0,
    reader: readerSettings(options.reader),
    retireOnAddressChange: addressChange(options.retireOnAddressChange),
    liveness: follows ? liveness : undefined,
    listenHeartbeatMillis: millisAboveZero(options, 'listenHeartbeatMillis', 3_000),
    ...requiredMethods(said.requireAuth.value, said.requireAuth.argument),
    channelBinding: oneOf(said.channelBinding, bindings, follows ? 'prefer' : 'disable'),
    makeBalancer: balancingSettings(options),
  };
  if (settings.makeBalancer !== undefined && !follows) {
    throw new InvalidArgumentError(
      'balancing',
      `${options.balancing} needs a Service, or a host with \`allowedTargets\`: pg chooses the address of a plain host`,
    );
  }
  if (settings.channelBinding === 'require' && settings.tls === 'off') {
    throw new InvalidArgumentError('channelBinding', 'require needs TLS: without it there is no channel to bind to');
  }
  return Object.freeze(
    Object.defineProperty(settings, 'secrets', { value: secretsOf(options, probe) }),
  ) as PoolSettings;
}

function secretsOf({ connectionString }: PoolOptions, probe: pg.Client): readonly string[] {
  const tls = tlsOptionsOf(probe);
  const { key, passphrase }: { key?: unknown; passphrase?: unknown } = typeof tls === 'object' ? tls : {};
  const secrets: unknown[] = [passwordOf(probe), connectionString, key, passphrase];
  return secrets.filter((secret): secret is string => typeof secret === 'string' && secret !== '');
}

// By shape, because an application may have another copy of pg. Only the native client has isConnected().
function refuseNative(Client: unknown): void {
  const prototype = (Client as { prototype?: unknown } | null)?.prototype;
  if (typeof prototype !== 'object' || prototype === null) return;
  if (!('isConnected' in prototype) || 'getStartupConf' in prototype) return;
  throw new InvalidArgumentError(
    'Client',
    "pg-native connects by itself, without the allow-list and the verified name of a Service: use pg's JavaScript client " +
      '(leave Client out, and NODE_PG_FORCE_NATIVE unset)',
  );
}

// What the types of TypeScript do not tell a user of JavaScript.
function checkServiceOptions(options: PoolOptions): void {
  const { allowedTargets, allowedNetworks, namespace, clusterDomain, source, dns } = options;
  if (allowedTargets !== undefined && allowedTargets !== 'any') checkTexts('allowedTargets', allowedTargets);
  if (allowedNetworks !== undefined && allowedNetworks !== 'any') checkTexts('allowedNetworks', allowedNetworks);
  if (namespace !== undefined) checkName('namespace', namespace);
  if (clusterDomain !== undefined) checkName('clusterDomain', clusterDomain);
  if (source !== undefined) checkMethods('source', source, ['current', 'subscribe']);
  if (dns !== undefined) either(anObjectWith('resolve'), aResolverOption)('dns', dns);
}

function checkName(argument: 'namespace' | 'clusterDomain', value: string): void {
  checkText(argument, value);
  // cluster.local is also written with a leading dot.
  parseHostName(value.replace(/^\.+/, ''), argument);
}

// It would be ignored, because the Service decides where connections lead.
function refuseOtherHost({ host, connectionString }: PoolOptions, service: string): void {
  const written = { host, connectionString: connectionString && hostOf(connectionString) };
  for (const [argument, name] of Object.entries(written)) {
    if (!name || canonicalName(name) === canonicalName(service)) continue;
    throw new InvalidArgumentError(
      argument,
      `names the host ${JSON.stringify(name)}, but service is ${JSON.stringify(service)}: leave one of the two out`,
    );
  }
}

// Only read from. A socket that is never used keeps the application's own `stream` from being called.
function probeClient(options: PoolOptions): pg.Client {
  let probe: pg.Client;
  try {
    probe = new pg.Client({ ...options, stream: () => new net.Socket() });
  } catch (error) {
    // pg throws for a connection string that it cannot read, a file that is named in it, and sslnegotiation.
    const argument = options.connectionString ? 'connectionString' : 'options';
    const { message = String(error) } = error as Partial<Error>;
    throw new InvalidArgumentError(argument, maskSecrets(message, [options.connectionString, options.password]), {
      cause: withoutInput(error),
    });
  }
  if (typeof tlsOptionsOf(probe) === 'string') {
    throw new InvalidArgumentError('connectionString', 'must have true, false or no-verify as its ssl, or use sslmode');
  }
  return probe;
}

// An error about a URL contains the URL, with the password.
function withoutInput(error: unknown): unknown {
  if (typeof error === 'object' && error !== null && 'input' in error) delete error.input;
  return error;
}

const sessionAttrs = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
const bindings = ['disable', 'prefer', 'require'] as const;

// For a plain host, pg decides.
function tlsOfHost(probe: pg.Client): TlsMode {
  const ssl: boolean | { rejectUnauthorized?: boolean; checkServerIdentity?: unknown } = tlsOptionsOf(probe);
  if (ssl === false) return 'off';
  const isWeakened =
    typeof ssl === 'object' && (ssl.rejectUnauthorized === false || ssl.checkServerIdentity !== undefined);
  return isWeakened ? 'unverified' : 'verified';
}

// The variable is set for all pools of a process, but applies only to those whose host can be a Service.
function targetsFor(options: PoolOptions, environment: NodeJS.ProcessEnv): readonly string[] | 'any' | undefined {
  const list = allowedTargetsFrom(environment);
  if (list === undefined || options.service !== undefined || options.source !== undefined) return list;
  const { connectionString, host } = options;
  const written = connectionString ? hostOf(connectionString) : host;
  return mayBeService(written || environment['PGHOST'] || pg.defaults.host || 'localhost') ? list : undefined;
}

function isTlsSaid({ ssl, connectionString }: PoolOptions, environment: NodeJS.ProcessEnv): boolean {
  const words = parametersOf(connectionString);
  return [ssl, words['sslmode'], words['ssl'], environment['PGSSLMODE']].some((said) => said !== undefined);
}

type NumberOption = {
  [K in keyof PoolOptions]-?: NonNullable<PoolOptions[K]> extends number ? K : never;
}[keyof PoolOptions];

function millis(options: PoolOptions, name: NumberOption, defaultValue: number): number {
  return millisSaid({ value: options[name], argument: name }, defaultValue);
}

function millisSaid({ value, argument }: Said, defaultValue: number): number {
  const used: unknown = value ?? defaultValue;
  checkNumber(argument, used, { least: 0, unit: 'milliseconds' });
  return timerMillis(used);
}

function timerMillis(value: number): number {
  return value > longestTimerMillis ? Number.POSITIVE_INFINITY : value;
}

function addressChange(value: unknown = 'idle'): PoolSettings['retireOnAddressChange'] {
  if (value === 'idle' || value === 'all' || value === false) return value;
  throw new InvalidArgumentError(
    'retireOnAddressChange',
    `must be 'idle', 'all' or false, got ${describeValue(value)}`,
  );
}

function sessionCount(name: string, value: unknown = 0, least: number): number {
  checkNumber(name, value, { least, most: mostReadySessions, whole: true });
  return value;
}

const mostReadySessions = 100;

function pipelineDepth(value: unknown = 0, probe: pg.Client): number {
  checkNumber('pipelining', value, { least: 0, most: deepestPipeline, whole: true });
  if (value > 1 && !canPipeline(probe)) {
    throw new InvalidArgumentError(
      'pipelining',
      'needs pg 8.23 or newer, and an older one is installed: npm install pg@8, or leave it out',
    );
  }
  return value;
}

function statementCount(value: unknown = 0): number {
  checkNumber('statementCache', value, { least: 0, most: mostStatements, whole: true });
  return value;
}

const deepestPipeline = 1_000;
const mostStatements = 10_000;

function millisAboveZero(options: PoolOptions, name: NumberOption, defaultValue: number): number {
  const value = millis(options, name, defaultValue);
  checkNumber(name, value, { above: 0, unit: 'milliseconds' });
  return Math.min(value, longestTimerMillis);
}

// Timers of Node take no more: a longer one fires at once. 24 days are as good as forever.
const longestTimerMillis = 2 ** 31 - 1;

function livenessSettings(options: LivenessOptions | false = {}): LivenessSettings | undefined {
  if (options === false) return undefined;
  aLivenessOption('liveness', options);
  const { afterMillis = 1_000, intervalMillis = 700, failures = 2 } = options;
  return { afterMillis, intervalMillis, failures };
}

const aboveZero = optional(aNumber({ above: 0 }));
const aLivenessOption = optionsOf<LivenessOptions>({
  afterMillis: aboveZero,
  intervalMillis: aboveZero,
  failures: aboveZero,
});

function oneOf<const T extends string>({ value, argument }: Said, values: readonly T[], defaultValue: T): T {
  const found = value === undefined ? defaultValue : values.find((each) => each === value);
  if (found === undefined) {
    throw new InvalidArgumentError(argument, `must be one of ${values.join(', ')}, got ${describeValue(value)}`);
  }
  return found;
}
