import { type Clock, ClosedError, type Dependencies, type TargetSource } from '@externalname/core';
import { dependenciesOf, inBackground, printable, sleep } from '@externalname/core/internal';
import { kubernetesSource, type SwitchReport } from '@externalname/kubernetes';
import { KubernetesApi, pendingReference } from '@externalname/kubernetes/internal';
import { type Confirmation, type LeaderRecord, untilConfirmed } from '../confirm/confirmation.ts';
import type { EngineState } from '../engine/engine.ts';
import { followerHeld, followerSwitched } from '../events.ts';
import { describe, type Hold, type HoldReason, messageOf } from './hold.ts';
import { switchToLeader } from './leader-switch.ts';
import { SwitchLease } from './lease.ts';
import { type FollowEngineOptions, type FollowSettings, followSettings } from './options.ts';

/** What a follower knows. */
export interface FollowerStatus {
  /** The Service's full name; a namespace that was not given is that of the kubeconfig, once it was read. */
  readonly service: string;
  /** The engine's name: `patroni demo`. */
  readonly engineName: string;
  /** How long ago the engine last gave an answer, in milliseconds; undefined before its first one. */
  readonly engineHeardMillisAgo: number | undefined;
  /** What the engine told last; undefined before its first answer. */
  readonly engine: EngineState | undefined;
  /** Whether this replica may switch. Always true without a Lease. */
  readonly holdsLease: boolean;
  /** Where the Service points, as far as it is known. */
  readonly target: string | undefined;
  /** Whether the Service points to the engine's leader, and the leader was confirmed. */
  readonly settled: boolean;
  /**
   * Whether this replica does its work: the Service points to the leader, or another replica holds the Lease. What a readiness probe asks; not for a
   * liveness probe, because a restart mends none of the reasons in `hold`.
   */
  readonly ready: boolean;
  /** Why it does not switch, if it should or would. */
  readonly hold: Hold | undefined;
  /** The leader that was confirmed last. */
  readonly confirmed: LeaderRecord | undefined;
  /** The report of the last switch that this replica made. */
  readonly lastSwitch: SwitchReport | undefined;
}

/** A running follower. See {@link followEngine}. */
export interface EngineFollower extends AsyncDisposable {
  /** What it knows now. Makes no request. */
  status(): FollowerStatus;
  /** Ends everything that it started, and gives the Lease back. The engine stays open. Idempotent. */
  close(): Promise<void>;
}

/**
 * Follows an engine: whenever it names another leader, that leader is asked itself, and the Service is switched to its external name by the guarded
 * `switchTarget()`. In doubt nothing is switched, and `status().hold` and the channel `externalname:follower:held` say why.
 *
 * Run two replicas or more: a Lease lets one of them switch. Needs `get`, `list`, `watch` and `patch` on the Service, and `get`, `create` and `update`
 * on the Lease. It starts at once.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O
 *
 * @example
 * ```ts
 * import { Client } from 'pg';
 *
 * const engine = patroniEngine({ scope: 'webscaler', members: ['http://db-1.example.com:8008', 'http://db-2.example.com:8008'] });
 * const follower = followEngine({
 *   engine,
 *   service: 'webscaler-db.default',
 *   targets: { 'db-1': 'primary-db.example.com', 'db-2': 'secondary-db.example.com' },
 *   client: (host) => new Client({ host, user: 'app', database: 'app', ssl: { ca }, connectionTimeoutMillis: 1000 }),
 * });
 * ```
 */
export function followEngine(options: FollowEngineOptions, dependencies: Dependencies = {}): EngineFollower {
  return new Follower(followSettings(options), dependenciesOf(dependencies));
}

