import type { ClusterDns } from '../cluster-dns/cluster-dns.ts';
import type { DnsFault } from '../cluster-dns/faults.ts';
import type { HostEntry, OutsideNames } from '../cluster-dns/outside-names.ts';
import type { DnsServer } from '../cluster-dns/server.ts';
import type { StoredView } from '../cluster-dns/stored-view.ts';
import type { StartedFault } from '../faults.ts';

/** The cluster's DNS server. See `LocalCluster.dns`. */
export class LocalDns {
  readonly #server: DnsServer;
  readonly #dns: ClusterDns;
  readonly #view: StoredView;

  /** @internal */
  constructor(server: DnsServer, dns: ClusterDns, view: StoredView) {
    this.#server = server;
    this.#dns = dns;
    this.#view = view;
  }

  /** The address that the DNS listens on. */
  get address(): string {
    return this.#server.address;
  }

  /** UDP and TCP. */
  get port(): number {
    return this.#server.port;
  }

  /**
   * Starts a fault, until it is ended. If several faults match a question, the newest applies.
   *
   * @example
   * ```ts
   * const fault = cluster.dns.fault({ kind: 'servfail', name: 'primary-db.example.com' });
   * // ...
   * fault.end();
   * ```
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   */
  fault(fault: DnsFault): StartedFault {
    return this.#dns.faults.start(fault, () => this.#view.release());
  }

  /** Ends all faults. */
  heal(): void {
    this.#dns.faults.endAll();
  }

  /** Resolves when the DNS knows every change of a Service that was made so far, or the cluster closes. */
  caughtUp(): Promise<void> {
    return this.#view.caughtUp();
  }

  /** Empties the cache, if there is one. */
  flush(): void {
    this.#dns.flush();
  }
}

/** The names outside the cluster. See `LocalCluster.hosts`. */
export class LocalHosts {
  readonly #outside: OutsideNames;

  /** @internal */
  constructor(outside: OutsideNames) {
    this.#outside = outside;
  }

  /**
   * Sets the addresses, or other records, of a name. Replaces what it had.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if an entry is not valid.
   */
  set(name: string, entry: HostEntry): void {
    this.#outside.set(name, entry);
  }

  /** Removes a name, so that it no longer exists. Returns whether it existed. */
  delete(name: string): boolean {
    return this.#outside.delete(name);
  }
}
