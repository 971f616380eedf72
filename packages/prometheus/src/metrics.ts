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
import { type Feed, from, type Labels, type Readings, type Tuple } from './feeds.ts';
import type { LabelName } from './labels.ts';
import { type Ended, type FollowerStatusLike, followerChannels, type PoolStatusLike, pgChannels } from './payloads.ts';
import { sqlStateOf, tlsReason } from './reasons.ts';

/** One metric. The collector, the documentation, the dashboard and the alerts are all made of these rows. */
export interface MetricRow {
  /** By the conventions of Prometheus: base units, `_total` for counters. */
  readonly name: string;
  /** What kind of metric it is. */
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** Of its values, as Grafana calls it. */
  readonly unit: 's' | 'bytes' | 'short' | 'dateTimeFromNow';
  /** Names of its labels. */
  readonly labels: readonly LabelName[];
  /** What it says, in a sentence. */
  readonly help: string;
  /** Where it comes from: a diagnostics channel, or `status()` of the pools and followers. */
  readonly source: string;
  /** Upper ends of the buckets of a histogram, in seconds. */
  readonly buckets?: readonly number[];
  /** Its name in OpenTelemetry: that of the semantic conventions where they have one. */
  readonly otel: string;
  /** Of a gauge, how the values of several pools of one name become one. */
  readonly several?: 'sum' | 'min' | 'max';
}

/** A row with what fills it. */
export interface Metric extends MetricRow {
  /** What happens and is counted; of a gauge, the last value. */
  readonly feeds: readonly Feed[];
  /** What is read of each pool. Of a counter, where it begins: one that begins with 1 has not increased for Prometheus. */
  readonly pool: ((status: PoolStatusLike) => Readings) | undefined;
  /** The same of each follower. */
  readonly follower: ((status: FollowerStatusLike) => Readings) | undefined;
  /** Labels that OpenTelemetry has in addition. */
  readonly also: readonly LabelName[];
}

// From a local cache to the timeout of a resolver; from a switch in a data centre to one across regions.
const dnsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const poolBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
// The advice of the semantic conventions for `db.client.operation.duration`.
const operationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/**
 * All metrics, by the name that code calls them. Times are in seconds, points in time in seconds since 1970. Each is called
 * by a path: in Prometheus with the suffix of its kind, in OpenTelemetry as it is, or as the semantic conventions (`otel`) say.
 */