class Follower implements EngineFollower {
  readonly #settings: FollowSettings;
  readonly #dependencies: Required<Dependencies>;
  readonly #clock: Clock;
  readonly #source: TargetSource;
  readonly #lease: SwitchLease | undefined;
  readonly #reference: ReturnType<typeof pendingReference>;
  /** Full, as soon as the namespace is known. */
  #service: string;
  readonly #closing = new AbortController();
  readonly #endings: (() => void)[] = [];
  readonly #running: Promise<void>;
  #state: EngineState | undefined;
  /** When the engine told `#state`. */
  #toldAt: number;
  #hold: Hold | undefined;
  /** The reason of the last event, until it holds no more. */
  #published: HoldReason | undefined;
  #settled = false;
  #confirmed: LeaderRecord | undefined;
  #lastSwitch: SwitchReport | undefined;
  #changed = true;
  #wake = () => {};
  /** Ends a confirmation whose member the engine does not name any more. */
  #compare = () => {};
  #closed: Promise<void> | undefined;

  constructor(settings: FollowSettings, dependencies: { clock: Clock; random: () => number }) {
    const { engine, service, namespace, clusterDomain, kubeConfig, requestTimeoutMillis, signal } = settings;
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#clock = dependencies.clock;
    this.#toldAt = this.#clock.now();
    const api = new KubernetesApi(kubeConfig, this.#clock);
    const reference = pendingReference({ service, namespace, clusterDomain }, () => api.namespace());
    this.#reference = reference;
    this.#service = reference.given.fullName;
    const place = { service, namespace, clusterDomain, kubeConfig };
    this.#source = kubernetesSource({ ...place, requestTimeoutMillis }, dependencies);
    if (settings.lease !== undefined) {
      const name = settings.lease.name ?? `${reference.given.name}-follower`;
      const where = async () => (await reference.complete()).namespace;
      this.#lease = new SwitchLease(api, where, { ...settings.lease, name, requestTimeoutMillis }, this.#clock, () =>
        this.#poke(),
      );
    }
    if (signal?.aborted === true) {
      this.#running = Promise.resolve();
      void this.close();
      return;
    }
    const abort = () => void this.close();
    signal?.addEventListener('abort', abort, { once: true });
    this.#endings.push(() => signal?.removeEventListener('abort', abort));
    this.#endings.push(engine.subscribe((state) => this.#hear(state)));
    this.#endings.push(this.#source.subscribe(() => this.#poke()));
    this.#lease?.start();
    this.#running = inBackground(() => this.#run());
  }

