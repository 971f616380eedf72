import { KubernetesConfigError } from './errors.ts';

/** The part of `@kubernetes/client-node` that is used. It is an optional peer: a pod, and most kubeconfigs, do not need it. */
export type ClientNode = Pick<typeof import('@kubernetes/client-node'), 'KubeConfig'>;

/**
 * Loads `@kubernetes/client-node`, which runs exec plugins, auth-providers and SOCKS proxies.
 *
 * @param need what needs it, for the message: `user "admin" logs in by an exec plugin`
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG` if it is not installed
 */
export async function clientNode(need: string): Promise<ClientNode> {
  try {
    return await import('@kubernetes/client-node');
  } catch (error) {
    throw new KubernetesConfigError(
      `${need}, which needs @kubernetes/client-node: npm install @kubernetes/client-node@1 (2.x needs Node.js 22 or newer)`,
      { cause: error },
    );
  }
}
