import { record } from '@externalname/kubernetes/internal';
import type { HttpAccess, HttpAnswer, HttpClient } from '../http/http-client.ts';

/**
 * etcd through the JSON gateway that every server of version 3 has. Reads are linearizable: without a majority there is no answer. Source: etcd
 * documentation, "Why gRPC gateway".
 */
export class EtcdClient {
  readonly #endpoints: readonly string[];
  readonly #http: HttpClient;
  readonly #access: HttpAccess;
  #token: string | undefined;
  /** The endpoint that answered last. */
  #current = 0;

  constructor(endpoints: readonly string[], http: HttpClient, access: HttpAccess) {
    this.#endpoints = endpoints;
    this.#http = http;
    this.#access = access;
  }

  /** All keys with the prefix, at one revision. */
  async range(prefix: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const answer = await this.#post(
      '/v3/kv/range',
      { key: encoded(prefix), range_end: endOf(prefix), limit: 1000 },
      signal,
    );
    const { kvs = [] } = record(answer) as { kvs?: readonly { key?: string; value?: string }[] };
    return new Map(kvs.map(({ key = '', value = '' }) => [decoded(key), decoded(value)]));
  }

  /** Tells the keys of each change below the prefix until the signal fires. Rejects if the line breaks. */
  async watch(
    prefix: string,
    signal: AbortSignal,
    told: { readonly opened: () => void; readonly changed: (keys: readonly string[]) => void },
  ): Promise<void> {
    const body = { create_request: { key: encoded(prefix), range_end: endOf(prefix), progress_notify: true } };
    await this.#http.lines(
      `${this.#endpoint}/v3/watch`,
      { method: 'POST', body, signal, headers: this.#headers() },
      (line) => {
        const {
          created,
          canceled,
          events = [],
        } = record(record(JSON.parse(line))['result']) as {
          created?: boolean;
          canceled?: boolean;
          events?: readonly { kv?: { key?: string } }[];
        };
        if (canceled === true) throw new Error('etcd ended the watch');
        if (created === true) told.opened();
        if (events.length > 0) told.changed(events.map(({ kv }) => decoded(kv?.key ?? '')));
      },
    );
  }

  close(): void {
    this.#http.close();
  }

  get #endpoint(): string {
    return this.#endpoints[this.#current % this.#endpoints.length] ?? '';
  }

  #headers(): Record<string, string> {
    return this.#token === undefined ? {} : { Authorization: this.#token };
  }

  /** Asks one endpoint after the other, until one answers. */
  async #post(path: string, body: object, signal: AbortSignal): Promise<unknown> {
    let failure: unknown;
    for (let count = 0; count < this.#endpoints.length; count += 1) {
      try {
        return await this.#postOne(path, body, signal);
      } catch (error) {
        signal.throwIfAborted();
        failure = error;
        this.#current += 1;
      }
    }
    throw failure;
  }

  async #postOne(path: string, body: object, signal: AbortSignal): Promise<unknown> {
    const { username, password = '' } = this.#access;
    const send = () =>
      this.#http.json(`${this.#endpoint}${path}`, { method: 'POST', body, signal, headers: this.#headers() });
    if (username !== undefined && this.#token === undefined) await this.#logIn(username, password, signal);
    let answer = await send();
    if (answer.status === 401 && username !== undefined) {
      // Tokens expire.
      await this.#logIn(username, password, signal);
      answer = await send();
    }
    return accepted(this.#endpoint, answer);
  }

  async #logIn(name: string, password: string, signal: AbortSignal): Promise<void> {
    this.#token = undefined;
    const answer = await this.#http.json(`${this.#endpoint}/v3/auth/authenticate`, {
      method: 'POST',
      body: { name, password },
      signal,
    });
    const { token } = record(accepted(this.#endpoint, answer));
    this.#token = typeof token === 'string' ? token : undefined;
  }
}

function accepted(endpoint: string, { status, body }: HttpAnswer): unknown {
  if (status === 200) return body;
  const { message } = record(body);
  throw new Error(
    `etcd at ${endpoint} answered with status ${status}${typeof message === 'string' ? `: ${message}` : ''}`,
  );
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decoded(text: string): string {
  return Buffer.from(text, 'base64').toString('utf8');
}

/** The first key after all with the prefix, which ends in a slash. */
function endOf(prefix: string): string {
  return encoded(`${prefix.slice(0, -1)}0`);
}
