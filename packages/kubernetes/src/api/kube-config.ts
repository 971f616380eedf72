import { InvalidArgumentError } from '@externalname/core';
import { aText, checkOptions, optional, ownOptions, recordOf } from '@externalname/core/internal';
import type { KubeConfigLike } from '../kubeconfig/kube-config-like.ts';
import { loadKubeConfig as findKubeConfig } from '../kubeconfig/load-kube-config.ts';

/**
 * Where the Kubernetes API is and how to log in: a `KubeConfig`, or the path of a kubeconfig file, as `kubectl --kubeconfig`.
 * If it is left out, as kubectl finds it: in the files that `KUBECONFIG` lists, else in `~/.kube/config`, else the pod's own service account.
 */
export type KubeConfigOption = KubeConfigLike | string;

/** See {@link loadKubeConfig}. */
export interface LoadKubeConfigOptions {
  /** The only file to read, as `kubectl --kubeconfig`. @defaultValue the files that `KUBECONFIG` lists, else `~/.kube/config` */
  file?: string | undefined;
  /** Name of the context, as `kubectl --context`. @defaultValue the current-context */
  context?: string | undefined;
  /** Where `KUBECONFIG`, `HOME`, `HTTPS_PROXY` and the variables of a pod are read. @defaultValue `process.env` */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * Finds the Kubernetes API as kubectl does: in `file`, else in the files that `KUBECONFIG` lists, else in `~/.kube/config`. If none of them
 * sets a context, it is the service account of the pod. For `kubeConfig` of the other functions, where the current context is not meant.
 *
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG`
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const kubeConfig = await loadKubeConfig({ context: 'staging' });
 * await inspectService({ service: 'webscaler-db', kubeConfig });
 * ```
 */
export async function loadKubeConfig(given: LoadKubeConfigOptions = {}): Promise<KubeConfigLike> {
  const options = ownOptions(given);
  checkOptions<LoadKubeConfigOptions>(options, {
    file: optional(aText),
    context: optional(aText),
    environment: optional(recordOf(optional(aText))),
  });
  const { file, context, environment = process.env } = options;
  for (const [name, value] of Object.entries({ file, context })) {
    if (value?.trim() === '') throw new InvalidArgumentError(name, 'must not be empty: leave it out');
  }
  return findKubeConfig({ file, context, environment });
}

/** Checks the option before any I/O. */
export function checkKubeConfig(option: KubeConfigOption | undefined): void {
  if (option === undefined) return;
  if (typeof option === 'string') {
    if (option.trim() === '')
      throw new InvalidArgumentError(
        'kubeConfig',
        'must be the path of a kubeconfig file, got an empty string: name a file, or leave it out',
      );
    return;
  }
  if (typeof option?.applyToHTTPSOptions !== 'function' || typeof option.getCurrentCluster !== 'function') {
    throw new InvalidArgumentError(
      'kubeConfig',
      'must be a KubeConfig of @kubernetes/client-node, or the path of a kubeconfig file',
    );
  }
}

/**
 * Loads the configuration when it is first needed, and again after `forget()`, because the files may have been rotated. It stays with
 * the context of the first load, even if the current-context changes: a switch that read one cluster must not write to another. A
 * `KubeConfig` that the caller passed is never reloaded.
 */
export class KubeConfigLoader {
  readonly #option: KubeConfigOption | undefined;
  #loading: Promise<KubeConfigLike> | undefined;
  /** Name of the context of the first load. */
  #context: string | undefined;

  constructor(option: KubeConfigOption | undefined) {
    this.#option = option;
  }

  load(): Promise<KubeConfigLike> {
    const option = this.#option;
    if (typeof option === 'object') return Promise.resolve(option);
    this.#loading ??= this.#read(option).catch((error: unknown) => {
      this.forget();
      throw error;
    });
    return this.#loading;
  }

  async #read(file: string | undefined): Promise<KubeConfigLike> {
    const config = await findKubeConfig({ file, context: this.#context, environment: process.env });
    this.#context = config.getCurrentContext();
    return config;
  }

  forget(): void {
    this.#loading = undefined;
  }
}
