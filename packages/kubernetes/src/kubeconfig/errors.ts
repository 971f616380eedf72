import { ExternalNameError, type ExternalNameErrorOptions } from '@externalname/core';

/**
 * There is no usable configuration for the Kubernetes API, or `@kubernetes/client-node` is not installed.
 * Code `ERR_EXTERNALNAME_KUBERNETES_CONFIG`.
 */
export class KubernetesConfigError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_KUBERNETES_CONFIG', message, options);
  }
}