  status(): FollowerStatus {
    const { engine } = this.#settings;
    return {
      service: this.#service,
      engineName: engine.name,
      engineHeardMillisAgo: engine.heardMillisAgo,
      engine: this.#state,
      holdsLease: this.#mayNotSwitch() === undefined,
      target: this.#source.known?.externalName,
      settled: this.#settled,
      ready: this.#settled || (this.#hold?.reason === 'standby' && Boolean(this.#lease?.holder)),
      hold: this.#hold,
      confirmed: this.#confirmed ?? this.#lease?.record,
      lastSwitch: this.#lastSwitch,
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new ClosedError('the follower'));
    for (const end of this.#endings) end();
    this.#wake();
    // Not inside the constructor: what runs is known after it.
    await Promise.resolve();
    await this.#running;
    await Promise.all([this.#source.close(), this.#lease?.stop()]);
  }

  #hear(state: EngineState): void {
    // More about the same leader is not another word.
    if (state.state !== 'leader' || !this.#isNamed(state.member)) this.#toldAt = this.#clock.now();
    this.#state = state;
    this.#compare();
    this.#poke();
  }

  #poke(): void {
    this.#changed = true;
    this.#wake();
  }

  /** One decision after the other, never two at once. */
  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      this.#changed = false;
      const hold = await this.#decide(signal).catch((error: unknown): Hold | undefined => {
        if (signal.aborted) return undefined;
        return this.#mayNotSwitch() ?? { reason: 'switch-failed', detail: messageOf(error) };
      });
      if (signal.aborted) return;
      // A start takes a moment: no event for that.
      const isStarting = this.#state === undefined || (hold?.reason === 'standby' && !this.#lease?.holder);
      this.#report(hold, isStarting ? graceMillis : 0);
      // What the engine, the Service or the Lease will not tell is looked at again: a leader that cannot be confirmed, a refusal.
      failures = hold === undefined || this.#changed ? 0 : failures + 1;
      if (this.#changed) continue;
      const pause =
        hold === undefined || !isRetried(hold)
          ? restMillis
          : Math.min(retryMillis * 2 ** Math.min(failures - 1, 6), restMillis);
      await this.#pause(pause, signal);
    }
  }

  async #pause(millis: number, signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    this.#wake = () => waiting.abort();
    const both = AbortSignal.any([signal, waiting.signal]);
    await sleep(millis, { signal: both, clock: this.#clock }).catch(() => undefined);
    this.#wake = () => {};
  }

  /** Why nothing is switched; undefined if the Service points to the leader. */
  async #decide(signal: AbortSignal): Promise<Hold | undefined> {
    const state = this.#state;
    this.#settled = false;
    if (state === undefined)
      return { reason: 'unreachable', detail: `${this.#settings.engine.name} has not answered yet` };
    const objection = objectionTo(state) ?? this.#mayNotSwitch();
    if (objection !== undefined || state.state !== 'leader') return objection;
    const host = this.#settings.targets.get(state.member);
    if (host === undefined) {
      return {
        reason: 'member-not-allowed',
        detail: `${state.member} leads, and targets has no name for it: add it, if it may serve`,
      };
    }
    if (this.#confirmed?.member === state.member) {
      const pointsTo = await this.#readService(signal, { fresh: true });
      if (typeof pointsTo === 'object') return pointsTo;
      if (pointsTo === host) {
        this.#settled = true;
        return undefined;
      }
    }
    const term = this.#lease?.term;
    const bound = term === undefined ? signal : AbortSignal.any([signal, term]);
    const pointsTo = await this.#readService(bound, { fresh: false });
    if (typeof pointsTo === 'object') return pointsTo;
    if (pointsTo !== host) return this.#switch(state.member, pointsTo, host, bound);
    const confirmation = await this.#confirm(state.member, host, bound);
    if (confirmation === undefined) return this.#overtaken();
    if (!confirmation.confirmed) return { reason: confirmation.problem, detail: confirmation.detail };
    this.#remember(confirmation.record);
    this.#settled = true;
    return undefined;
  }

  /** @param fresh whether what the watch saw last is not enough */
  async #readService(signal: AbortSignal, { fresh }: { readonly fresh: boolean }): Promise<string | Hold> {
    try {
      const { externalName, stale } = await this.#source.current({ fresh, signal });
      this.#service = (await this.#reference.complete()).fullName;
      if (stale) return { reason: 'service-unknown', detail: 'the Kubernetes API cannot say where the Service points' };
      if (this.#settings.allowedTargets.includes(externalName)) return externalName;
      const detail = `the Service points to ${printable(externalName, 300)}, which is not among targets: somebody else decides, so it stays`;
      return { reason: 'service-elsewhere', detail };
    } catch (error) {
      signal.throwIfAborted();
      return { reason: 'service-unknown', detail: messageOf(error) };
    }
  }

  #confirm(member: string, host: string, signal: AbortSignal): Promise<Confirmation | undefined> {
    const { engine, client, writeStatement, probeTimeoutMillis: timeoutMillis } = this.#settings;
    const overtaken = new AbortController();
    this.#compare = () => {
      if (!this.#isNamed(member)) overtaken.abort();
    };
    this.#compare();
    const last = this.#confirmed ?? this.#lease?.record;
    return untilConfirmed(
      { engine, member, host, client, writeStatement, last, timeoutMillis, clock: this.#clock, signal },
      {
        patienceMillis,
        overtaken: overtaken.signal,
        onProblem: ({ problem: reason, detail }) => this.#report({ reason, detail }, graceMillis),
      },
    );
  }

  async #switch(member: string, from: string, to: string, signal: AbortSignal): Promise<Hold | undefined> {
    const settings = this.#settings;
    const confirm = (bound: AbortSignal) => this.#confirm(member, to, bound);
    const given = { settings, lease: this.#lease, member, from, to, by: this.#by, confirm, signal };
    try {
      const done = await switchToLeader(given, this.#dependencies);
      if ('reason' in done) return this.#isNamed(member) ? done : this.#overtaken();
      this.#lastSwitch = done.report;
      followerSwitched.publish(() => this.#switched(done.report, done.record));
      this.#settled = !settings.dryRun;
      if (!settings.dryRun) this.#remember(done.record);
      return undefined;
    } catch (error) {
      this.#closing.signal.throwIfAborted();
      return this.#mayNotSwitch() ?? { reason: 'switch-failed', detail: messageOf(error) };
    }
  }

  get #by(): string {
    const { lease } = this.#settings;
    return `externalname follow${lease === undefined ? '' : ` (${lease.identity})`}`;
  }

  #switched(report: SwitchReport, record: LeaderRecord) {
    return {
      engine: this.#settings.engine.name,
      service: report.service,
      from: report.from ?? '',
      to: report.to,
      member: record.member,
      ...(record.timeline !== undefined && { timeline: record.timeline }),
      elapsedMillis: Math.round(this.#clock.now() - this.#toldAt),
      dryRun: this.#settings.dryRun,
    };
  }

  #mayNotSwitch(): Hold | undefined {
    if (this.#lease === undefined || this.#lease.term !== undefined) return undefined;
    const { holder } = this.#lease;
    return {
      reason: 'standby',
      detail: holder
        ? `${holder} holds the Lease ${this.#lease.name}`
        : `the Lease ${this.#lease.name} is not held yet`,
    };
  }

  #remember(record: LeaderRecord): void {
    const last = this.#confirmed ?? this.#lease?.record;
    // What this leader does not tell was true of the last one, and goes on to be compared.
    const { member, timeline = last?.timeline, systemIdentifier = last?.systemIdentifier } = record;
    this.#confirmed = { member, timeline, systemIdentifier };
    this.#lease?.keep(this.#confirmed);
  }

  /** Whether the engine names this member now. What else it tells may have changed. */
  #isNamed(member: string): boolean {
    return this.#state?.state === 'leader' && this.#state.member === member;
  }

  #overtaken(): Hold | undefined {
    const state = this.#state;
    return state === undefined ? undefined : (objectionTo(state) ?? this.#hold);
  }

  /** @param afterMillis how long the engine must have said the same before it is worth an event */
  #report(hold: Hold | undefined, afterMillis = 0): void {
    this.#hold = hold;
    if (hold === undefined) this.#published = undefined;
    if (hold === undefined || hold.reason === this.#published) return;
    if (this.#clock.now() - this.#toldAt < afterMillis) return;
    this.#published = hold.reason;
    const state = this.#state;
    const member = state !== undefined && 'member' in state ? state.member : undefined;
    followerHeld.publish(() => ({
      engine: this.#settings.engine.name,
      service: this.#service,
      ...hold,
      ...(member !== undefined && { member }),
    }));
  }
}

/** Why no leader is to be followed in this state. */
function objectionTo(state: EngineState): Hold | undefined {
  if (state.state === 'unknown') return { reason: state.reason, detail: state.detail };
  if (state.state === 'releasing') return { reason: 'releasing', detail: describe(state) };
  return undefined;
}

/** Whether looking again may help although nothing was told. */
function isRetried({ reason }: Hold): boolean {
  return [
    'not-leading',
    'not-writable',
    'older-timeline',
    'different-system',
    'service-unknown',
    'switch-refused',
    'switch-failed',
  ].includes(reason);
}

// A promotion is over within a second or two; a leader that takes longer is asked again after a pause.
const patienceMillis = 10_000;
/** A leader that was just named is not confirmed for a moment, as a rule: no event for that, either. */
const graceMillis = 2_000;
const retryMillis = 500;
const restMillis = 30_000;
