import type { ConnectionOptions } from 'node:tls';
import type { WaitOptions } from '../deadline.ts';
import { aResolverOption, type DnsResolverOptions, type Resolver } from '../dns/index.ts';
import { InvalidArgumentError } from '../errors.ts';
import { checkObject, ownOptions, printable } from '../input.ts';
import { parseServiceReference } from '../names/index.ts';
import { nearestName } from '../option-names.ts';
import {
  aFunction,
  aNumber,
  anObjectWith,
  aSignal,
  aText,
  checkOptions,
  either,
  listOf,
  oneOf,
  optional,
  type Shape,
  type Shapes,
} from '../shape.ts';
import type { Target, TargetSource } from '../targets/index.ts';
import type { ServiceRouteSettings } from './service-route.ts';

/** The Service and the hosts that it may point to: options of everything that connects through a Service. */
export interface ServiceOptions {
  /** The ExternalName Service: `webscaler-manual`, `webscaler-manual.default`, or a longer form of the same. */
  service: string;
  /**
   * The hosts that the Service may point to: exact names, or `*.` and a domain for exactly one label before it. `'any'` trusts
   * everyone who can edit the Service.
   * @defaultValue the comma-separated list in `EXTERNALNAME_ALLOWED_TARGETS`; without an allow-list, connecting fails
   */
  allowedTargets?: readonly string[] | 'any' | undefined;
  /**
   * The networks that the hosts' addresses must be in, as CIDR blocks; `'any'` turns off every check of addresses.
   * @defaultValue every network except loopback, link-local, metadata and other special addresses
   */
  allowedNetworks?: readonly string[] | 'any' | undefined;
  /** Namespace of the Service if its name does not say it. @defaultValue that of the pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's DNS domain. @defaultValue found in resolv.conf, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** The source that tells where the Service points. You close it. @defaultValue DNS */
  source?: TargetSource | undefined;
  /** Settings of the DNS resolver, or your own resolver, which you close. @defaultValue resolv.conf */
  dns?: DnsResolverOptions | Resolver | undefined;
  /** Longest time for one attempt to connect to a target, over all its addresses, TLS included. Milliseconds. @defaultValue 5000 */
  attemptTimeoutMillis?: number | undefined;
}

/** Options of {@link connect}. */
export interface ConnectOptions extends ServiceOptions, WaitOptions {
  /** The port to connect to, 1 to 65535: an ExternalName Service has none. */
  port: number;
  /** Longest time until the socket is there, DNS included. Milliseconds. @defaultValue 10000 */
  timeoutMillis?: number | undefined;
  /**
   * What happens to the socket when the Service points to another host, and a server answers there. `'close'` destroys it with a
   * `TargetRetiredError`, so that a driver that reconnects reaches the new server. `'keep'` leaves it open. A function is called
   * with the new target, and ends the socket in its own way. @defaultValue `'close'`
   */
  onSwitch?: 'close' | 'keep' | ((target: Target) => void) | undefined;
}

/** Options of {@link connectTls}. */
export interface ConnectTlsOptions extends ConnectOptions {
  /** Trusted authorities, the client's certificate, versions and ciphers. */
  tls?: ServiceTlsOptions | undefined;
}

/**
 * The options of `tls.connect` that you may set. You cannot set the name that the certificate must have: it is the host that the
 * Service points to.
 */
export type ServiceTlsOptions = Pick<ConnectionOptions, (typeof tlsOptionNames)[number]>;

const tlsOptionNames = [
  'ca',
  'cert',
  'key',
  'passphrase',
  'pfx',
  'crl',
  'minVersion',
  'maxVersion',
  'ciphers',
  'ecdhCurve',
  'sigalgs',
  'ALPNProtocols',
] as const;

/**
 * The options, checked and complete.
 *
 * @internal
 */
export interface ServiceSettings extends ServiceRouteSettings {
  readonly service: string;
  readonly attemptTimeoutMillis: number;
}

/**
 * Checks the shared options, and the others that this caller takes. Makes no request.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the option
 *
 * @internal
 */
export function serviceSettings<Options extends ServiceOptions>(
  given: Options,
  others: Shapes<Omit<NoInfer<Options>, keyof ServiceOptions>>,
): ServiceSettings {
  checkOptions<object>(given, { ...serviceShapes, ...others });
  const options = ownOptions(given);
  parseServiceReference(options.service);
  return {
    service: options.service,
    host: undefined,
    allowedTargets: options.allowedTargets ?? allowedTargetsFrom(process.env),
    allowedNetworks: options.allowedNetworks,
    namespace: options.namespace,
    clusterDomain: options.clusterDomain,
    source: options.source,
    dns: options.dns,
    attemptTimeoutMillis: options.attemptTimeoutMillis ?? 5_000,
  };
}

/**
 * The allow-list of the environment.
 *
 * @throws InvalidArgumentError if the variable is set but empty: a template without a value would otherwise turn the protection off
 *
 * @internal
 */
export function allowedTargetsFrom(environment: NodeJS.ProcessEnv): readonly string[] | 'any' | undefined {
  const text = environment['EXTERNALNAME_ALLOWED_TARGETS'];
  if (text === undefined) return undefined;
  if (text.trim() === 'any') return 'any';
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (entries.length > 0) return entries;
  throw new InvalidArgumentError(
    'EXTERNALNAME_ALLOWED_TARGETS',
    'is set but names no host: list the hosts that the Service may point to, or unset it',
  );
}

/**
 * As {@link serviceSettings}, for a socket: one in the clear takes no options of TLS, because nothing would read them.
 *
 * @internal
 */
export function connectSettings(options: ConnectTlsOptions, isSecure: boolean): ServiceSettings {
  return isSecure
    ? serviceSettings<ConnectTlsOptions>(options, { ...connectShapes, tls: aTlsOption })
    : serviceSettings<ConnectTlsOptions>(options, { ...connectShapes, tls: noTlsOption });
}

const noTlsOption: Shape = (argument, tls) => {
  if (tls === undefined) return;
  throw new InvalidArgumentError(
    argument,
    'is not an option of connect(), whose socket is in the clear: write connectTls(), or leave it out',
  );
};

/**
 * Options of TLS, but for those that would weaken the check of the server.
 *
 * @internal
 */
export const aTlsOption: Shape = (argument, tls) => {
  if (tls === undefined) return;
  checkObject(argument, tls);
  const names: readonly string[] = tlsOptionNames;
  const other = Object.keys(tls).find((name) => !names.includes(name));
  if (other === undefined) return;
  const meant = nearestName(other, names);
  const advice = meant === undefined ? `Choose from ${names.join(', ')}` : `Did you mean \`${argument}.${meant}\`?`;
  throw new InvalidArgumentError(
    `${argument}.${printable(other, 100)}`,
    `is not an option here: the server is verified for the host that the Service points to. ${advice}`,
  );
};

const aPort = aNumber({ least: 1, most: 65_535, whole: true });

const connectShapes = {
  port: aPort,
  timeoutMillis: optional(aNumber({ least: 1 })),
  onSwitch: optional(either(oneOf('close', 'keep'), aFunction)),
  signal: aSignal,
};

const serviceShapes: Shapes<ServiceOptions> = {
  service: aText,
  allowedTargets: optional(either(oneOf('any'), listOf(aText))),
  allowedNetworks: optional(either(oneOf('any'), listOf(aText))),
  namespace: optional(aText),
  clusterDomain: optional(aText),
  source: optional(anObjectWith('current', 'subscribe', 'close')),
  dns: optional(either(anObjectWith('resolve'), aResolverOption)),
  attemptTimeoutMillis: optional(aNumber({ least: 1 })),
};
