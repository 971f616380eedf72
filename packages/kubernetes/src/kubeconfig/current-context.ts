import { readFile } from 'node:fs/promises';
import { KubernetesConfigError } from './errors.ts';
import type { Cluster, Kubeconfig, User } from './kubeconfig.ts';

/** What the current context names. */
export interface CurrentContext {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly cluster: Cluster;
  /** Where the API is. Without a scheme it is http, as for kubectl. */
  readonly server: URL;
  /** Undefined if the context names none, which is enough for a server without TLS. */
  readonly user: User | undefined;
}

/**
 * The context called `name` of a kubeconfig, if kubectl could use it too: whatever kubectl refuses is refused here.
 *
 * Source: client-go, `DirectClientConfig.ClientConfig` and `ConfirmUsable`. If no server is named, kubectl
 * takes `http://localhost:8080`. Here that is an error, because a Service is never meant to be changed there.
 *
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG`
 */
export async function namedContext(
  config: Kubeconfig,
  name: string | undefined,
  from: string,
): Promise<CurrentContext> {
  if (name === undefined)
    throw new KubernetesConfigError(`${from} sets no current-context: choose one with kubectl config use-context`);
  const context = config.contexts.get(name);
  if (context === undefined) throw new KubernetesConfigError(`${from}: there is no context "${name}"`);
  const cluster = context.cluster === undefined ? undefined : config.clusters.get(context.cluster);
  const wrongAt =
    (where: string): Wrong =>
    (what, cause) =>
      new KubernetesConfigError(`${from}: context "${name}"${where} cannot be used: ${what}`, { cause });
  if (cluster === undefined) throw wrongAt('')(`there is no cluster "${context.cluster ?? ''}"`);
  const server = serverOf(cluster, wrongAt(''));
  const wrong = wrongAt(` (cluster "${cluster.name}", ${server.origin})`);
  await checkCluster(cluster, wrong);
  const user = context.user === undefined ? undefined : config.users.get(context.user);
  if (user !== undefined) await checkUser(user, wrong);
  // Without TLS, no credentials are sent, so none are needed.
  if (server.protocol === 'https:' && (user === undefined || !(await identifies(user, wrong)))) {
    throw wrong(
      user === undefined
        ? `there is no user "${context.user ?? ''}"`
        : `user "${user.name}" has no credentials (token, tokenFile, client-certificate, username, exec or auth-provider): log in again`,
    );
  }
  return { name, namespace: context.namespace, cluster, server, user };
}

type Wrong = (what: string, cause?: unknown) => KubernetesConfigError;

function serverOf({ name, server }: Cluster, wrong: Wrong): URL {
  if (server === undefined) throw wrong(`cluster "${name}" has no server`);
  try {
    const url = new URL(/^[a-z][a-z\d+.-]*:\/\//i.test(server) ? server : `http://${server}`);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error(`${url.protocol} is not supported`);
    url.search = '';
    url.hash = '';
    return url;
  } catch {
    // Without the cause: its URL may contain a password.
    throw wrong(`the server of cluster "${name}" is not a URL of https or http`);
  }
}

async function checkCluster(cluster: Cluster, wrong: Wrong): Promise<void> {
  const of = `cluster "${cluster.name}"`;
  const { certificateAuthority: file, certificateAuthorityData: data } = cluster;
  if (cluster.proxyUrl !== undefined && !/^(?:https?|socks5):\/\//i.test(cluster.proxyUrl)) {
    throw wrong(`proxy-url of ${of} must begin with http://, https:// or socks5://`);
  }
  if (file !== undefined && data !== undefined) {
    throw wrong(`${of} has both certificate-authority and certificate-authority-data: leave one out`);
  }
  if (cluster.insecureSkipTlsVerify && (file ?? data) !== undefined) {
    throw wrong(`${of} has insecure-skip-tls-verify beside a certificate authority: leave one out`);
  }
  const pem = data ?? (file === undefined ? undefined : await readable(file, `certificate-authority of ${of}`, wrong));
  if (pem !== undefined && !pem.includes('-----BEGIN CERTIFICATE-----')) {
    throw wrong(`the certificate authority of ${of} is not a PEM certificate`);
  }
}

async function checkUser(user: User, wrong: Wrong): Promise<void> {
  const of = `user "${user.name}"`;
  const hasPassword = (user.username ?? user.password) !== undefined;
  if (user.token !== undefined && hasPassword) throw wrong(`${of} has both a token and a username: leave one out`);
  if ((user.clientCertificate ?? user.clientCertificateData) !== undefined) {
    const { clientCertificate, clientCertificateData, clientKey, clientKeyData } = user;
    if (clientCertificate !== undefined && clientCertificateData !== undefined) {
      throw wrong(`${of} has both client-certificate and client-certificate-data: leave one out`);
    }
    if (clientKey !== undefined && clientKeyData !== undefined) {
      throw wrong(`${of} has both client-key and client-key-data: leave one out`);
    }
    if ((clientKey ?? clientKeyData) === undefined)
      throw wrong(`${of} has a client certificate without its client-key`);
    if (clientCertificate !== undefined) await readable(clientCertificate, `client-certificate of ${of}`, wrong);
    if (clientKey !== undefined) await readable(clientKey, `client-key of ${of}`, wrong);
  }
  if (
    user.as === undefined &&
    (user.asUid !== undefined || user.asGroups.length + Object.keys(user.asUserExtra).length > 0)
  ) {
    throw wrong(`${of} has as-uid, as-groups or as-user-extra without "as"`);
  }
  checkPlugins(user, of, wrong);
}

function checkPlugins({ exec, authProvider }: User, of: string, wrong: Wrong): void {
  if (authProvider !== undefined && !authProviders.includes(authProvider.name ?? '')) {
    throw wrong(`${of} has an unknown auth-provider: use ${authProviders.join(', ')}, or an exec plugin`);
  }
  if (exec === undefined) return;
  if (authProvider !== undefined) throw wrong(`${of} has both exec and auth-provider: leave one out`);
  if (exec.command === undefined) throw wrong(`exec of ${of} has no command`);
  if (exec.apiVersion === undefined) throw wrong(`exec of ${of} has no apiVersion`);
  if (exec.env.some(({ name }) => name === undefined)) throw wrong(`exec of ${of} has a variable without a name`);
  // v1beta1 has a default; v1 has none.
  const mode = exec.interactiveMode ?? (exec.apiVersion.endsWith('/v1beta1') ? 'IfAvailable' : '');
  if (mode === 'Always')
    throw wrong(`exec of ${of} asks for input (interactiveMode: Always), and there is no terminal to answer it`);
  if (mode !== 'Never' && mode !== 'IfAvailable') {
    throw wrong(`exec of ${of} needs interactiveMode: Never, IfAvailable or Always`);
  }
}

/** Whether the user has credentials. An empty token file does not count. */
async function identifies(user: User, wrong: Wrong): Promise<boolean> {
  if ((user.token ?? user.username ?? user.clientCertificate ?? user.clientCertificateData) !== undefined) return true;
  if ((user.exec ?? user.authProvider) !== undefined) return true;
  if (user.tokenFile === undefined) return false;
  return (await readable(user.tokenFile, `tokenFile of user "${user.name}"`, wrong)).toString().trim() !== '';
}

async function readable(file: string, what: string, wrong: Wrong): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw wrong(`${what} cannot be read: ${file} (${(error as NodeJS.ErrnoException).code})`, error);
  }
}

// The auth-providers that @kubernetes/client-node has.
const authProviders = ['oidc', 'azure', 'gcp'];
