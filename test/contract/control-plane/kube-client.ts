import { request } from 'node:https';

/** An answer of the API server, whatever its status. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  /** Texts of `Warning: 299` headers. */
  readonly warnings: readonly string[];
}

/** Plain requests to an API server: the tests compare verdicts, so nothing here raises for a status. */
export class KubeClient {
  readonly #url: string;
  readonly #ca: string;
  readonly #token: string;

  constructor(url: string, ca: string, token: string) {
    this.#url = url;
    this.#ca = ca;
    this.#token = token;
  }

  /** The same server with other credentials. */
  withToken(token: string): KubeClient {
    return new KubeClient(this.#url, this.#ca, token);
  }

  request(method: string, path: string, body?: unknown, contentType = 'application/json'): Promise<ApiAnswer> {
    return new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const outgoing = request(
        this.#url + path,
        {
          method,
          ca: this.#ca,
          agent: false,
          timeout: 20_000,
          headers: {
            Authorization: `Bearer ${this.#token}`,
            Accept: 'application/json',
            ...(text === undefined ? {} : { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            resolve({
              status: response.statusCode ?? 0,
              body: parse(Buffer.concat(chunks).toString()),
              warnings: warningsOf(response.headersDistinct['warning']),
            });
          });
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path}`)));
      outgoing.on('error', reject);
      outgoing.end(text);
    });
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { message: text };
  }
}

// RFC 9111 section 5.5, as Kubernetes writes it: 299 - "text"
function warningsOf(headers: readonly string[] | undefined): string[] {
  return (headers ?? []).flatMap((header) =>
    [...header.matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map((match) => (match[1] ?? '').replaceAll('\\"', '"')),
  );
}
