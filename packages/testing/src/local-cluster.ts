import { type Clock, InvalidArgumentError, type Random, systemClock, systemRandom } from '@externalname/core';
import type { AnswerCacheOptions } from './cluster-dns/answer-cache.ts';
import { ClusterDns } from './cluster-dns/cluster-dns.ts';
import type { DnsFault, StartedFault } from './cluster-dns/faults.ts';
import { fullyQualified } from './cluster-dns/message.ts';
import { type HostEntry, OutsideNames } from './cluster-dns/outside-names.ts';
import { StoredView } from './cluster-dns/stored-view.ts';
import { type DnsQuery, DnsServer } from './dns-server.ts';
import type { JsonPatchOperation } from './kubernetes-api/json-patch.ts';
import type { KubernetesObject } from './kubernetes-api/object.ts';
import { ObjectRegistry } from './kubernetes-api/registry.ts';
import { resourceOf } from './kubernetes-api/resources.ts';
import { ObjectStorage } from './kubernetes-api/storage.ts';

/** See {@link LocalCluster.start}. */
export interface LocalClusterOptions {
  /** @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
  /** TTL of the cluster's records, in seconds, 0 to 3600. CoreDNS's default is 5, kubeadm's 30. @defaultValue 5 */
  ttlSeconds?: number | undefined;
  /** Services that are there from the start, as plain Kubernetes objects. Their namespaces are made with them. */
  services?: readonly ServiceObject[] | undefined;
  /** Names outside the cluster. What is not in here does not exist, unless `dns.forward` says whom to ask. */
  hosts?: Readonly<Record<string, HostEntry>> | undefined;
  dns?: LocalDnsOptions | undefined;
  clock?: Clock | undefined;
  random?: Random | undefined;
}

/** The cluster's DNS server. */
export interface LocalDnsOptions {
  /** Loopback address to listen on. @defaultValue `127.0.0.1` */
  address?: string | undefined;
  /** The same for UDP and TCP; 0 picks a free one. @defaultValue 0 */
  port?: number | undefined;
  /** A cache in front, as CoreDNS has it. @defaultValue none: a change is seen at once */
  cache?: AnswerCacheOptions | undefined;
  /** How long the DNS takes to learn of any change of a Service, in milliseconds. @defaultValue 0 */
  propagationDelayMillis?: number | undefined;
}

/** A Service, as JSON or as the typed object of a builder. */
export interface ServiceObject {
  apiVersion?: string | undefined;
  kind?: string | undefined;
  metadata?: object | undefined;
  spec?: object | undefined;
}

/**
 * A cluster small enough for a test: the cluster's DNS, over UDP and TCP, and its Services.
 *
 * @example
 * ```ts
 * await using cluster = await LocalCluster.start({
 *   services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
 *   hosts: { 'primary-db.example.com': ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12'] },
 * });
 * const patch = [{ op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' }];
 * await cluster.services.patch('default', 'webscaler-db', patch);
 * ```
 */
export class LocalCluster implements AsyncDisposable {
  /** The cluster's DNS. */
  readonly dns: LocalDns;
  /** The Services, past the HTTP API: the same checks, no authorization. */
  readonly services: LocalServices;
  /** Names outside the cluster. */
  readonly hosts: LocalHosts;
  readonly clusterDomain: string;
  readonly #server: DnsServer;
  readonly #view: StoredView;
  #closed: Promise<void> | undefined;

  /**
   * Starts a cluster.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   * @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` where a Service is refused.
   */
  static async start(options: LocalClusterOptions = {}): Promise<LocalCluster> {
    const { clusterDomain = 'cluster.local', ttlSeconds = 5, clock = systemClock, random = systemRandom } = options;
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 0 || ttlSeconds > 3600) {
      throw new InvalidArgumentError('ttlSeconds', `${ttlSeconds} is no TTL: give whole seconds from 0 to 3600`);
    }
    const outside = new OutsideNames({ defaultTtlSeconds: ttlSeconds });
    for (const [name, entry] of Object.entries(options.hosts ?? {})) outside.set(name, entry);

    const registry = new ObjectRegistry(new ObjectStorage(), { clock });
    const services = new LocalServices(registry);
    for (const namespace of firstNamespaces) services.ensureNamespace(namespace);
    for (const service of options.services ?? []) await services.apply(service);

