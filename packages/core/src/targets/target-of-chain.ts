import { InvalidArgumentError } from '../errors.ts';
import { checkTexts } from '../input.ts';
import { canonicalName, isWithin } from '../names/index.ts';
import { aBoolean, aText, checkOptions, optional } from '../shape.ts';
import type { TargetName } from './refusals.ts';

/** See {@link targetOfChain}. */
export interface TargetOfChainOptions {
  /** The cluster's DNS domain: `cluster.local`. */
  clusterDomain: string;
  /**
   * Whether the first name is a plain host that the application named itself, without a Service and an allow-list. It is then
   * the target, whatever it is an alias of. @defaultValue false
   */
  plainHost?: boolean | undefined;
}

/**
 * Finds the target in a chain: the name that the policy checks and TLS verifies.
 *
 * It is the first name outside the cluster domain, after any hops inside the cluster, and never a later alias of the provider,
 * which may differ in every answer. If the chain stays inside the cluster, the target is its last name, so a Service without a CNAME
 * stands for itself. `via` holds the names before the target.
 *
 * @param names the requested name, and the target of each CNAME, in order
 *
 * @example
 * ```ts
 * targetOfChain(['webscaler-db.default.svc.cluster.local', 'primary-db.example.com', 'db-7.provider.net'], {
 *   clusterDomain: 'cluster.local',
 * }); // { externalName: 'primary-db.example.com', via: ['webscaler-db.default.svc.cluster.local'] }
 * ```
 */
export function targetOfChain(names: readonly [string, ...string[]], options: TargetOfChainOptions): TargetName {
  checkTexts('names', names);
  checkOptions(options, { clusterDomain: aText, plainHost: optional(aBoolean) });
  if (names.length === 0) throw new InvalidArgumentError('names', 'must have the name that was asked for, got none');
  const canonical = names.map((name) => canonicalName(name));
  const outside = options.plainHost ? 0 : canonical.findIndex((name) => !isWithin(name, options.clusterDomain));
  const index = outside === -1 ? canonical.length - 1 : outside;
  return { externalName: canonical[index] ?? canonicalName(names[0]), via: canonical.slice(0, index) };
}
