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
   * Whether the first name is a plain host that the application named itself, with neither a Service nor an
   * allow-list. It is then the target, whatever it is an alias of. @defaultValue false
   */
  plainHost?: boolean | undefined;
}

/**
 * Says which name of a chain is the target: the name that policy allows and TLS verifies.
 *
 * It is the first name outside the cluster domain: what `spec.externalName` ends in after hops inside the cluster,
 * and never a later alias of the provider, which may differ with every answer. A chain that stays inside the cluster
 * has its last name for a target; so a Service without a CNAME stands for itself. `via` holds the names before it.
 *
 * @param names the name that was asked for, and what each CNAME points to, in order
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
