import * as core from '@externalname/core/events';
import { followerChannels as follower, type PoolStatusLike, pgChannels as pg, poolsOf } from './payloads.ts';
import { sqlStateOf, tlsReason } from './reasons.ts';
import { counter, from, gauge, histogram, type Metric, type MetricRow } from './rows.ts';

// Each is called by a path: in Prometheus with the suffix of its kind, in OpenTelemetry as it is, or as the semantic conventions
// (`otel`) say.
export const table = {
  dnsQueryDuration: histogram('dns.query.duration', ['hop', 'result'], {
    // From a local cache to the timeout of a resolver.
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    help: 'Time for one query to one DNS server, by hop (service: a name in the cluster, target: one outside) and result',
    feeds: [from(core.dnsQueryChannel, (event, hopOf) => [event.elapsedMillis, hopOf(event.name), event.result])],
  }),
  dnsAnswers: counter('dns.answers', ['hop', 'from', 'result'], {
    help: 'Answers of the resolver, from the cache, a server, or stale: an expired answer, as no server gave another',
    feeds: [from(core.dnsAnswerChannel, (event, hopOf) => [1, hopOf(event.name), event.from, event.result])],
  }),
  sourceDegradations: counter('source.degradations', ['external_service', 'source'], {
    help: 'How often a source (dns, kubernetes: the watch) could no longer confirm its target',
    feeds: [from(core.sourceDegraded, ({ name, source }) => [1, name, source])],
  }),
  targetChanges: counter('source.target_changes', ['external_service', 'source'], {
    help: 'How often a source named another target than before',
    feeds: [from(core.targetChanged, ({ name, source, previous }) => (previous ? [1, name, source] : undefined))],
  }),
  refusals: counter('refusals', ['pool', 'check', 'reason'], {
    help: 'Targets, addresses, TLS handshakes and logins that a check refused, by reason',
    feeds: [
      from(core.targetRefused, ({ name, code }) => {
        return [1, name, 'target', code === 'ERR_EXTERNALNAME_TARGET_IS_ADDRESS' ? 'is-address' : 'not-allowed'];
      }),
      from(core.addressRefused, ({ name, reason }) => [1, name, 'address', reason]),
      from(pg.connected, ({ name, kind, error }) => {
        if (kind === 'identity') return [1, name, 'tls', tlsReason(error)];
        return kind === 'authentication' ? [1, name, 'authentication', 'refused'] : undefined;
      }),
    ],
    pool: ({ name }) => [[0, name, 'target', 'not-allowed']],
  }),
  splitBrain: gauge.max('split_brain.seen', ['external_service'], {
    help: 'When servers of two targets were last seen to take writes at the same time',
    feeds: [from(core.splitBrainSeen, ({ name }) => [seconds(), name])],
  }),
  drills: gauge.max('drill.finished', ['external_service', 'result'], {
    help: 'When a rehearsal of a switch was last over, by result (passed, failed)',
    feeds: [from(core.drillFinished, ({ name, passed, at }) => [seconds(at), name, passed ? 'passed' : 'failed'])],
  }),
  instances: gauge.sum('pool.instances', ['pool'], {
    help: 'Pools of this name in the process. The other sums over pools are to be compared with it',
    pool: ({ name }) => [[1, name]],
  }),
  serving: gauge.sum('pool.serving', ['pool'], {
    help: 'Pools of this name whose server served when it was last used, or was not used yet',
    pool: ({ name, serving }) => [[serving ? 1 : 0, name]],
  }),
  offTarget: gauge.sum('pool.off_target', ['pool', 'target', 'reason'], {
    help: 'Pools of this name that are not on the target that the Service names, by that target and by why not (trying: not yet)',
    pool: ({ name, refusal, candidate }) => {
      const named = refusal?.target ?? candidate?.externalName;
      return named === undefined ? [] : [[1, name, named, refusal?.kind ?? 'trying']];
    },
  }),
  unconfirmed: gauge.sum('pool.source_unconfirmed', ['pool', 'source'], {
    help: 'Pools of this name whose source cannot confirm the target now: a switch would go unseen',
    pool: ({ name, target }) => (target === undefined ? [] : [[target.stale ? 1 : 0, name, target.source]]),
  }),
  target: gauge.max('pool.target', ['pool', 'target', 'source'], {
    help: 'Where pools of this name point, and how they learned of it. Always 1',
    pool: ({ name, target }) => (target === undefined ? [] : [[1, name, target.externalName, target.source]]),
    suffix: '_info',
  }),
  targetSince: gauge.max('pool.target.since', ['pool', 'target'], {
    help: 'Since when the pool has pointed at its target; of several pools, the one that came last',
    pool: ({ name, target, targetMillis }) => ago(target && targetMillis, name, target?.externalName ?? ''),
  }),
  confirmed: gauge.min('pool.target.confirmed', ['pool', 'source'], {
    help: 'When the authority (DNS, the Kubernetes API) last said where the Service points; of several pools, the oldest word',
    pool: ({ name, target, confirmedMillisAgo }) => ago(target && confirmedMillisAgo, name, target?.source ?? ''),
  }),
  served: gauge.max('pool.served', ['pool'], {
    help: 'When the server of the current target was last heard from. Long ago in a pool that is not used',
    pool: ({ name, servedMillisAgo }) => ago(servedMillisAgo, name),
  }),
  switches: counter('pool.switches', ['pool', 'source'], {
    help: 'How often pools of this name moved to another target, by who told them (dns, kubernetes, static)',
    feeds: [from(pg.switched, ({ name, source }) => [1, name, source])],
    pool: ({ name, target }) => (target === undefined ? [] : [[0, name, target.source]]),
  }),
  switchDuration: histogram('pool.switch.duration', ['pool', 'phase'], {
    help: 'Time to move: decide (from the word of the source to the move) and drain (until nothing is left on earlier targets)',
    feeds: [
      from(pg.switched, ({ name, decisionMillis }) => [decisionMillis, name, 'decide']),
      from(pg.drained, ({ name, durationMillis }) => [durationMillis, name, 'drain']),
    ],
  }),
  movesRefused: counter('pool.moves_refused', ['pool', 'reason'], {
    help: 'How often a pool did not follow a target, or not yet, by the kind of failure',
    feeds: [from(pg.targetNotFollowed, ({ name, kind }) => [1, name, kind])],
  }),
  connections: gauge.sum('pool.connections', ['pool', 'role', 'state'], {
    otel: 'db.client.connection.count',
    help: 'Connections by role of the server (primary, standby, read-only, unknown) and state (idle, used, connecting, draining)',
    pool: connectionsOf,
  }),
  connectionsMax: gauge.sum('pool.connections_max', ['pool'], {
    otel: 'db.client.connection.max',
    help: 'The most connections to the current target that pools of this name may have, all together',
    pool: ({ name, max }) => [[max, name]],
  }),
  readySessions: gauge.sum('pool.ready_sessions', ['pool', 'target'], {
    help: 'Sessions that wait at a target that the Service may come to point at',
    pool: ({ name, readySessions }) => Object.entries(readySessions).map(([host, count]) => [count, name, host]),
  }),
  waiters: gauge.sum('pool.waiters', ['pool'], {
    otel: 'db.client.connection.pending_requests',
    help: 'Callers that wait for a connection now',
    pool: ({ name, waiting }) => [[waiting, name]],
  }),
  waitDuration: histogram('pool.wait_duration', ['pool', 'result'], {
    otel: 'db.client.connection.wait_time',
    help: 'How long callers waited who found no connection at hand, by result (ok, or the kind of failure)',
    feeds: [from(pg.waited, (event) => [event.durationMillis, event.name, resultOf(event)])],
  }),
  connectDuration: histogram('pool.connect_duration', ['pool', 'result'], {
    otel: 'db.client.connection.create_time',
    help: 'Time to a session in the right role, or to its failure, all addresses of the target together',
    feeds: [from(pg.connected, (event) => [event.durationMillis, event.name, resultOf(event)])],
  }),
  certificateExpiry: gauge.min('target.certificate.expiry', ['pool', 'target'], {
    help: 'When the certificate ends that the target showed at the last connection',
    feeds: [from(pg.connected, ({ name, target, certificateExpiresAt: end }) => end && [seconds(end), name, target])],
  }),
  operationDuration: histogram('pool.operation_duration', ['pool', 'operation', 'result', 'server', 'status'], {
    // The advice of the semantic conventions.
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
    otel: 'db.client.operation.duration',
    help: 'Time of a call (query, transaction) as its caller feels it: waits and retries included',
    feeds: [
      from(pg.operationEnded, (event) => {
        const { name, operation, durationMillis, target = name, error } = event;
        return [durationMillis, name, operation, resultOf(event), target, sqlStateOf(error) ?? ''];
      }),
    ],
  }),
  retries: counter('pool.retries', ['pool', 'reason', 'outcome'], {
    help: 'Attempts that failed and were retried, by the kind of failure and by what is known of the attempt',
    feeds: [from(pg.retried, ({ name, kind, outcome }) => [1, name, kind, outcome])],
  }),
  retriedOperations: counter('pool.retried_operations', ['pool', 'operation', 'result'], {
    help: 'Calls that were retried at least once, by how they ended (ok, or the kind of failure)',
    feeds: [
      from(pg.operationEnded, (call) => {
        return call.attempts > 1 ? [1, call.name, call.operation, resultOf(call)] : undefined;
      }),
    ],
  }),
  probes: counter('pool.liveness_probes', ['pool', 'result'], {
    help: 'Silent servers that were asked for a sign of life, by result (alive, silent)',
    feeds: [from(pg.serverProbed, ({ name, alive }) => [1, name, alive ? 'alive' : 'silent'])],
  }),
  heldCallers: gauge.sum('pool.held_callers', ['pool', 'cause'], {
    help: 'Callers that are held now, by why: pool.pause(), or a switch that was announced',
    pool: ({ name, pause, waiting }) => (pause === undefined ? [] : [[waiting, name, pause.cause]]),
  }),
  pauseDuration: histogram('pool.pause.duration', ['pool', 'cause', 'result'], {
    help: 'How long callers were held, by why it ended (resumed, moved, given-up, expired, failed, ended)',
    feeds: [from(pg.resumed, ({ name, cause, why, durationMillis }) => [durationMillis, name, cause, why])],
  }),
  addressShare: gauge.max('pool.address.share', ['pool', 'address'], {
    help: 'Share of the work that an address gets, 0 to 1, of pools that balance, and of their readers',
    suffix: '_ratio',
    pool: (status) => addressesOf(status).map(({ share, name, place }) => [share, name, place]),
  }),
  addressQueries: counter('pool.address.queries', ['pool', 'address', 'result'], {
    help: 'Queries by the address that they were sent to, of pools that balance, and of their readers, by result (ok: answered, also with an error; failed)',
    counted: (status) => addressesOf(status).flatMap((each) => queriesOf(each, each.name, each.place)),
  }),
  serviceQueries: counter('pool.service.queries', ['pool', 'external_service', 'result'], {
    help: 'Queries of a BalancedPool by the Service that they were sent to, by result (ok: answered, also with an error; failed)',
    counted: (status) =>
      'services' in status ? status.services.flatMap((each) => queriesOf(each, status.name, each.name)) : [],
  }),
  ejections: counter('pool.ejections', ['pool', 'reason'], {
    help: 'How often an address, or a Service of a BalancedPool, got no work any more (unreachable, errors, latency)',
    feeds: [
      from(pg.addressEjected, ({ name, ejected }) => (ejected ? [1, name, ejected] : undefined)),
      from(pg.serviceEjected, ({ name, ejected }) => (ejected ? [1, name, ejected] : undefined)),
    ],
    pool: ({ name, addresses = [] }) =>
      addresses.length === 0 ? [] : ['unreachable', 'errors', 'latency'].map((reason) => [0, name, reason]),
  }),
  readerConnections: gauge.sum('pool.reader.connections', ['pool', 'role', 'state'], {
    help: 'Connections of readers, by role of the server (primary: the fallback) and state',
    pool: ({ reader }) => (reader === undefined ? [] : connectionsOf(reader)),
  }),
  replicaLag: gauge.max('pool.replica.lag', ['pool', 'address'], {
    help: 'How old the data of a standby is at least, as a reader saw it last, if its lag is limited',
    suffix: '_seconds',
    pool: ({ reader: { name = '', replicas = [] } = {} }) =>
      replicas.map(({ address, lagMillis }) => [lagMillis / 1_000, name, address]),
  }),
  replicaLagBytes: gauge.max('pool.replica.lag_bytes', ['pool', 'address'], {
    help: 'Bytes of the write-ahead log of the primary that a standby has not replayed, as a reader saw it last',
    suffix: '',
    pool: ({ reader: { name = '', replicas = [] } = {} }) =>
      replicas.flatMap(({ address, lagBytes }) => (lagBytes === undefined ? [] : [[lagBytes, name, address]])),
  }),
  replicaExclusions: counter('pool.replica.exclusions', ['pool'], {
    help: 'How often a standby got no reads any more, because it lagged more than the reader allows',
    feeds: [from(pg.replicaChanged, ({ name, lagging }) => (lagging ? [1, name] : undefined))],
    pool: ({ reader }) => (reader === undefined ? [] : [[0, reader.name]]),
  }),
  tokenWaitDuration: histogram('pool.token_wait_duration', ['pool', 'role'], {
    help: 'How long reads with a token waited that found it on no server at once, by the server that had it (primary: the fallback)',
    feeds: [from(pg.tokenAwaited, ({ name, server, durationMillis }) => [durationMillis, name, server])],
  }),
  followerSwitches: counter('follower.switches', ['external_service', 'engine', 'result'], {
    help: 'Switches to the leader that the engine named, by result (switched, dry-run, refused, failed)',
    feeds: [
      from(follower.switched, ({ service, engine, dryRun }) => {
        return [1, service, engine, dryRun ? 'dry-run' : 'switched'];
      }),
      from(follower.held, ({ service, engine, reason }) => {
        const result = unswitched.get(reason);
        return result && [1, service, engine, result];
      }),
    ],
    follower: ({ service, engineName }) =>
      ['switched', ...unswitched.values()].map((result) => [0, service, engineName, result]),
  }),
  followerSwitchDuration: histogram('follower.switch.duration', ['external_service', 'engine'], {
    help: 'Time from the word of the engine to the end of the switch',
    feeds: [
      from(follower.switched, ({ service, engine, dryRun, elapsedMillis }) => {
        return dryRun ? undefined : [elapsedMillis, service, engine];
      }),
    ],
  }),
  followerHolding: gauge.sum('follower.holding', ['external_service', 'engine', 'reason'], {
    help: 'Followers that do not switch, by the guard that holds them (standby: another replica has the Lease)',
    follower: ({ service, engineName, hold }) => (hold === undefined ? [] : [[1, service, engineName, hold.reason]]),
  }),
  followerSettled: gauge.sum('follower.settled', ['external_service', 'engine'], {
    help: 'Followers whose Service points to the leader of the engine, as the leader itself confirmed',
    follower: ({ service, engineName, settled }) => [[settled ? 1 : 0, service, engineName]],
  }),
  followerLease: gauge.sum('follower.lease_held', ['external_service'], {
    help: 'Followers that may switch: those that hold the Lease, or need none',
    follower: ({ service, holdsLease }) => [[holdsLease ? 1 : 0, service]],
  }),
  followerLeader: gauge.max('follower.leader', ['external_service', 'engine', 'member'], {
    help: 'The leader that the engine names. Always 1',
    follower: ({ service, engineName, engine }) =>
      engine?.state === 'leader' && engine.member !== undefined ? [[1, service, engineName, engine.member]] : [],
    suffix: '_info',
  }),
  followerHeard: gauge.min('follower.engine.heard', ['external_service', 'engine'], {
    help: 'When the engine last gave an answer. An old one means that a switch of the engine would go unseen',
    follower: ({ service, engineName, engineHeardMillisAgo }) => ago(engineHeardMillisAgo, service, engineName),
  }),
};

