import { setMaxListeners } from 'node:events';
import { backoffMillis } from '../backoff.ts';
import type { Clock, Random, Timer } from '../clock.ts';
import { abortable } from '../deadline.ts';
import { type Dependencies, dependenciesOf } from '../dependencies.ts';
import { type Resolution, ResolutionError, type ResolveOptions, type Resolver } from '../dns/index.ts';
import { ClosedError, InvalidArgumentError, isExternalNameError } from '../errors.ts';
import { answerChanged, answerIgnored } from '../events/index.ts';
import { ownOptions } from '../input.ts';
import { isWithin, parseHostName, parseServiceReference, type ServiceReference } from '../names/index.ts';
import { aNumber, anObjectWith, aText, checkOptions, either, objectOf, optional } from '../shape.ts';
import { SourceHealth } from './source-health.ts';
import { isSameTarget, TargetFeed } from './target-feed.ts';
import { targetOfChain } from './target-of-chain.ts';
import { type CurrentOptions, checkCurrentOptions, type Target, type TargetSource } from './target-source.ts';
import { targetVersion } from './target-version.ts';

/** See {@link DnsTargetSource}. Give exactly one of `service` and `name`. */
export interface DnsTargetSourceOptions {
  /** The Service to follow: `webscaler-db`, `webscaler-db.default`, or a parsed reference. */
  service?: string | ServiceReference | undefined;
  /** Any other name to follow. */
  name?: string | undefined;
  /** The resolver to ask. Closing the source does not close it. */
  resolver: Resolver;
  /** Completes a short Service name. @defaultValue `default` */
  namespace?: string | undefined;
  /** Names within it are hops, not targets, while the chain goes on. @defaultValue `cluster.local` */
  clusterDomain?: string | undefined;
  /** The deadline of one question with all its queries. Milliseconds. @defaultValue 5000 */
  timeoutMillis?: number | undefined;
}

/**
 * Learns from cluster DNS where a Service points.
 *
 * While it has subscribers, it asks again when the TTL of the aliases ends (plus up to a tenth of the TTL, at most a second, so that
 * many processes do not ask at once), and never more than once a second. Without subscribers, it asks when `current` is called and
 * the last answer has expired. Its timers do not keep the process alive.
 *
 * The servers of a cluster's DNS learn of a switch one after the other, and caches keep the old answer for its TTL. So an answer that
 * leads back to a target which was left less than an hour ago is verified: seven more questions are asked at once, for at most two
 * seconds. If all agree, the target changes. If one disagrees, the target stays, and the source asks again within five seconds. An
 * intended switch back passes when the last server has learned of it.
 *
 * The aliases alone decide where a Service points, so a target counts even if it does not resolve. If no answer comes, or
 * the Service is gone, the last good target stays, marked `stale`, and the source retries after 1, 2, 4, ... 30 seconds. Channels: `externalname:targets:target-changed`, `...:answer-changed`,
 * `...:answer-ignored`, `...:source-degraded`, `...:source-recovered`.
 *
 * @example
 * ```ts
 * const source = new DnsTargetSource({ service: 'webscaler-db', resolver });
 * const stop = source.subscribe((target) => console.log('switched to', target.externalName));
 * ```
 */
