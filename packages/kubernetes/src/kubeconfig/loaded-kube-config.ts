import { readFile } from 'node:fs/promises';
import type { Agent, OutgoingHttpHeaders } from 'node:http';
import type { RequestOptions } from 'node:https';
import { checkServerIdentity } from 'node:tls';
import { clientNode } from './client-node.ts';
import type { CurrentContext } from './current-context.ts';
import { KubernetesConfigError } from './errors.ts';
import type { KubeConfigLike } from './kube-config-like.ts';
import type { User } from './kubeconfig.ts';
import type { Environment } from './kubeconfig-files.ts';
import { LoginPlugin } from './login-plugin.ts';
import { ProxyAgent } from './proxy-agent.ts';
import { proxyOfEnvironment } from './proxy-environment.ts';

/**
 * Adds to requests what kubectl would send to the API of one context. Certificates and tokens are read from their files for each
 * request, so rotated files take effect at once.
 */
export class LoadedKubeConfig implements KubeConfigLike {
  readonly #context: CurrentContext;
  readonly #environment: Environment;
  readonly #plugin: LoginPlugin | undefined;
  /** The last content of the token file, used while the file cannot be read. */
  #lastToken: string | undefined;

  constructor(context: CurrentContext, environment: Environment) {
    this.#context = context;
    this.#environment = environment;
    if ((context.user?.exec ?? context.user?.authProvider) !== undefined) this.#plugin = new LoginPlugin(context);
  }

  getCurrentContext(): string {
    return this.#context.name;
  }

  getContextObject(name: string): { readonly namespace?: string } | null {
    const { namespace } = this.#context;
    if (name !== this.#context.name) return null;
    return namespace === undefined ? {} : { namespace };
  }

  getCurrentCluster(): { readonly name: string; readonly server: string } {
    const { cluster, server } = this.#context;
    return { name: cluster.name, server: server.href };
  }

  getCurrentUser(): { readonly name: string } | null {
    const { user } = this.#context;
    return user === undefined ? null : { name: user.name };
  }

  async applyToHTTPSOptions(options: RequestOptions): Promise<void> {
    const { server, user } = this.#context;
    if (server.protocol === 'https:') {
      await this.#applyTls(options);
      if (user !== undefined) await this.#applyLogin(options, user);
    }
    if (user?.as !== undefined) options.headers = { ...headersOf(options), ...impersonation(user, user.as) };
    options.agent = await this.#agent(options);
  }

  async #applyTls(options: RequestOptions): Promise<void> {
    const { cluster } = this.#context;
    const ca = cluster.certificateAuthorityData ?? (await content(cluster.certificateAuthority));
    if (ca !== undefined) options.ca = ca;
    if (cluster.tlsServerName !== undefined) options.servername = cluster.tlsServerName;
    if (cluster.insecureSkipTlsVerify) options.rejectUnauthorized = false;
  }

