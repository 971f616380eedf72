import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LocalCluster } from '@externalname/testing';
import { KubeClient } from './control-plane/kube-client.ts';
import { RealControlPlane } from './control-plane/real-control-plane.ts';

/** A cluster that the contract is held against. */
export interface ContractCluster {
  /** What an administrator may do. */
  readonly admin: KubeClient;
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** A namespace of its own for a test. */
  namespace(): Promise<string>;
  /** The token of a new ServiceAccount. */
  serviceAccountToken(namespace: string, name: string): Promise<string>;
  /** What may be done to the API server; absent where the cluster is somebody's own. */
  readonly apiServer?: {
    /** Ends it without a word. */
    crash(): Promise<void>;
    restart(): Promise<void>;
    /** Watches from versions before now are told that these are gone. */
    forgetHistory(): Promise<void>;
  };
  stop(): Promise<void>;
}

/** The folder that holds all three binaries; undefined where `KUBEBUILDER_ASSETS` names none. */
export const assets = assetsFolder();

/** The clusters at hand: LocalCluster always, a real one where its binaries, or a kubeconfig, are there. */
export const clusters: readonly { readonly name: string; readonly start: () => Promise<ContractCluster> }[] = [
  { name: 'LocalCluster', start: startLocal },
  ...(assets === undefined
    ? process.env['KUBECONFIG']
      ? [{ name: 'the cluster of KUBECONFIG', start: useExisting }]
      : []
    : [{ name: 'kube-apiserver', start: () => startReal(assets) }]),
];

if (clusters.length === 1) {
  console.warn(
    'contract: the real half is skipped. Run `node test/controlplane/build.mjs` and export the KUBEBUILDER_ASSETS that it prints',
  );
}

async function startLocal(): Promise<ContractCluster> {
  const cluster = await LocalCluster.start();
  const kubeconfig = await cluster.writeKubeconfig();
  return {
    ...common(KubeClient.fromFile(kubeconfig), kubeconfig),
    // The token comes without a request over HTTP here.
    serviceAccountToken: async (namespace, name) => cluster.api.tokenFor({ serviceAccount: name, namespace }),
    apiServer: {
      crash: async () => void cluster.api.fault({ kind: 'refusing' }),
      restart: async () => {
        cluster.api.heal();
        await cluster.api.listening();
      },
      forgetHistory: async () => cluster.api.expireResourceVersions(),
    },
    stop: () => cluster.close(),
  };
}

async function startReal(folder: string): Promise<ContractCluster> {
  const plane = await RealControlPlane.start(folder);
  return {
    ...common(plane.admin, plane.kubeconfig),
    apiServer: {
      crash: () => plane.killApiServer(),
      restart: () => plane.restartApiServer(),
      // The watch cache has its own history, which ends with the process.
      forgetHistory: async () => {
        await plane.compact();
        await plane.restartApiServer();
      },
    },
    stop: () => plane.stop(),
  };
}

async function useExisting(): Promise<ContractCluster> {
  const kubeconfig = process.env['KUBECONFIG'] ?? '';
  const used = common(KubeClient.fromFile(kubeconfig), kubeconfig);
  return {
    ...used,
    stop: async () => {
      for (const name of used.made) await used.admin.request('DELETE', `/api/v1/namespaces/${name}`);
    },
  };
}

function common(admin: KubeClient, kubeconfig: string) {
  const made: string[] = [];
  return {
    admin,
    kubeconfig,
    made,
    namespace: async () => {
      const name = `contract-${randomBytes(4).toString('hex')}`;
      await admin.must('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      made.push(name);
      return name;
    },
    serviceAccountToken: async (namespace: string, name: string) => {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
      await admin.must('POST', path, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } });
      const review = await admin.must('POST', `${path}/${name}/token`, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 3600 },
      });
      return String((review['status'] as { token?: unknown }).token);
    },
  };
}

function assetsFolder(): string | undefined {
  const folder = process.env['KUBEBUILDER_ASSETS'];
  if (!folder) return undefined;
  const missing = ['etcd', 'kube-apiserver', 'coredns'].filter((name) => !existsSync(join(folder, name)));
  if (missing.length === 0) return folder;
  throw new Error(`KUBEBUILDER_ASSETS names ${folder}, which lacks ${missing.join(', ')}`);
}
