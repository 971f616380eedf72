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
import { type LabelsOf, labelBounds, type MetricRow, metrics } from './metrics.ts';
import { type OperationPayload, type PoolLike, type PoolStatusLike, pgChannels } from './payloads.ts';
import { tlsReason } from './tls-reason.ts';

/** Where measurements go: an exporter of one kind. */
export interface Sink {
  /** Counts one. */
  count<Row extends MetricRow>(row: Row, labels: LabelsOf<Row>): void;
  /** Records a duration. `event` is there for exporters that say more of an operation. */
  record<Row extends MetricRow>(row: Row, labels: LabelsOf<Row>, seconds: number, event?: OperationPayload): void;
}

/** One value of a gauge. */
export interface Reading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Hands what the channels tell to a sink, and reads gauges from the pools. What is a state comes from `status()`, so that it is
 * right whenever the observer came, and goes with its pool; what happens comes from channels.
 */
export class Observer {
  readonly #pools = new Set<PoolLike>();
  readonly #clusterDomain: string;
  readonly #bounds = new Map<string, Set<string>>();
  /** When certificates end, in seconds, by pool and target. */
  readonly #certificates = new Map<string, Map<string, number>>();
  readonly #splitBrains = new Map<string, number>();
  readonly #drills = new Map<string, Map<string, number>>();
  readonly #stops: readonly (() => void)[];
  #readings: ReadonlyMap<string, readonly Reading[]> | undefined;

  constructor(sink: Sink, options: { readonly pools: readonly PoolLike[]; readonly clusterDomain: string }) {
    this.#clusterDomain = options.clusterDomain;
    for (const pool of options.pools) this.add(pool);
    this.#stops = this.#listen(sink);
  }

