import type { KubeConfigLike } from './kube-config-like.ts';

/** A cluster, in the words of the kubeconfig. */
export interface ClusterName {
  /** Name of the context: what `kubectl config current-context` prints. */
  readonly context: string;
  /** Name of the cluster. */
  readonly name: string;
  /** URL of the API server, without credentials. */
  readonly server: string;
}

/** The cluster of a configuration; undefined if it names none. */
export function clusterOf(config: KubeConfigLike): ClusterName | undefined {
  const cluster = config.getCurrentCluster();
  if (cluster === null) return undefined;
  return { context: config.getCurrentContext(), name: cluster.name, server: withoutCredentials(cluster.server) };
}

/** `https://10.0.0.1:6443 (context staging, cluster staging)` */
export function describeCluster({ context, name, server }: ClusterName): string {
  return `${server} (context ${context}, cluster ${name})`;
}

function withoutCredentials(server: string): string {
  return server.replace(/^([a-z][a-z\d+.-]*:\/\/)[^/]*@/i, '$1').replace(/\/+$/, '');
}
