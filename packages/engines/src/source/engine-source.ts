import {
  type Clock,
  ClosedError,
  type CurrentOptions,
  type Dependencies,
  type PlannedSwitch,
  type Target,
  type TargetSource,
} from '@externalname/core';
import {
  abortable,
  aFunction,
  aNumber,
  aText,
  checkCurrentOptions,
  checkOptions,
  dependenciesOf,
  inBackground,
  optional,
  ownOptions,
  recordOf,
  SourceHealth,
  TargetFeed,
} from '@externalname/core/internal';
import type { PostgresClientLike } from '@externalname/kubernetes';
import { type LeaderRecord, untilConfirmed } from '../confirm/confirmation.ts';
import type { EngineState, HaEngine, ReleasingState } from '../engine/engine.ts';
import { EngineUnknownError } from '../errors.ts';
import { anEngine, targetsOf } from '../follow/options.ts';

/** See {@link engineSource}. */
export interface EngineSourceOptions {
  /** The engine that decides. It stays the caller's: closing the source does not close it. */
  engine: HaEngine;
  /** The external name of each member. A leader without a name here is never followed. */
  targets: Readonly<Record<string, string>>;
  /** Makes a client for a target, to see that it takes writes before it is named. @defaultValue none: only the member itself is asked */
  client?: ((host: string) => PostgresClientLike) | undefined;
  /** Longest time for one attempt to confirm a leader. Milliseconds, 10 to 60000. @defaultValue 1000 */
  probeTimeoutMillis?: number | undefined;
}

/**
 * Feeds a pool straight from an engine, with no Service between: the target is the external name of the leader, once the leader itself has confirmed it.
 * In doubt the last target stays, marked `stale`. When the engine says that its leader steps down, the switch is announced, so that pools
 * hold new work meanwhile.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O
 *
 * @example
 * ```ts
 * import { Pool } from '@externalname/pg';
 *
 * const targets = { 'db-1': 'primary-db.example.com', 'db-2': 'secondary-db.example.com' };
 * const engine = patroniEngine({ scope: 'webscaler', members: ['http://db-1.example.com:8008', 'http://db-2.example.com:8008'] });
 * const source = engineSource({ engine, targets });
 * const pool = new Pool({ service: 'webscaler-db', source, allowedTargets: Object.values(targets) });
 * ```
 */
export function engineSource(options: EngineSourceOptions, dependencies: Dependencies = {}): TargetSource {
  checkOptions(options, {
    engine: anEngine,
    targets: recordOf(aText),
    client: optional(aFunction),
    probeTimeoutMillis: optional(aNumber({ least: 10, most: 60_000 })),
  });
  const own = ownOptions(options);
  return new EngineTargetSource({ ...own, targets: targetsOf(own.targets) }, dependenciesOf(dependencies).clock);
}

interface Settings extends Omit<EngineSourceOptions, 'targets'> {
  readonly targets: ReadonlyMap<string, string>;
}

