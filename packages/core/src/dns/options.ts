import { InvalidArgumentError } from '../errors.ts';
import { ownOptions } from '../input.ts';
import { canonicalName } from '../names/index.ts';
import {
  aBoolean,
  aNumber,
  aSignal,
  aText,
  checkOptions,
  either,
  listOf,
  oneOf,
  optional,
  optionsOf,
  type Shape,
  type Shapes,
} from '../shape.ts';
import { isQueryName } from './message.ts';
import type { ResolveOptions } from './resolution.ts';
import { parseServerAddress, type ServerAddress } from './server-address.ts';

/** How answers are kept. See {@link DnsResolverOptions.cache}. */
export interface CacheOptions {
  /** The most names to keep. Names that were not used lately are dropped first. 1 to 1,000,000. @defaultValue 10000 */
  maxNames?: number | undefined;
  /**
   * Shortest time to keep a record, whatever its TTL says. Seconds, 0 to 3600. A floor delays the moment when a switch
   * is seen. @defaultValue 0
   */
  minTtlSeconds?: number | undefined;
  /** Longest time to keep a record, whatever its TTL says. Seconds, 0 to 86400. @defaultValue 300 */
  maxTtlSeconds?: number | undefined;
  /**
   * Longest time to keep "does not exist" and "no address". Seconds, 0 to 10800 (RFC 2308 section 5). The zone's own value counts
   * up to this limit. An answer without one is not kept. @defaultValue 30
   */
  maxNegativeTtlSeconds?: number | undefined;
  /** How long to keep "no server answered". Seconds, 1 to 300 (RFC 9520 section 3.2). @defaultValue 1 */
  failureTtlSeconds?: number | undefined;
  /**
   * How long after its TTL a record may still be served while no server answers (RFC 8767), marked `stale`. Seconds, 0 (never) to 604800.
   * @defaultValue 3600
   */
  maxStaleSeconds?: number | undefined;
  /**
   * How long to wait for the servers before a stale answer is served while they are still being asked (RFC 8767 section 5).
   * Milliseconds, 0 to 60000. @defaultValue 1800
   */
  staleAfterMillis?: number | undefined;
  /**
   * Whether a name that is used near the end of its TTL is refreshed in the background. The refresh begins at a random point of the
   * last fifth of the TTL, so that many processes do not ask at once. @defaultValue true
   */
  prefetch?: boolean | undefined;
}

/** {@link CacheOptions}, checked and complete. */
export type CacheSettings = { readonly [Name in keyof CacheOptions]-?: NonNullable<CacheOptions[Name]> };

/** The options of a `DnsResolver`. Missing ones come from resolv.conf, then from the defaults given here. */
export interface DnsResolverOptions {
  /**
   * DNS servers, in the form of `dns.setServers()`: `10.96.0.10`, `127.0.0.1:5353`, `::1`, `[::1]:5353`. At least one.
   * @defaultValue `nameserver` lines of resolv.conf, at most three
   */
  nameservers?: readonly string[] | undefined;
  /** The resolv.conf to read. Checked for changes at most every 5 s. @defaultValue `/etc/resolv.conf` */
  resolvConfPath?: string | undefined;
  /** Domains that complete a plain host name, see `resolveHost`. @defaultValue `search` of resolv.conf */
  searchDomains?: readonly string[] | undefined;
  /** A plain name with at least this many dots is tried as it is first. 0 to 15. @defaultValue `ndots` of resolv.conf, else 1 */
  ndots?: number | undefined;
  /** Longest wait for one answer of one server. Milliseconds, 1 to 60000. @defaultValue `timeout` of resolv.conf, else 2000 (libc: 5000) */
  timeoutMillis?: number | undefined;
  /** How many times to try the servers that do not answer. 1 to 10. @defaultValue `attempts` of resolv.conf, else 3 (libc: 2) */
  attempts?: number | undefined;
  /** The deadline of one call with all its queries, unless the call has its own. Milliseconds, 1 to 600000. @defaultValue 10000 */
  totalTimeoutMillis?: number | undefined;
  /** Whether to start with another server each time. @defaultValue `rotate` of resolv.conf, else false */
  rotate?: boolean | undefined;
  /** Whether to use TCP from the start. @defaultValue `use-vc` of resolv.conf, else false */
  useTcp?: boolean | undefined;
  /** Whether to offer 1232 octets for UDP answers with EDNS0 (RFC 6891). Dropped for a server that does not know it. @defaultValue true */
  edns0?: boolean | undefined;
  /** The hosts file to read. Checked for changes at most every 5 s. @defaultValue `/etc/hosts` */
  hostsPath?: string | undefined;
  /** `false` keeps nothing; queries under way are still shared. @defaultValue `{}` */
  cache?: false | CacheOptions | undefined;
}

