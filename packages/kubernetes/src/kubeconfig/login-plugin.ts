import type { RequestOptions } from 'node:https';
import { clientNode } from './client-node.ts';
import type { CurrentContext } from './current-context.ts';
import type { KubeConfigLike } from './kube-config-like.ts';
import type { Cluster, ExecPlugin } from './kubeconfig.ts';

/** What a plugin logs in with. */
export type Login = Pick<RequestOptions, 'cert' | 'key'> & { readonly authorization: string | undefined };

/**
 * Credentials from a program (`exec`) or an identity provider (`auth-provider`). `@kubernetes/client-node` runs or asks them, and
 * caches the credentials until they expire.
 */
export class LoginPlugin {
  readonly #context: CurrentContext;
  #loading: Promise<KubeConfigLike> | undefined;

  constructor(context: CurrentContext) {
    this.#context = context;
  }

  async login(): Promise<Login> {
    this.#loading ??= this.#load();
    const config = await this.#loading;
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const headers = options.headers as Readonly<Record<string, string>> | undefined;
    const { cert, key } = options;
    return { authorization: headers?.['Authorization'], ...(cert && { cert }), ...(key && { key }) };
  }

  async #load(): Promise<KubeConfigLike> {
    const { name, cluster, server, user } = this.#context;
    const means = user?.exec === undefined ? 'an auth-provider' : 'an exec plugin';
    const { KubeConfig } = await clientNode(`user "${user?.name ?? ''}" logs in by ${means}`);
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [{ name: cluster.name, server: server.href, skipTLSVerify: false }],
      users: [
        {
          name: user?.name ?? '',
          ...(user?.exec && { exec: withInfo(user.exec, cluster) }),
          ...(user?.authProvider && { authProvider: structuredClone(user.authProvider) }),
        },
      ],
      contexts: [{ name, cluster: cluster.name, user: user?.name ?? '' }],
      currentContext: name,
    });
    return config;
  }
}

/** The plugin, with the variable in which kubectl names the cluster to it. */
function withInfo(plugin: ExecPlugin, cluster: Cluster): object {
  const { command, args, env, apiVersion, provideClusterInfo } = plugin;
  const info = {
    kind: 'ExecCredential',
    apiVersion,
    spec: { ...(provideClusterInfo && { cluster: clusterInfo(cluster) }), interactive: false },
  };
  return { command, args, env: [...env, { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }] };
}

function clusterInfo(cluster: Cluster): object {
  const { server, tlsServerName, insecureSkipTlsVerify, certificateAuthorityData, proxyUrl, execConfig } = cluster;
  return {
    server,
    ...(tlsServerName !== undefined && { 'tls-server-name': tlsServerName }),
    ...(insecureSkipTlsVerify && { 'insecure-skip-tls-verify': true }),
    ...(certificateAuthorityData && { 'certificate-authority-data': certificateAuthorityData.toString('base64') }),
    ...(proxyUrl !== undefined && { 'proxy-url': proxyUrl }),
    ...(execConfig !== undefined && { config: execConfig }),
  };
}
