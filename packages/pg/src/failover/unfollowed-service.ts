import { type Clock, discoverClusterContext, parseServiceReference, type Random } from '@externalname/core';
import { inBackground, shareDns, withDeadline } from '@externalname/core/internal';
import { isWithin } from '@externalname/core/names';
import { CleartextRefusedError } from '../errors.ts';
import { serviceNotFollowed } from '../events.ts';
import type { PoolSettings } from '../options.ts';
import { mayBeService } from '../settings/service-name.ts';
import { warn } from '../warnings.ts';

/**
 * Checks, for a plain host, whether it is an ExternalName Service: an application that swapped its import but forgot the
 * allow-list works, follows nothing, and would not notice before the disaster.
 *
 * It asks the cluster's DNS once, and only if the host can be a Service: in a pod (by the search list of resolv.conf), or for a name with
 * `.svc` in it. Only an unencrypted connection waits for the answer.
 */
export class UnfollowedService {
  readonly #settings: PoolSettings;
  readonly #dependencies: { clock: Clock; random: Random };
  readonly #isCandidate: boolean;
  #looking: Promise<string | undefined> | undefined;

  constructor(settings: PoolSettings, dependencies: { clock: Clock; random: Random }) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#isCandidate = !settings.follows && mayBeService(settings.name);
  }

  /**
   * Call it before each connection.
   *
   * @throws CleartextRefusedError `ERR_EXTERNALNAME_CLEARTEXT_REFUSED` if TLS is off by default, and the host is a Service that
   * leads out of the cluster
   */
  async beforeConnecting(): Promise<void> {
    if (!this.#isCandidate) return;
    const { name, tls, tlsIsSaid } = this.#settings;
    this.#looking ??= inBackground(() => this.#look());
    if (tls !== 'off' || tlsIsSaid) return;
    const target = await this.#looking;
    if (target !== undefined) throw new CleartextRefusedError(name, target);
  }

  // Where the Service leads, if out of the cluster. Never rejects: what DNS does not tell, `pg` finds out.
  async #look(): Promise<string | undefined> {
    const { name, dns, clusterDomain, namespace } = this.#settings;
    try {
      await using shared = shareDns(dns, this.#dependencies);
      const { searchDomains } = shared;
      const isInCluster = searchDomains.some((domain) => /(^|\.)svc\./.test(domain)) || /\.svc(\.|$)/.test(name);
      if (!isInCluster) return undefined;
      const context = discoverClusterContext({ searchDomains });
      const defaults = {
        namespace: namespace ?? context.namespace,
        clusterDomain: clusterDomain ?? context.clusterDomain,
      };
      const service = parseServiceReference(name, defaults);
      const source = shared.follow({ service, clusterDomain: service.clusterDomain });
      const { externalName, via } = await withDeadline((signal) => source.current({ signal }), {
        timeoutMillis: lookTimeoutMillis,
        onTimeout: () => new Error('the cluster DNS did not answer'),
        clock: this.#dependencies.clock,
      });
      if (via.length === 0 || isWithin(externalName, service.clusterDomain)) return undefined;
      this.#tell(externalName);
      return externalName;
    } catch {
      return undefined;
    }
  }

  #tell(target: string): void {
    const { name } = this.#settings;
    serviceNotFollowed.publish(() => ({ name, target }));
    if (told.has(name)) return;
    told.add(name);
    warn(
      'EXTERNALNAME_NOT_FOLLOWED',
      `${name} is an ExternalName Service that leads to ${target}, but this pool does not follow it: after a switch it stays where ` +
        `it is. Add allowedTargets: ['${target}'] to its options, with every other host that the Service may lead to, or set ` +
        `EXTERNALNAME_ALLOWED_TARGETS=${target}`,
    );
  }
}

// Once for each name in a process, for any number of pools.
const told = new Set<string>();

// A cluster's DNS that takes longer has other problems.
const lookTimeoutMillis = 2_000;
