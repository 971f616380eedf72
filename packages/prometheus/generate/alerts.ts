import { table as metrics } from '../src/metrics.ts';
import type { MetricRow } from '../src/rows.ts';

/** One alert. Its runbook is `docs/runbooks/<runbook>.md`. */
export interface Alert {
  readonly name: string;
  readonly runbook: string;
  readonly severity: 'critical' | 'warning' | 'info';
  /** How long it must be so, as Prometheus writes it. */
  readonly lasts: string;
  readonly expr: string;
  readonly summary: string;
  readonly description: string;
}

const day = 86_400;
const name = (row: MetricRow) => row.name;
/** A row with a selector, which names only labels that the row has. */
export function select<Row extends MetricRow>(
  row: Row,
  matchers: { readonly [Label in Row['labels'][number]]?: string },
  suffix = '',
): string {
  const list = Object.entries<string | undefined>(matchers).map(([label, matcher]) => `${label}${matcher}`);
  return `${row.name}${suffix}${list.length === 0 ? '' : `{${list.join(',')}}`}`;
}

const passed = select(metrics.drills, { result: '="passed"' });

export const alerts: readonly Alert[] = [
  {
    name: 'ExternalNamePoolOffTarget',
    runbook: 'pool-off-target',
    severity: 'critical',
    lasts: '2m',
    expr: `sum by (pool, target, reason) (${name(metrics.offTarget)}) > 0`,
    summary: 'Pools of {{ $labels.pool }} are not on the target that the Service names',
    description:
      '{{ $value }} pools stay where they are instead of moving to {{ $labels.target }}: {{ $labels.reason }}.',
  },
  {
    name: 'ExternalNameTargetRefused',
    runbook: 'target-refused',
    severity: 'critical',
    lasts: '0m',
    expr:
      `sum by (pool, target) (${select(metrics.offTarget, { reason: '="policy"' })}) > 0 or on (pool) ` +
      `sum by (pool) (increase(${select(metrics.refusals, { check: '="target"' })}[5m])) > 0`,
    summary: 'The Service {{ $labels.pool }} points to a host that is not on the allow-list',
    description:
      'Pools refuse to connect to {{ $labels.target }}. Either a switch was not prepared, or somebody changed the Service.',
  },
  {
    name: 'ExternalNamePoolNotServing',
    runbook: 'pool-not-serving',
    severity: 'critical',
    lasts: '1m',
    expr: `sum by (pool) (${name(metrics.instances)}) - sum by (pool) (${name(metrics.serving)}) > 0`,
    summary: 'Pools of {{ $labels.pool }} have no server that they can use',
    description: '{{ $value }} pools met an error when they last used or looked for their server.',
  },
  {
    name: 'ExternalNameSourceDegraded',
    runbook: 'source-degraded',
    severity: 'warning',
    lasts: '5m',
    expr: `sum by (pool, source) (${name(metrics.unconfirmed)}) > 0`,
    summary: 'Pools of {{ $labels.pool }} would not see a switch',
    description:
      'Their source ({{ $labels.source }}) cannot confirm where the Service points. They stay on the last target.',
  },
  {
    name: 'ExternalNameSplitBrain',
    runbook: 'split-brain',
    severity: 'critical',
    lasts: '0m',
    expr: `time() - max by (external_service) (${name(metrics.splitBrain)}) < 600`,
    summary: 'Two servers of {{ $labels.external_service }} take writes at the same time',
    description: 'Seen {{ $value | humanizeDuration }} ago. What is written to the server that is left behind is lost.',
  },
  {
    name: 'ExternalNameCertificateExpires',
    runbook: 'certificate-expires',
    severity: 'warning',
    lasts: '0m',
    expr: `min by (pool, target) (${name(metrics.certificateExpiry)}) - time() < ${14 * day}`,
    summary: 'The certificate of {{ $labels.target }} ends soon',
    description: 'In {{ $value | humanizeDuration }} pools of {{ $labels.pool }} will refuse to connect to it.',
  },
  {
    name: 'ExternalNameResolutionSlow',
    runbook: 'resolution-slow',
    severity: 'warning',
    lasts: '10m',
    expr: `histogram_quantile(0.95, sum by (hop, le) (rate(${select(metrics.dnsQueryDuration, {}, '_bucket')}[5m]))) > 0.5`,
    summary: 'DNS is slow for names of the kind {{ $labels.hop }}',
    description: 'One query in twenty takes longer than {{ $value | humanizeDuration }}.',
  },
  {
    name: 'ExternalNameResolutionFailing',
    runbook: 'resolution-failing',
    severity: 'warning',
    lasts: '5m',
    expr:
      `sum by (hop) (rate(${select(metrics.dnsAnswers, { result: '!~"found|ended"' })}[5m]) or ` +
      `rate(${select(metrics.dnsAnswers, { from: '="stale"', result: '="found"' })}[5m])) / ` +
      `sum by (hop) (rate(${name(metrics.dnsAnswers)}[5m])) > 0.1`,
    summary: 'DNS fails for names of the kind {{ $labels.hop }}',
    description:
      '{{ $value | humanizePercentage }} of the answers are errors, or expired answers that stand in for none.',
  },
  {
    name: 'ExternalNameWaitersGrow',
    runbook: 'waiters-grow',
    severity: 'warning',
    lasts: '2m',
    expr: `min_over_time(${name(metrics.waiters)}[5m]) > 0 and deriv(${name(metrics.waiters)}[5m]) > 0`,
    summary: 'More and more callers wait for a connection of {{ $labels.pool }}',
    description: '{{ $value }} callers at least have waited during the last five minutes, and their number grows.',
  },
  {
    name: 'ExternalNameFollowerHolds',
    runbook: 'follower-holds',
    severity: 'critical',
    lasts: '1m',
    expr: `max by (external_service, engine, reason) (${select(metrics.followerHolding, { reason: '!="standby"' })}) > 0`,
    summary: 'The Service {{ $labels.external_service }} does not follow {{ $labels.engine }}',
    description:
      'The guard {{ $labels.reason }} keeps its follower from switching. If the engine fails over now, the Service stays where it is.',
  },
  {
    name: 'ExternalNameFollowerMissing',
    runbook: 'follower-missing',
    severity: 'critical',
    lasts: '2m',
    expr: `max by (external_service) (${name(metrics.followerLease)}) == 0`,
    summary: 'No follower of {{ $labels.external_service }} may switch it',
    description:
      'None of the replicas that run holds the Lease. If the engine fails over now, the Service stays where it is.',
  },
  {
    name: 'ExternalNameFollowerDeaf',
    runbook: 'follower-deaf',
    severity: 'critical',
    lasts: '0m',
    expr: `time() - max by (external_service, engine) (${name(metrics.followerHeard)}) > 60`,
    summary: 'The follower of {{ $labels.external_service }} does not hear {{ $labels.engine }}',
    description: 'The last answer of the engine came {{ $value | humanizeDuration }} ago. A failover would go unseen.',
  },
  {
    name: 'ExternalNameSwitchNotRehearsed',
    runbook: 'switch-not-rehearsed',
    severity: 'info',
    lasts: '1h',
    expr:
      `time() - max by (external_service) (${passed}) > ${30 * day} or ` +
      `max by (external_service) (${name(metrics.drills)}) unless max by (external_service) (${passed}) or ` +
      `absent(${name(metrics.drills)})`,
    summary: 'No switch was rehearsed with success for 30 days',
    description: 'Whether a switch works is known only from the last rehearsal.',
  },
];

/** The rules, as a rule file of Prometheus has them. */
export function ruleGroups(): object {
  return {
    groups: [
      {
        name: 'externalname',
        rules: alerts.map(({ name: alert, expr, lasts, severity, summary, description, runbook }) => ({
          alert,
          expr,
          for: lasts,
          labels: { severity },
          annotations: { summary, description, runbook: `docs/runbooks/${runbook}.md` },
        })),
      },
    ],
  };
}