export class DnsTargetSource implements TargetSource {
  /** The name that the source asks for. */
  readonly name: string;
  readonly #resolver: Resolver;
  readonly #clusterDomain: string;
  readonly #timeoutMillis: number;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #feed = new TargetFeed();
  readonly #health: SourceHealth;
  readonly #closing = new AbortController();
  readonly #questions = new Set<Question>();
  /** When each of the last targets was left. */
  readonly #leftAt = new Map<string, number>();
  #state: State = { state: 'unknown' };
  #timer: Timer | undefined;
  #confirmedAt: number | undefined;
  #asked = 0;
  #answered = 0;

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for options that cannot be used */
  constructor(given: DnsTargetSourceOptions, dependencies: Dependencies = {}) {
    checkOptions(given, {
      service: optional(either(aText, objectOf({ fullName: aText, clusterDomain: aText }))),
      name: optional(aText),
      resolver: anObjectWith('resolve'),
      namespace: optional(aText),
      clusterDomain: optional(aText),
      timeoutMillis: optional(aNumber({ above: 0, most: 2 ** 31 - 1, unit: 'milliseconds' })),
    });
    const { clock, random } = dependenciesOf(dependencies);
    const options = ownOptions(given);
    const followed = followedName(options);
    this.name = followed.name;
    this.#clusterDomain = followed.clusterDomain;
    this.#resolver = options.resolver;
    this.#timeoutMillis = options.timeoutMillis ?? defaultTimeoutMillis;
    this.#clock = clock;
    this.#random = random;
    this.#health = new SourceHealth('dns', clock);
    // One listener for each question in progress is normal, not a leak.
    setMaxListeners(0, this.#closing.signal);
  }

  /** See {@link TargetSource.current}. */
  async current(options: CurrentOptions = {}): Promise<Target> {
    checkCurrentOptions(options);
    const { fresh = false, signal } = options;
    const known = fresh ? undefined : this.#knownTarget();
    return known ?? abortable(this.#ask(fresh), signal);
  }

  /** See {@link TargetSource.known}. */
  get known(): Target | undefined {
    const state = this.#state;
    const answer = lastAnswer(state);
    if (answer === undefined) return undefined;
    // Without subscribers, no poll confirms the target.
    const isOver = !this.#feed.isFollowed && this.#clock.now() >= answer.validUntil;
    return isOver && !answer.target.stale ? { ...answer.target, stale: true } : answer.target;
  }

  /** See {@link TargetSource.confirmedMillisAgo}. */
  get confirmedMillisAgo(): number | undefined {
    return this.#confirmedAt === undefined ? undefined : this.#clock.now() - this.#confirmedAt;
  }

  /** See {@link TargetSource.subscribe}. */
  subscribe(listener: (target: Target) => void): () => void {
    if (this.#state.state === 'closed') throw new ClosedError('the target source');
    const unsubscribe = this.#feed.subscribe(listener, lastAnswer(this.#state)?.target);
    if (this.#timer === undefined && this.#questions.size === 0) this.#scheduleQuestion();
    return () => {
      unsubscribe();
      if (!this.#feed.isFollowed) this.#cancelQuestion();
    };
  }

  /** See {@link TargetSource.close}. The resolver stays open. */
  async close(): Promise<void> {
    if (this.#state.state === 'closed') return;
    this.#state = { state: 'closed' };
    this.#cancelQuestion();
    this.#feed.clear();
    this.#closing.abort(new ClosedError('the target source'));
    await Promise.allSettled([...this.#questions].map((question) => question.result));
  }

  /** Calls `close()`, at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * The target that needs no question. While the source has subscribers, polls have their own schedule, so that a caller waits neither
   * for a poll nor for a server that is down.
   */
  #knownTarget(): Target | undefined {
    const state = this.#state;
    const answer = lastAnswer(state);
    if (answer === undefined) return undefined;
    const askAgainAt = state.state === 'degraded' ? state.retryAt : answer.validUntil;
    return this.#feed.isFollowed || this.#clock.now() < askAgainAt ? answer.target : undefined;
  }

  /**
   * Asks, or joins a question under way. A fresh caller only joins one that has not been sent yet: the answer to an earlier
   * question may not show the switch that the caller wants to see.
   */
  #ask(fresh: boolean): Promise<Target> {
    if (this.#state.state === 'closed') return Promise.reject(new ClosedError('the target source'));
    for (const question of this.#questions) {
      if (!fresh || (question.fresh && !question.sent)) return question.result;
    }
    this.#cancelQuestion();
    const question = { fresh, sent: false, order: ++this.#asked };
    const result = this.#question(question);
    const pending = Object.assign(question, { result });
    this.#questions.add(pending);
    const done = () => {
      this.#questions.delete(pending);
      if (this.#feed.isFollowed && this.#questions.size === 0) this.#scheduleQuestion();
    };
    result.then(done, done);
    return result;
  }

  async #question(question: { readonly fresh: boolean; readonly order: number; sent: boolean }): Promise<Target> {
    await null; // All callers of the same turn share this question.
    question.sent = true;
    const outcome = await this.#proven(
      await this.#resolve({ fresh: question.fresh, timeoutMillis: this.#timeoutMillis }),
    );
    if (this.#state.state === 'closed') throw new ClosedError('the target source');
    const known = lastAnswer(this.#state);
    // A later question was answered first, and its answer is newer.
    if (question.order < this.#answered && known !== undefined) return known.target;
    this.#answered = question.order;
    return outcome.kind === 'answer' ? this.#learn(outcome.answer) : this.#degrade(outcome.error, outcome.expired);
  }

  /** Verifies an answer that leads back to a recently left target. */
  async #proven(outcome: Outcome): Promise<Outcome> {
    if (outcome.kind === 'failure' || !this.#isReturn(outcome.answer)) return outcome;
    const until = this.#clock.now() + longestProofMillis;
    for (let count = 0; count < proofQuestions; count++) {
      const timeoutMillis = until - this.#clock.now();
      if (timeoutMillis <= 0) break;
      // Either family's answer contains the alias.
      const again = await this.#resolve({ fresh: true, timeoutMillis, family: 4 });
      if (again.kind === 'answer' && !isSameTarget(again.answer.target, outcome.answer.target)) {
        return this.#contradicted(outcome.answer, again.answer);
      }
    }
    return outcome;
  }

  // The servers will agree in a moment: ask again soon.
  #contradicted(first: Answer, second: Answer): Outcome {
    const pauseMillis = Math.min(Math.max(first.lifeMillis, shortestPauseMillis), longestUnsettledMillis);
    const known = lastAnswer(this.#state);
    // The old answer is still around: the hour starts over.
    this.#leftAt.set(first.target.externalName, this.#clock.now());
    if (known !== undefined) {
      answerIgnored.publish(() => ({
        target: known.target.externalName,
        source: 'dns',
        ignoredTarget: first.target.externalName,
        ignoredSource: 'dns',
        remainingMillis: pauseMillis,
      }));
    }
    if (this.#isReturn(second)) {
      const detail = `DNS names ${first.target.externalName} and ${second.target.externalName} at the same time`;
      return { kind: 'failure', error: new ResolutionError('unavailable', this.name, { detail }) };
    }
    const validUntil = Math.min(second.validUntil, this.#clock.now() + pauseMillis);
    return { kind: 'answer', answer: { ...second, addresses: undefined, validUntil } };
  }

  #isReturn({ target }: Answer): boolean {
    const known = lastAnswer(this.#state);
    if (known === undefined || isSameTarget(known.target, target)) return false;
    const leftAt = this.#leftAt.get(target.externalName);
    return leftAt !== undefined && this.#clock.now() - leftAt < rememberedMillis;
  }

  async #resolve(asked: Pick<ResolveOptions, 'fresh' | 'family'> & { timeoutMillis: number }): Promise<Outcome> {
    const { signal } = this.#closing;
    const { fresh = false } = asked;
    try {
      const resolution = await abortable(this.#resolver.resolve(this.name, { ...asked, signal }), signal);
      const answer = this.#answer(resolution, fresh);
      if (!resolution.stale) return { kind: 'answer', answer };
      const detail = 'no DNS server answered, an expired answer was served';
      const error = new ResolutionError('unavailable', this.name, { chain: resolution.chain, detail });
      return { kind: 'failure', error, expired: answer };
    } catch (error) {
      const answer = isResolutionError(error) ? this.#answerDespite(error) : undefined;
      return answer === undefined ? { kind: 'failure', error: this.#explained(error) } : { kind: 'answer', answer };
    }
  }

  /** "NXDOMAIN" alone does not say what to look at. */
  #explained(error: unknown): unknown {
    const [service, namespace, ...rest] = this.name.split('.');
    const isService = rest.join('.') === `svc.${this.#clusterDomain}`;
    if (!isService || !isResolutionError(error) || error.failure !== 'not-found' || error.chain.length > 0)
      return error;
    const detail =
      `${error.detail}: the cluster's DNS does not know a Service ${service} in namespace ${namespace}. Look at both names with ` +
      `"kubectl get service ${service} --namespace ${namespace}"; outside the cluster, no DNS server knows them`;
    return new ResolutionError(error.failure, error.hostname, { detail, cause: error.cause });
  }

  #answer(resolution: Resolution, fresh: boolean): Answer {
    const names: Chain = [resolution.name, ...resolution.chain.map((hop) => hop.target)];
    const target = targetOfChain(names, { clusterDomain: this.#clusterDomain });
    const hops = resolution.chain.slice(0, target.via.length);
    // Without an alias, the addresses say how long this name stands for itself.
    const records: readonly { ttlSeconds: number }[] = hops.length > 0 ? hops : resolution.addresses;
    const lifeMillis = shortestTtl(records) * 1000;
    const now = this.#clock.now();
    // An answer from a cache has used up part of its TTL. `expiresAt` says so, but only for all records together.
    const leftMillis = fresh ? lifeMillis : Math.min(lifeMillis, resolution.expiresAt - now);
    return {
      target: dnsTarget(target.externalName, target.via),
      names,
      addresses: resolution.addresses.map(({ address }) => address).sort(),
      validUntil: now + Math.max(leftMillis, shortestPauseMillis),
      lifeMillis,
    };
  }

  /** The answer in an error that found the aliases but not their end. */
  #answerDespite(error: ResolutionError): Answer | undefined {
    const [first] = error.chain;
    if (first === undefined) return undefined;
    const names: Chain = [first.name, ...error.chain.map((hop) => hop.target)];
    const target = targetOfChain(names, { clusterDomain: this.#clusterDomain });
    const ended = error.failure === 'not-found' || error.failure === 'no-address';
    const reachedEnd = target.via.length === error.chain.length;
    const inCluster = isWithin(target.externalName, this.#clusterDomain);
    // Inside the cluster, the next hop might have led out of it: only the end of the chain decides.
    if (inCluster && !(reachedEnd && ended)) return undefined;
    const lifeMillis = shortestTtl(error.chain.slice(0, target.via.length)) * 1000;
    return {
      target: dnsTarget(target.externalName, target.via),
      names,
      addresses: ended ? [] : undefined,
      validUntil: this.#clock.now() + Math.max(lifeMillis, shortestPauseMillis),
      lifeMillis,
    };
  }

  #learn(answer: Answer): Target {
    const before = this.#state;
    const previous = lastAnswer(before);
    const { target } = answer;
    this.#confirmedAt = this.#clock.now();
    this.#state = { state: 'good', answer: { ...answer, addresses: answer.addresses ?? previous?.addresses } };
    this.#health.confirmed(this.name, target);
    if (previous === undefined || !isSameTarget(previous.target, target)) {
      if (previous !== undefined) this.#leave(previous.target, target);
      this.#feed.change(this.name, target, previous?.target);
    } else if (!isSameAnswer(previous, answer)) {
      answerChanged.publish(() => ({
        name: this.name,
        target: target.externalName,
        chain: answer.names,
        addresses: answer.addresses ?? [],
        previousAddresses: previous.addresses ?? [],
      }));
    }
    return target;
  }

  #leave(previous: Target, next: Target): void {
    const now = this.#clock.now();
    for (const [name, at] of this.#leftAt) if (now - at >= rememberedMillis) this.#leftAt.delete(name);
    this.#leftAt.delete(previous.externalName);
    this.#leftAt.set(previous.externalName, now);
    this.#leftAt.delete(next.externalName);
    const [oldest] = this.#leftAt.keys();
    if (this.#leftAt.size > mostRemembered && oldest !== undefined) this.#leftAt.delete(oldest);
  }

  /** Keeps the last good target, or else an expired one from the resolver's cache. */
  #degrade(error: unknown, expired: Answer | undefined): Target {
    const before = this.#state;
    const previous = lastAnswer(before) ?? expired;
    const failures = before.state === 'degraded' ? before.failures + 1 : 1;
    const now = this.#clock.now();
    this.#state = {
      state: 'degraded',
      failures,
      retryAt: now + Math.max(shortestPauseMillis, backoffMillis(failures, retryBounds, this.#random)),
      answer: previous && { ...previous, target: { ...previous.target, stale: true } },
    };
    this.#health.degraded(this.name, previous?.target, error);
    const { answer } = this.#state;
    if (answer === undefined) throw error;
    if (lastAnswer(before) === undefined) this.#feed.change(this.name, answer.target, undefined);
    return answer.target;
  }

  #scheduleQuestion(): void {
    this.#cancelQuestion();
    const delayMillis = Math.max(this.#nextQuestionAt() - this.#clock.now(), 0);
    const ask = () => {
      this.#timer = undefined;
      // The result is in the state and on the channels. No caller waits for this promise.
      if (this.#questions.size === 0) this.#ask(this.#state.state !== 'unknown').catch(() => {});
    };
    this.#timer = this.#clock.schedule(ask, delayMillis, { background: true });
  }

  #nextQuestionAt(): number {
    const state = this.#state;
    if (state.state === 'good') {
      const jitterMillis = this.#random() * Math.min(state.answer.lifeMillis / 10, longestJitterMillis);
      return state.answer.validUntil + jitterMillis;
    }
    return state.state === 'degraded' ? state.retryAt : this.#clock.now();
  }

  #cancelQuestion(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** The answer to one question. */
interface Answer {
  readonly target: Target;
  readonly names: Chain;
  /** Sorted. Missing if no server could say. */
  readonly addresses: readonly string[] | undefined;
  /** Until when the answer is valid, in `clock.now()` milliseconds. */
  readonly validUntil: number;
  /** The TTL of the records that define the target, as received. */
  readonly lifeMillis: number;
}

type Chain = readonly [string, ...string[]];

type Outcome =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'failure'; readonly error: unknown; readonly expired?: Answer };

type State =
  | { readonly state: 'unknown' }
  | { readonly state: 'good'; readonly answer: Answer }
  | {
      readonly state: 'degraded';
      readonly failures: number;
      readonly retryAt: number;
      readonly answer: Answer | undefined;
    }
  | { readonly state: 'closed' };

interface Question {
  readonly fresh: boolean;
  readonly sent: boolean;
  readonly result: Promise<Target>;
}

function lastAnswer(state: State): Answer | undefined {
  return state.state === 'good' || state.state === 'degraded' ? state.answer : undefined;
}

function isSameAnswer(one: Answer, other: Answer): boolean {
  // Unknown addresses are not changed addresses.
  const addresses = other.addresses ?? one.addresses;
  return one.names.join() === other.names.join() && one.addresses?.join() === addresses?.join();
}

function dnsTarget(externalName: string, via: readonly string[]): Target {
  return { externalName, via, version: targetVersion({ externalName, via }), source: 'dns', stale: false };
}

function shortestTtl(records: readonly { readonly ttlSeconds: number }[]): number {
  return records.length === 0 ? unknownTtlSeconds : Math.min(...records.map((record) => record.ttlSeconds));
}

/** The name that a source asks for, and the domain of its cluster. */
export interface FollowedName {
  readonly name: string;
  readonly clusterDomain: string;
}

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` */
export function followedName(options: Omit<DnsTargetSourceOptions, 'resolver'>): FollowedName {
  const { service, name, namespace, clusterDomain = 'cluster.local' } = options;
  if ((service === undefined) === (name === undefined)) {
    throw new InvalidArgumentError('service', 'give either `service` or `name`');
  }
  if (service === undefined) return { name: parseHostName(name ?? ''), clusterDomain: parseHostName(clusterDomain) };
  const reference =
    typeof service === 'string' ? parseServiceReference(service, { namespace, clusterDomain }) : service;
  return { name: reference.fullName, clusterDomain: reference.clusterDomain };
}

// By its mark and shape, not its class: the resolver may come with another copy of this package.
function isResolutionError(error: unknown): error is ResolutionError {
  return isExternalNameError(error) && 'failure' in error && 'chain' in error && Array.isArray(error.chain);
}

const defaultTimeoutMillis = 5000;
// However short the TTL, a source does not ask more than once a second.
const shortestPauseMillis = 1000;
const retryBounds = { shortestMillis: shortestPauseMillis, longestMillis: 30_000 };
const longestJitterMillis = 1000;
// CoreDNS' default, in case no record has a TTL.
const unknownTtlSeconds = 5;

// Caches keep an answer for minutes, but a server that has lost its watch stays out of date until it is repaired. A few more
// questions after a switch back cost next to nothing.
const rememberedMillis = 3_600_000;
const mostRemembered = 100;
// If one of two servers is out of date, all questions reach it once in 128 times.
const proofQuestions = 7;
const longestProofMillis = 2000;
const longestUnsettledMillis = 5000;
