import { ExternalNameError, type ExternalNameErrorOptions } from '@externalname/core';

/**
 * No usable configuration for the Kubernetes API was found, or it needs `@kubernetes/client-node`, which is not installed.
 * Code `ERR_EXTERNALNAME_KUBERNETES_CONFIG`.
 */
export class KubernetesConfigError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_KUBERNETES_CONFIG', message, options);
  }
}
