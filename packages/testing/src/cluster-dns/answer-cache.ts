import type { Clock } from '@externalname/core';
import { aBoolean, aNumber, aText, listOf, optional, optionsOf } from '@externalname/core/internal';
import { type DnsAnswer, type DnsQuestion, type DnsRecord, isSubdomain } from './message.ts';

/**
 * Options of CoreDNS's `cache` plugin.
 *
 * @example kubeadm's Corefile since Kubernetes 1.32
 * ```ts
 * { successSeconds: 30, denialSeconds: 30, disableSuccess: ['cluster.local'], disableDenial: ['cluster.local'] }
 * ```
 */
export interface AnswerCacheOptions {
  /** Longest time that an answer with records is kept. Seconds. @defaultValue 3600 */
  successSeconds?: number | undefined;
  /** Longest time that "no such name" and "no data" are kept. Seconds. @defaultValue 1800 */
  denialSeconds?: number | undefined;
  /** Shortest time, whatever the records say. Seconds. @defaultValue 5 */
  minimumSeconds?: number | undefined;
  /** How long SERVFAIL is kept. Seconds, 0 to 300. @defaultValue 5 */
  servfailSeconds?: number | undefined;
  /** How long an expired answer is still given, with TTL 0, while the server asks again. Seconds. @defaultValue 0, never */
  serveStaleSeconds?: number | undefined;
  /** Whether the server asks first, and gives the stale answer only if that fails (`verify`). @defaultValue false */
  verifyStale?: boolean | undefined;
  /** Zones whose answers are not kept. Their TTLs are still levelled. */
  disableSuccess?: readonly string[] | undefined;
  /** Zones whose denials are not kept. */
  disableDenial?: readonly string[] | undefined;
}

const seconds = optional(aNumber({ least: 0 }));
const zones = optional(listOf(aText));

export const anAnswerCache = optionsOf<AnswerCacheOptions>({
  successSeconds: seconds,
  denialSeconds: seconds,
  minimumSeconds: seconds,
  servfailSeconds: seconds,
  serveStaleSeconds: seconds,
  verifyStale: optional(aBoolean),
  disableSuccess: zones,
  disableDenial: zones,
});

/**
 * The cache that sits in front of the cluster's zone in CoreDNS.
 *
 * It gives every record of a message the lowest TTL in it, but at least 5 seconds, also on the first answer. A change
 * of a Service does not empty it: the old answer stays until its time is up.
 *
 * Source: CoreDNS 1.14.7 `plugin/cache`.
 */
export class AnswerCache {
  readonly #settings: CacheSettings;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  readonly #refreshing = new Set<string>();