/** All metrics, by the name that code calls them. Times are in seconds, points in time in seconds since 1970. */
export const metrics: { readonly [Name in keyof typeof table]: MetricRow } = table;

export const rows: readonly Metric[] = Object.values(table);

/** How something ended: `ok`, or the kind of its failure. */
function resultOf({ error, kind = 'other' }: { readonly error?: unknown; readonly kind?: string }): string {
  return error === undefined ? 'ok' : kind;
}

function connectionsOf({ name, connections }: PoolStatusLike) {
  return connections.map(({ role, state, count }) => [count, name, role, state] as const);
}

/** Those of pools that balance, and of their readers. */
function addressesOf(status: Parameters<typeof poolsOf>[0]) {
  const pools = poolsOf(status).flatMap((pool) => (pool.reader === undefined ? pool : [pool, pool.reader]));
  return pools.flatMap(({ name, addresses = [] }) =>
    addresses.map((each) => {
      const host = each.address.includes(':') ? `[${each.address}]` : each.address;
      return { ...each, name, place: `${host}:${each.port}` };
    }),
  );
}

type Queried = Pick<ReturnType<typeof addressesOf>[number], 'answered' | 'failedRequests'>;

function queriesOf({ answered = 0, failedRequests = 0 }: Queried, pool: string, to: string) {
  return [[answered, pool, to, 'ok'] as const, [failedRequests, pool, to, 'failed'] as const];
}

function ago<Values extends string[]>(millis: number | undefined, ...values: Values) {
  return millis === undefined ? [] : [[(Date.now() - millis) / 1_000, ...values] as const];
}

function seconds(time = new Date()): number {
  return time.getTime() / 1_000;
}

// How a switch of a follower ended that changed nothing, by the reason of the hold.
const unswitched = new Map(Object.entries({ 'switch-refused': 'refused', 'switch-failed': 'failed' } as const));