class EngineTargetSource implements TargetSource {
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #feed = new TargetFeed();
  readonly #health: SourceHealth;
  readonly #closing = new AbortController();
  #target: Target | undefined;
  #record: LeaderRecord | undefined;
  #problem: EngineUnknownError | undefined;
  #confirmedAt: number | undefined;
  #version = 0;
  #following: { readonly end: () => void; readonly first: Promise<void> } | undefined;
  /** Ends the confirmation of a leader when something newer is known. */
  #overtake = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(settings: Settings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
    this.#health = new SourceHealth('engine', clock);
  }

  async current(options: CurrentOptions = {}): Promise<Target> {
    checkCurrentOptions(options);
    const { fresh = false, signal } = options;
    this.#throwIfClosed();
    if (fresh || this.#following === undefined) await this.#ask(signal);
    else await abortable(this.#following.first, signal);
    this.#throwIfClosed();
    const { known } = this;
    if (known !== undefined) return known;
    throw this.#problem ?? new EngineUnknownError(this.#name, 'unreachable', 'it has not answered yet');
  }

  get known(): Target | undefined {
    if (this.#closing.signal.aborted || this.#target === undefined) return undefined;
    return this.#problem === undefined ? this.#target : Object.freeze({ ...this.#target, stale: true });
  }

  get confirmedMillisAgo(): number | undefined {
    return this.#confirmedAt === undefined ? undefined : this.#clock.now() - this.#confirmedAt;
  }

  subscribe(listener: (target: Target) => void): () => void {
    this.#throwIfClosed();
    this.#following ??= inBackground(() => this.#follow());
    const end = this.#feed.subscribe(listener, this.#target);
    return () => {
      end();
      if (!this.#feed.isFollowed) this.#leave();
    };
  }

  subscribePlanned(listener: (plan: PlannedSwitch | undefined) => void): () => void {
    this.#throwIfClosed();
    return this.#feed.subscribePlanned(listener);
  }

  async close(): Promise<void> {
    this.#feed.clear();
    this.#closing.abort(new ClosedError('the target source'));
    this.#leave();
    await this.#turn.catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #name(): string {
    return this.#settings.engine.name;
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new ClosedError('the target source');
  }

  #follow() {
    let isKnown = () => {};
    const first = new Promise<void>((resolve) => {
      isKnown = resolve;
    });
    const end = this.#settings.engine.subscribe((state) => {
      this.#consider(state, true).then(isKnown, isKnown);
    });
    return { end: () => [end, isKnown].forEach((call) => void call()), first };
  }

  #leave(): void {
    this.#following?.end();
    this.#following = undefined;
    this.#overtake.abort();
  }

  async #ask(signal: AbortSignal | undefined): Promise<void> {
    const { engine } = this.#settings;
    const bound = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
    const state = await engine.read({ signal: bound });
    await abortable(this.#consider(state, false), signal);
  }

  /** Takes over what the engine says, one state after the other. */
  #consider(state: EngineState, mayWait: boolean): Promise<void> {
    this.#overtake.abort();
    const overtake = new AbortController();
    this.#overtake = overtake;
    const { signal } = overtake;
    const turn = this.#turn
      .catch(() => undefined)
      .then(() => (signal.aborted ? undefined : this.#adopt(state, mayWait, signal)));
    this.#turn = turn;
    return turn;
  }

  async #adopt(state: EngineState, mayWait: boolean, overtaken: AbortSignal): Promise<void> {
    if (state.state === 'unknown') return this.#doubt(state.reason, state.detail);
    if (state.state === 'releasing') return this.#announce(state);
    const host = this.#settings.targets.get(state.member);
    if (host === undefined)
      return this.#doubt('member-not-allowed', `${state.member} leads, and targets has no name for it`);
    const { engine, client, probeTimeoutMillis: timeoutMillis = 1_000 } = this.#settings;
    const who = { engine, member: state.member, host, client, writeStatement: undefined, last: this.#record };
    const confirmation = await untilConfirmed(
      { ...who, timeoutMillis, clock: this.#clock, signal: this.#closing.signal },
      {
        patienceMillis: mayWait ? Number.POSITIVE_INFINITY : 0,
        overtaken,
        onProblem: ({ problem, detail }) => this.#doubt(problem, detail),
      },
    );
    if (confirmation?.confirmed === true) this.#become(host, confirmation.record);
  }

  // Pools hold new work while the leader steps down, but not for a member that they would not follow.
  #announce({ member, to }: ReleasingState): void {
    const { targets } = this.#settings;
    const isOurs = member === undefined || targets.get(member) === this.#target?.externalName;
    const host = to === undefined ? undefined : targets.get(to);
    if (this.#target !== undefined && isOurs && (to === undefined || host !== undefined)) this.#feed.plan({ to: host });
    this.#doubt('releasing', `${member ?? 'the leader'} steps down`);
  }

  #become(externalName: string, record: LeaderRecord): void {
    const { timeline = this.#record?.timeline, systemIdentifier = this.#record?.systemIdentifier } = record;
    this.#record = { member: record.member, timeline, systemIdentifier };
    this.#problem = undefined;
    this.#confirmedAt = this.#clock.now();
    const previous = this.#target;
    if (previous?.externalName === externalName) {
      this.#feed.plan(undefined);
      this.#health.confirmed(this.#name, previous);
      return;
    }
    this.#version += 1;
    const version = `${timeline ?? 0}-${this.#version}`;
    const target: Target = Object.freeze({
      externalName,
      via: Object.freeze([]),
      version,
      source: 'engine',
      stale: false,
    });
    this.#target = target;
    this.#health.confirmed(this.#name, target);
    this.#feed.change(this.#name, target, previous);
  }

  #doubt(reason: string, detail: string): void {
    this.#problem = new EngineUnknownError(this.#name, reason, detail);
    this.#health.degraded(this.#name, this.#target, this.#problem);
  }
}