  constructor(options: AnswerCacheOptions, clock: Clock) {
    this.#settings = {
      successSeconds: options.successSeconds ?? 3600,
      denialSeconds: options.denialSeconds ?? 1800,
      minimumSeconds: options.minimumSeconds ?? 5,
      servfailSeconds: options.servfailSeconds ?? 5,
      serveStaleSeconds: options.serveStaleSeconds ?? 0,
      verifyStale: options.verifyStale ?? false,
      disableSuccess: options.disableSuccess ?? [],
      disableDenial: options.disableDenial ?? [],
    };
    this.#clock = clock;
  }

  /** Answers from the cache, or from `next`, whose answer it keeps. `variant` separates flags that lead to other answers (DO, CD). */
  async answer(
    question: DnsQuestion,
    variant: string,
    next: () => Promise<DnsAnswer | undefined>,
  ): Promise<DnsAnswer | undefined> {
    const key = `${question.name.toLowerCase()} ${question.type} ${variant}`;
    const entry = this.#find(key);
    if (entry === undefined) return this.#refresh(key, question, next);
    const left = Math.floor(entry.ttl - (this.#clock.now() - entry.storedAt) / 1000);
    if (left > 0) return withTtl(entry.answer, left);
    if (this.#settings.verifyStale) {
      const fresh = await this.#refresh(key, question, next);
      if (fresh?.rcode === 'NOERROR' || fresh?.rcode === 'NXDOMAIN') return fresh;
    } else if (!this.#refreshing.has(key)) {
      this.#refreshing.add(key);
      this.#refresh(key, question, next)
        .catch(() => undefined)
        .finally(() => this.#refreshing.delete(key));
    }
    return withTtl(entry.answer, 0);
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
  }

  #find(key: string): Entry | undefined {
    const oldest = this.#clock.now() - this.#settings.serveStaleSeconds * 1000;
    const live = (entry: Entry | undefined) =>
      entry !== undefined && entry.storedAt + entry.ttl * 1000 > oldest ? entry : undefined;
    const denial = live(this.#entries.get(`denial ${key}`));
    const success = live(this.#entries.get(`success ${key}`));
    if (denial?.answer.rcode === 'SERVFAIL') return success ?? denial;
    return denial ?? success;
  }

  async #refresh(
    key: string,
    question: DnsQuestion,
    next: () => Promise<DnsAnswer | undefined>,
  ): Promise<DnsAnswer | undefined> {
    const answer = await next();
    if (answer === undefined) return undefined;
    const { ttl, store } = judge(question, answer, this.#settings);
    const levelled = withTtl(answer, ttl);
    if (store !== undefined && ttl > 0) {
      this.#entries.set(`${store} ${key}`, {
        // Cached answers always say AA, because old glibc drops answers without it.
        answer: { ...levelled, authoritative: true },
        ttl,
        storedAt: this.#clock.now(),
      });
    }
    return levelled;
  }
}

type CacheSettings = { readonly [Name in keyof AnswerCacheOptions]-?: NonNullable<AnswerCacheOptions[Name]> };

interface Entry {
  readonly answer: DnsAnswer;
  readonly ttl: number;
  readonly storedAt: number;
}

/** The TTL of the whole message, and the part of the cache that keeps it, if one does. */
function judge(
  question: DnsQuestion,
  answer: DnsAnswer,
  settings: CacheSettings,
): { ttl: number; store: 'success' | 'denial' | undefined } {
  const kind = kindOf(question, answer);
  const denial = kind === 'denial';
  const longest = denial ? settings.denialSeconds : settings.successSeconds;
  const lowest = kind === 'success' || denial ? lowestTtl(answer, longest) : settings.minimumSeconds;
  const ttl =
    kind === 'failure' ? settings.servfailSeconds : Math.min(Math.max(lowest, settings.minimumSeconds), longest);
  const excepted = (zones: readonly string[]) =>
    zones.some((zone) => isSubdomain(zone.endsWith('.') ? zone : `${zone}.`, question.name));
  if (answer.truncated || kind === 'other') return { ttl, store: undefined };
  if (kind === 'success') {
    // An alias without its target, and without an SOA that says for how long, means that the target's server did not answer.
    // Since 1.14.7 such an answer is not kept.
    const bare = answer.answer.length > 0 && !answersQuestion(question, answer);
    return { ttl, store: bare || excepted(settings.disableSuccess) ? undefined : 'success' };
  }
  if (answer.rcode === 'NXDOMAIN' && !hasStartOfAuthority(answer)) return { ttl, store: undefined };
  return { ttl, store: excepted(settings.disableDenial) ? undefined : 'denial' };
}

function kindOf(question: DnsQuestion, answer: DnsAnswer): 'success' | 'denial' | 'failure' | 'other' {
  if (question.type === 'AXFR' || question.type === 'IXFR') return 'other';
  switch (answer.rcode) {
    case 'NOERROR': {
      if (!hasStartOfAuthority(answer)) return 'success';
      const data = answer.answer.length > 0 && answersQuestion(question, answer);
      return data ? 'success' : 'denial';
    }
    case 'NXDOMAIN':
      return answer.answer.length > 0 ? 'other' : 'denial';
    case 'SERVFAIL':
    case 'NOTIMP':
      return 'failure';
    default:
      return 'other';
  }
}

/** Whether the aliases of the question's name end at a record of the question's type. */
function answersQuestion(question: DnsQuestion, answer: DnsAnswer): boolean {
  const owns = (record: DnsRecord, name: string) => record.name.toLowerCase() === name;
  let name = question.name.toLowerCase();
  if (question.type === 'ANY') return answer.answer.some((record) => owns(record, name));
  if (question.type !== 'CNAME') {
    const passed = new Set<string>();
    for (;;) {
      if (passed.has(name)) return false;
      passed.add(name);
      const targets = new Set<string>();
      for (const record of answer.answer) {
        if (record.type === 'CNAME' && owns(record, name)) targets.add(record.data.toLowerCase());
      }
      if (targets.size > 1) return false;
      const [target] = targets;
      if (target === undefined) break;
      name = target;
    }
  }
  return answer.answer.some((record) => record.type === question.type && owns(record, name));
}

function hasStartOfAuthority(answer: DnsAnswer): boolean {
  return answer.authority.some((record) => record.type === 'SOA');
}

function lowestTtl(answer: DnsAnswer, longest: number): number {
  const records = [...answer.answer, ...answer.authority, ...answer.additional];
  return records.length === 0 ? failSafeSeconds : Math.min(longest, ...records.map((record) => record.ttl));
}

function withTtl(answer: DnsAnswer, ttl: number): DnsAnswer {
  const level = (records: readonly DnsRecord[]) => records.map((record) => ({ ...record, ttl }));
  return {
    ...answer,
    answer: level(answer.answer),
    authority: level(answer.authority),
    additional: level(answer.additional),
  };
}

// A message without records does not say how long it may be kept.
const failSafeSeconds = 5;
