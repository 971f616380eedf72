import { type KubeConfigLike, loadKubeConfig } from '@externalname/kubernetes';
import { text } from './command.ts';

/** The options by which kubectl is told which cluster, and in which namespace. */
export const clusterOptions = {
  namespace: text('-n, --namespace <name>', 'namespace of the Service; default: that of the context'),
  context: text('--context <name>', 'context of the kubeconfig; default: the current one'),
  kubeconfig: text('--kubeconfig <file>', 'kubeconfig file; default: as kubectl finds it', 'files'),
  clusterDomain: text(
    '--cluster-domain <domain>',
    'DNS domain of the cluster; default: that of the pod, else cluster.local',
  ),
} as const;

/** The values of {@link clusterOptions}. */
export interface ClusterChoice {
  readonly namespace: string | undefined;
  readonly context: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly clusterDomain: string | undefined;
}

/** What functions of `@externalname/kubernetes` take. */
export interface Cluster {
  readonly kubeConfig: KubeConfigLike;
  readonly namespace: string | undefined;
  readonly clusterDomain: string | undefined;
}

/**
 * The cluster as kubectl would find it: `--kubeconfig`, else the files of `KUBECONFIG`, else `~/.kube/config`, else the service account of
 * the pod.
 *
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG`
 */
export async function chosenCluster(
  choice: ClusterChoice,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Cluster> {
  const { kubeconfig: file, context, namespace, clusterDomain } = choice;
  const kubeConfig = await loadKubeConfig({ file, context, environment });
  return { kubeConfig, namespace, clusterDomain };
}
