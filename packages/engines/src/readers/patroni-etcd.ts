import { isText, record } from '@externalname/kubernetes/internal';
import { type EngineReader, type EngineState, type MemberWord, type PushContext, unknown } from '../engine/engine.ts';
import type { HttpClient } from '../http/http-client.ts';
import { httpBase } from '../http/http-client.ts';
import type { EtcdClient } from './etcd-client.ts';
import { askPatroni, memberWord } from './patroni-member.ts';
import { parsedConfig, sinceOf } from './patroni-store.ts';

/** Patroni by what it stores in etcd. The leader's key carries a lease: it is gone when the lock has expired. */
export class PatroniEtcdReader implements EngineReader {
  readonly name: string;
  readonly #scope: string;
  readonly #prefix: string;
  readonly #etcd: EtcdClient;
  readonly #http: HttpClient;
  readonly #apis = new Map<string, string>();

  constructor(scope: string, namespace: string, etcd: EtcdClient, http: HttpClient) {
    this.name = `patroni ${scope}`;
    this.#scope = scope;
    this.#prefix = `/${namespace.replace(/^\/+|\/+$/g, '')}/${scope}/`.replace('//', '/');
    this.#etcd = etcd;
    this.#http = http;
  }

  async read({ signal }: { readonly signal: AbortSignal }): Promise<EngineState> {
    const stored = await this.#etcd.range(this.#prefix, signal).catch((error: unknown) => error);
    if (!(stored instanceof Map)) {
      signal.throwIfAborted();
      if (stored instanceof Error && /no leader|timed out|deadline exceeded/.test(stored.message))
        return unknown('no-quorum', stored.message);
      throw stored;
    }
    const read = (key: string): string | undefined => stored.get(this.#prefix + key);
    this.#apis.clear();
    for (const [key, value] of stored) {
      const { api_url: api } = record(parsedConfig(value));
      const name = key.slice(this.#prefix.length);
      if (name.startsWith('members/') && isText(api)) this.#apis.set(name.slice('members/'.length), api);
    }
    if (stored.size === 0)
      return unknown('doubt', `etcd has nothing below ${this.#prefix}: correct the scope or the namespace`);
    if (parsedConfig(read('config'))['pause'] === true)
      return unknown('paused', 'Patroni is paused: patronictl resume');
    const [leader, failover] = [read('leader'), parsedConfig(read('failover'))];
    const isPlanned = isText(failover['leader']) && !isText(failover['scheduled_at']);
    if (isPlanned && (leader === undefined || leader === '' || leader === failover['leader'])) {
      const to = failover['member'];
      return { state: 'releasing', member: failover['leader'] as string, to: isText(to) ? to : undefined };
    }
    if (leader === undefined || leader === '') return unknown('unlocked', 'no member holds the lock');
    const { timeline } = parsedConfig(read(`members/${leader}`));
    return {
      state: 'leader',
      member: leader,
      since: sinceOf(read('history'), leader),
      timeline: typeof timeline === 'number' ? timeline : undefined,
      systemIdentifier: read('initialize') || undefined,
    };
  }

  push({ signal, changed, opened }: PushContext): Promise<void> {
    const counts = ['leader', 'config', 'failover', 'initialize'].map((key) => this.#prefix + key);
    return this.#etcd.watch(this.#prefix, signal, {
      opened,
      // Members write their position every loop_wait: that says nothing about who leads.
      changed: (keys) => {
        if (keys.some((key) => counts.includes(key))) changed();
      },
    });
  }

  async ask(member: string, { signal }: { readonly signal: AbortSignal }): Promise<MemberWord> {
    const api = this.#apis.get(member);
    if (api === undefined) return { leads: false, detail: `${member} has not written its api_url to etcd` };
    // Without a path: `api_url` names `/patroni`.
    const place = { base: httpBase('api_url', new URL(api).origin), isGiven: false };
    return memberWord(member, this.#scope, await askPatroni(this.#http, place, signal));
  }

  close(): void {
    this.#http.close();
    this.#etcd.close();
  }
}
