import { randomBytes } from 'node:crypto';
import { mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClosedError, type Dependencies } from '@externalname/core';
import { dependenciesOf, ownOptions } from '@externalname/core/internal';
import { type CertificateAuthority, createCertificateAuthority, type IssuedCertificate } from '../certificates.ts';
import { ClusterDns } from '../cluster-dns/cluster-dns.ts';
import { forwardTo } from '../cluster-dns/forwarder.ts';
import { fullyQualified } from '../cluster-dns/message.ts';
import { OutsideNames } from '../cluster-dns/outside-names.ts';
import { type DnsQuery, DnsServer } from '../cluster-dns/server.ts';
import { StoredView } from '../cluster-dns/stored-view.ts';
import { ApiServer } from '../kubernetes-api/api-server.ts';
import { ObjectRegistry } from '../kubernetes-api/registry.ts';
import { ObjectStorage } from '../kubernetes-api/storage.ts';
import { guardedPrefix, guardFolder } from '../watchdog.ts';
import { type Identity, LocalApi } from './api.ts';
import { LocalDns, LocalHosts } from './dns.ts';
import { ensureNamespace, LocalObjects, LocalServices, type ServiceObject } from './objects.ts';
import { checkClusterOptions, type LocalClusterOptions } from './options.ts';

/**
 * A cluster small enough for a test: the cluster's DNS over UDP and TCP, and the Kubernetes API for the objects around
 * a Service, over HTTPS with tokens and RBAC. Nothing is scheduled and no pod runs.
 *
 * @example
 * ```ts
 * await using cluster = await LocalCluster.start({
 *   services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
 *   hosts: { 'primary-db.example.com': ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12'] },
 * });
 * const patch = [{ op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' }] as const;
 * await cluster.services.patch('default', 'webscaler-db', patch);
 * ```
 */
export class LocalCluster implements AsyncDisposable {
  /** The cluster's domain, without a dot at the end. */
  readonly clusterDomain: string;
  /** The cluster's DNS. */
  readonly dns: LocalDns;
  /** Names outside the cluster. */
  readonly hosts: LocalHosts;
  /** The Kubernetes API. */
  readonly api: LocalApi;
  /** The Services, without the HTTP API: the same checks, no authorization. */
  readonly services: LocalServices;
  /** All objects, without the HTTP API. */
  readonly objects: LocalObjects;
  readonly #dnsServer: DnsServer;
  readonly #apiServer: ApiServer;
  readonly #view: StoredView;
  #folder: Promise<GuardedFolder> | undefined;
  #files = 0;
  #closed: Promise<void> | undefined;

  /**
   * Starts a cluster on free ports of the loopback address.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before anything is opened.
   * @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` if a Service is refused.
   */
  static async start(given: LocalClusterOptions = {}, dependencies: Dependencies = {}): Promise<LocalCluster> {
    checkClusterOptions(given);
    const { clock, random } = dependenciesOf(dependencies);
    const options = ownOptions(given);
    const { clusterDomain = 'cluster.local', ttlSeconds = 5 } = options;
    const { dns = {}, api = {} } = options;
    const domain = clusterDomain.replace(/\.$/, '');
    const outside = new OutsideNames({ defaultTtlSeconds: ttlSeconds });
    for (const [name, entry] of Object.entries(options.hosts ?? {})) outside.set(name, entry);
    const forward = dns.forward === undefined ? undefined : forwardTo(dns.forward, dns.upstreamTimeoutMillis ?? 5000);

    const registry = new ObjectRegistry(new ObjectStorage(), { clock });
    for (const namespace of firstNamespaces) ensureNamespace(registry, namespace);
    const services = new LocalServices(registry);
    for (const service of [...firstServices, ...(options.services ?? [])]) await services.apply(service);

    const slowness = dns.propagationDelayMillis ?? 0;
    const view: StoredView = new StoredView({
      storage: registry.storage,
      clock,
      delayOf: (namespace, service) =>
        Math.max(slowness, clusterDns.faults.staleness(`${service}.${namespace}.svc.${domain}`)),
    });
    const clusterDns: ClusterDns = new ClusterDns({
      settings: {
        zone: fullyQualified(domain),
        ttl: ttlSeconds,
        reverse: true,
        nameservers: [dnsServiceAddress],
        pods: dns.podNames ? 'insecure' : 'disabled',
        namespaces: dns.namespaces,
        ignoreEmptyService: dns.ignoreEmptyServices,
        multiclusterZone: dns.multiclusterDomain === undefined ? undefined : fullyQualified(dns.multiclusterDomain),
      },
      view,
      outside,
      forward,
      cache: dns.cache,
      upstreamTimeoutMillis: dns.upstreamTimeoutMillis ?? 5000,
      clock,
      random,
    });
    const closing: (() => unknown)[] = [() => view.close()];
    try {
      const { address = '127.0.0.1', port = 0 } = dns;
      const dnsServer = await DnsServer.listen({ address, port, dns: clusterDns, clock });
      closing.push(() => dnsServer.close());
      const { certificateAuthority, certificate, privateKey } = await serverCertificate(api.address ?? '127.0.0.1');
      const apiServer = await ApiServer.listen({
        address: api.address ?? '127.0.0.1',
        port: api.port ?? 0,
        registry,
        certificate,
        privateKey,
        bookmarkIntervalMillis: api.bookmarkIntervalMillis ?? 60_000,
        clock,
        random,
      });
      return new LocalCluster({
        clusterDomain: domain,
        dnsServer,
        apiServer,
        view,
        dns: new LocalDns(dnsServer, clusterDns, view),
        api: new LocalApi(apiServer, certificateAuthority),
        hosts: new LocalHosts(outside),
        services,
        objects: new LocalObjects(registry),
      });
    } catch (error) {
      for (const close of closing.reverse()) await close();
      throw error;
    }
  }