  /** Reads a pool's gauges from now on, until the returned function is called. */
  add(pool: PoolLike): () => void {
    anObjectWith('status')('pool', pool);
    this.#pools.add(pool);
    return () => {
      this.#pools.delete(pool);
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
  }

  #listen(sink: Sink): readonly (() => void)[] {
    const bound = (label: keyof typeof labelBounds, value: string) => this.#bound(label, value);
    const pool = (name: string) => bound('pool', name);
    const ended = ({ error, kind = 'other' }: { error?: unknown; kind?: string }) =>
      error === undefined ? 'ok' : bound('result', kind);
    const seconds = (millis: number) => millis / 1_000;
    return [
      dnsQueryChannel.subscribe(({ name, result, elapsedMillis }) => {
        sink.record(
          metrics.dnsQueryDuration,
          { hop: this.#hop(name), result: bound('result', result) },
          seconds(elapsedMillis),
        );
      }),
      dnsAnswerChannel.subscribe(({ name, from, result }) => {
        sink.count(metrics.dnsAnswers, { hop: this.#hop(name), from, result: bound('result', result) });
      }),
      sourceDegraded.subscribe(({ name, source }) => {
        sink.count(metrics.sourceDegradations, { service: bound('service', name), source });
      }),
      targetChanged.subscribe(({ name, source, previous }) => {
        if (previous !== undefined) sink.count(metrics.targetChanges, { service: bound('service', name), source });
      }),
      targetRefused.subscribe(({ name, code }) => {
        const reason = code === 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS' ? 'is-address' : 'not-allowed';
        sink.count(metrics.refusals, { pool: pool(name), check: 'target', reason });
      }),
      addressRefused.subscribe(({ name, reason }) => {
        sink.count(metrics.refusals, { pool: pool(name), check: 'address', reason: bound('reason', reason) });
      }),
      splitBrainSeen.subscribe(({ name }) => {
        this.#splitBrains.set(bound('service', name), nowSeconds());
      }),
      drillFinished.subscribe(({ name, passed, at }) => {
        const service = bound('service', name);
        const results = this.#drills.get(service) ?? new Map<string, number>();
        results.set(passed ? 'passed' : 'failed', at === undefined ? nowSeconds() : at.getTime() / 1_000);
        this.#drills.set(service, results);
      }),
      pgChannels.switched.subscribe(({ name, source, decisionMillis }) => {
        sink.count(metrics.switches, { pool: pool(name), source: bound('source', source) });
        sink.record(metrics.switchDuration, { pool: pool(name), phase: 'decide' }, seconds(decisionMillis));
      }),
      pgChannels.drained.subscribe(({ name, durationMillis }) => {
        sink.record(metrics.switchDuration, { pool: pool(name), phase: 'drain' }, seconds(durationMillis));
      }),
      pgChannels.targetNotFollowed.subscribe(({ name, kind }) => {
        sink.count(metrics.movesRefused, { pool: pool(name), reason: bound('reason', kind) });
      }),
      pgChannels.connected.subscribe((event) => {
        const { name, target, durationMillis, error, kind, certificateExpiresAt } = event;
        sink.record(metrics.connectDuration, { pool: pool(name), result: ended(event) }, seconds(durationMillis));
        if (kind === 'identity' || kind === 'authentication') {
          const check = kind === 'identity' ? 'tls' : 'authentication';
          const reason = kind === 'identity' ? tlsReason(error) : 'refused';
          sink.count(metrics.refusals, { pool: pool(name), check, reason });
        }
        if (certificateExpiresAt === undefined) return;
        const ends = this.#certificates.get(pool(name)) ?? new Map<string, number>();
        ends.set(bound('target', target), certificateExpiresAt.getTime() / 1_000);
        this.#certificates.set(pool(name), ends);
      }),
      pgChannels.waited.subscribe((event) => {
        sink.record(
          metrics.waitDuration,
          { pool: pool(event.name), result: ended(event) },
          seconds(event.durationMillis),
        );
      }),
      pgChannels.operationEnded.subscribe((event) => {
        const labels = { pool: pool(event.name), operation: event.operation, result: ended(event) };
        sink.record(metrics.operationDuration, labels, seconds(event.durationMillis), event);
        if (event.attempts > 1) sink.count(metrics.retriedOperations, labels);
      }),
      pgChannels.retried.subscribe(({ name, kind, outcome }) => {
        sink.count(metrics.retries, { pool: pool(name), reason: bound('reason', kind), outcome });
      }),
      pgChannels.serverProbed.subscribe(({ name, alive }) => {
        sink.count(metrics.probes, { pool: pool(name), result: alive ? 'alive' : 'silent' });
      }),
    ];
  }

  #look(): ReadonlyMap<string, readonly Reading[]> {
    const values = new Map<string, Map<string, { labels: Readonly<Record<string, string>>; value: number }>>();
    const set = <Row extends MetricRow>(row: Row, labels: LabelsOf<Row>, value: number) => {
      const ofRow = values.get(row.name) ?? new Map();
      values.set(row.name, ofRow);
      const key = row.labels.map((label: Row['labels'][number]) => labels[label]).join('\n');
      const known = ofRow.get(key);
      if (known === undefined) ofRow.set(key, { labels, value });
      else known.value = together[row.several ?? 'sum'](known.value, value);
    };
    const statuses = [...this.#pools].map((pool) => pool.status());
    for (const status of statuses) this.#readStatus(status, set);
    const now = nowSeconds();
    const names = new Set(statuses.map(({ name }) => this.#bound('pool', name)));
    for (const [pool, ends] of this.#certificates) {
      // A pool that is gone has no certificate that anybody must renew for it.
      if (!names.has(pool)) this.#certificates.delete(pool);
      else for (const [target, end] of ends) set(metrics.certificateExpiry, { pool, target }, end);
    }
    for (const [service, seenAt] of this.#splitBrains) set(metrics.splitBrain, { service }, Math.min(seenAt, now));
    for (const [service, results] of this.#drills) {
      for (const [result, at] of results) set(metrics.drills, { service, result }, at);
    }
    return new Map([...values].map(([name, ofRow]) => [name, [...ofRow.values()]]));
  }

  #readStatus(
    status: PoolStatusLike,
    set: <Row extends MetricRow>(row: Row, labels: LabelsOf<Row>, value: number) => void,
  ): void {
    const { target, candidate, refusal, serving, waiting, max } = status;
    const now = nowSeconds();
    const pool = this.#bound('pool', status.name);
    set(metrics.instances, { pool }, 1);
    set(metrics.serving, { pool }, serving ? 1 : 0);
    set(metrics.waiters, { pool }, waiting);
    set(metrics.connectionsMax, { pool }, max);
    for (const { role, state, count } of status.connections) set(metrics.connections, { pool, role, state }, count);
    for (const [host, count] of Object.entries(status.readySessions)) {
      set(metrics.readySessions, { pool, target: this.#bound('target', host) }, count);
    }
    const named = refusal?.target ?? candidate?.externalName;
    if (named !== undefined) {
      const reason = this.#bound('reason', refusal?.kind ?? 'trying');
      set(metrics.offTarget, { pool, target: this.#bound('target', named), reason }, 1);
    }
    if (status.servedMillisAgo !== undefined) set(metrics.served, { pool }, now - status.servedMillisAgo / 1_000);
    if (target === undefined) return;
    const source = this.#bound('source', target.source);
    const host = this.#bound('target', target.externalName);
    set(metrics.target, { pool, target: host, source }, 1);
    set(metrics.unconfirmed, { pool, source }, target.stale ? 1 : 0);
    if (status.targetMillis !== undefined) {
      set(metrics.targetSince, { pool, target: host }, now - status.targetMillis / 1_000);
    }
    if (status.confirmedMillisAgo !== undefined) {
      set(metrics.confirmed, { pool, source }, now - status.confirmedMillisAgo / 1_000);
    }
  }

  #hop(name: string): 'service' | 'target' {
    return isWithin(name, this.#clusterDomain) ? 'service' : 'target';
  }

  // The first values of a label that come keep their names, and all others share one.
  #bound(label: keyof typeof labelBounds, value: string): string {
    const known = this.#bounds.get(label) ?? new Set<string>();
    if (known.has(value)) return value;
    if (known.size >= labelBounds[label].most) return 'other';
    this.#bounds.set(label, known.add(value));
    return value;
  }
}

const together = {
  sum: (one: number, other: number) => one + other,
  min: Math.min,
  max: Math.max,
} as const;

function nowSeconds(): number {
  return Date.now() / 1_000;
}
