import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

interface Query {
  readonly refId: string;
  readonly expr: string;
  readonly datasource: { readonly type: string; readonly uid: string };
}

/** What of a dashboard the tests read. */
export interface DashboardFile {
  readonly annotations: { readonly list: readonly { readonly name: string; readonly target: Query }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly type: string;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly fieldConfig?: { readonly defaults: { readonly unit: string } };
    readonly targets?: readonly Query[];
  }[];
}

/** The dashboard as users import it. */
export function dashboardFile(): DashboardFile {
  const file = resolve(import.meta.dirname, '../../../packages/prometheus/monitoring/dashboard.json');
  return JSON.parse(readFileSync(file, 'utf8')) as DashboardFile;
}

/** Every query of the dashboard, by where it is, as Grafana sends it for all pools and the given interval. */
export function queriesOf(dashboard: DashboardFile, interval: string): ReadonlyMap<string, string> {
  const sent = (expr: string) => expr.replaceAll('$__rate_interval', interval).replaceAll('$pool', '.*');
  return new Map([
    ...dashboard.annotations.list.map(({ name, target }) => [`annotation ${name}`, sent(target.expr)] as const),
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ refId, expr }) => [`${title} ${refId}`, sent(expr)] as const),
    ),
  ]);
}
