/** One metric. The collector, the documentation, the dashboard and the alerts are all made of these rows. */
export interface MetricRow {
  /** By the conventions of Prometheus: base units, `_total` for counters. */
  readonly name: string;
  /** What kind of metric it is. */
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** Of its values, as Grafana calls it. */
  readonly unit: 's' | 'short' | 'dateTimeFromNow';
  /** Names of its labels. */
  readonly labels: readonly (keyof typeof labelBounds)[];
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

/** Which values a label may have, and how many at most. What is beyond the bound is counted as `other`. */
export const labelBounds = {
  pool: { most: 100, values: 'the Service or host that the pool was made for' },
  external_service: { most: 100, values: 'a Service, as who tells of it knows it: for sources its full name' },
  target: { most: 100, values: 'a host that a Service stands for' },
  source: { most: 4, values: '`dns`, `kubernetes`, `static`' },
  hop: { most: 2, values: '`service`, `target`' },
  from: { most: 3, values: '`cache`, `server`, `stale`' },
  result: { most: 40, values: '`ok`, `alive`, ..., a code of DNS, or a kind of failure (`FailureKind`)' },
  reason: { most: 40, values: 'a kind of failure, or why a check refused' },
  check: { most: 4, values: '`target`, `address`, `tls`, `authentication`' },
  outcome: { most: 2, values: '`not-executed`, `unknown`' },
  phase: { most: 2, values: '`decide`, `drain`' },
  role: { most: 4, values: '`primary`, `standby`, `read-only`, `unknown`' },
  state: { most: 4, values: '`idle`, `used`, `connecting`, `draining`' },
  operation: { most: 2, values: '`query`, `transaction`' },
  engine: { most: 20, values: 'an HA engine: `patroni webscaler`' },
  member: { most: 100, values: "a server, by the engine's own name for it" },
  server: { most: 100, values: 'a target, or the host of a plain pool (OpenTelemetry alone)' },
  status: { most: 100, values: 'a SQLSTATE (OpenTelemetry alone)' },
} as const satisfies Record<string, { readonly most: number; readonly values: string }>;

// From a local cache to the timeout of a resolver; from a switch in a data centre to one across regions.
const dnsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const poolBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
// The advice of the semantic conventions for `db.client.operation.duration`.
const operationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/** All metrics, by the name that code calls them. Times are in seconds, points in time in seconds since 1970. */
export const metrics = {
  dnsQueryDuration: histogram('externalname_dns_query_duration_seconds', ['hop', 'result'], dnsBuckets, {
    otel: 'externalname.dns.query.duration',
    help: 'Time for one query to one DNS server, by hop (service: a name in the cluster, target: one outside) and result',
    source: 'externalname:dns:query',
  }),
  dnsAnswers: counter('externalname_dns_answers_total', ['hop', 'from', 'result'], 'externalname:dns:answer', {
    otel: 'externalname.dns.answers',
    help: 'Answers of the resolver, from the cache, a server, or stale: an expired answer, as no server gave another',
  }),
  sourceDegradations: counter(
    'externalname_source_degradations_total',
    ['external_service', 'source'],
    'externalname:targets:source-degraded',
    {
      otel: 'externalname.source.degradations',
      help: 'How often a source (dns, kubernetes: the watch) could no longer confirm its target',
    },
  ),
  targetChanges: counter(
    'externalname_source_target_changes_total',
    ['external_service', 'source'],
    'externalname:targets:target-changed',
    {
      otel: 'externalname.source.target_changes',
      help: 'How often a source named another target than before',
    },
  ),
  refusals: counter(
    'externalname_refusals_total',
    ['pool', 'check', 'reason'],
    'externalname:targets:target-refused, externalname:targets:address-refused, externalname:pg:connect',
    {
      otel: 'externalname.refusals',
      help: 'Targets, addresses, TLS handshakes and logins that a check refused, by reason',
    },
  ),
  splitBrain: gauge('externalname_split_brain_seen_timestamp_seconds', ['external_service'], 'max', {
    otel: 'externalname.split_brain.seen',
    help: 'When servers of two targets were last seen to take writes at the same time',
    source: 'externalname:targets:split-brain',
  }),
  drills: gauge('externalname_drill_finished_timestamp_seconds', ['external_service', 'result'], 'max', {
    otel: 'externalname.drill.finished',
    help: 'When a rehearsal of a switch was last over, by result (passed, failed)',
    source: 'externalname:drill:finished',
  }),
  instances: gauge('externalname_pool_instances', ['pool'], 'sum', {
    otel: 'externalname.pool.instances',
    help: 'Pools of this name in the process. The other sums over pools are to be compared with it',
  }),
  serving: gauge('externalname_pool_serving', ['pool'], 'sum', {
    otel: 'externalname.pool.serving',
    help: 'Pools of this name whose server served when it was last used, or was not used yet',
  }),
  offTarget: gauge('externalname_pool_off_target', ['pool', 'target', 'reason'], 'sum', {
    otel: 'externalname.pool.off_target',
    help: 'Pools of this name that are not on the target that the Service names, by that target and by why not (trying: not yet)',
  }),
  unconfirmed: gauge('externalname_pool_source_unconfirmed', ['pool', 'source'], 'sum', {
    otel: 'externalname.pool.source_unconfirmed',
    help: 'Pools of this name whose source cannot confirm the target now: a switch would go unseen',
  }),
  target: gauge('externalname_pool_target_info', ['pool', 'target', 'source'], 'max', {
    otel: 'externalname.pool.target',
    help: 'Where pools of this name point, and how they learned of it. Always 1',
  }),
  targetSince: gauge('externalname_pool_target_since_timestamp_seconds', ['pool', 'target'], 'max', {
    otel: 'externalname.pool.target.since',
    help: 'Since when the pool has pointed at its target; of several pools, the one that came last',
  }),
  confirmed: gauge('externalname_pool_target_confirmed_timestamp_seconds', ['pool', 'source'], 'min', {
    otel: 'externalname.pool.target.confirmed',
    help: 'When the authority (DNS, the Kubernetes API) last said where the Service points; of several pools, the oldest word',
  }),
  served: gauge('externalname_pool_served_timestamp_seconds', ['pool'], 'max', {
    otel: 'externalname.pool.served',
    help: 'When the server of the current target was last heard from. Long ago in a pool that is not used',
  }),
  switches: counter('externalname_pool_switches_total', ['pool', 'source'], 'externalname:pg:switch', {
    otel: 'externalname.pool.switches',
    help: 'How often pools of this name moved to another target, by who told them (dns, kubernetes, static)',
  }),
  switchDuration: histogram('externalname_pool_switch_duration_seconds', ['pool', 'phase'], poolBuckets, {
    otel: 'externalname.pool.switch.duration',
    help: 'Time to move: decide (from the word of the source to the move) and drain (until nothing is left on earlier targets)',
    source: 'externalname:pg:switch, externalname:pg:drained',
  }),
  movesRefused: counter('externalname_pool_moves_refused_total', ['pool', 'reason'], 'externalname:pg:target-refused', {
    otel: 'externalname.pool.moves_refused',
    help: 'How often a pool did not follow a target, or not yet, by the kind of failure',
  }),
  connections: gauge('externalname_pool_connections', ['pool', 'role', 'state'], 'sum', {
    otel: 'db.client.connection.count',
    help: 'Connections by role of the server (primary, standby, read-only, unknown) and state (idle, used, connecting, draining)',
  }),
  connectionsMax: gauge('externalname_pool_connections_max', ['pool'], 'sum', {
    otel: 'db.client.connection.max',
    help: 'The most connections to the current target that pools of this name may have, all together',
  }),
  readySessions: gauge('externalname_pool_ready_sessions', ['pool', 'target'], 'sum', {
    otel: 'externalname.pool.ready_sessions',
    help: 'Sessions that wait at a target that the Service may come to point at',
  }),
  waiters: gauge('externalname_pool_waiters', ['pool'], 'sum', {
    otel: 'db.client.connection.pending_requests',
    help: 'Callers that wait for a connection now',
  }),
  waitDuration: histogram('externalname_pool_wait_duration_seconds', ['pool', 'result'], poolBuckets, {
    otel: 'db.client.connection.wait_time',
    help: 'How long callers waited who found no connection at hand, by result (ok, or the kind of failure)',
    source: 'externalname:pg:wait',
  }),
  connectDuration: histogram('externalname_pool_connect_duration_seconds', ['pool', 'result'], poolBuckets, {
    otel: 'db.client.connection.create_time',
    help: 'Time to a session in the right role, or to its failure, all addresses of the target together',
    source: 'externalname:pg:connect',
  }),
  certificateExpiry: gauge('externalname_target_certificate_expiry_timestamp_seconds', ['pool', 'target'], 'min', {
    otel: 'externalname.target.certificate.expiry',
    help: 'When the certificate ends that the target showed at the last connection',
    source: 'externalname:pg:connect',
  }),
  operationDuration: histogram(
    'externalname_pool_operation_duration_seconds',
    ['pool', 'operation', 'result'],
    operationBuckets,
    {
      otel: 'db.client.operation.duration',
      help: 'Time of a call (query, transaction) as its caller feels it: waits and retries included',
      source: 'externalname:pg:operation',
    },
  ),
  retries: counter('externalname_pool_retries_total', ['pool', 'reason', 'outcome'], 'externalname:pg:retry', {
    otel: 'externalname.pool.retries',
    help: 'Attempts that failed and were retried, by the kind of failure and by what is known of the attempt',
  }),
  retriedOperations: counter(
    'externalname_pool_retried_operations_total',
    ['pool', 'operation', 'result'],
    'externalname:pg:operation',
    {
      otel: 'externalname.pool.retried_operations',
      help: 'Calls that were retried at least once, by how they ended (ok, or the kind of failure)',
    },
  ),
  probes: counter('externalname_pool_liveness_probes_total', ['pool', 'result'], 'externalname:pg:probe', {
    otel: 'externalname.pool.liveness_probes',
    help: 'Silent servers that were asked for a sign of life, by result (alive, silent)',
  }),
  followerSwitches: counter(
    'externalname_follower_switches_total',
    ['external_service', 'engine', 'result'],
    'externalname:follower:switched, externalname:follower:held',
    {
      otel: 'externalname.follower.switches',
      help: 'Switches to the leader that the engine named, by result (switched, dry-run, refused, failed)',
    },
  ),
  followerSwitchDuration: histogram(
    'externalname_follower_switch_duration_seconds',
    ['external_service', 'engine'],
    poolBuckets,
    {
      otel: 'externalname.follower.switch.duration',
      help: 'Time from the word of the engine to the end of the switch',
      source: 'externalname:follower:switched',
    },
  ),
  followerHolding: gauge('externalname_follower_holding', ['external_service', 'engine', 'reason'], 'sum', {
    otel: 'externalname.follower.holding',
    help: 'Followers that do not switch, by the guard that holds them (standby: another replica has the Lease)',
  }),
  followerSettled: gauge('externalname_follower_settled', ['external_service', 'engine'], 'sum', {
    otel: 'externalname.follower.settled',
    help: 'Followers whose Service points to the leader of the engine, as the leader itself confirmed',
  }),
  followerLease: gauge('externalname_follower_lease_held', ['external_service'], 'sum', {
    otel: 'externalname.follower.lease_held',
    help: 'Followers that may switch: those that hold the Lease, or need none',
  }),
  followerLeader: gauge('externalname_follower_leader_info', ['external_service', 'engine', 'member'], 'max', {
    otel: 'externalname.follower.leader',
    help: 'The leader that the engine names. Always 1',
  }),
  followerHeard: gauge('externalname_follower_engine_heard_timestamp_seconds', ['external_service', 'engine'], 'min', {
    otel: 'externalname.follower.engine.heard',
    help: 'When the engine last gave an answer. An old one means that a switch of the engine would go unseen',
  }),
} as const satisfies Record<string, MetricRow>;

interface Texts {
  readonly otel: string;
  readonly help: string;
  readonly source: string;
}

type Label = keyof typeof labelBounds;

function counter<const Labels extends readonly Label[]>(
  name: string,
  labels: Labels,
  source: string,
  texts: Omit<Texts, 'source'>,
) {
  return { name, labels, kind: 'counter', unit: 'short', source, ...texts } as const;
}

function gauge<const Labels extends readonly Label[]>(
  name: string,
  labels: Labels,
  several: 'sum' | 'min' | 'max',
  texts: Omit<Texts, 'source'> & Partial<Texts>,
) {
  const unit = name.endsWith('_timestamp_seconds') ? 'dateTimeFromNow' : 'short';
  return { name, labels, kind: 'gauge', unit, several, source: 'status()', ...texts } as const;
}

function histogram<const Labels extends readonly Label[]>(
  name: string,
  labels: Labels,
  buckets: readonly number[],
  texts: Texts,
) {
  return { name, labels, kind: 'histogram', unit: 's', buckets, ...texts } as const;
}

/** A value for each label of a row, in the order of its labels. */
export type ValuesOf<Row extends MetricRow> = Strings<Row['labels']>;
type Strings<Labels extends readonly unknown[]> = { readonly [Index in keyof Labels]: string };