export const table = {
  dnsQueryDuration: histogram('dns.query.duration', ['hop', 'result'], dnsBuckets, {
    help: 'Time for one query to one DNS server, by hop (service: a name in the cluster, target: one outside) and result',
    feeds: [from(dnsQueryChannel, ({ name, result }, hopOf) => [hopOf(name), result], elapsed)],
  }),
  dnsAnswers: counter('dns.answers', ['hop', 'from', 'result'], {
    help: 'Answers of the resolver, from the cache, a server, or stale: an expired answer, as no server gave another',
    feeds: [from(dnsAnswerChannel, (event, hopOf) => [hopOf(event.name), event.from, event.result])],
  }),
  sourceDegradations: counter('source.degradations', ['external_service', 'source'], {
    help: 'How often a source (dns, kubernetes: the watch) could no longer confirm its target',
    feeds: [from(sourceDegraded, ({ name, source }) => [name, source])],
  }),
  targetChanges: counter('source.target_changes', ['external_service', 'source'], {
    help: 'How often a source named another target than before',
    feeds: [from(targetChanged, ({ name, source, previous }) => (previous === undefined ? undefined : [name, source]))],
  }),
  refusals: counter('refusals', ['pool', 'check', 'reason'], {
    help: 'Targets, addresses, TLS handshakes and logins that a check refused, by reason',
    feeds: [
      from(targetRefused, ({ name, code }) => {
        return [name, 'target', code === 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS' ? 'is-address' : 'not-allowed'];
      }),
      from(addressRefused, ({ name, reason }) => [name, 'address', reason]),
      from(pgChannels.connected, ({ name, kind, error }) => {
        if (kind === 'identity') return [name, 'tls', tlsReason(error)];
        return kind === 'authentication' ? [name, 'authentication', 'refused'] : undefined;
      }),
    ],
    pool: ({ name }) => [[0, name, 'target', 'not-allowed']],
  }),
  splitBrain: gauge('split_brain.seen', ['external_service'], 'max', {
    help: 'When servers of two targets were last seen to take writes at the same time',
    feeds: [from(splitBrainSeen, ({ name }) => [name], Date.now)],
  }),
  drills: gauge('drill.finished', ['external_service', 'result'], 'max', {
    help: 'When a rehearsal of a switch was last over, by result (passed, failed)',
    feeds: [
      from(
        drillFinished,
        ({ name, passed }) => [name, passed ? 'passed' : 'failed'],
        ({ at }) => at?.getTime() ?? Date.now(),
      ),
    ],
  }),
  instances: gauge('pool.instances', ['pool'], 'sum', {
    help: 'Pools of this name in the process. The other sums over pools are to be compared with it',
    pool: ({ name }) => [[1, name]],
  }),
  serving: gauge('pool.serving', ['pool'], 'sum', {
    help: 'Pools of this name whose server served when it was last used, or was not used yet',
    pool: ({ name, serving }) => [[serving ? 1 : 0, name]],
  }),
  offTarget: gauge('pool.off_target', ['pool', 'target', 'reason'], 'sum', {
    help: 'Pools of this name that are not on the target that the Service names, by that target and by why not (trying: not yet)',
    pool: ({ name, refusal, candidate }) => {
      const named = refusal?.target ?? candidate?.externalName;
      return named === undefined ? [] : [[1, name, named, refusal?.kind ?? 'trying']];
    },
  }),
  unconfirmed: gauge('pool.source_unconfirmed', ['pool', 'source'], 'sum', {
    help: 'Pools of this name whose source cannot confirm the target now: a switch would go unseen',
    pool: ({ name, target }) => (target === undefined ? [] : [[target.stale ? 1 : 0, name, target.source]]),
  }),
  target: gauge('pool.target', ['pool', 'target', 'source'], 'max', {
    help: 'Where pools of this name point, and how they learned of it. Always 1',
    pool: ({ name, target }) => (target === undefined ? [] : [[1, name, target.externalName, target.source]]),
    suffix: '_info',
  }),
  targetSince: gauge('pool.target.since', ['pool', 'target'], 'max', {
    help: 'Since when the pool has pointed at its target; of several pools, the one that came last',
    pool: ({ name, target, targetMillis }) => ago(target && targetMillis, name, target?.externalName ?? ''),
  }),
  confirmed: gauge('pool.target.confirmed', ['pool', 'source'], 'min', {
    help: 'When the authority (DNS, the Kubernetes API) last said where the Service points; of several pools, the oldest word',
    pool: ({ name, target, confirmedMillisAgo }) => ago(target && confirmedMillisAgo, name, target?.source ?? ''),
  }),
  served: gauge('pool.served', ['pool'], 'max', {
    help: 'When the server of the current target was last heard from. Long ago in a pool that is not used',
    pool: ({ name, servedMillisAgo }) => ago(servedMillisAgo, name),
  }),
  switches: counter('pool.switches', ['pool', 'source'], {
    help: 'How often pools of this name moved to another target, by who told them (dns, kubernetes, static)',
    feeds: [from(pgChannels.switched, ({ name, source }) => [name, source])],
    pool: ({ name, target }) => (target === undefined ? [] : [[0, name, target.source]]),
  }),
  switchDuration: histogram('pool.switch.duration', ['pool', 'phase'], poolBuckets, {
    help: 'Time to move: decide (from the word of the source to the move) and drain (until nothing is left on earlier targets)',
    feeds: [
      from(
        pgChannels.switched,
        ({ name }) => [name, 'decide'],
        ({ decisionMillis }) => decisionMillis,
      ),
      from(pgChannels.drained, ({ name }) => [name, 'drain'], duration),
    ],
  }),
  movesRefused: counter('pool.moves_refused', ['pool', 'reason'], {
    help: 'How often a pool did not follow a target, or not yet, by the kind of failure',
    feeds: [from(pgChannels.targetNotFollowed, ({ name, kind }) => [name, kind])],
  }),
  connections: gauge('pool.connections', ['pool', 'role', 'state'], 'sum', {
    otel: 'db.client.connection.count',
    help: 'Connections by role of the server (primary, standby, read-only, unknown) and state (idle, used, connecting, draining)',
    pool: ({ name, connections }) => connections.map(({ role, state, count }) => [count, name, role, state]),
  }),
  connectionsMax: gauge('pool.connections_max', ['pool'], 'sum', {
    otel: 'db.client.connection.max',
    help: 'The most connections to the current target that pools of this name may have, all together',
    pool: ({ name, max }) => [[max, name]],
  }),
  readySessions: gauge('pool.ready_sessions', ['pool', 'target'], 'sum', {
    help: 'Sessions that wait at a target that the Service may come to point at',
    pool: ({ name, readySessions }) => Object.entries(readySessions).map(([host, count]) => [count, name, host]),
  }),
  waiters: gauge('pool.waiters', ['pool'], 'sum', {
    otel: 'db.client.connection.pending_requests',
    help: 'Callers that wait for a connection now',
    pool: ({ name, waiting }) => [[waiting, name]],
  }),
  waitDuration: histogram('pool.wait_duration', ['pool', 'result'], poolBuckets, {
    otel: 'db.client.connection.wait_time',
    help: 'How long callers waited who found no connection at hand, by result (ok, or the kind of failure)',
    feeds: [from(pgChannels.waited, (event) => [event.name, resultOf(event)], duration, true)],
  }),
  connectDuration: histogram('pool.connect_duration', ['pool', 'result'], poolBuckets, {
    otel: 'db.client.connection.create_time',
    help: 'Time to a session in the right role, or to its failure, all addresses of the target together',
    feeds: [from(pgChannels.connected, (event) => [event.name, resultOf(event)], duration)],
  }),
  certificateExpiry: gauge('target.certificate.expiry', ['pool', 'target'], 'min', {
    help: 'When the certificate ends that the target showed at the last connection',
    feeds: [
      from(
        pgChannels.connected,
        ({ name, target, certificateExpiresAt }) => (certificateExpiresAt === undefined ? undefined : [name, target]),
        ({ certificateExpiresAt }) => certificateExpiresAt?.getTime() ?? Number.NaN,
      ),
    ],
  }),
  operationDuration: histogram('pool.operation_duration', ['pool', 'operation', 'result'], operationBuckets, {
    otel: 'db.client.operation.duration',
    help: 'Time of a call (query, transaction) as its caller feels it: waits and retries included',
    feeds: [
      from(
        pgChannels.operationEnded,
        ({ name, operation, target = name, error, kind }) => [
          name,
          operation,
          resultOf({ error, kind }),
          target,
          sqlStateOf(error) ?? '',
        ],
        duration,
        true,
      ),
    ],
    also: ['server', 'status'],
  }),
  retries: counter('pool.retries', ['pool', 'reason', 'outcome'], {
    help: 'Attempts that failed and were retried, by the kind of failure and by what is known of the attempt',
    feeds: [from(pgChannels.retried, ({ name, kind, outcome }) => [name, kind, outcome])],
  }),
  retriedOperations: counter('pool.retried_operations', ['pool', 'operation', 'result'], {
    help: 'Calls that were retried at least once, by how they ended (ok, or the kind of failure)',
    feeds: [
      from(pgChannels.operationEnded, (event) =>
        event.attempts > 1 ? [event.name, event.operation, resultOf(event)] : undefined,
      ),
    ],
  }),
  probes: counter('pool.liveness_probes', ['pool', 'result'], {
    help: 'Silent servers that were asked for a sign of life, by result (alive, silent)',
    feeds: [from(pgChannels.serverProbed, ({ name, alive }) => [name, alive ? 'alive' : 'silent'])],
  }),
  heldCallers: gauge('pool.held_callers', ['pool', 'cause'], 'sum', {
    help: 'Callers that are held now, by why: pool.pause(), or a switch that was announced',
    pool: ({ name, pause, waiting }) => (pause === undefined ? [] : [[waiting, name, pause.cause]]),
  }),
  pauseDuration: histogram('pool.pause.duration', ['pool', 'cause', 'result'], poolBuckets, {
    help: 'How long callers were held, by why it ended (resumed, moved, given-up, expired, failed, ended)',
    feeds: [from(pgChannels.resumed, ({ name, cause, why }) => [name, cause, why], duration)],
  }),
  addressShare: gauge('pool.address.share', ['pool', 'address'], 'max', {
    help: 'Share of the work that an address gets, 0 to 1, of pools that balance, and of their readers',
    suffix: '_ratio',
    pool: (status) =>
      withReader(status).flatMap(({ name, addresses = [] }) =>
        addresses.map(({ address, port, share }) => [share, name, placeOf(address, port)] as const),
      ),
  }),
  ejections: counter('pool.ejections', ['pool', 'reason'], {
    help: 'How often an address, or a Service of a BalancedPool, got no work any more (unreachable, errors, latency)',
    feeds: [from(pgChannels.addressEjected, ejectedOf), from(pgChannels.serviceEjected, ejectedOf)],
    pool: ({ name, addresses = [] }) =>
      addresses.length === 0 ? [] : ['unreachable', 'errors', 'latency'].map((reason) => [0, name, reason]),
  }),
  readerConnections: gauge('pool.reader.connections', ['pool', 'role', 'state'], 'sum', {
    help: 'Connections of readers, by role of the server (primary: the fallback) and state',
    pool: ({ reader }) =>
      reader === undefined ? [] : reader.connections.map(({ role, state, count }) => [count, reader.name, role, state]),
  }),
  replicaLag: gauge('pool.replica.lag', ['pool', 'address'], 'max', {
    help: 'How old the data of a standby is at least, as a reader saw it last, if its lag is limited',
    suffix: '_seconds',
    pool: ({ reader }) =>
      (reader?.replicas ?? []).map((each) => [each.lagMillis / 1_000, reader?.name ?? '', each.address]),
  }),
  replicaLagBytes: gauge('pool.replica.lag_bytes', ['pool', 'address'], 'max', {
    help: 'Bytes of the write-ahead log of the primary that a standby has not replayed, as a reader saw it last',
    suffix: '',
    pool: ({ reader }) =>
      (reader?.replicas ?? []).flatMap(({ lagBytes, address }) =>
        lagBytes === undefined ? [] : [[lagBytes, reader?.name ?? '', address] as const],
      ),
  }),
  replicaExclusions: counter('pool.replica.exclusions', ['pool'], {
    help: 'How often a standby got no reads any more, because it lagged more than the reader allows',
    feeds: [from(pgChannels.replicaChanged, ({ name, lagging }) => (lagging ? [name] : undefined))],
    pool: ({ reader }) => (reader === undefined ? [] : [[0, reader.name]]),
  }),
  tokenWaitDuration: histogram('pool.token_wait_duration', ['pool', 'role'], poolBuckets, {
    help: 'How long reads with a token waited that found it on no server at once, by the server that had it (primary: the fallback)',
    feeds: [from(pgChannels.tokenAwaited, ({ name, server }) => [name, server], duration)],
  }),
  followerSwitches: counter('follower.switches', ['external_service', 'engine', 'result'], {
    help: 'Switches to the leader that the engine named, by result (switched, dry-run, refused, failed)',
    feeds: [
      from(followerChannels.switched, ({ service, engine, dryRun }) => [
        service,
        engine,
        dryRun ? 'dry-run' : 'switched',
      ]),
      from(followerChannels.held, ({ service, engine, reason }) => {
        const result = unswitched.get(reason);
        return result === undefined ? undefined : [service, engine, result];
      }),
    ],
    follower: ({ service, engineName }) =>
      ['switched', ...unswitched.values()].map((result) => [0, service, engineName, result]),
  }),
  followerSwitchDuration: histogram('follower.switch.duration', ['external_service', 'engine'], poolBuckets, {
    help: 'Time from the word of the engine to the end of the switch',
    feeds: [
      from(
        followerChannels.switched,
        ({ service, engine, dryRun }) => (dryRun ? undefined : [service, engine]),
        elapsed,
      ),
    ],
  }),
  followerHolding: gauge('follower.holding', ['external_service', 'engine', 'reason'], 'sum', {
    help: 'Followers that do not switch, by the guard that holds them (standby: another replica has the Lease)',
    follower: ({ service, engineName, hold }) => (hold === undefined ? [] : [[1, service, engineName, hold.reason]]),
  }),
  followerSettled: gauge('follower.settled', ['external_service', 'engine'], 'sum', {
    help: 'Followers whose Service points to the leader of the engine, as the leader itself confirmed',
    follower: ({ service, engineName, settled }) => [[settled ? 1 : 0, service, engineName]],
  }),
  followerLease: gauge('follower.lease_held', ['external_service'], 'sum', {
    help: 'Followers that may switch: those that hold the Lease, or need none',
    follower: ({ service, holdsLease }) => [[holdsLease ? 1 : 0, service]],
  }),
  followerLeader: gauge('follower.leader', ['external_service', 'engine', 'member'], 'max', {
    help: 'The leader that the engine names. Always 1',
    follower: ({ service, engineName, engine }) =>
      engine?.state === 'leader' && engine.member !== undefined ? [[1, service, engineName, engine.member]] : [],
    suffix: '_info',
  }),
  followerHeard: gauge('follower.engine.heard', ['external_service', 'engine'], 'min', {
    help: 'When the engine last gave an answer. An old one means that a switch of the engine would go unseen',
    follower: ({ service, engineName, engineHeardMillisAgo }) => ago(engineHeardMillisAgo, service, engineName),
  }),
} as const satisfies Record<string, Metric>;

/** All metrics, by the name that code calls them. Times are in seconds, points in time in seconds since 1970. */
export const metrics: { readonly [Name in keyof typeof table]: MetricRow } = table;

/** How something ended: `ok`, or the kind of its failure. */
export function resultOf({
  error,
  kind = 'other',
}: {
  readonly error?: unknown;
  readonly kind?: string | undefined;
}): string {
  return error === undefined ? 'ok' : kind;
}

function duration({ durationMillis }: Pick<Ended, 'durationMillis'>): number {
  return durationMillis;
}

function withReader(status: PoolStatusLike): readonly PoolStatusLike[] {
  return status.reader === undefined ? [status] : [status, status.reader];
}

function placeOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function ejectedOf({ name, ejected }: { readonly name: string; readonly ejected: string | undefined }) {
  return ejected === undefined ? undefined : ([name, ejected] as const);
}

function elapsed({ elapsedMillis }: { readonly elapsedMillis: number }): number {
  return elapsedMillis;
}

function ago<const Values extends readonly string[]>(millis: number | undefined, ...values: Values): Readings<Values> {
  return millis === undefined ? [] : [[(Date.now() - millis) / 1_000, ...values]];
}

// How a switch of a follower ended that changed nothing, by the reason of the hold.
const unswitched = new Map([
  ['switch-refused', 'refused'],
  ['switch-failed', 'failed'],
]);

/** What a row is made of in addition to its name and its labels. */
interface Texts<Own extends Labels, Also extends Labels = readonly []> {
  readonly help: string;
  /** Its name in the semantic conventions. */
  readonly otel?: string;
  readonly feeds?: readonly Feed<readonly [...Tuple<Own>, ...Tuple<Also>]>[];
  readonly pool?: (status: PoolStatusLike) => Readings<Tuple<Own>>;
  readonly follower?: (status: FollowerStatusLike) => Readings<Tuple<Own>>;
  readonly also?: Also;
  /** What the name in Prometheus ends in. */
  readonly suffix?: string;
}

function counter<const Own extends Labels>(path: string, labels: Own, texts: Texts<Own>) {
  return { ...rowOf(path, labels, { suffix: '_total', ...texts }), kind: 'counter', unit: 'short' } as const;
}

function gauge<const Own extends Labels>(path: string, labels: Own, several: 'sum' | 'min' | 'max', texts: Texts<Own>) {
  const { suffix = several === 'sum' ? '' : '_timestamp_seconds' } = texts;
  return { ...rowOf(path, labels, { ...texts, suffix }), kind: 'gauge', unit: unitOf(path + suffix), several } as const;
}

function histogram<const Own extends Labels, const Also extends Labels = readonly []>(
  path: string,
  labels: Own,
  buckets: readonly number[],
  texts: Texts<Own, Also>,
) {
  return { ...rowOf(path, labels, { suffix: '_seconds', ...texts }), kind: 'histogram', unit: 's', buckets } as const;
}

function unitOf(name: string): Metric['unit'] {
  if (name.endsWith('_timestamp_seconds')) return 'dateTimeFromNow';
  if (name.endsWith('_seconds')) return 's';
  return name.endsWith('_bytes') ? 'bytes' : 'short';
}

function rowOf<const Own extends Labels, const Also extends Labels>(
  path: string,
  labels: Own,
  texts: Texts<Own, Also>,
) {
  const { help, feeds = [], pool, follower, also = [] } = texts as unknown as Texts<Labels>;
  const { otel = `externalname.${path}`, suffix } = texts;
  const name = `externalname_${path.replaceAll('.', '_')}${suffix}`;
  const source = feeds.map(({ channel }) => (channel as { name: string }).name).join(', ') || 'status()';
  return { name, otel, labels, help, feeds: feeds as readonly Feed[], pool, follower, also, source };
}
