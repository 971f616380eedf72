// Makes the dashboard, the rules and the tables of the guide from the one table of metrics: `pnpm monitoring`. With `--check` it
// only says which of them are not up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { toYaml } from '@externalname/core/manifests';
import { labelBounds } from '../src/labels.ts';
import { metrics } from '../src/metrics.ts';
import type { MetricRow } from '../src/rows.ts';
import { alerts, ruleGroups } from './alerts.ts';
import { dashboard } from './dashboard.ts';

const root = resolve(import.meta.dirname, '../../..');
const folder = join(root, 'packages/prometheus/monitoring');
const guide = join(root, 'docs/guides/monitoring.md');
const check = process.argv.includes('--check');

const head = '# Made by `pnpm monitoring`. Do not edit: change packages/prometheus/generate/alerts.ts.\n';
const rows: readonly MetricRow[] = Object.values(metrics);

const metricTable = [
  '| metric | kind | labels | what it says | from |',
  '| --- | --- | --- | --- | --- |',
  ...rows.map(({ name, kind, labels, help, source }) => {
    const from = source.split(', ').map((each) => `\`${each}\``);
    return `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} | ${from.join(', ')} |`;
  }),
];
const labelTable = [
  '| label | values | at most |',
  '| --- | --- | --: |',
  ...Object.entries(labelBounds).map(([label, { values, most }]) => `| \`${label}\` | ${values} | ${most} |`),
];
const otelTable = [
  '| Prometheus | OpenTelemetry |',
  '| --- | --- |',
  ...rows.map(({ name, otel }) => `| \`${name}\` | \`${otel}\` |`),
];
const alertTable = [
  '| alert | severity | after | what it means |',
  '| --- | --- | --- | --- |',
  ...alerts.map(({ name, severity, lasts, summary, runbook }) => {
    const text = summary.replace(/\{\{ \$labels\.(\w+) \}\}/g, '`$1`');
    return `| [${name}](../runbooks/${runbook}.md) | ${severity} | ${lasts} | ${text} |`;
  }),
];

const made: [file: string, text: string][] = [
  [join(folder, 'dashboard.json'), `${JSON.stringify(dashboard(), undefined, 2)}\n`],
  [join(folder, 'rules.yaml'), `${head}${toYaml(ruleGroups())}`],
  [
    join(folder, 'prometheus-rule.yaml'),
    `${head}${toYaml({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PrometheusRule',
      metadata: { name: 'externalname', labels: { 'app.kubernetes.io/part-of': 'externalname' } },
      spec: ruleGroups(),
    })}`,
  ],
  [
    guide,
    Object.entries({ metrics: metricTable, labels: labelTable, otel: otelTable, alerts: alertTable }).reduce(
      (text, [name, table]) =>
        text.replace(
          new RegExp(`(<!-- ${name}: made by pnpm monitoring -->\n)[\\s\\S]*?(<!-- end -->)`),
          (_, begin: string, end: string) => `${begin}${table.join('\n')}\n${end}`,
        ),
      readFileSync(guide, 'utf8'),
    ),
  ],
];

for (const [file, text] of made) {
  const known = (() => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      return undefined;
    }
  })();
  if (known === text) continue;
  if (check) {
    console.error(`${file.slice(root.length + 1)} is not up to date: run \`pnpm monitoring\``);
    process.exitCode = 1;
  } else writeFileSync(file, text);
}
