import { isIP } from 'node:net';
import type { WaitOptions } from '../deadline.ts';
import { type HostResolver, ResolutionError, type Resolver } from '../dns/index.ts';
import {
  aBoolean,
  aNumber,
  anObjectWith,
  aSignal,
  aText,
  checkOptions,
  listOf,
  objectOf,
  oneOf,
  optional,
} from '../shape.ts';
import type { Endpoint } from './endpoint.ts';
import type { TargetPolicy } from './policy.ts';
import { AddressRefusedError } from './refusals.ts';
import type { Target } from './target-source.ts';

/** See {@link resolveEndpoints}. */
export interface ResolveEndpointsOptions extends WaitOptions {
  /** Looks up the addresses. */
  resolver: Resolver & Partial<Pick<HostResolver, 'resolveHost'>>;
  /** Checks the target and its addresses. */
  policy: TargetPolicy;
  /** 1 to 65535. An ExternalName Service has no ports, so the application names it. */
  port: number;
  /**
   * Whether the target is a plain host that the application wrote itself. The hosts file and the search list then apply, if the
   * resolver supports them. An ExternalName is always fully qualified. @defaultValue false
   */
  plainHost?: boolean | undefined;
  /** Whether to bypass the resolver's cache. @defaultValue false */
  fresh?: boolean | undefined;
  /** The family of addresses to ask for: 4, 6, or 0 for both. @defaultValue 0 */
  family?: 0 | 4 | 6 | undefined;
  /** The deadline for all queries together. Milliseconds. @defaultValue the resolver's own */
  timeoutMillis?: number | undefined;
}

/**
 * Finds the endpoints of a target: every address that DNS has for it and that the policy allows, in the order of the
 * answer. Refused addresses raise an error only if none is left. At most 16 addresses of each family are used, so that
 * an answer with thousands does not open thousands of connections.
 *
 * @throws TargetRefusedError `ERR_EXTERNALNAME_TARGET_REFUSED`, before any query
 * @throws AddressRefusedError `ERR_EXTERNALNAME_ADDRESS_REFUSED` where every address was refused; of several, the first,
 * with an `AggregateError` of all of them for its cause
 * @throws ResolutionError `ERR_EXTERNALNAME_DNS_...` where the target has no address
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a port that is none
 *
 * @example
 * ```ts
 * const endpoints = await resolveEndpoints(await source.current(), { resolver, policy, port: 5432 });
 * ```
 */
export async function resolveEndpoints(target: Target, options: ResolveEndpointsOptions): Promise<readonly Endpoint[]> {
  objectOf({ externalName: aText, via: listOf(aText) })('target', target);
  checkOptions(options, {
    resolver: anObjectWith('resolve'),
    policy: anObjectWith('checkTarget', 'checkAddress'),
    port: aNumber({ least: 1, most: 65_535, whole: true }),
    family: optional(oneOf(0, 4, 6)),
    timeoutMillis: optional(aNumber({ least: 0 })),
    plainHost: optional(aBoolean),
    fresh: optional(aBoolean),
    signal: aSignal,
  });
  const { policy, port } = options;
  options.signal?.throwIfAborted();
  policy.checkTarget(target);
  const addresses = await addressesOf(target.externalName, options);
  if (addresses.length === 0) throw new ResolutionError('no-address', target.externalName);
  const endpoints: Endpoint[] = [];
  const refused: AddressRefusedError[] = [];
  const room = { 4: mostEndpointsOfFamily, 6: mostEndpointsOfFamily };
  for (const { address, family } of addresses) {
    const refusal = refusalOf(policy, target, address);
    if (refusal !== undefined) refused.push(refusal);
    else if (room[family]-- > 0) endpoints.push({ target, address, family, port });
  }
  if (endpoints.length > 0) return endpoints;
  throw combined(target, refused);
}

/** More than any database has. A race may dial all of them within a second. */
const mostEndpointsOfFamily = 16;

async function addressesOf(
  host: string,
  options: ResolveEndpointsOptions,
): Promise<readonly Pick<Endpoint, 'address' | 'family'>[]> {
  const { resolver, plainHost, fresh, family, timeoutMillis, signal } = options;
  const version = isIP(host);
  if (version !== 0) return [{ address: host, family: version === 6 ? 6 : 4 }];
  const settings = { fresh, family, timeoutMillis, signal };
  const { addresses } = plainHost
    ? await (resolver.resolveHost?.(host, settings) ?? resolver.resolve(host, settings))
    : await resolver.resolve(host, settings);
  return addresses;
}

function refusalOf(policy: TargetPolicy, target: Target, address: string): AddressRefusedError | undefined {
  try {
    policy.checkAddress(target, address);
    return undefined;
  } catch (error) {
    if (error instanceof AddressRefusedError) return error;
    throw error;
  }
}

function combined(target: Target, refused: readonly AddressRefusedError[]): AddressRefusedError {
  const [first, ...others] = refused;
  if (first === undefined) throw new Error('no address was refused');
  if (others.length === 0) return first;
  const cause = new AggregateError(refused, `all ${refused.length} addresses of ${target.externalName} were refused`);
  return new AddressRefusedError(target, first.address, first.reason, { cause });
}
