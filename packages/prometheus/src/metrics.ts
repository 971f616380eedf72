/** One metric. The collector, the documentation, the dashboard and the alerts are all made of these rows. */
export interface MetricRow {
  /** By the conventions of Prometheus: base units, `_total` for counters. */
  readonly name: string;
  /** What kind of metric it is. */
  readonly kind: 'counter' | 'gauge' | 'histogram';
  /** Of its values, as Grafana calls it. */
  readonly unit: 's' | 'short' | 'dateTimeFromNow';
  /** Names of its labels. */
  readonly labels: readonly string[];
  /** What it says, in a sentence. */
  readonly help: string;
  /** Where it comes from: a diagnostics channel, or `status()` of the pools. */
  readonly source: string;
  /** Upper ends of the buckets of a histogram, in seconds. */
  readonly buckets?: readonly number[];
  /** Its name in OpenTelemetry: that of the semantic conventions where they have one. */
  readonly otel: string;
  /** Of a gauge, how the values of several pools of one name become one. */
  readonly several?: 'sum' | 'min' | 'max';
}

// From a local cache to the timeout of a resolver; from a switch in a data centre to one across regions.
const dnsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const poolBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
// The advice of the semantic conventions for `db.client.operation.duration`.
const operationBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/** All metrics, by the name that code calls them. Times are in seconds, points in time in seconds since 1970. */
export const metrics = {
  dnsQueryDuration: {
    name: 'externalname_dns_query_duration_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['hop', 'result'],
    help: 'Time for one query to one DNS server, by hop (service: a name in the cluster, target: one outside) and result',
    source: 'externalname:dns:query',
    buckets: dnsBuckets,
    otel: 'externalname.dns.query.duration',
  },
  dnsAnswers: {
    name: 'externalname_dns_answers_total',
    kind: 'counter',
    unit: 'short',
    labels: ['hop', 'from', 'result'],
    help: 'Answers of the resolver, from the cache, a server, or stale: an expired answer, as no server gave another',
    source: 'externalname:dns:answer',
    otel: 'externalname.dns.answers',
  },
  sourceDegradations: {
    name: 'externalname_source_degradations_total',
    kind: 'counter',
    unit: 'short',
    labels: ['service', 'source'],
    help: 'How often a source (dns, kubernetes: the watch) could no longer confirm its target',
    source: 'externalname:targets:source-degraded',
    otel: 'externalname.source.degradations',
  },
  targetChanges: {
    name: 'externalname_source_target_changes_total',
    kind: 'counter',
    unit: 'short',
    labels: ['service', 'source'],
    help: 'How often a source named another target than before',
    source: 'externalname:targets:target-changed',
    otel: 'externalname.source.target_changes',
  },
  refusals: {
    name: 'externalname_refusals_total',
    kind: 'counter',
    unit: 'short',
    labels: ['pool', 'check', 'reason'],
    help: 'Targets, addresses, TLS handshakes and logins that a check refused, by reason',
    source: 'externalname:targets:target-refused, externalname:targets:address-refused, externalname:pg:connect',
    otel: 'externalname.refusals',
  },
  splitBrain: {
    name: 'externalname_split_brain_seen_timestamp_seconds',
    kind: 'gauge',
    unit: 'dateTimeFromNow',
    labels: ['service'],
    help: 'When servers of two targets were last seen to take writes at the same time',
    source: 'externalname:targets:split-brain',
    otel: 'externalname.split_brain.seen',
    several: 'max',
  },
  drills: {
    name: 'externalname_drill_finished_timestamp_seconds',
    kind: 'gauge',
    unit: 'dateTimeFromNow',
    labels: ['service', 'result'],
    help: 'When a rehearsal of a switch was last over, by result (passed, failed)',
    source: 'externalname:drill:finished',
    otel: 'externalname.drill.finished',
    several: 'max',
  },
  instances: {
    name: 'externalname_pool_instances',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool'],
    help: 'Pools of this name in the process. The other sums over pools are to be compared with it',
    source: 'status()',
    otel: 'externalname.pool.instances',
    several: 'sum',
  },
  serving: {
    name: 'externalname_pool_serving',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool'],
    help: 'Pools of this name whose server served when it was last used, or was not used yet',
    source: 'status()',
    otel: 'externalname.pool.serving',
    several: 'sum',
  },
  offTarget: {
    name: 'externalname_pool_off_target',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool', 'target', 'reason'],
    help: 'Pools of this name that are not on the target that the Service names, by that target and by why not (trying: not yet)',
    source: 'status()',
    otel: 'externalname.pool.off_target',
    several: 'sum',
  },
  unconfirmed: {
    name: 'externalname_pool_source_unconfirmed',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool', 'source'],
    help: 'Pools of this name whose source cannot confirm the target now: a switch would go unseen',
    source: 'status()',
    otel: 'externalname.pool.source_unconfirmed',
    several: 'sum',
  },
  target: {
    name: 'externalname_pool_target_info',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool', 'target', 'source'],
    help: 'Where pools of this name point, and how they learned of it. Always 1',
    source: 'status()',
    otel: 'externalname.pool.target',
    several: 'max',
  },
  targetSince: {
    name: 'externalname_pool_target_since_timestamp_seconds',
    kind: 'gauge',
    unit: 'dateTimeFromNow',
    labels: ['pool', 'target'],
    help: 'Since when the pool has pointed at its target; of several pools, the one that came last',
    source: 'status()',
    otel: 'externalname.pool.target.since',
    several: 'max',
  },
  confirmed: {
    name: 'externalname_pool_target_confirmed_timestamp_seconds',
    kind: 'gauge',
    unit: 'dateTimeFromNow',
    labels: ['pool', 'source'],
    help: 'When the authority (DNS, the Kubernetes API) last said where the Service points; of several pools, the oldest word',
    source: 'status()',
    otel: 'externalname.pool.target.confirmed',
    several: 'min',
  },
  served: {
    name: 'externalname_pool_served_timestamp_seconds',
    kind: 'gauge',
    unit: 'dateTimeFromNow',
    labels: ['pool'],
    help: 'When the server of the current target was last heard from. Long ago in a pool that is not used',
    source: 'status()',
    otel: 'externalname.pool.served',
    several: 'max',
  },
  switches: {
    name: 'externalname_pool_switches_total',
    kind: 'counter',
    unit: 'short',
    labels: ['pool', 'source'],
    help: 'How often pools of this name moved to another target, by who told them (dns, kubernetes, static)',
    source: 'externalname:pg:switch',
    otel: 'externalname.pool.switches',
  },
  switchDuration: {
    name: 'externalname_pool_switch_duration_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['pool', 'phase'],
    help: 'Time to move: decide (from the word of the source to the move) and drain (until nothing is left on earlier targets)',
    source: 'externalname:pg:switch, externalname:pg:drained',
    buckets: poolBuckets,
    otel: 'externalname.pool.switch.duration',
  },
  movesRefused: {
    name: 'externalname_pool_moves_refused_total',
    kind: 'counter',
    unit: 'short',
    labels: ['pool', 'reason'],
    help: 'How often a pool did not follow a target, or not yet, by the kind of failure',
    source: 'externalname:pg:target-refused',
    otel: 'externalname.pool.moves_refused',
  },
  connections: {
    name: 'externalname_pool_connections',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool', 'role', 'state'],
    help: 'Connections by role of the server (primary, standby, read-only, unknown) and state (idle, used, connecting, draining)',
    source: 'status()',
    otel: 'db.client.connection.count',
    several: 'sum',
  },
  connectionsMax: {
    name: 'externalname_pool_connections_max',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool'],
    help: 'The most connections to the current target that pools of this name may have, all together',
    source: 'status()',
    otel: 'db.client.connection.max',
    several: 'sum',
  },
  readySessions: {
    name: 'externalname_pool_ready_sessions',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool', 'target'],
    help: 'Sessions that wait at a target that the Service may come to point at',
    source: 'status()',
    otel: 'externalname.pool.ready_sessions',
    several: 'sum',
  },
  waiters: {
    name: 'externalname_pool_waiters',
    kind: 'gauge',
    unit: 'short',
    labels: ['pool'],
    help: 'Callers that wait for a connection now',
    source: 'status()',
    otel: 'db.client.connection.pending_requests',
    several: 'sum',
  },
  waitDuration: {
    name: 'externalname_pool_wait_duration_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['pool', 'result'],
    help: 'How long callers waited who found no connection at hand, by result (ok, or the kind of failure)',
    source: 'externalname:pg:wait',
    buckets: poolBuckets,
    otel: 'db.client.connection.wait_time',
  },
  connectDuration: {
    name: 'externalname_pool_connect_duration_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['pool', 'result'],
    help: 'Time to a session in the right role, or to its failure, all addresses of the target together',
    source: 'externalname:pg:connect',
    buckets: poolBuckets,
    otel: 'db.client.connection.create_time',
  },
  certificateExpiry: {
    name: 'externalname_target_certificate_expiry_timestamp_seconds',
    kind: 'gauge',
    unit: 'dateTimeFromNow',
    labels: ['pool', 'target'],
    help: 'When the certificate ends that the target showed at the last connection',
    source: 'externalname:pg:connect',
    otel: 'externalname.target.certificate.expiry',
    several: 'min',
  },
  operationDuration: {
    name: 'externalname_pool_operation_duration_seconds',
    kind: 'histogram',
    unit: 's',
    labels: ['pool', 'operation', 'result'],
    help: 'Time of a call (query, transaction) as its caller feels it: waits and retries included',
    source: 'externalname:pg:operation',
    buckets: operationBuckets,
    otel: 'db.client.operation.duration',
  },
  retries: {
    name: 'externalname_pool_retries_total',
    kind: 'counter',
    unit: 'short',
    labels: ['pool', 'reason', 'outcome'],
    help: 'Attempts that failed and were retried, by the kind of failure and by what is known of the attempt',
    source: 'externalname:pg:retry',
    otel: 'externalname.pool.retries',
  },
  retriedOperations: {
    name: 'externalname_pool_retried_operations_total',
    kind: 'counter',
    unit: 'short',
    labels: ['pool', 'operation', 'result'],
    help: 'Calls that were retried at least once, by how they ended (ok, or the kind of failure)',
    source: 'externalname:pg:operation',
    otel: 'externalname.pool.retried_operations',
  },
  probes: {
    name: 'externalname_pool_liveness_probes_total',
    kind: 'counter',
    unit: 'short',
    labels: ['pool', 'result'],
    help: 'Silent servers that were asked for a sign of life, by result (alive, silent)',
    source: 'externalname:pg:probe',
    otel: 'externalname.pool.liveness_probes',
  },
} as const satisfies Record<string, MetricRow>;

/** Which values a label may have, and how many at most. What is beyond the bound is counted as `other`. */
export const labelBounds = {
  pool: { most: 100, values: 'the Service or host that the pool was made for' },
  service: { most: 100, values: 'a Service, as who tells of it knows it: for sources its full name' },
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
} as const satisfies Record<string, { readonly most: number; readonly values: string }>;

/** The labels of a row, and a value for each. */
export type LabelsOf<Row extends MetricRow> = Readonly<Record<Row['labels'][number], string>>;
