import type { RequestOptions } from 'node:https';

/**
 * What these functions need of a `KubeConfig` of `@kubernetes/client-node`; the class of 1.4 and of 2.x both fit.
 * It brings the server, the certificates and the credentials; the requests themselves are made here.
 */
export interface KubeConfigLike {
  /** The cluster of the current context. */
  getCurrentCluster(): { readonly name: string; readonly server: string } | null;
  /** The user of the current context. */
  getCurrentUser(): { readonly name: string } | null;
  /** Name of the current context. */
  getCurrentContext(): string;
  /** The context of that name. */
  getContextObject(name: string): { readonly namespace?: string } | null;
  /** Fills in certificates and credentials. */
  applyToHTTPSOptions(options: RequestOptions): Promise<void>;
}
