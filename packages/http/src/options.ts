import {
  ClosedError,
  type ClusterContext,
  InvalidArgumentError,
  parseServiceReference,
  type Target,
} from '@externalname/core';
import type { ServiceOptions, ServiceTlsOptions } from '@externalname/core/connect';
import {
  aNumber,
  aTlsOption,
  oneOf,
  optional,
  printable,
  type ServiceSettings,
  type Shapes,
  serviceSettings,
} from '@externalname/core/internal';
import { refuseEnvironmentProxy } from './proxy-environment.ts';

/** What dispatchers and agents take alike. */
export interface HttpOptions extends ServiceOptions {
  /** The authorities that are trusted, a certificate of the client, versions and ciphers. */
  tls?: ServiceTlsOptions | undefined;
  /**
   * Which name the server sees in `Host` (HTTP/2: `:authority`). `'target'`: that of the host that the Service points to, which is what
   * its virtual hosts and certificates know. `'service'`: the name in the URL, for servers that know the Service's.
   * @defaultValue `'target'`
   */
  hostHeader?: 'target' | 'service' | undefined;
  /**
   * How long a request is kept waiting while no server can be connected to. Milliseconds; 0 makes one attempt. Nothing of the request has
   * been sent by then. @defaultValue 30000
   */
  failoverTimeoutMillis?: number | undefined;
  /**
   * What is done if Node.js was told to use the proxies of the environment (`NODE_USE_ENV_PROXY=1`, `--use-env-proxy`) and there is one.
   * A proxy resolves names by itself, so the addresses could not be held against the policy: `'refuse'` says so, `'ignore'` connects
   * without it. Otherwise those variables mean nothing to Node.js, and nothing here. @defaultValue `'refuse'`
   */
  environmentProxy?: 'refuse' | 'ignore' | undefined;
}

/** What the rest works with: checked and complete. */
export interface HttpSettings extends ServiceSettings {
  readonly tls: ServiceTlsOptions;
  readonly hostHeader: 'target' | 'service';
  readonly failoverTimeoutMillis: number;
}

/**
 * Checks the options that dispatchers and agents share, and the others that this one takes.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the option
 */
export function httpSettings<Options extends HttpOptions>(
  options: Options,
  others: Shapes<Omit<NoInfer<Options>, keyof HttpOptions>>,
): HttpSettings {
  const settings = serviceSettings<HttpOptions>(options, {
    tls: aTlsOption,
    hostHeader: optional(oneOf('target', 'service')),
    failoverTimeoutMillis: optional(aNumber({ least: 0 })),
    environmentProxy: optional(oneOf('refuse', 'ignore')),
    ...others,
  });
  if (options.environmentProxy !== 'ignore') refuseEnvironmentProxy();
  return {
    ...settings,
    tls: options.tls ?? {},
    hostHeader: options.hostHeader ?? 'target',
    failoverTimeoutMillis: options.failoverTimeoutMillis ?? 30_000,
  };
}

/** Knows the URLs that are for a Service. */
export class ServiceUrls {
  readonly #service: string;
  readonly #fullName: string;
  readonly #context: ClusterContext;

  /** @param context what completes a short name */
  constructor(service: string, context: ClusterContext) {
    this.#service = service;
    this.#context = context;
    this.#fullName = parseServiceReference(service, context).fullName;
  }

  /**
   * Refuses a host that is neither the Service, in any form of its name, nor the host that it points to now, which servers name in
   * redirects. So no request, and no credential, goes to another host by way of a redirect.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
   */
  check(host: string, target: Target | undefined): void {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (name === target?.externalName || this.#isService(name)) return;
    throw new InvalidArgumentError(
      'url',
      `${printable(host, 253)} is not ${this.#service}, which is all that is reached here: write https://${this.#service}/..., and ` +
        'use another dispatcher or agent for other hosts. If a redirect led here, nothing was sent to that host',
    );
  }

  #isService(name: string): boolean {
    try {
      return parseServiceReference(name, this.#context).fullName === this.#fullName;
    } catch {
      return false;
    }
  }
}

/** @throws InvalidArgumentError for a protocol that is not allowed */
export function checkProtocol(protocol: string, allowHttp: boolean): void {
  if (protocol === 'https:' || (allowHttp && protocol === 'http:')) return;
  throw new InvalidArgumentError(
    'url',
    protocol === 'http:'
      ? 'http: is refused, as the request would leave the cluster in the clear: write https:, or allowHttp: true if it is to be so'
      : `${printable(protocol, 20)} is not a protocol of HTTP: write https:`,
  );
}

/** The name and port of a URL, as `Host` has them. */
export function authority(host: string, protocol: string, port: number): string {
  return port === (protocol === 'https:' ? 443 : 80) ? host : `${host}:${port}`;
}

export function closedError(service: string): ClosedError {
  return new ClosedError(`the way to ${service}`);
}
