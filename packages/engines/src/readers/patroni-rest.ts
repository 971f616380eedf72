import {
  type EngineOptions,
  type EngineReader,
  type EngineState,
  type MemberWord,
  oneOfSeveral,
  unknown,
} from '../engine/engine.ts';
import type { HttpClient } from '../http/http-client.ts';
import { askPatroni, memberWord, type PatroniWord } from './patroni-member.ts';

/**
 * Patroni by the REST interfaces of its members, each asked for itself. `/cluster` is not used: it shows a dead leader as running for its whole ttl.
 */
export class PatroniRestReader implements EngineReader {
  readonly name: string;
  readonly #scope: string;
  readonly #members: readonly string[];
  readonly #http: HttpClient;
  readonly #staleMillis: number;
  readonly #options: EngineOptions;
  /** Where each member answered last, by name. */
  readonly #places = new Map<string, string>();
  #last: string | undefined;

  constructor(
    scope: string,
    members: readonly string[],
    http: HttpClient,
    staleMillis: number,
    options: EngineOptions,
  ) {
    this.#options = options;
    this.name = `patroni ${scope}`;
    this.#scope = scope;
    this.#members = members;
    this.#http = http;
    this.#staleMillis = staleMillis;
  }

  async read({ signal }: { readonly signal: AbortSignal }): Promise<EngineState> {
    const bound = oneOfSeveral(signal, this.#options);
    const asked = await Promise.allSettled(this.#members.map((base) => this.#ask(base, bound)));
    signal.throwIfAborted();
    const words = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    if (words.length === 0) throw asked.find((answer) => answer.status === 'rejected')?.reason;
    const stranger = words.find(({ name, scope }) => name === undefined || scope !== this.#scope);
    if (stranger !== undefined) {
      return unknown('doubt', `a member answers for the scope ${stranger.scope ?? '(none)'}, not for ${this.#scope}`);
    }
    if (words.some(({ isPaused }) => isPaused)) return unknown('paused', 'Patroni is paused: patronictl resume');
    // The member that holds the lock is named, as by etcd, while it is still promoted: a switch that begins now has less to do after it.
    const [leader, other] = words.filter(({ holdsLock }) => holdsLock);
    if (leader !== undefined && other !== undefined) {
      return unknown('two-leaders', `${leader.name} and ${other.name} both say that they hold the lock`);
    }
    if (leader?.name === undefined) return this.#withoutLeader(words);
    if ((leader.unseenMillis ?? 0) > this.#staleMillis) {
      return unknown(
        'stale',
        `${leader.name} has not seen the store of its lock for ${Math.round((leader.unseenMillis ?? 0) / 1000)} s`,
      );
    }
    this.#last = leader.name;
    return {
      state: 'leader',
      member: leader.name,
      timeline: leader.timeline,
      systemIdentifier: leader.systemIdentifier,
    };
  }

  async ask(member: string, { signal }: { readonly signal: AbortSignal }): Promise<MemberWord> {
    const place = this.#places.get(member);
    if (place === undefined) return { leads: false, detail: `${member} has not answered at any of the members' URLs` };
    return memberWord(member, this.#scope, await this.#ask(place, signal));
  }

  close(): void {
    this.#http.close();
  }

  async #ask(base: string, signal: AbortSignal): Promise<PatroniWord> {
    const word = await askPatroni(this.#http, { base, isGiven: true }, signal);
    if (word.name !== undefined) this.#places.set(word.name, base);
    return word;
  }

  #withoutLeader(words: readonly PatroniWord[]): EngineState {
    const last = words.find(({ name }) => name === this.#last);
    // In a planned switch, the old leader shuts its server down first, and still answers.
    if (last?.state === 'stopping' || last?.state === 'stopped') return { state: 'releasing', member: last.name };
    const roles = words.map(({ name, role, state }) => `${name}: ${role}, ${state}`).join('; ');
    return unknown('unlocked', `no member with a running server holds the lock (${roles})`);
  }
}
