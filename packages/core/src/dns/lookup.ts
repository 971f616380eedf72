import { ADDRCONFIG, ALL, getDefaultResultOrder, type LookupAddress, type LookupOptions, V4MAPPED } from 'node:dns';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { ClosedError, InvalidArgumentError } from '../errors.ts';
import { checkMethods } from '../input.ts';
import { ResolutionError, type ResolutionFailure } from './errors.ts';
import type { Resolution, ResolvedAddress, ResolveOptions } from './resolution.ts';

/** What {@link createLookup} needs of a resolver. A `DnsResolver` has it. */
export interface HostResolver {
  /** Resolves a host name as programs write it, with the search list and the hosts file. */
  resolveHost(hostname: string, options?: ResolveOptions): Promise<Resolution>;
  /** The answer, if it is known already. */
  knownHost?(hostname: string, family: 0 | 4 | 6): Resolution | undefined;
}

type LookupOneCallback = (error: NodeJS.ErrnoException | null, address: string, family: number) => void;
type LookupAllCallback = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;
type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/** A function in the form of `dns.lookup`, for `net.connect`, `http.Agent`, `tls.connect` and undici's `connect` option. */
export interface LookupFunction {
  /** With the first address. */
  (hostname: string, callback: LookupOneCallback): void;
  /** With the first address of a family: 4, 6, or 0 for both. */
  (hostname: string, family: number, callback: LookupOneCallback): void;
  /** With all addresses. */
  (hostname: string, options: LookupOptions & { all: true }, callback: LookupAllCallback): void;
  /** With the first address. */
  (hostname: string, options: LookupOptions & { all?: false | undefined }, callback: LookupOneCallback): void;
  /** With one address or all, as `all` says. */
  (hostname: string, options: LookupOptions, callback: LookupCallback): void;
  /** For `util.promisify`: resolves with `{ address, family }`, or a list of them with `all`. */
  readonly [promisify.custom]: (
    hostname: string,
    options?: LookupOptions | number,
  ) => Promise<LookupAddress | LookupAddress[]>;
}

/**
 * A `dns.lookup` that uses `resolver`: with its cache and its deadline, and without a thread of libuv's pool. It knows all options of
 * `dns.lookup`: `family`, `all`, `order`, `verbatim`, `hints`.
 *
 * Errors have the codes that Node.js users know: `ENOTFOUND` (no such host, or no address of the family), `EAI_AGAIN` (no server answered:
 * retry later), `EAI_FAIL` (the chain loops or is too long), `ECANCELLED` (the resolver is closed). Their message prints the chain, and
 * their `cause` is the `ResolutionError`.
 *
 * With `order: 'verbatim'`, a family without an address on this machine comes last (RFC 6724). Otherwise IPv6 comes first.
 *
 * @example
 * ```ts
 * const agent = new http.Agent({ lookup: createLookup(resolver) });
 * ```
 */
export function createLookup(resolver: HostResolver): LookupFunction {
  checkMethods('resolver', resolver, ['resolveHost']);
  const lookup = (hostname: string, second: unknown, third?: unknown): void => {
    const callback = (third ?? second) as LookupCallback;
    if (typeof callback !== 'function') throw invalidType('callback', 'a function');
    const settings = lookupSettings(third === undefined ? {} : (second as LookupOptions | number | null));
    if (!hostname) {
      // As dns.lookup does with an empty name.
      if (settings.all) process.nextTick(callback, null, []);
      else process.nextTick(callback, null, null, settings.family === 6 ? 6 : 4);
      return;
    }
    if (typeof hostname !== 'string') throw invalidType('hostname', 'a string');
    const family = settings.mapped ? 0 : settings.family;
    const known = resolver.knownHost?.(hostname, family);
    if (known !== undefined) {
      answer(hostname, known, settings, callback);
      return;
    }
    resolver.resolveHost(hostname, { family }).then(
      (resolution) => answer(hostname, resolution, settings, callback),
      (error: unknown) => process.nextTick(callback, lookupError(hostname, error)),
    );
  };
  const promised = (hostname: string, options: LookupOptions | number = {}) =>
    new Promise<LookupAddress | LookupAddress[]>((resolve, reject) => {
      lookup(hostname, options, ((error, found, family) => {
        if (error !== null) reject(error);
        else resolve(Array.isArray(found) ? found : { address: found, family: family ?? 0 });
      }) satisfies LookupCallback);
    });
  return Object.assign(lookup, { [promisify.custom]: promised }) as LookupFunction;
}

interface LookupSettings {
  readonly family: 0 | 4 | 6;
  readonly all: boolean;
  /** Matters only if both families are wanted. */
  readonly order: Order | undefined;
  readonly addressConfigured: boolean;
  /** Whether to give IPv4 addresses in IPv6 form if there are no others. Only with `family: 6`, as in getaddrinfo(3). */
  readonly mapped: boolean;
  readonly mapAll: boolean;
}

type Order = 'ipv4first' | 'ipv6first' | 'verbatim';

function lookupSettings(options: LookupOptions | number | null): LookupSettings {
  const given: LookupOptions = typeof options === 'number' ? { family: options } : (options ?? {});
  if (typeof given !== 'object') throw invalidType('options', 'an object or a number');
  const family = familyOf(given.family);
  const hints = given.hints ?? 0;
  if (hints !== 0 && (hints & ~(ADDRCONFIG | ALL | V4MAPPED)) !== 0) {
    throw invalidValue('hints', `must combine dns.ADDRCONFIG, dns.V4MAPPED and dns.ALL, got ${String(hints)}`);
  }
  return {
    family,
    all: given.all === true,
    order: orderOf(given, family),
    addressConfigured: (hints & ADDRCONFIG) !== 0,
    mapped: family === 6 && (hints & V4MAPPED) !== 0,
    mapAll: (hints & ALL) !== 0,
  };
}