  async #applyLogin(options: RequestOptions, user: User): Promise<void> {
    const cert = user.clientCertificateData ?? (await content(user.clientCertificate));
    const key = user.clientKeyData ?? (await content(user.clientKey));
    if (cert !== undefined && key !== undefined) Object.assign(options, { cert, key });
    const token = await this.#token(user);
    if (token !== undefined) options.headers = { ...headersOf(options), Authorization: bearer(token, user) };
    else if ((user.username ?? user.password) !== undefined)
      options.auth = `${user.username ?? ''}:${user.password ?? ''}`;
    else if (this.#plugin !== undefined) {
      const { authorization, ...certificate } = await this.#plugin.login();
      Object.assign(options, certificate);
      if (authorization !== undefined) options.headers = { ...headersOf(options), Authorization: authorization };
    }
  }

  /** The file counts before the text, as long as it can be read (client-go, `NewBearerAuthWithRefreshRoundTripper`). */
  async #token({ token, tokenFile, name }: User): Promise<string | undefined> {
    if (tokenFile === undefined) return token;
    try {
      const text = (await readFile(tokenFile, 'utf8')).trim();
      if (text === '') throw new Error('it is empty');
      this.#lastToken = text;
    } catch (error) {
      const last = this.#lastToken ?? token;
      if (last !== undefined) return last;
      throw new KubernetesConfigError(`tokenFile of user "${name}" cannot be used: ${tokenFile}`, { cause: error });
    }
    return this.#lastToken;
  }

  async #agent(options: RequestOptions): Promise<Agent | false> {
    const proxy = this.#proxy();
    if (proxy === undefined) return false;
    const { server } = this.#context;
    if (proxy.protocol === 'http:' || proxy.protocol === 'https:')
      return new ProxyAgent(proxy, server.protocol === 'https:');
    const name = options.servername ?? server.hostname.replace(/^\[|\]$/g, '');
    // The agent for SOCKS forgets a host that is an address, and would check the certificate for localhost.
    options.checkServerIdentity = (_, certificate) => checkServerIdentity(name, certificate);
    return socksAgent(proxy, options);
  }

  #proxy(): URL | undefined {
    const { cluster, server } = this.#context;
    const proxy =
      cluster.proxyUrl === undefined
        ? proxyOfEnvironment(server, this.#environment)
        : parseProxyUrl(cluster.proxyUrl, cluster.name);
    if (proxy !== undefined && !['http:', 'https:', 'socks5:', 'socks5h:'].includes(proxy.protocol)) {
      throw new KubernetesConfigError(
        `the proxy for ${server.host} must begin with http://, https:// or socks5://: correct HTTPS_PROXY, or add the host to NO_PROXY`,
      );
    }
    return proxy;
  }
}

function parseProxyUrl(text: string, cluster: string): URL {
  try {
    const url = new URL(text);
    // Finds malformed credentials here.
    decodeURIComponent(url.username + url.password);
    return url;
  } catch {
    // Without the cause: its URL may contain a password.
    throw new KubernetesConfigError(`proxy-url of cluster "${cluster}" is not a URL`);
  }
}

async function socksAgent(
  proxy: URL,
  { ca, cert, key, servername, rejectUnauthorized }: RequestOptions,
): Promise<Agent> {
  const { KubeConfig } = await clientNode(`the API is reached through the SOCKS proxy ${proxy.host}`);
  const config = new KubeConfig();
  // The proxy resolves the name, as for Go.
  const proxyUrl = proxy.href.replace(/^socks5h?:/, 'socks5h:');
  config.loadFromClusterAndUser(
    { name: 'socks', server: 'https://socks.invalid', skipTLSVerify: false, proxyUrl },
    { name: 'socks' },
  );
  // Its agent replaces the TLS options of the request.
  const options: RequestOptions = { ca, cert, key, servername, rejectUnauthorized };
  await config.applyToHTTPSOptions(options);
  return options.agent as Agent;
}

function bearer(token: string, { name }: User): string {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new KubernetesConfigError(
      `the token of user "${name}" has characters that an HTTP header cannot contain: log in again`,
    );
  }
  return `Bearer ${token}`;
}

/** Source: Kubernetes documentation, "User Impersonation". */
function impersonation(user: User, as: string): OutgoingHttpHeaders {
  const extra = Object.entries(user.asUserExtra).map(([key, values]) => [
    `Impersonate-Extra-${escapedKey(key)}`,
    values,
  ]);
  return {
    'Impersonate-User': as,
    ...(user.asUid !== undefined && { 'Impersonate-Uid': user.asUid }),
    ...(user.asGroups.length > 0 && { 'Impersonate-Group': user.asGroups }),
    ...Object.fromEntries(extra),
  };
}

/** Escapes every byte that a header name cannot contain, and the percent sign, as in `%2F`. */
function escapedKey(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9!#$&'*+\-.^_`|~]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function headersOf(options: RequestOptions): Record<string, string> {
  return { ...(options.headers as Record<string, string> | undefined) };
}

function content(file: string | undefined): Promise<Buffer | undefined> {
  return file === undefined ? Promise.resolve(undefined) : readFile(file);
}
