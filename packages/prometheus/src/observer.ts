import {
  addressRefused,
  dnsAnswerChannel,
  dnsQueryChannel,
  drillFinished,
  sourceDegraded,
  splitBrainSeen,
  targetChanged,
  targetRefused,
} from '@externalname/core/events';
import { anObjectWith } from '@externalname/core/internal';
import { isWithin } from '@externalname/core/names';
import { type MetricRow, metrics, type ValuesOf } from './metrics.ts';
import {
  type FollowerLike,
  type FollowerStatusLike,
  followerChannels,
  type OperationPayload,
  type PoolLike,
  type PoolStatusLike,
  pgChannels,
} from './payloads.ts';
import { Bounds, Tally } from './tally.ts';
import { tlsReason } from './tls-reason.ts';

/** One value of a gauge. */
export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** See {@link Observer}. */
export interface ObserverOptions<Operations extends MetricRow> {
  readonly pools: readonly PoolLike[];
  readonly followers: readonly FollowerLike[];
  readonly clusterDomain: string;
  /** What is told of a call: the row, and its values. */
  readonly operations: { readonly row: Operations; values(event: OperationPayload): ValuesOf<Operations> };
}

/** Sets a value of a gauge; that of another pool with the same labels becomes one with it. */
type Put = <Row extends MetricRow>(row: Row, values: ValuesOf<Row>, value: number) => void;

/**
 * Counts what the channels tell, and reads gauges from the pools and followers. What is a state comes from `status()`, so that it is right
 * whenever the observer came, and goes with its pool; what happens comes from channels.
 */
export class Observer<Operations extends MetricRow = MetricRow> {
  /** The counters and histograms. */
  readonly tallies: ReadonlyMap<MetricRow, Tally>;
  readonly #bounds = new Bounds();
  readonly #pools = new Set<PoolLike>();
  readonly #followers = new Set<FollowerLike>();
  readonly #clusterDomain: string;
  /** When certificates end, in seconds, by pool and target. */
  readonly #certificates = new Map<string, Map<string, number>>();
  readonly #splitBrains = new Map<string, number>();
  readonly #drills = new Map<string, Map<string, number>>();
  readonly #stops: readonly (() => void)[];
  #readings: ReadonlyMap<string, readonly Reading[]> | undefined;

