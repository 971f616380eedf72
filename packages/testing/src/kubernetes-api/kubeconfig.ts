import { toYaml } from '@externalname/core/manifests';

/** The content of a kubeconfig. */
export interface KubeconfigContents {
  /** `https://127.0.0.1:6443` */
  readonly server: string;
  /** The certificate that the server's certificate is checked with, PEM. */
  readonly certificateAuthority: string;
  readonly user: string;
  readonly token: string;
  /** @defaultValue `default` */
  readonly namespace?: string | undefined;
}

/** A kubeconfig file, as kubectl and all client libraries read it. Contains a token, which is a secret. */
export function kubeconfigText(contents: KubeconfigContents): string {
  const { server, certificateAuthority, user, token, namespace = 'default' } = contents;
  return toYaml({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: clusterName,
        cluster: { server, 'certificate-authority-data': Buffer.from(certificateAuthority).toString('base64') },
      },
    ],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: clusterName, context: { cluster: clusterName, user, namespace } }],
    'current-context': clusterName,
  });
}

const clusterName = 'local-cluster';
