import { externalNameService, serviceReaderRole } from '@externalname/core/manifests';
import { PostgresPair } from '@externalname/testing';
import { apiPort, clusterAddresses, Network, site as places } from '../../../examples/webscaler/src/network/network.ts';
import { kubeletResolvConf, readerRole } from '../../../examples/webscaler/src/network/webscaler-site.ts';
import { makeTable } from '../../../examples/webscaler/src/rows.ts';
import { CoreDns } from '../../contract/control-plane/coredns.ts';
import { RealControlPlane } from '../../contract/control-plane/real-control-plane.ts';
import { RemotePod } from '../support/remote-pod.ts';
import { poolOptionsFor, type TestSite } from '../support/site.ts';

/** The site on real parts: kube-apiserver, etcd and CoreDNS, from the folder that `KUBEBUILDER_ASSETS` names. */
export interface RealSite
  extends Pick<TestSite, 'network' | 'pair' | 'app' | 'point' | 'poolOptions'>,
    AsyncDisposable {
  readonly plane: RealControlPlane;
  /** Ends CoreDNS, if it runs, and starts it with that TTL for the cluster's names. */
  startCoreDns(ttlSeconds: number): Promise<void>;
  stopCoreDns(): Promise<void>;
  /** A token of the pod's service account, signed by the API server, good for ten minutes or longer. */
  newToken(expirationSeconds?: number): Promise<string>;
  /** Takes the RoleBinding of the service account away. */
  revokeReading(): Promise<void>;
  grantReading(): Promise<void>;
}

/** Starts all of it. CoreDNS begins with kubeadm's TTL, 30 s. */
export async function openRealSite(assets: string): Promise<RealSite> {
  const opened: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const one of opened.splice(0).reverse()) await one();
  };
  try {
    const network = await Network.open();
    opened.push(() => network[Symbol.asyncDispose]());
    const pair = await PostgresPair.start({
      addresses: { primary: places.databases.primary.ipv4, standby: places.databases.standby.ipv4 },
      port: 5432,
    });
    opened.push(() => pair.close());
    const plane = await RealControlPlane.start(assets, { address: places.api.ipv4, port: apiPort });
    opened.push(() => plane.stop());
    const { admin } = plane;

    let coreDns: CoreDns | undefined;
    const stopCoreDns = async () => {
      await coreDns?.stop();
      coreDns = undefined;
    };
    opened.push(stopCoreDns);
    const startCoreDns = async (ttl: number) => {
      await stopCoreDns();
      const hosts = Object.entries(pair.addresses).map(([name, address]) => `${address} ${name}`);
      coreDns = await CoreDns.start(assets, {
        kubeconfig: plane.kubeconfig,
        zone: 'cluster.local.',
        ttl,
        upstream: '127.0.0.1:9',
        address: places.dns.ipv4,
        port: 53,
        // As kubeadm writes it: names of the cluster are not kept (kubernetes/kubernetes#128926).
        plugins: [`hosts {\n${hosts.join('\n')}\nttl ${ttl}\nno_reverse\nfallthrough\n}`],
      });
    };
    await startCoreDns(30);

    const services = '/api/v1/namespaces/default/services';
    await admin.must(
      'POST',
      services,
      externalNameService({ name: 'webscaler-db', externalName: pair.primary.hostName }),
    );
    const accounts = '/api/v1/namespaces/default/serviceaccounts';
    await admin.must('POST', accounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account } });
    const newToken = async (expirationSeconds = 600) => {
      const review = await admin.must('POST', `${accounts}/${account}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds },
      });
      return String((review['status'] as { token?: unknown }).token);
    };
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const subject = { kind: 'ServiceAccount', name: account, namespace: 'default' } as const;
    const [role, binding] = serviceReaderRole({
      name: readerRole,
      service: 'webscaler-db',
      namespace: 'default',
      subjects: [subject],
    });
    await admin.must('POST', `${rbac}/roles`, role);
    const grantReading = async () => void (await admin.must('POST', `${rbac}/rolebindings`, binding));
    await grantReading();

    await makeTable(pair, 'writes');
    const pod = await network.pod({
      resolvConf: kubeletResolvConf([clusterAddresses.dns.ipv4]),
      serviceAccount: { token: await newToken(), 'ca.crt': plane.ca, namespace: 'default' },
    });
    const app = await RemotePod.start(pod);
    opened.push(() => app[Symbol.asyncDispose]());
    return {
      network,
      pair,
      plane,
      app,
      startCoreDns,
      stopCoreDns,
      newToken,
      grantReading,
      revokeReading: async () => void (await admin.must('DELETE', `${rbac}/rolebindings/${readerRole}`)),
      point: async (externalName) => {
        const patch = [{ op: 'replace', path: '/spec/externalName', value: externalName }];
        await admin.must('PATCH', `${services}/webscaler-db`, patch, 'application/json-patch+json');
      },
      poolOptions: poolOptionsFor(pair),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const account = 'webscaler-client';