    const delay = options.dns?.propagationDelayMillis ?? 0;
    const fullName = (namespace: string, service: string) => `${service}.${namespace}.svc.${clusterDomain}`;
    const view: StoredView = new StoredView({
      storage: registry.storage,
      clock,
      delayOf: (namespace, service) => Math.max(delay, clusterDns.faults.staleness(fullName(namespace, service))),
    });
    const clusterDns: ClusterDns = new ClusterDns({
      settings: { zone: fullyQualified(clusterDomain), ttl: ttlSeconds, reverse: true, nameservers: ['10.96.0.10'] },
      view,
      outside,
      cache: options.dns?.cache,
      upstreamTimeoutMillis: 5000,
      clock,
      random,
    });
    const { address = '127.0.0.1', port = 0 } = options.dns ?? {};
    const server = await DnsServer.listen({ address, port, dns: clusterDns, clock });
    return new LocalCluster({ clusterDomain, server, view, clusterDns, services, outside });
  }

  private constructor(parts: {
    clusterDomain: string;
    server: DnsServer;
    view: StoredView;
    clusterDns: ClusterDns;
    services: LocalServices;
    outside: OutsideNames;
  }) {
    this.clusterDomain = parts.clusterDomain;
    this.#server = parts.server;
    this.#view = parts.view;
    this.dns = new LocalDns(parts.server, parts.clusterDns, parts.view);
    this.services = parts.services;
    this.hosts = new LocalHosts(parts.outside);
  }

  /** `address:port` of the DNS server, as resolvers take it in `nameservers`. */
  get nameserver(): string {
    return `${this.#server.address}:${this.#server.port}`;
  }

  /** The questions that the DNS was asked so far, oldest first. */
  queries(): readonly DnsQuery[] {
    return [...this.#server.queries];
  }

  /** Frees everything. Idempotent; resolves when all is gone. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#view.close();
    await this.#server.close();
  }
}

/** See {@link LocalCluster.dns}. */
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

  get address(): string {
    return this.#server.address;
  }

  /** UDP and TCP. */
  get port(): number {
    return this.#server.port;
  }

  /** Makes something go wrong, until the fault is ended. The newest fault that is for a question wins. */
  fault(fault: DnsFault): StartedFault {
    return this.#dns.faults.start(fault, () => this.#view.release());
  }

  /** Ends all faults. */
  heal(): void {
    this.#dns.faults.endAll();
  }

  /** Resolves when the DNS knows every change of a Service that was made so far. */
  caughtUp(): Promise<void> {
    return this.#view.caughtUp();
  }

  /** Empties the cache. Does nothing where there is none. */
  flush(): void {
    this.#dns.flush();
  }
}

/** See {@link LocalCluster.services}. */
export class LocalServices {
  readonly #registry: ObjectRegistry;

  /** @internal */
  constructor(registry: ObjectRegistry) {
    this.#registry = registry;
  }

  /** @throws ApiStatusError 404 NotFound. */
  async get(namespace: string, name: string): Promise<KubernetesObject> {
    return this.#registry.get(service, namespace, name);
  }

  async list(namespace?: string): Promise<KubernetesObject[]> {
    return this.#registry.storage.list(service, namespace);
  }

  /** Creates the Service, or replaces it by this one. @throws ApiStatusError 422 Invalid. */
  async apply(object: ServiceObject): Promise<KubernetesObject> {
    const full = { apiVersion: 'v1', kind: 'Service', ...object };
    const { namespace = 'default', name = '' } = (object.metadata ?? {}) as { namespace?: string; name?: string };
    this.ensureNamespace(namespace);
    const present = this.#registry.storage.get(service, namespace, name);
    if (present === undefined) return this.#registry.create(service, namespace, full).object;
    return this.#registry.update(service, namespace, name, full).object;
  }

  /** Applies a JSON Patch (RFC 6902). @throws ApiStatusError 404, 422 where the patch or its result is refused. */
  async patch(namespace: string, name: string, operations: readonly JsonPatchOperation[]): Promise<KubernetesObject> {
    return this.#registry.patch(service, namespace, name, { kind: 'json', operations }).object;
  }

  /** @throws ApiStatusError 404 NotFound. */
  async delete(namespace: string, name: string): Promise<void> {
    this.#registry.delete(service, namespace, name);
  }

  /** Makes the namespace where it is missing. */
  ensureNamespace(name: string): void {
    if (this.#registry.storage.get(resourceOf('Namespace'), '', name) !== undefined) return;
    this.#registry.create(resourceOf('Namespace'), '', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }
}

/** See {@link LocalCluster.hosts}. */
export class LocalHosts {
  readonly #outside: OutsideNames;

  /** @internal */
  constructor(outside: OutsideNames) {
    this.#outside = outside;
  }

  /** Gives a name its addresses, or other records, instead of those it had. @throws InvalidArgumentError */
  set(name: string, entry: HostEntry): void {
    this.#outside.set(name, entry);
  }

  /** Takes a name away: it does not exist any more. */
  delete(name: string): boolean {
    return this.#outside.delete(name);
  }
}

const service = resourceOf('Service');
const firstNamespaces = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];
