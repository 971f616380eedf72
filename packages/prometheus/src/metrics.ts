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
import { type Ended, followerChannels, type PoolStatusLike, pgChannels, poolsOf, servicesOf } from './payloads.ts';
import { sqlStateOf, tlsReason } from './reasons.ts';
import { counter, from, gauge, histogram, type Metric, type MetricRow } from './rows.ts';

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
    feeds: [from(dnsQueryChannel, (event, hopOf) => [event.elapsedMillis / 1_000, hopOf(event.name), event.result])],
  }),
  dnsAnswers: counter('dns.answers', ['hop', 'from', 'result'], {
    help: 'Answers of the resolver, from the cache, a server, or stale: an expired answer, as no server gave another',
    feeds: [from(dnsAnswerChannel, (event, hopOf) => [1, hopOf(event.name), event.from, event.result])],
  }),
  sourceDegradations: counter('source.degradations', ['external_service', 'source'], {
    help: 'How often a source (dns, kubernetes: the watch) could no longer confirm its target',
    feeds: [from(sourceDegraded, ({ name, source }) => [1, name, source])],
  }),
  targetChanges: counter('source.target_changes', ['external_service', 'source'], {
    help: 'How often a source named another target than before',
    feeds: [
      from(targetChanged, ({ name, source, previous }) => (previous === undefined ? undefined : [1, name, source])),
    ],
  }),
  refusals: counter('refusals', ['pool', 'check', 'reason'], {
    help: 'Targets, addresses, TLS handshakes and logins that a check refused, by reason',
    feeds: [
      from(targetRefused, ({ name, code }) => {
        return [1, name, 'target', code === 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS' ? 'is-address' : 'not-allowed'];
      }),
      from(addressRefused, ({ name, reason }) => [1, name, 'address', reason]),
      from(pgChannels.connected, ({ name, kind, error }) => {
        if (kind === 'identity') return [1, name, 'tls', tlsReason(error)];
        return kind === 'authentication' ? [1, name, 'authentication', 'refused'] : undefined;
      }),
    ],
    pool: ({ name }) => [[0, name, 'target', 'not-allowed']],
  }),
  splitBrain: gauge('split_brain.seen', ['external_service'], 'max', {
    help: 'When servers of two targets were last seen to take writes at the same time',
    feeds: [from(splitBrainSeen, ({ name }) => [Date.now() / 1_000, name])],
  }),
  drills: gauge('drill.finished', ['external_service', 'result'], 'max', {
    help: 'When a rehearsal of a switch was last over, by result (passed, failed)',
    feeds: [
      from(drillFinished, ({ name, passed, at = new Date() }) => {
        return [at.getTime() / 1_000, name, passed ? 'passed' : 'failed'];
      }),
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
    feeds: [from(pgChannels.switched, ({ name, source }) => [1, name, source])],
    pool: ({ name, target }) => (target === undefined ? [] : [[0, name, target.source]]),
  }),
  switchDuration: histogram('pool.switch.duration', ['pool', 'phase'], poolBuckets, {
    help: 'Time to move: decide (from the word of the source to the move) and drain (until nothing is left on earlier targets)',
    feeds: [
      from(pgChannels.switched, ({ name, decisionMillis }) => [decisionMillis / 1_000, name, 'decide']),
      from(pgChannels.drained, ({ name, durationMillis }) => [durationMillis / 1_000, name, 'drain']),
    ],
  }),
  movesRefused: counter('pool.moves_refused', ['pool', 'reason'], {
    help: 'How often a pool did not follow a target, or not yet, by the kind of failure',
    feeds: [from(pgChannels.targetNotFollowed, ({ name, kind }) => [1, name, kind])],
  }),
  connections: gauge('pool.connections', ['pool', 'role', 'state'], 'sum', {
    otel: 'db.client.connection.count',
    help: 'Connections by role of the server (primary, standby, read-only, unknown) and state (idle, used, connecting, draining)',
    pool: connectionsOf,
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
    feeds: [from(pgChannels.waited, (event) => [event.durationMillis / 1_000, event.name, resultOf(event)], true)],
  }),
  connectDuration: histogram('pool.connect_duration', ['pool', 'result'], poolBuckets, {
    otel: 'db.client.connection.create_time',
    help: 'Time to a session in the right role, or to its failure, all addresses of the target together',
    feeds: [from(pgChannels.connected, (event) => [event.durationMillis / 1_000, event.name, resultOf(event)])],
  }),
  certificateExpiry: gauge('target.certificate.expiry', ['pool', 'target'], 'min', {
    help: 'When the certificate ends that the target showed at the last connection',
    feeds: [
      from(pgChannels.connected, ({ name, target, certificateExpiresAt: end }) => {
        return end && [end.getTime() / 1_000, name, target];
      }),
    ],
  }),
  operationDuration: histogram('pool.operation_duration', ['pool', 'operation', 'result'], operationBuckets, {
    otel: 'db.client.operation.duration',
    help: 'Time of a call (query, transaction) as its caller feels it: waits and retries included',
    feeds: [
      from(
        pgChannels.operationEnded,
        (event) => {
          const { name, operation, durationMillis, target = name, error } = event;
          return [durationMillis / 1_000, name, operation, resultOf(event), target, sqlStateOf(error) ?? ''];
        },
        true,
      ),
    ],
    also: ['server', 'status'],
  }),
  retries: counter('pool.retries', ['pool', 'reason', 'outcome'], {
    help: 'Attempts that failed and were retried, by the kind of failure and by what is known of the attempt',
    feeds: [from(pgChannels.retried, ({ name, kind, outcome }) => [1, name, kind, outcome])],
  }),
  retriedOperations: counter('pool.retried_operations', ['pool', 'operation', 'result'], {
    help: 'Calls that were retried at least once, by how they ended (ok, or the kind of failure)',
    feeds: [
      from(pgChannels.operationEnded, (event) => {
        return event.attempts > 1 ? [1, event.name, event.operation, resultOf(event)] : undefined;
      }),
    ],
  }),
  probes: counter('pool.liveness_probes', ['pool', 'result'], {
    help: 'Silent servers that were asked for a sign of life, by result (alive, silent)',
    feeds: [from(pgChannels.serverProbed, ({ name, alive }) => [1, name, alive ? 'alive' : 'silent'])],
  }),
  heldCallers: gauge('pool.held_callers', ['pool', 'cause'], 'sum', {
    help: 'Callers that are held now, by why: pool.pause(), or a switch that was announced',
    pool: ({ name, pause, waiting }) => (pause === undefined ? [] : [[waiting, name, pause.cause]]),
  }),
  pauseDuration: histogram('pool.pause.duration', ['pool', 'cause', 'result'], poolBuckets, {
    help: 'How long callers were held, by why it ended (resumed, moved, given-up, expired, failed, ended)',
    feeds: [
      from(pgChannels.resumed, ({ name, cause, why, durationMillis }) => [durationMillis / 1_000, name, cause, why]),
    ],
  }),
  addressShare: gauge('pool.address.share', ['pool', 'address'], 'max', {
    help: 'Share of the work that an address gets, 0 to 1, of pools that balance, and of their readers',
    suffix: '_ratio',
    pool: (status) => [...sharesOf(status), ...(status.reader ? sharesOf(status.reader) : [])],
  }),
  addressQueries: counter('pool.address.queries', ['pool', 'address', 'result'], {
    help: 'Queries by the address that they were sent to, of pools that balance, and of their readers, by result (ok: answered, also with an error; failed)',
    counted: (status) =>
      poolsOf(status).flatMap((each) => [...queriesOf(each), ...(each.reader ? queriesOf(each.reader) : [])]),
  }),
  serviceQueries: counter('pool.service.queries', ['pool', 'external_service', 'result'], {
    help: 'Queries of a BalancedPool by the Service that they were sent to, by result (ok: answered, also with an error; failed)',
    counted: (status) =>
      servicesOf(status).flatMap(({ name, answered, failedRequests }) => {
        return [[answered, status.name, name, 'ok'] as const, [failedRequests, status.name, name, 'failed'] as const];
      }),
  }),
  ejections: counter('pool.ejections', ['pool', 'reason'], {
    help: 'How often an address, or a Service of a BalancedPool, got no work any more (unreachable, errors, latency)',
    feeds: [
      from(pgChannels.addressEjected, ({ name, ejected }) => ejected && [1, name, ejected]),
      from(pgChannels.serviceEjected, ({ name, ejected }) => ejected && [1, name, ejected]),
    ],
    pool: ({ name, addresses = [] }) =>
      addresses.length === 0 ? [] : ['unreachable', 'errors', 'latency'].map((reason) => [0, name, reason]),
  }),
  readerConnections: gauge('pool.reader.connections', ['pool', 'role', 'state'], 'sum', {
    help: 'Connections of readers, by role of the server (primary: the fallback) and state',
    pool: ({ reader }) => (reader === undefined ? [] : connectionsOf(reader)),
  }),
  replicaLag: gauge('pool.replica.lag', ['pool', 'address'], 'max', {
    help: 'How old the data of a standby is at least, as a reader saw it last, if its lag is limited',
    suffix: '_seconds',
    pool: ({ reader: { name = '', replicas = [] } = {} }) =>
      replicas.map(({ address, lagMillis }) => [lagMillis / 1_000, name, address]),
  }),
  replicaLagBytes: gauge('pool.replica.lag_bytes', ['pool', 'address'], 'max', {
    help: 'Bytes of the write-ahead log of the primary that a standby has not replayed, as a reader saw it last',
    suffix: '',
    pool: ({ reader: { name = '', replicas = [] } = {} }) =>
      replicas.flatMap(({ address, lagBytes }) => (lagBytes === undefined ? [] : [[lagBytes, name, address]])),
  }),
  replicaExclusions: counter('pool.replica.exclusions', ['pool'], {
    help: 'How often a standby got no reads any more, because it lagged more than the reader allows',
    feeds: [from(pgChannels.replicaChanged, ({ name, lagging }) => (lagging ? [1, name] : undefined))],
    pool: ({ reader }) => (reader === undefined ? [] : [[0, reader.name]]),
  }),
  tokenWaitDuration: histogram('pool.token_wait_duration', ['pool', 'role'], poolBuckets, {
    help: 'How long reads with a token waited that found it on no server at once, by the server that had it (primary: the fallback)',
    feeds: [
      from(pgChannels.tokenAwaited, ({ name, server, durationMillis }) => [durationMillis / 1_000, name, server]),
    ],
  }),
  followerSwitches: counter('follower.switches', ['external_service', 'engine', 'result'], {
    help: 'Switches to the leader that the engine named, by result (switched, dry-run, refused, failed)',
    feeds: [
      from(followerChannels.switched, ({ service, engine, dryRun }) => {
        return [1, service, engine, dryRun ? 'dry-run' : 'switched'];
      }),
      from(followerChannels.held, ({ service, engine, reason }) => {
        const result = unswitched.get(reason);
        return result && [1, service, engine, result];
      }),
    ],
    follower: ({ service, engineName }) =>
      ['switched', ...unswitched.values()].map((result) => [0, service, engineName, result]),
  }),
  followerSwitchDuration: histogram('follower.switch.duration', ['external_service', 'engine'], poolBuckets, {
    help: 'Time from the word of the engine to the end of the switch',
    feeds: [
      from(followerChannels.switched, ({ service, engine, dryRun, elapsedMillis }) => {
        return dryRun ? undefined : [elapsedMillis / 1_000, service, engine];
      }),
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

export const rows: readonly Metric[] = Object.values(table);

/** How something ended: `ok`, or the kind of its failure. */
function resultOf({ error, kind = 'other' }: Pick<Ended, 'error' | 'kind'>): string {
  return error === undefined ? 'ok' : kind;
}

function connectionsOf({ name, connections }: PoolStatusLike) {
  return connections.map(({ role, state, count }) => [count, name, role, state] as const);
}

function sharesOf({ name, addresses = [] }: PoolStatusLike) {
  return addresses.map((each) => [each.share, name, placeOf(each)] as const);
}

function queriesOf({ name, addresses = [] }: PoolStatusLike) {
  return addresses.flatMap((each) => {
    const { answered = 0, failedRequests = 0 } = each;
    return [[answered, name, placeOf(each), 'ok'] as const, [failedRequests, name, placeOf(each), 'failed'] as const];
  });
}

function placeOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function ago<const Values extends readonly string[]>(
  millis: number | undefined,
  ...values: Values
): readonly (readonly [number, ...Values])[] {
  return millis === undefined ? [] : [[(Date.now() - millis) / 1_000, ...values]];
}

// How a switch of a follower ended that changed nothing, by the reason of the hold.
const unswitched = new Map<string, 'refused' | 'failed'>([
  ['switch-refused', 'refused'],
  ['switch-failed', 'failed'],
]);