/** {@link DnsResolverOptions}, checked. Missing values come from resolv.conf. */
export interface DnsResolverSettings {
  readonly nameservers: readonly ServerAddress[] | undefined;
  readonly resolvConfPath: string;
  readonly searchDomains: readonly string[] | undefined;
  readonly ndots: number | undefined;
  readonly timeoutMillis: number | undefined;
  readonly attempts: number | undefined;
  readonly totalTimeoutMillis: number;
  readonly rotate: boolean | undefined;
  readonly useTcp: boolean | undefined;
  readonly edns0: boolean;
  readonly hostsPath: string;
  readonly cache: CacheSettings | undefined;
}

const number = (least: number, most: number): Shape => optional(aNumber({ least, most }));
const whole = (least: number, most: number): Shape => optional(aNumber({ least, most, whole: true }));

const cacheShapes: Shapes<CacheOptions> = {
  maxNames: whole(1, 1_000_000),
  minTtlSeconds: number(0, 3600),
  maxTtlSeconds: number(0, 86_400),
  maxNegativeTtlSeconds: number(0, 10_800),
  failureTtlSeconds: number(1, 300),
  maxStaleSeconds: number(0, 604_800),
  staleAfterMillis: number(0, 60_000),
  prefetch: optional(aBoolean),
};

const resolverShapes: Shapes<DnsResolverOptions> = {
  nameservers: optional(listOf(aText)),
  resolvConfPath: optional(aText),
  searchDomains: optional(listOf(aText)),
  ndots: whole(0, 15),
  timeoutMillis: number(1, 60_000),
  attempts: whole(1, 10),
  totalTimeoutMillis: number(1, 600_000),
  rotate: optional(aBoolean),
  useTcp: optional(aBoolean),
  edns0: optional(aBoolean),
  hostsPath: optional(aText),
  cache: optional(either(oneOf(false), optionsOf<CacheOptions>(cacheShapes))),
};

/** The options of one question to a resolver. */
export const resolveShapes: Shapes<ResolveOptions> = {
  signal: aSignal,
  fresh: optional(aBoolean),
  family: optional(oneOf(0, 4, 6)),
  timeoutMillis: optional(aNumber({ least: 0, unit: 'milliseconds' })),
};

/** For the options of those who make a resolver of them. */
export const aResolverOption: Shape = optionsOf<DnsResolverOptions>(resolverShapes);

/**
 * Checks all options at once, before any I/O.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, naming the first option that cannot be used.
 */
export function resolverSettings(given: DnsResolverOptions = {}): DnsResolverSettings {
  checkOptions(given, resolverShapes);
  const options = ownOptions(given);
  const { nameservers, searchDomains, cache } = options;
  if (nameservers !== undefined && nameservers.length === 0) {
    throw new InvalidArgumentError('nameservers', 'name at least one DNS server, or leave it out to use resolv.conf');
  }
  return Object.freeze({
    nameservers: nameservers?.map((text, index) => parseServerAddress(text, `nameservers[${index}]`)),
    resolvConfPath: options.resolvConfPath ?? '/etc/resolv.conf',
    searchDomains: searchDomains?.map((domain, index) => searchDomain(domain, `searchDomains[${index}]`)),
    ndots: options.ndots,
    timeoutMillis: options.timeoutMillis,
    attempts: options.attempts,
    totalTimeoutMillis: options.totalTimeoutMillis ?? 10_000,
    rotate: options.rotate,
    useTcp: options.useTcp,
    edns0: options.edns0 ?? true,
    hostsPath: options.hostsPath ?? '/etc/hosts',
    cache: cache === false ? undefined : cacheSettings(cache ?? {}),
  });
}

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
export function cacheSettings(given: CacheOptions): CacheSettings {
  const options = ownOptions(given);
  const settings = {
    maxNames: options.maxNames ?? 10_000,
    minTtlSeconds: options.minTtlSeconds ?? 0,
    maxTtlSeconds: options.maxTtlSeconds ?? 300,
    maxNegativeTtlSeconds: options.maxNegativeTtlSeconds ?? 30,
    failureTtlSeconds: options.failureTtlSeconds ?? 1,
    maxStaleSeconds: options.maxStaleSeconds ?? 3600,
    staleAfterMillis: options.staleAfterMillis ?? 1800,
    prefetch: options.prefetch ?? true,
  };
  if (settings.minTtlSeconds > settings.maxTtlSeconds) {
    throw new InvalidArgumentError(
      'cache.minTtlSeconds',
      `must not be above cache.maxTtlSeconds (${settings.maxTtlSeconds})`,
    );
  }
  return Object.freeze(settings);
}

function searchDomain(domain: string, argument: string): string {
  const canonical = canonicalName(domain);
  if (!isQueryName(canonical))
    throw new InvalidArgumentError(argument, `${JSON.stringify(domain)} is not a domain name`);
  return canonical;
}
