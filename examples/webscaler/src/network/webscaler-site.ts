import { externalNameService, serviceReaderRole, serviceSwitcherRole } from '@externalname/core/manifests';
import {
  FaultProxy,
  LocalCluster,
  type LocalClusterOptions,
  PostgresPair,
  type PostgresPairOptions,
} from '@externalname/testing';
import { apiPort, clusterAddresses, type Network, type Pod, type PodOptions, site } from './network.ts';

/** See {@link startWebscalerSite}. */
export interface WebscalerSiteOptions extends Pick<LocalClusterOptions, 'ttlSeconds' | 'dns' | 'api'> {
  /** Family of the addresses that servers listen on and that DNS answers with. @defaultValue 4 */
  readonly family?: 4 | 6 | undefined;
  /** What DNS answers for the two databases. @defaultValue the addresses that they listen on */
  readonly hosts?: LocalClusterOptions['hosts'];
  readonly pair?: PostgresPairOptions | undefined;
}

/** The scenario across machines: databases, DNS and API in the site, where this process is, and pods behind a node. */
export interface WebscalerSite extends AsyncDisposable {
  readonly network: Network;
  readonly pair: PostgresPair;
  readonly cluster: LocalCluster;
  /** A pod whose service account may read the Service, and nothing else. */
  pod(options?: Partial<PodOptions>): Promise<Pod>;
  /** The scenario's patch. */
  point(externalName: string): Promise<void>;
}

/** Starts the servers of the scenario in the site, beside an open network. */
export async function startWebscalerSite(network: Network, options: WebscalerSiteOptions = {}): Promise<WebscalerSite> {
  const family = options.family === 6 ? 'ipv6' : 'ipv4';
  const { primary, standby } = site.databases;
  const pair = await PostgresPair.start({
    addresses: { primary: primary[family], standby: standby[family] },
    port: 5432,
    ...options.pair,
  });
  try {
    const cluster = await LocalCluster.start({
      ttlSeconds: options.ttlSeconds,
      services: [externalNameService({ name: service, namespace, externalName: pair.primary.hostName })],
      hosts: options.hosts ?? pair.hosts,
      // Nothing outside the namespaces of this network can reach it.
      exposed: true,
      dns: { address: site.dns[family], port: 53, ...options.dns },
      api: { address: site.api[family], port: apiPort, ...options.api },
    });
    return {
      network,
      pair,
      cluster,
      pod: async (podOptions) =>
        network.pod({
          resolvConf: kubeletResolvConf([clusterAddresses.dns[family]]),
          serviceAccount: await readersServiceAccount(cluster),
          // LocalCluster's certificate names the address that it listens on, and of the Service `kubernetes` the one of IPv4.
          ...(family === 'ipv6' && { api: { host: site.api.ipv6, port: apiPort } }),
          ...podOptions,
        }),
      point: async (externalName) => {
        await cluster.services.patch(namespace, service, [
          { op: 'replace', path: '/spec/externalName', value: externalName },
        ]);
      },
      [Symbol.asyncDispose]: async () => {
        await cluster.close();
        await pair.close();
      },
    };
  } catch (error) {
    await pair.close();
    throw error;
  }
}

/**
 * Puts so many milliseconds between pods and both databases, there and back together, until it is disposed, by IPv4 and by IPv6. The
 * handshake of TCP is not delayed.
 *
 * @param port the port of the databases' hosts that is delayed; all others are as near as before
 */
export async function delayDatabases(network: Network, roundTripMillis: number, port = 5432): Promise<AsyncDisposable> {
  const undo: AsyncDisposable[] = [];
  const line = {
    async [Symbol.asyncDispose]() {
      for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
    },
  };
  try {
    for (const [index, { ipv4, ipv6 }] of Object.values(site.databases).entries()) {
      const last = 101 + index;
      for (const [host, address] of [
        [ipv4, `198.51.100.${last}`],
        [ipv6, `2001:db8:51::${last}`],
      ] as const) {
        await network.addToSite(address);
        const proxy = await FaultProxy.start({ target: { host, port }, address, port });
        undo.push(proxy);
        proxy.latency(roundTripMillis / 2);
        undo.push(await network.translate(placeOf(host, port), placeOf(address, port)));
      }
    }
    return line;
  } catch (error) {
    await line[Symbol.asyncDispose]();
    throw error;
  }
}

function placeOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The `/etc/resolv.conf` that kubelet writes for a pod (`dnsPolicy: ClusterFirst`). */
export function kubeletResolvConf(nameservers: readonly string[]): string {
  const search = 'default.svc.cluster.local svc.cluster.local cluster.local';
  return `search ${search}\n${nameservers.map((address) => `nameserver ${address}\n`).join('')}options ndots:5\n`;
}

/** The files of a service account that may do what `kubernetesSource` needs, and nothing else. */
export async function readersServiceAccount(cluster: LocalCluster): Promise<Record<string, string>> {
  const token = cluster.api.tokenFor(await grantReading(cluster));
  return { token, 'ca.crt': cluster.api.certificateAuthority, namespace };
}

/** Lets a service account do what `kubernetesSource` needs, and nothing else. */
export async function grantReading(cluster: LocalCluster): Promise<{ serviceAccount: string; namespace: string }> {
  const subject = { kind: 'ServiceAccount', name: 'webscaler-client', namespace } as const;
  for (const manifest of serviceReaderRole({ name: readerRole, service, namespace, subjects: [subject] })) {
    await cluster.objects.apply(manifest);
  }
  return { serviceAccount: subject.name, namespace };
}

/** Lets a service account switch the Service, beside reading it. */
export async function grantSwitching(cluster: LocalCluster): Promise<{ serviceAccount: string; namespace: string }> {
  const identity = await grantReading(cluster);
  const subject = { kind: 'ServiceAccount', name: identity.serviceAccount, namespace } as const;
  for (const manifest of serviceSwitcherRole({
    name: 'webscaler-db-switcher',
    service,
    namespace,
    subjects: [subject],
  })) {
    await cluster.objects.apply(manifest);
  }
  return identity;
}

/** Name of the Role, and of its binding, that the service account reads by. */
export const readerRole = 'webscaler-db-reader';

export const service = 'webscaler-db';
export const namespace = 'default';
