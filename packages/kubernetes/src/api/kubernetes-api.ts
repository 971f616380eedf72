import http, { type IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import { type Clock, isExternalNameError, type Outcome, type WaitOptions } from '@externalname/core';
import { abortable, onAbort, printable, withDeadline } from '@externalname/core/internal';
import { type ClusterName, clusterOf, describeCluster } from '../kubeconfig/cluster-name.ts';
import { KubernetesConfigError } from '../kubeconfig/errors.ts';
import type { KubeConfigLike } from '../kubeconfig/kube-config-like.ts';
import { type AccessAttempt, type ApiStatus, errorForStatus, KubernetesUnavailableError } from './errors.ts';
import { parsedRecord, record } from './json.ts';
import { KubeConfigLoader, type KubeConfigOption } from './kube-config.ts';

/** One request to the API server. */
export interface ApiRequest extends WaitOptions {
  /** The request in the words of RBAC, for errors. */
  attempt: AccessAttempt;
  path: string;
  query?: Readonly<Record<string, string>> | undefined;
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | undefined;
  contentType?: string | undefined;
  body?: unknown;
  /** Longest time until the whole answer is there (`json`) or its head is (`lines`). Milliseconds. */
  timeoutMillis: number;
}

/** An answer whose lines are still to come. */
export interface ApiLines {
  /** The next line, or `undefined` after the server ended the answer. Rejects if the connection broke or was silent. */
  next(): Promise<string | undefined>;
  /** Drops the connection. Idempotent. */
  close(): void;
  /** The API that answers, for errors. */
  readonly api: string | undefined;
  /** A line without the token that was sent, for logs only: a name may contain the same text by chance. */
  conceal(line: string): string;
}

/** A request, and the API that it goes to, once that is known. */
interface NamedRequest extends ApiRequest {
  api?: string | undefined;
}

/**
 * Requests to the Kubernetes API, with our own deadlines. The `Watch` of `@kubernetes/client-node` is not used, because its versions
 * disagree on what silence means.
 */
export class KubernetesApi {
  readonly #loader: KubeConfigLoader;
  readonly #clock: Clock;

  constructor(kubeConfig: KubeConfigOption | undefined, clock: Clock) {
    this.#loader = new KubeConfigLoader(kubeConfig);
    this.#clock = clock;
  }

  /** The namespace of the current context, if it names one. */
  async namespace(): Promise<string | undefined> {
    const config = await this.#loader.load();
    return config.getContextObject(config.getCurrentContext())?.namespace?.trim() || undefined;
  }

  /** The cluster that requests go to. */
  async cluster(): Promise<ClusterName | undefined> {
    return clusterOf(await this.#loader.load());
  }

  /** The configuration that requests are made with now. */
  config(): Promise<KubeConfigLike> {
    return this.#loader.load();
  }

  /** The user's name in the kubeconfig, which may differ from its name on the server. */
  async userName(): Promise<string | undefined> {
    return (await this.#loader.load()).getCurrentUser()?.name;
  }

  /** The whole answer, parsed. */
  async json(given: ApiRequest): Promise<unknown> {
    const request: NamedRequest = { ...given };
    return withDeadline(
      async (signal) => {
        const { response } = await this.#open(request, signal);
        const text = await readAll(response, signal, request);
        try {
          return JSON.parse(text);
        } catch (error) {
          throw unavailable(request, 'answered with something other than JSON', error);
        }
      },
      {
        signal: request.signal,
        timeoutMillis: request.timeoutMillis,
        clock: this.#clock,
        onTimeout: () => unavailable(request, `gave no answer within ${request.timeoutMillis} ms`),
      },
    );
  }

  /**
   * Opens an answer that goes on. Every byte restarts the deadline on silence, `silenceMillis`, because a TCP connection can stay
   * silent for minutes after its peer is gone.
   */
  async lines(given: ApiRequest & { silenceMillis: number }): Promise<ApiLines> {
    const request: NamedRequest & { silenceMillis: number } = { ...given };
    const life = new AbortController();
    const end = request.signal && onAbort(request.signal, () => life.abort(request.signal?.reason));
    try {
      const { response, options } = await withDeadline(() => this.#open(request, life.signal), {
        signal: request.signal,
        timeoutMillis: request.timeoutMillis,
        clock: this.#clock,
        onTimeout: () => unavailable(request, `gave no answer within ${request.timeoutMillis} ms`),
      });
      const conceal = (line: string) => withoutToken(line, options);
      return new Lines(response, request, this.#clock, conceal, () => {
        end?.();
        life.abort(new Error('closed'));
      });
    } catch (error) {
      end?.();
      life.abort(error);
      throw error;
    }
  }

  async #open(
    request: NamedRequest,
    signal: AbortSignal,
  ): Promise<{ readonly response: IncomingMessage; readonly options: RequestOptions }> {
    const config = await abortable(this.#loader.load(), signal);
    const cluster = clusterOf(config);
    if (cluster !== undefined) request.api = `the Kubernetes API at ${describeCluster(cluster)}`;
    const { url, options, body } = await abortable(prepare(config, request), signal);
    const response = await send(url, options, body, request, signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return { response, options };
    const error = errorForStatus(
      request.attempt,
      readStatus(
        status,
        response.headers['retry-after'],
        withoutToken(await readAll(response, signal, request), options),
      ),
      { outcome: outcomeOf(request), api: request.api },
    );
    // The files on disk may have been rotated: read them again before the next request.
    if (status === 401) this.#loader.forget();
    throw error;
  }
}

/** A server, or a proxy in front of it, may echo the credentials that it was sent, and its answers are logged. */
function withoutToken(text: string, { headers, auth }: RequestOptions): string {
  const authorization = (headers as Record<string, unknown> | undefined)?.['Authorization'];
  const [, token] = typeof authorization === 'string' ? authorization.split(' ') : [];
  const [, password] = typeof auth === 'string' ? auth.split(':') : [];
  return [token, password].reduce<string>(
    (masked, secret) => (secret !== undefined && secret.length >= 6 ? masked.replaceAll(secret, '[hidden]') : masked),
    text,
  );
}

/** Reads a `Status` object. For anything else, the HTTP status decides. */
export function readStatus(httpStatus: number, retryAfter: string | undefined, text: string): ApiStatus {
  const parsed = parsedRecord(text);
  const details = record(parsed['details']);
  const causes = Array.isArray(details['causes']) ? details['causes'].map(record) : [];
  const retry = Number(retryAfter ?? details['retryAfterSeconds']);
  return {
    status: typeof parsed['code'] === 'number' ? parsed['code'] : httpStatus,
    reason: said(parsed['reason'], 100),
    message: said(parsed['message']) || (parsed['kind'] === 'Status' ? '' : printable(text.trim(), 300)),
    causes: causes.slice(0, mostCauses).map((cause) => ({
      reason: said(cause['reason'], 100),
      field: said(cause['field'], 300),
      message: said(cause['message']),
    })),
    retryAfterSeconds: Number.isFinite(retry) && retry > 0 ? retry : undefined,
  };
}

class Lines implements ApiLines {
  readonly #response: IncomingMessage;
  readonly #close: () => void;
  readonly #ready: string[] = [];
  #ended: { error?: unknown } | undefined;
  #wake: (() => void) | undefined;
  /** The parts of a line whose end has not come yet. */
  readonly conceal: (line: string) => string;
  readonly api: string | undefined;
  #rest: string[] = [];
  #restLength = 0;
  #closed = false;

  constructor(
    response: IncomingMessage,
    request: NamedRequest & { silenceMillis: number },
    clock: Clock,
    conceal: (line: string) => string,
    close: () => void,
  ) {
    this.#response = response;
    this.conceal = conceal;
    this.api = request.api;
    this.#close = close;
    const decoder = new StringDecoder('utf8');
    const silence = () =>
      this.#end({
        error: unavailable(request, `was silent for ${request.silenceMillis} ms; the connection is dropped`),
      });
    let timer = clock.schedule(silence, request.silenceMillis);
    response.on('data', (chunk: Buffer) => {
      timer.cancel();
      timer = clock.schedule(silence, request.silenceMillis);
      this.#take(decoder.write(chunk), request);
    });
    response.on('end', () => this.#end({}));
    response.on('error', (error) => this.#end({ error: unavailable(request, 'broke off its answer', error) }));
    response.on('close', () => {
      timer.cancel();
      this.#end({ error: unavailable(request, 'broke off its answer') });
    });
  }

  async next(): Promise<string | undefined> {
    for (;;) {
      const line = this.#ready.shift();
      if (line !== undefined) return line;
      if (this.#ended?.error !== undefined) throw this.#ended.error;
      if (this.#ended !== undefined) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#response.destroy();
    this.#close();
    this.#end({});
  }

  #take(text: string, request: NamedRequest): void {
    const [first = '', ...others] = text.split('\n');
    this.#add(first);
    for (const part of others) {
      // Joined once per line, not once per chunk: a long line may come in many chunks.
      const line = this.#rest.join('');
      if (line !== '') this.#ready.push(line);
      this.#rest = [];
      this.#restLength = 0;
      this.#add(part);
    }
    if (this.#restLength > longestLine) this.#end({ error: unavailable(request, 'sent a line of more than 8 MiB') });
    this.#wake?.();
  }

  #add(part: string): void {
    if (part === '') return;
    this.#rest.push(part);
    this.#restLength += part.length;
  }

  #end(end: { error?: unknown }): void {
    this.#ended ??= end;
    if (this.#ended.error !== undefined && !this.#closed) {
      this.#closed = true;
      this.#response.destroy();
      this.#close();
    }
    this.#wake?.();
  }
}

async function prepare(
  config: KubeConfigLike,
  request: NamedRequest,
): Promise<{ url: URL; options: RequestOptions; body: string | undefined }> {
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new KubernetesConfigError('the kubeconfig has no current cluster: set current-context, or name another file');
  }
  const url = urlOf(cluster.server, request.path);
  for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  const headers: Record<string, string> = { Accept: 'application/json', 'User-Agent': 'externalname' };
  if (body !== undefined) {
    headers['Content-Type'] = request.contentType ?? 'application/json';
    headers['Content-Length'] = String(Buffer.byteLength(body));
  }
  const options: RequestOptions = { method: request.method ?? 'GET', headers };
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    const where = clusterOf(config);
    const at = where === undefined ? '' : ` at ${describeCluster(where)}`;
    const detail = error instanceof KubernetesConfigError ? `: ${error.message}` : '';
    throw new KubernetesConfigError(
      `cannot log in to the Kubernetes API${at} with the credentials of the kubeconfig${detail}`,
      {
        cause: error,
      },
    );
  }
  return { url, options, body };
}

function urlOf(server: string, path: string): URL {
  try {
    return new URL(server.replace(/\/+$/, '') + path);
  } catch {
    // Without the cause, whose text may contain a password.
    throw new KubernetesConfigError('the server of the current cluster is not a URL: correct it in the kubeconfig');
  }
}

function send(
  url: URL,
  options: RequestOptions,
  body: string | undefined,
  request: NamedRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const outgoing = (url.protocol === 'http:' ? http : https).request(url, options);
    const abort = () => outgoing.destroy();
    signal.addEventListener('abort', abort, { once: true });
    outgoing.once('close', () => signal.removeEventListener('abort', abort));
    // The kernel's keepalive frees the socket of a peer that is gone, if our deadline is far away.
    outgoing.once('socket', (socket) => socket.setKeepAlive(true, 15_000));
    outgoing.once('response', resolve);
    outgoing.on('error', (error) => {
      reject(signal.aborted ? signal.reason : unavailable(request, 'cannot be reached', error));
    });
    outgoing.end(body);
  });
}

