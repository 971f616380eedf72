import type { Clock, Random } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import { AnswerCache, type AnswerCacheOptions } from './answer-cache.ts';
import type { ClusterView } from './cluster-view.ts';
import { answerFromCluster, type ClusterZoneSettings } from './cluster-zone.ts';
import { DnsFaults } from './faults.ts';
import { balance } from './load-balance.ts';
import { type DnsAnswer, type DnsQuestion, type DnsRecord, emptyAnswer, type Lookup } from './message.ts';
import { asRecord, type OutsideNames } from './outside-names.ts';

/** The parts of a {@link ClusterDns}. */
export interface ClusterDnsParts {
  readonly settings: ClusterZoneSettings;
  readonly view: ClusterView;
  readonly outside: OutsideNames;
  /** A server for names that `outside` does not know. Without one, such names do not exist. */
  readonly forward?: ((question: DnsQuestion, context: QuestionContext) => Promise<DnsAnswer>) | undefined;
  readonly cache?: AnswerCacheOptions | undefined;
  /** Longest wait for a silent server outside, in milliseconds. */
  readonly upstreamTimeoutMillis: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** How a question arrived. */
export interface QuestionContext {
  readonly transport: 'udp' | 'tcp';
  /** Flags that lead to another answer: DO and CD. */
  readonly variant: string;
  /** Fires when the server closes. */
  readonly signal: AbortSignal;
}

/**
 * The cluster's DNS without its sockets: faults, then `loadbalance`, `cache`, `kubernetes`, and the names outside, in the
 * order in which CoreDNS runs its plugins.
 */
export class ClusterDns {
  readonly faults = new DnsFaults();
  readonly #parts: ClusterDnsParts;
  readonly #cache: AnswerCache | undefined;

  constructor(parts: ClusterDnsParts) {
    this.#parts = parts;
    this.#cache = parts.cache && new AnswerCache(parts.cache, parts.clock);
  }

  /** Answers a client, or stays silent. */
  async answer(question: DnsQuestion, context: QuestionContext): Promise<DnsAnswer | undefined> {
    const fault = this.faults.take(question);
    switch (fault?.kind) {
      case 'silent':
        return undefined;
      case 'slow':
        await sleep(fault.delayMillis, { signal: context.signal, clock: this.#parts.clock });
        break;
      case 'servfail':
      case 'nxdomain':
      case 'refused':
        return { ...emptyAnswer(codes[fault.kind]), authoritative: true };
      case 'truncated':
        if (context.transport === 'udp') return { ...emptyAnswer('NOERROR'), truncated: true };
        break;
      case 'wrong': {
        const wrong = fault.records.map((record) => asRecord(record, question.name, 5));
        return { ...emptyAnswer('NOERROR'), authoritative: true, answer: wrong };
      }
    }
    return this.#withoutFaults(question, context);
  }

  /** Empties the cache. */
  flush(): void {
    this.#cache?.clear();
  }

  async #withoutFaults(question: DnsQuestion, context: QuestionContext): Promise<DnsAnswer | undefined> {
    const plain = () => this.#withoutCache(question, context);
    const answer = this.#cache ? await this.#cache.answer(question, context.variant, plain) : await plain();
    return answer && balance(answer, this.#parts.random);
  }

  async #withoutCache(question: DnsQuestion, context: QuestionContext): Promise<DnsAnswer> {
    const { view, settings, outside, forward } = this.#parts;
    const lookup: Lookup = (target) => this.#lookup(target, context);
    const answer = await answerFromCluster(question, view, settings, lookup);
    if (answer !== 'elsewhere') return answer;
    const known = outside.answer(question);
    if (known !== undefined) return withRootSoa(known, settings.ttl);
    if (forward !== undefined) return forward(question, context);
    return withRootSoa(emptyAnswer('NXDOMAIN'), settings.ttl);
  }

  /** A lookup on the way to an answer. If the outside server is silent, it fails after the timeout. */
  async #lookup(question: DnsQuestion, context: QuestionContext): Promise<DnsAnswer> {
    const answer = await this.answer(question, context);
    if (answer !== undefined) return answer;
    const { upstreamTimeoutMillis, clock } = this.#parts;
    await sleep(upstreamTimeoutMillis, { signal: context.signal, clock });
    return emptyAnswer('SERVFAIL');
  }
}

/** Adds the SOA that says how long a denial may be kept (RFC 2308 section 3), in the name of the root. */
function withRootSoa(answer: DnsAnswer, ttl: number): DnsAnswer {
  const denial = answer.rcode === 'NXDOMAIN' || (answer.rcode === 'NOERROR' && answer.answer.every(isAlias));
  if (!denial || answer.truncated) return answer;
  const data = { mname: 'a.root-servers.net.', rname: 'nstld.verisign-grs.com.', serial: 1, refresh: 1800, retry: 900 };
  return {
    ...answer,
    authority: [{ name: '.', type: 'SOA', ttl, data: { ...data, expire: 604_800, minimum: ttl } }],
  };
}

function isAlias(record: DnsRecord): boolean {
  return record.type === 'CNAME';
}

const codes = { servfail: 'SERVFAIL', nxdomain: 'NXDOMAIN', refused: 'REFUSED' } as const;
