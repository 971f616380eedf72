import { KubernetesConfigError } from './errors.ts';

/** Loaded only if an exec plugin, an auth-provider or a SOCKS proxy needs it, so that nobody else has to install it. */
export async function clientNode(): Promise<typeof import('@kubernetes/client-node')> {
  try {
    return await import('@kubernetes/client-node');
  } catch (error) {
    throw new KubernetesConfigError(
      'cannot load @kubernetes/client-node: install version 1.4 (2.x needs Node.js 22 or newer)',
      { cause: error },
    );
  }
}
