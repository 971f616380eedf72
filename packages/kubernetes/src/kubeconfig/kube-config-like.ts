import type { RequestOptions } from 'node:https';

/**
 * The part of a `KubeConfig` of `@kubernetes/client-node` that is used here; the classes of 1.4 and 2.x both fit. It provides the
 * server, the certificates and the credentials; this package makes the requests.
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