async function readAll(response: IncomingMessage, signal: AbortSignal, request: NamedRequest): Promise<string> {
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > longestAnswer) throw unavailable(request, 'sent an answer of more than 16 MiB');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw isExternalNameError(error) ? error : unavailable(request, 'broke off its answer', error);
  }
}

function unavailable(request: NamedRequest, what: string, cause?: unknown): KubernetesUnavailableError {
  const detail = cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : '';
  // Without a connection, nothing was sent.
  const syscall = cause instanceof Error && 'syscall' in cause ? cause.syscall : undefined;
  const outcome = syscall === 'connect' || syscall === 'getaddrinfo' ? 'not-executed' : outcomeOf(request);
  return new KubernetesUnavailableError(`${request.api ?? 'the Kubernetes API'} ${what}${detail}`, { cause, outcome });
}

function outcomeOf(request: ApiRequest): Outcome {
  return (request.method ?? 'GET') === 'GET' || request.query?.['dryRun'] === 'All' ? 'not-executed' : 'unknown';
}

/** Text of the server for terminals and logs: without control characters, and of limited length. */
function said(value: unknown, longest = 4_000): string {
  return typeof value === 'string' ? printable(value, longest) : '';
}

const mostCauses = 100;

// By default, etcd holds objects of at most 1.5 MiB; the encoding may make them longer.
const longestLine = 8 * 1024 * 1024;
const longestAnswer = 16 * 1024 * 1024;
