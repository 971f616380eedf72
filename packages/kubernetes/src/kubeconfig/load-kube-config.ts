import { namedContext } from './current-context.ts';
import { KubernetesConfigError } from './errors.ts';
import { type Environment, readKubeconfig } from './kubeconfig-files.ts';
import { LoadedKubeConfig } from './loaded-kube-config.ts';
import { podContext, podContextName, serviceAccountFolder } from './pod.ts';

/** See {@link loadKubeConfig}. */
export interface LoadOptions {
  /** The only file to read. @defaultValue the files that `KUBECONFIG` lists, else `~/.kube/config` */
  readonly file: string | undefined;
  /** Name of the context. @defaultValue the current-context */
  readonly context: string | undefined;
  readonly environment: Environment;
  /** For tests. */
  readonly podFolder?: string | undefined;
}

/**
 * Finds the Kubernetes API as kubectl does: in `file`, else in the files that `KUBECONFIG` lists, else in `~/.kube/config`. If
 * none of them sets a context, it takes the service account of the pod.
 *
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG`
 */
export async function loadKubeConfig(options: LoadOptions): Promise<LoadedKubeConfig> {
  const { file, environment, podFolder = serviceAccountFolder } = options;
  const { config, files, wanted } = await readKubeconfig(file, environment);
  const pod = await podContext(environment, podFolder);
  const name = options.context ?? config.currentContext;
  if (pod !== undefined && (name === undefined || options.context === podContextName)) {
    return new LoadedKubeConfig(pod, environment);
  }
  if (files.length === 0) {
    throw new KubernetesConfigError(
      `found no configuration for the Kubernetes API: ${
        wanted.length === 0 ? 'KUBECONFIG lists no file' : `there is no file ${wanted.join(', ')}`
      }, and this process does not have the service account of a pod. Name a kubeconfig file in KUBECONFIG or in kubeConfig`,
    );
  }
  const context = await namedContext(config, name, files.join(', '));
  // In a pod, if the context names no namespace, the namespace of the pod is used.
  return new LoadedKubeConfig({ ...context, namespace: context.namespace ?? pod?.namespace }, environment);
}