  constructor({ pools, followers, clusterDomain, operations }: ObserverOptions<Operations>) {
    this.#clusterDomain = clusterDomain;
    for (const pool of pools) this.add(pool);
    for (const follower of followers) this.addFollower(follower);
    const tallies = new Map<MetricRow, Tally>();
    this.tallies = tallies;
    this.#stops = this.#listen(operations, (row) => {
      const tally = new Tally(row, this.#bounds);
      tallies.set(row, tally);
      return tally;
    });
  }

  /** Reads a pool's gauges from now on, until the returned function is called. */
  add(pool: PoolLike): () => void {
    anObjectWith('status')('pool', pool);
    this.#pools.add(pool);
    return () => {
      this.#pools.delete(pool);
    };
  }

  /** Reads a follower's gauges from now on, until the returned function is called. */
  addFollower(follower: FollowerLike): () => void {
    anObjectWith('status')('follower', follower);
    this.#followers.add(follower);
    return () => {
      this.#followers.delete(follower);
    };
  }

  /** The values of a gauge now. All gauges that are asked for in one turn are of one look. */
  readings(row: MetricRow): readonly Reading[] {
    if (this.#readings === undefined) {
      this.#readings = this.#look();
      queueMicrotask(() => {
        this.#readings = undefined;
      });
    }
    return this.#readings.get(row.name) ?? [];
  }

  /** Ends all subscriptions. Idempotent. */
  close(): void {
    for (const stop of this.#stops) stop();
    this.#pools.clear();
    this.#followers.clear();
  }

  #listen(
    operations: ObserverOptions<Operations>['operations'],
    tally: <Row extends MetricRow>(row: Row) => Tally<Row>,
  ): readonly (() => void)[] {
    const bounds = this.#bounds;
    const dnsQueries = tally(metrics.dnsQueryDuration);
    const dnsAnswers = tally(metrics.dnsAnswers);
    const degradations = tally(metrics.sourceDegradations);
    const targetChanges = tally(metrics.targetChanges);
    const refusals = tally(metrics.refusals);
    const switches = tally(metrics.switches);
    const switchDurations = tally(metrics.switchDuration);
    const movesRefused = tally(metrics.movesRefused);
    const connects = tally(metrics.connectDuration);
    const waits = tally(metrics.waitDuration);
    const calls = tally(operations.row);
    const retriedCalls = tally(metrics.retriedOperations);
    const retries = tally(metrics.retries);
    const probes = tally(metrics.probes);
    const followed = tally(metrics.followerSwitches);
    const followedDurations = tally(metrics.followerSwitchDuration);
    return [
      dnsQueryChannel.subscribe(({ name, result, elapsedMillis }) =>
        dnsQueries.add([this.#hop(name), result], elapsedMillis / 1_000),
      ),
      dnsAnswerChannel.subscribe(({ name, from, result }) => dnsAnswers.add([this.#hop(name), from, result])),
      sourceDegraded.subscribe(({ name, source }) => degradations.add([name, source])),
      targetChanged.subscribe(({ name, source, previous }) => {
        if (previous !== undefined) targetChanges.add([name, source]);
      }),
      targetRefused.subscribe(({ name, code }) => {
        const isAddress = code === 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS';
        refusals.add([name, 'target', isAddress ? 'is-address' : 'not-allowed']);
      }),
      addressRefused.subscribe(({ name, reason }) => refusals.add([name, 'address', reason])),
      splitBrainSeen.subscribe(({ name }) => {
        this.#splitBrains.set(bounds.admit('external_service', name), nowSeconds());
      }),
      drillFinished.subscribe(({ name, passed, at }) => {
        const seconds = at === undefined ? nowSeconds() : at.getTime() / 1_000;
        put(this.#drills, bounds.admit('external_service', name), passed ? 'passed' : 'failed', seconds);
      }),
      pgChannels.switched.subscribe(({ name, source, decisionMillis }) => {
        switches.add([name, source]);
        switchDurations.add([name, 'decide'], decisionMillis / 1_000);
      }),
      pgChannels.drained.subscribe(({ name, durationMillis }) =>
        switchDurations.add([name, 'drain'], durationMillis / 1_000),
      ),
      pgChannels.targetNotFollowed.subscribe(({ name, kind }) => movesRefused.add([name, kind])),
      pgChannels.connected.subscribe((event) => {
        const { name, target, durationMillis, error, kind, certificateExpiresAt } = event;
        connects.add([name, resultOf(event)], durationMillis / 1_000);
        if (kind === 'identity') refusals.add([name, 'tls', tlsReason(error)]);
        if (kind === 'authentication') refusals.add([name, 'authentication', 'refused']);
        if (certificateExpiresAt === undefined) return;
        const seconds = certificateExpiresAt.getTime() / 1_000;
        put(this.#certificates, bounds.admit('pool', name), bounds.admit('target', target), seconds);
      }),
      pgChannels.waited.subscribe((event) => waits.add([event.name, resultOf(event)], event.durationMillis / 1_000)),
      pgChannels.operationEnded.subscribe((event) => {
        calls.add(operations.values(event), event.durationMillis / 1_000);
        if (event.attempts > 1) retriedCalls.add([event.name, event.operation, resultOf(event)]);
      }),
      pgChannels.retried.subscribe(({ name, kind, outcome }) => retries.add([name, kind, outcome])),
      pgChannels.serverProbed.subscribe(({ name, alive }) => probes.add([name, alive ? 'alive' : 'silent'])),
      followerChannels.switched.subscribe(({ service, engine, elapsedMillis, dryRun }) => {
        followed.add([service, engine, dryRun ? 'dry-run' : 'switched']);
        if (!dryRun) followedDurations.add([service, engine], elapsedMillis / 1_000);
      }),
      followerChannels.held.subscribe(({ service, engine, reason }) => {
        const result = unswitched.get(reason);
        if (result !== undefined) followed.add([service, engine, result]);
      }),
    ];
  }

  #look(): ReadonlyMap<string, readonly Reading[]> {
    const values = new Map<string, Map<string, { labels: Readonly<Record<string, string>>; value: number }>>();
    const set: Put = (row, own, value) => {
      const admitted = row.labels.map((label, index) => this.#bounds.admit(label, own[index] ?? ''));
      const ofRow = values.get(row.name) ?? new Map();
      values.set(row.name, ofRow);
      const key = admitted.join('\n');
      const known = ofRow.get(key);
      if (known !== undefined) known.value = together[row.several ?? 'sum'](known.value, value);
      else
        ofRow.set(key, {
          labels: Object.fromEntries(row.labels.map((label, index) => [label, admitted[index]])),
          value,
        });
    };
    const statuses = [...this.#pools].map((pool) => pool.status());
    for (const status of statuses) {
      readStatus(status, set);
      this.tallies.get(metrics.refusals)?.begin([status.name, 'target', 'not-allowed']);
      if (status.target !== undefined) this.tallies.get(metrics.switches)?.begin([status.name, status.target.source]);
    }
    for (const follower of this.#followers) {
      const status = follower.status();
      readFollower(status, set);
      for (const result of ['switched', ...unswitched.values()])
        this.tallies.get(metrics.followerSwitches)?.begin([status.service, status.engineName, result]);
    }
    const names = new Set(statuses.map(({ name }) => this.#bounds.admit('pool', name)));
    for (const [pool, ends] of this.#certificates) {
      // A pool that is gone has no certificate that anybody must renew for it.
      if (!names.has(pool)) this.#certificates.delete(pool);
      else for (const [target, end] of ends) set(metrics.certificateExpiry, [pool, target], end);
    }
    for (const [service, seenAt] of this.#splitBrains)
      set(metrics.splitBrain, [service], Math.min(seenAt, nowSeconds()));
    for (const [service, results] of this.#drills) {
      for (const [result, at] of results) set(metrics.drills, [service, result], at);
    }
    return new Map([...values].map(([name, ofRow]) => [name, [...ofRow.values()]]));
  }

  #hop(name: string): 'service' | 'target' {
    return isWithin(name, this.#clusterDomain) ? 'service' : 'target';
  }
}

function readStatus(status: PoolStatusLike, set: Put): void {
  const { name, target, candidate, refusal } = status;
  const now = nowSeconds();
  set(metrics.instances, [name], 1);
  set(metrics.serving, [name], status.serving ? 1 : 0);
  set(metrics.waiters, [name], status.waiting);
  set(metrics.connectionsMax, [name], status.max);
  for (const { role, state, count } of status.connections) set(metrics.connections, [name, role, state], count);
  for (const [host, count] of Object.entries(status.readySessions)) set(metrics.readySessions, [name, host], count);
  const named = refusal?.target ?? candidate?.externalName;
  if (named !== undefined) set(metrics.offTarget, [name, named, refusal?.kind ?? 'trying'], 1);
  const at = (millisAgo: number) => now - millisAgo / 1_000;
  if (status.servedMillisAgo !== undefined) set(metrics.served, [name], at(status.servedMillisAgo));
  if (target === undefined) return;
  const { externalName, source, stale } = target;
  set(metrics.target, [name, externalName, source], 1);
  set(metrics.unconfirmed, [name, source], stale ? 1 : 0);
  if (status.targetMillis !== undefined) set(metrics.targetSince, [name, externalName], at(status.targetMillis));
  if (status.confirmedMillisAgo !== undefined) set(metrics.confirmed, [name, source], at(status.confirmedMillisAgo));
}

function readFollower(status: FollowerStatusLike, set: Put): void {
  const { service, engineName, engine, engineHeardMillisAgo, holdsLease, settled, hold } = status;
  set(metrics.followerLease, [service], holdsLease ? 1 : 0);
  set(metrics.followerSettled, [service, engineName], settled ? 1 : 0);
  if (hold !== undefined) set(metrics.followerHolding, [service, engineName, hold.reason], 1);
  if (engine?.state === 'leader' && engine.member !== undefined)
    set(metrics.followerLeader, [service, engineName, engine.member], 1);
  if (engineHeardMillisAgo !== undefined)
    set(metrics.followerHeard, [service, engineName], nowSeconds() - engineHeardMillisAgo / 1_000);
}

/** How a switch of a follower ended that changed nothing, by the reason of the hold. */
const unswitched = new Map([
  ['switch-refused', 'refused'],
  ['switch-failed', 'failed'],
]);

/** How something ended: `ok`, or the kind of its failure. */
export function resultOf({ error, kind = 'other' }: { readonly error?: unknown; readonly kind?: string }): string {
  return error === undefined ? 'ok' : kind;
}

function put(map: Map<string, Map<string, number>>, one: string, other: string, value: number): void {
  const inner = map.get(one) ?? new Map<string, number>();
  map.set(one, inner.set(other, value));
}

const together = {
  sum: (one: number, other: number) => one + other,
  min: Math.min,
  max: Math.max,
} as const;

function nowSeconds(): number {
  return Date.now() / 1_000;
}
