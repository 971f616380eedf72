import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CurrentContext } from './current-context.ts';
import type { Environment } from './kubeconfig-files.ts';

/** Where kubelet puts the service account of a pod (Kubernetes documentation, "Accessing the Kubernetes API from a Pod"). */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What the pod's own configuration is called, as client-node calls it. */
export const podContextName = 'inCluster';

/**
 * The API of the cluster that this process runs in, with the pod's service account; undefined outside of a pod. As for kubectl, both
 * variables and the token file must be there. The token is read again for each request, because kubelet rotates the file.
 *
 * Source: client-go, `inClusterClientConfig`.
 */
export async function podContext(
  environment: Environment,
  folder = serviceAccountFolder,
): Promise<CurrentContext | undefined> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  const tokenFile = join(folder, 'token');
  const certificateAuthority = join(folder, 'ca.crt');
  if (!host || !port || !(await isFile(tokenFile))) return undefined;
  const server = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  return {
    name: podContextName,
    namespace: await podNamespace(environment, folder),
    server,
    cluster: {
      name: podContextName,
      server: server.href,
      tlsServerName: undefined,
      insecureSkipTlsVerify: false,
      // If it is missing, client-go uses the system's authorities.
      certificateAuthority: (await isFile(certificateAuthority)) ? certificateAuthority : undefined,
      certificateAuthorityData: undefined,
      proxyUrl: undefined,
      execConfig: undefined,
    },
    user: {
      name: podContextName,
      token: undefined,
      tokenFile,
      clientCertificate: undefined,
      clientCertificateData: undefined,
      clientKey: undefined,
      clientKeyData: undefined,
      username: undefined,
      password: undefined,
      as: undefined,
      asUid: undefined,
      asGroups: [],
      asUserExtra: {},
      exec: undefined,
      authProvider: undefined,
    },
  };
}

async function podNamespace(environment: Environment, folder: string): Promise<string | undefined> {
  if (environment['POD_NAMESPACE']) return environment['POD_NAMESPACE'];
  const text = await readFile(join(folder, 'namespace'), 'utf8').catch(() => '');
  return text.trim() || undefined;
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => !found.isDirectory(),
    () => false,
  );
}
