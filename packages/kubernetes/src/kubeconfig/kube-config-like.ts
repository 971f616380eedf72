import type { RequestOptions } from 'node:https';

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