  private constructor(
    parts: Pick<LocalCluster, 'clusterDomain' | 'dns' | 'api' | 'hosts' | 'services' | 'objects'> & {
      dnsServer: DnsServer;
      apiServer: ApiServer;
      view: StoredView;
    },
  ) {
    this.clusterDomain = parts.clusterDomain;
    this.dns = parts.dns;
    this.api = parts.api;
    this.hosts = parts.hosts;
    this.services = parts.services;
    this.objects = parts.objects;
    this.#dnsServer = parts.dnsServer;
    this.#apiServer = parts.apiServer;
    this.#view = parts.view;
  }

  /** `address:port` of the DNS server, as resolvers take it in `nameservers`. */
  get nameserver(): string {
    const { address, port } = this.#dnsServer;
    return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Text of a kubeconfig for an administrator. Contains a secret. */
  get kubeconfig(): string {
    return this.api.kubeconfig();
  }

  /**
   * Writes a kubeconfig to a new file that only this user can read, and returns its path. The file is removed when the cluster
   * closes, or soon after this process ends, in whatever way.
   *
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   */
  async writeKubeconfig(identity?: Identity): Promise<string> {
    if (this.#closed !== undefined) throw new ClosedError('the local cluster');
    this.#folder ??= guardedFolder();
    this.#files += 1;
    const path = join((await this.#folder).path, `kubeconfig-${this.#files}.yaml`);
    await writeFile(path, this.api.kubeconfig(identity), { mode: 0o600 });
    return path;
  }

  /**
   * Text of the resolv.conf that kubelet would give a pod of a namespace. A resolv.conf cannot name a port, so programs can use
   * it only if the DNS listens on port 53 (`dns: { address: '127.0.0.53', port: 53 }`).
   */
  resolvConf(namespace = 'default'): string {
    const search = [`${namespace}.svc.${this.clusterDomain}`, `svc.${this.clusterDomain}`, this.clusterDomain];
    return `nameserver ${this.dns.address}\nsearch ${search.join(' ')}\noptions ndots:5\n`;
  }

  /** The queries that the DNS has received so far, oldest first. */
  queries(): readonly DnsQuery[] {
    return [...this.#dnsServer.queries];
  }

  /** Closes the cluster. Idempotent; resolves when nothing is left. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Calls `close()`, at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#view.close();
    await Promise.all([this.#dnsServer.close(), this.#apiServer.close()]);
    if (this.#folder === undefined) return;
    const { path, endGuard } = await this.#folder;
    await rm(path, { recursive: true, force: true });
    await endGuard();
  }
}

interface GuardedFolder {
  readonly path: string;
  readonly endGuard: () => Promise<void>;
}

/** A folder that does not outlive this process, because a kubeconfig contains an administrator's token. */
async function guardedFolder(): Promise<GuardedFolder> {
  const path = join(await realpath(tmpdir()), `${guardedPrefix}cluster-${randomBytes(6).toString('hex')}`);
  // The guard comes first: a process that is killed between the two leaves nothing.
  const endGuard = await guardFolder(path);
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    await endGuard();
    throw error;
  }
  return { path, endGuard };
}

/** A certificate for an address. Clusters of one process share an authority, whose key never leaves it. */
async function serverCertificate(address: string): Promise<IssuedCertificate & { certificateAuthority: string }> {
  authority ??= createCertificateAuthority({ name: 'local-cluster' });
  const { certificate, issue } = await authority;
  let issued = certificates.get(address);
  if (issued === undefined) {
    issued = issue({ hostNames: apiServerNames, addresses: [address, kubernetesServiceAddress] });
    certificates.set(address, issued);
  }
  const { certificate: own, privateKey } = await issued;
  return { certificateAuthority: certificate, certificate: own, privateKey };
}

let authority: Promise<CertificateAuthority> | undefined;
const certificates = new Map<string, Promise<IssuedCertificate>>();
const apiServerNames = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];

const firstNamespaces = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];
const kubernetesServiceAddress = '10.96.0.1';
const dnsServiceAddress = '10.96.0.10';

/** The two Services that every cluster has. */
const firstServices: readonly ServiceObject[] = [
  {
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      clusterIP: kubernetesServiceAddress,
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: 6443 }],
    },
  },
  {
    metadata: { name: 'kube-dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } },
    spec: {
      clusterIP: dnsServiceAddress,
      selector: { 'k8s-app': 'kube-dns' },
      ports: [
        { name: 'dns', protocol: 'UDP', port: 53, targetPort: 53 },
        { name: 'dns-tcp', protocol: 'TCP', port: 53, targetPort: 53 },
      ],
    },
  },
];