function familyOf(family: LookupOptions['family'] | null): 0 | 4 | 6 {
  switch (family) {
    case undefined:
    case null:
    case 0:
      return 0;
    case 4:
    case 'IPv4':
      return 4;
    case 6:
    case 'IPv6':
      return 6;
    default:
      throw invalidValue('family', `must be 0, 4, 6, 'IPv4' or 'IPv6', got ${String(family)}`);
  }
}

function orderOf(options: LookupOptions, family: 0 | 4 | 6): Order | undefined {
  const { order, verbatim } = options as { order?: Order; verbatim?: boolean };
  if (order !== undefined) {
    if (order !== 'ipv4first' && order !== 'ipv6first' && order !== 'verbatim') {
      throw invalidValue('order', `must be 'verbatim', 'ipv4first' or 'ipv6first', got ${String(order)}`);
    }
    return order;
  }
  if (verbatim !== undefined) return verbatim ? 'verbatim' : 'ipv4first';
  return family === 0 ? (getDefaultResultOrder() as Order) : undefined;
}

function answer(hostname: string, resolution: Resolution, settings: LookupSettings, callback: LookupCallback): void {
  const addresses = selectAddresses(resolution.addresses, settings);
  const [first] = addresses;
  if (first === undefined) {
    const error = new ResolutionError('no-address', resolution.name, { chain: resolution.chain });
    process.nextTick(callback, lookupError(hostname, error));
  } else if (settings.all) {
    process.nextTick(callback, null, addresses);
  } else {
    process.nextTick(callback, null, first.address, first.family);
  }
}

function selectAddresses(addresses: readonly ResolvedAddress[], settings: LookupSettings): LookupAddress[] {
  const { family, order, addressConfigured, mapped, mapAll } = settings;
  const configured = addressConfigured ? configuredFamilies() : undefined;
  // A machine with only loopback addresses prefers neither family, and glibc then returns both.
  const usable = family === 0 && configured?.size === 0 ? undefined : configured;
  const of = (wanted: 4 | 6): LookupAddress[] => {
    if (usable !== undefined && !usable.has(wanted)) return [];
    const found: LookupAddress[] = [];
    for (const entry of addresses) {
      if (entry.family === wanted) found.push({ address: entry.address, family: wanted });
    }
    return found;
  };
  if (family === 4) return of(4);
  const v6 = of(6);
  if (family === 6 && (!mapped || (v6.length > 0 && !mapAll))) return v6;
  const v4 = of(4);
  if (family === 6) return [...v6, ...v4.map(({ address }) => ({ address: `::ffff:${address}`, family: 6 }))];
  if (v4.length === 0) return v6;
  if (v6.length === 0) return v4;
  const v6First = order === 'ipv6first' || (order === 'verbatim' && configuredFamilies().has(6));
  return v6First ? [...v6, ...v4] : [...v4, ...v6];
}

// Asking the system for its interfaces takes longer than a cached lookup.
let families: { readonly found: ReadonlySet<4 | 6>; readonly until: number } | undefined;

function configuredFamilies(): ReadonlySet<4 | 6> {
  const now = performance.now();
  if (families !== undefined && now < families.until) return families.found;
  const found = new Set<4 | 6>();
  for (const entry of Object.values(networkInterfaces()).flat()) {
    // Loopback does not count (getaddrinfo(3), AI_ADDRCONFIG), nor do link-local addresses, which reach nothing beyond the link.
    if (entry === undefined || entry.internal || /^fe[89ab]/i.test(entry.address)) continue;
    found.add(entry.family === 'IPv6' ? 6 : 4);
  }
  families = { found, until: now + interfacesMemoryMillis };
  return found;
}

const interfacesMemoryMillis = 5000;

function lookupError(hostname: string, error: unknown): NodeJS.ErrnoException {
  const [code, errno] = codeOf(error);
  const reason = error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(`getaddrinfo ${code} ${hostname} (${reason})`, { cause: error }), {
    code,
    errno,
    syscall: 'getaddrinfo',
    hostname,
  });
}

function codeOf(error: unknown): readonly [code: string, errno: number] {
  if (error instanceof ResolutionError) return codes[error.failure];
  if (error instanceof ClosedError) return ['ECANCELLED', -3003];
  return error instanceof InvalidArgumentError ? codes['not-found'] : ['EAI_FAIL', -3004];
}

// The numbers are libuv's UV_EAI_* (uv/errno.h).
const codes: Record<ResolutionFailure, readonly [code: string, errno: number]> = {
  'not-found': ['ENOTFOUND', -3008],
  'no-address': ['ENOTFOUND', -3008],
  unavailable: ['EAI_AGAIN', -3001],
  loop: ['EAI_FAIL', -3004],
  'too-long': ['EAI_FAIL', -3004],
};

function invalidType(name: string, wanted: string): TypeError {
  return Object.assign(new TypeError(`The "${name}" argument must be ${wanted}`), { code: 'ERR_INVALID_ARG_TYPE' });
}

function invalidValue(name: string, problem: string): TypeError {
  return Object.assign(new TypeError(`The "${name}" option is invalid: ${problem}`), { code: 'ERR_INVALID_ARG_VALUE' });
}
