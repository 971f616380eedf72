import type { ServerResponse } from 'node:http';
import { answer, ScriptedServer } from './http-server.ts';

/** The JSON gateway of etcd, as far as Patroni's keys are read through it. */
export class EtcdGateway {
  readonly server: ScriptedServer;
  readonly #keys = new Map<string, string>();
  readonly #watches = new Set<ServerResponse>();
  /** If set, requests need a token for this password. */
  password: string | undefined;
  /** If set, what a server without a majority answers. */
  hasNoQuorum = false;
  #tokens = 0;

  constructor() {
    this.server = new ScriptedServer((request, text, response) => {
      const body = JSON.parse(text) as { key?: string; password?: string; create_request?: { key: string } };
      if (request.url === '/v3/auth/authenticate') {
        if (body.password !== this.password)
          return answer(response, 400, { message: 'authentication failed, invalid user ID or password' });
        this.#tokens += 1;
        return answer(response, 200, { token: `token-${this.#tokens}` });
      }
      if (this.password !== undefined && request.headers.authorization !== `token-${this.#tokens}`) {
        return answer(response, 401, { message: 'etcdserver: invalid auth token' });
      }
      if (this.hasNoQuorum) return answer(response, 503, { message: 'etcdserver: no leader' });
      if (request.url === '/v3/kv/range') {
        const prefix = decoded(body.key ?? '');
        const kvs = [...this.#keys]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, value]) => ({ key: encoded(key), value: encoded(value) }));
        return answer(response, 200, { header: {}, ...(kvs.length > 0 && { kvs }) });
      }
      if (request.url !== '/v3/watch') return answer(response, 404, {});
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.write(`${JSON.stringify({ result: { created: true } })}\n`);
      this.#watches.add(response);
      response.on('close', () => this.#watches.delete(response));
    });
  }

  /** Lets the tokens that were given expire. */
  expireTokens(): void {
    this.#tokens += 1;
  }

  set(key: string, value: string | undefined): void {
    if (value === undefined) this.#keys.delete(key);
    else this.#keys.set(key, value);
    const event = { type: value === undefined ? 'DELETE' : 'PUT', kv: { key: encoded(key) } };
    for (const watch of this.#watches) watch.write(`${JSON.stringify({ result: { events: [event] } })}\n`);
  }
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function decoded(text: string): string {
  return Buffer.from(text, 'base64').toString();
}
