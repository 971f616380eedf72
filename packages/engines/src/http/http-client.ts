import http, { type IncomingMessage } from 'node:http';
import https, { type RequestOptions } from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import { InvalidArgumentError } from '@externalname/core';
import { aText, optional, optionsOf, printable } from '@externalname/core/internal';

/** How an HTTP interface of an engine is reached. */
export interface HttpAccess {
  /** Authorities that the server's certificate must come from, PEM. @defaultValue those of Node.js */
  ca?: string | undefined;
  /** A client certificate, PEM. */
  cert?: string | undefined;
  /** The key of the client certificate, PEM. */
  key?: string | undefined;
  /** The name that the certificate must have, if it differs from the URL's host. */
  servername?: string | undefined;
  /** User for basic authentication; etcd: for its own. */
  username?: string | undefined;
  /** Its password. */
  password?: string | undefined;
}

/** The check of {@link HttpAccess}. */
export const anHttpAccess = optional(
  optionsOf<HttpAccess>({
    ca: optional(aText),
    cert: optional(aText),
    key: optional(aText),
    servername: optional(aText),
    username: optional(aText),
    password: optional(aText),
  }),
);

/**
 * The base of an HTTP interface, without a slash at its end.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`; its message does not repeat a URL, which may hold a password
 */
export function httpBase(argument: string, value: string): string {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw new InvalidArgumentError(argument, "must be a URL such as 'https://db-1.example.com:8008'");
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new InvalidArgumentError(argument, `must be an http or https URL, got one of ${printable(url.protocol, 30)}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidArgumentError(
      argument,
      'must not hold a user or password, because URLs are logged: give `username` and `password`',
    );
  }
  if (url.search !== '' || url.hash !== '')
    throw new InvalidArgumentError(argument, 'must not have a query or a fragment');
  return url.href.replace(/\/+$/, '');
}

/** See {@link HttpClient.json}. */
export interface HttpRequest {
  readonly signal: AbortSignal;
  readonly method?: 'GET' | 'POST' | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: unknown;
}

/** A whole answer. */
export interface HttpAnswer {
  readonly status: number;
  /** `Date` of the server, in milliseconds since 1970. */
  readonly date: number | undefined;
  readonly body: unknown;
}

/**
 * Requests to the HTTP interfaces of engines: certificates are always verified, redirects are not followed, answers are bounded. Deadlines are the
 * caller's signal. No message holds a credential.
 */
export class HttpClient {
  readonly #access: HttpAccess;
  readonly #agents = { http: new http.Agent({ keepAlive: true }), https: new https.Agent({ keepAlive: true }) };

  constructor(access: HttpAccess = {}) {
    this.#access = access;
  }

  /** The answer, whatever its status. Rejects if it is not JSON. */
  async json(url: string, request: HttpRequest): Promise<HttpAnswer> {
    const response = await this.#open(url, request);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > longestAnswer) throw new Error(`${placeOf(url)} sent an answer of more than 4 MiB`);
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString('utf8');
    const date = Date.parse(response.headers.date ?? '');
    const status = response.statusCode ?? 0;
    return { status, date: Number.isNaN(date) ? undefined : date, body: parsed(url, status, text) };
  }

  /** Calls back with each line of an answer that goes on, until the signal fires. Resolves when the server ends it. */
  async lines(url: string, request: HttpRequest, onLine: (line: string) => void): Promise<void> {
    const response = await this.#open(url, request);
    if (response.statusCode !== 200) {
      response.destroy();
      throw new Error(`${placeOf(url)} answered with status ${response.statusCode}`);
    }
    const decoder = new StringDecoder('utf8');
    let rest = '';
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const parts = (rest + decoder.write(chunk)).split('\n');
      rest = parts.pop() ?? '';
      if (rest.length > longestAnswer) throw new Error(`${placeOf(url)} sent a line of more than 4 MiB`);
      for (const line of parts) if (line !== '') onLine(line);
    }
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** For `Authorization`; undefined without a user. */
  get basicAuthorization(): string | undefined {
    const { username, password = '' } = this.#access;
    return username === undefined ? undefined : `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  #open(url: string, { signal, method = 'GET', headers, body }: HttpRequest): Promise<IncomingMessage> {
    const { ca, cert, key, servername } = this.#access;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const isTls = url.startsWith('https:');
    const options: RequestOptions = {
      method,
      signal,
      agent: isTls ? this.#agents.https : this.#agents.http,
      headers: {
        Accept: 'application/json',
        'User-Agent': 'externalname',
        ...(text !== undefined && {
          'Content-Type': 'application/json',
          'Content-Length': String(Buffer.byteLength(text)),
        }),
        ...headers,
      },
      // Whatever the environment says (NODE_TLS_REJECT_UNAUTHORIZED).
      ...(isTls && { rejectUnauthorized: true, ca, cert, key, ...(servername !== undefined && { servername }) }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = (isTls ? https : http).request(url, options);
      // Frees the socket of a peer that is gone while a watch is silent.
      outgoing.once('socket', (socket) => socket.setKeepAlive(true, 10_000));
      outgoing.once('response', resolve);
      outgoing.on('error', (error) => {
        reject(
          signal.aborted
            ? signal.reason
            : new Error(`${placeOf(url)} cannot be reached: ${error.message}`, { cause: error }),
        );
      });
      outgoing.end(text);
    });
  }
}

function parsed(url: string, status: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${placeOf(url)} answered with status ${status} and something other than JSON`);
  }
}

function placeOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return printable(origin + pathname, 300);
}

const longestAnswer = 4 * 1024 * 1024;
