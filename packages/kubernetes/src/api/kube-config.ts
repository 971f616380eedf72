import type { RequestOptions } from 'node:https';
import { ExternalNameError, type ExternalNameErrorOptions, InvalidArgumentError } from '@externalname/core';

/**
 * What these functions need of a `KubeConfig` of `@kubernetes/client-node`; the class of 1.4 and of 2.x both fit.
 * It brings the server, the certificates and the credentials; the requests themselves are made here.
 */
export interface KubeConfigLike {
  getCurrentCluster(): { readonly name: string; readonly server: string } | null;
  getCurrentUser(): { readonly name: string } | null;
  getCurrentContext(): string;
  getContextObject(name: string): { readonly namespace?: string } | null;
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
}

/**
 * Where the Kubernetes API is and how to log in: a `KubeConfig`, or the path of a kubeconfig file.
 * Left out: the file that `KUBECONFIG` names, else `~/.kube/config`, else the pod's own service account.
 */
export type KubeConfigOption = KubeConfigLike | string;

/**
 * There is no usable configuration for the Kubernetes API, or `@kubernetes/client-node` is not installed.
 * Code `ERR_EXTERNALNAME_KUBERNETES_CONFIG`.
 */
export class KubernetesConfigError extends ExternalNameError {
  override readonly outcome = 'not-executed';

  constructor(message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_KUBERNETES_CONFIG', message, options);
  }
}

/** Checks the option before any I/O. */
export function checkKubeConfig(option: KubeConfigOption | undefined): void {
  if (option === undefined) return;
  if (typeof option === 'string') {
    if (option.trim() === '') throw new InvalidArgumentError('kubeConfig', 'is empty: name a file or leave it out');
    return;
  }
  if (typeof option?.applyToHTTPSOptions !== 'function' || typeof option.getCurrentCluster !== 'function') {
    throw new InvalidArgumentError('kubeConfig', 'is no KubeConfig of @kubernetes/client-node and no path');
  }
}

/**
 * Gets the configuration when it is first needed, and again after `forget()`: what was read from disk may have been
 * rotated there. A `KubeConfig` that the caller passed is the caller's, and stays.
 */
export class KubeConfigLoader {
  readonly #option: KubeConfigOption | undefined;
  #loading: Promise<KubeConfigLike> | undefined;

  constructor(option: KubeConfigOption | undefined) {
    this.#option = option;
  }

  load(): Promise<KubeConfigLike> {
    const option = this.#option;
    if (typeof option === 'object') return Promise.resolve(option);
    this.#loading ??= read(option).catch((error: unknown) => {
      this.forget();
      throw error;
    });
    return this.#loading;
  }

  forget(): void {
    this.#loading = undefined;
  }
}

async function read(file: string | undefined): Promise<KubeConfigLike> {
  const { KubeConfig } = await clientNode();
  const config = new KubeConfig();
  try {
    if (file !== undefined) config.loadFromFile(file);
    else if (process.env['KUBECONFIG'] || !inCluster()) config.loadFromDefault();
    else config.loadFromCluster();
  } catch (error) {
    const from = file ?? (process.env['KUBECONFIG'] ? 'the file named by KUBECONFIG' : 'the default places');
    throw new KubernetesConfigError(`cannot read the configuration of the Kubernetes API from ${from}`, {
      cause: error,
    });
  }
  return config;
}

// Loaded only where the Kubernetes API is used, so that nobody else needs it installed.
async function clientNode(): Promise<typeof import('@kubernetes/client-node')> {
  try {
    return await import('@kubernetes/client-node');
  } catch (error) {
    throw new KubernetesConfigError(
      'cannot load @kubernetes/client-node: install version 1.4 (2.x needs Node.js 22 or newer)',
      { cause: error },
    );
  }
}

// A pod has both variables (Kubernetes documentation, "Accessing the Kubernetes API from a Pod").
function inCluster(): boolean {
  return Boolean(process.env['KUBERNETES_SERVICE_HOST'] && process.env['KUBERNETES_SERVICE_PORT']);
}
