import {
  type AnnotationQuery,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  type Dashboard,
  DashboardCursorSync,
  type DataQuery,
  LegendDisplayMode,
  type Panel,
  PercentChangeColorMode,
  type RowPanel,
  SortOrder,
  TooltipDisplayMode,
  VariableHide,
  VariableRefresh,
  VariableSort,
  VizOrientation,
} from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as TableOptions } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as GraphOptions } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import { table as metrics } from '../src/metrics.ts';
import type { MetricRow } from '../src/rows.ts';
import { select } from './alerts.ts';

/** One panel, before it has a place. */
interface Plan {
  readonly type: 'timeseries' | 'stat' | 'table';
  readonly title: string;
  readonly row: MetricRow;
  readonly unit: string;
  readonly queries: readonly Query[];
}

interface Query {
  readonly expr: string;
  readonly legend: string;
}

type LabelOf<Row extends MetricRow> = Row['labels'][number];

const { target, targetSince, confirmed, offTarget, serving, instances, unconfirmed } = metrics;
const { switches, switchDuration, movesRefused, readySessions, drills, splitBrain } = metrics;
const { operationDuration, retries, retriedOperations, connections, connectionsMax, waiters, waitDuration } = metrics;
const { connectDuration, probes, served, dnsQueryDuration, dnsAnswers } = metrics;
const { followerSwitches, followerSwitchDuration, followerHolding, followerSettled } = metrics;
const { followerLease, followerLeader, followerHeard } = metrics;
const { heldCallers, pauseDuration, addressShare, addressQueries, serviceQueries, ejections, readerConnections } =
  metrics;
const { replicaLag, replicaLagBytes, replicaExclusions, tokenWaitDuration } = metrics;
const { sourceDegradations, targetChanges, refusals, certificateExpiry } = metrics;

/** Every row of the table is on it. */
const sections: Readonly<Record<string, readonly Plan[]>> = {
  'Where it points': [
    {
      ...graph('Current target', target, [now(target, 'max', ['pool', 'target', 'source'])]),
      type: 'table',
    },
    age('On its target since', targetSince, 'max', ['pool', 'target']),
    age('Age of the last confirmation', confirmed, 'min', ['pool', 'source']),
    graph('Pools off their target', offTarget, [now(offTarget, 'sum', ['pool', 'target', 'reason'])]),
    graph('Pools that serve, of all', serving, [
      now(serving, 'sum', ['pool']),
      { ...now(instances, 'sum', ['pool']), legend: '{{pool}} all' },
    ]),
    graph('Pools that would not see a switch', unconfirmed, [now(unconfirmed, 'sum', ['pool', 'source'])]),
  ],
  Switches: [
    graph('Switches, by who told of them', switches, [by(switches, ['pool', 'source'], 'increase')]),
    graph('Time to move', switchDuration, quantiles(switchDuration, ['phase'])),
    graph('Moves refused', movesRefused, [by(movesRefused, ['pool', 'reason'])]),
    graph('Ready sessions', readySessions, [now(readySessions, 'sum', ['pool', 'target'])]),
    age('Since the last rehearsal', drills, 'max', ['external_service', 'result']),
    age('Since a split brain was seen', splitBrain, 'max', ['external_service']),
  ],
  'Followers of an HA engine': [
    {
      ...graph('Leader that the engine names', followerLeader, [
        now(followerLeader, 'max', ['external_service', 'engine', 'member']),
      ]),
      type: 'table',
    },
    graph('Guards that hold', followerHolding, [now(followerHolding, 'max', ['external_service', 'engine', 'reason'])]),
    age('Age of the word of the engine', followerHeard, 'max', ['external_service', 'engine']),
    graph('Switches to the leader of the engine', followerSwitches, [
      by(followerSwitches, ['external_service', 'engine', 'result'], 'increase'),
    ]),
    graph(
      'Time from the word of the engine to the end of the switch',
      followerSwitchDuration,
      quantiles(followerSwitchDuration, ['external_service']),
    ),
    graph('Followers that may switch, and that are settled', followerLease, [
      now(followerLease, 'sum', ['external_service']),
      { ...now(followerSettled, 'sum', ['external_service']), legend: '{{external_service}} settled' },
    ]),
  ],
  'Calls and connections': [
    graph(
      'Calls a second',
      operationDuration,
      [by(operationDuration, ['operation', 'result'], 'rate', '_count')],
      'ops',
    ),
    graph('Time of a call', operationDuration, quantiles(operationDuration, ['operation'])),
    graph('Retries, and calls that were retried', retries, [
      by(retries, ['reason', 'outcome']),
      by(retriedOperations, ['operation', 'result']),
    ]),
    graph('Connections', connections, [
      now(connections, 'sum', ['role', 'state']),
      { ...now(connectionsMax, 'sum', ['pool']), legend: '{{pool}} max' },
    ]),
    graph('Callers that wait', waiters, [now(waiters, 'sum', ['pool'])]),
    graph('Time to wait', waitDuration, quantiles(waitDuration, ['result'])),
    graph('Time to connect', connectDuration, quantiles(connectDuration, ['result'])),
    graph('Liveness probes', probes, [by(probes, ['pool', 'result'])]),
    age('Since the server was heard from', served, 'max', ['pool']),
  ],
  'Several servers': [
    graph('Share of each address', addressShare, [now(addressShare, 'max', ['pool', 'address'])], 'percentunit'),
    graph('Queries of each address', addressQueries, [by(addressQueries, ['pool', 'address', 'result'])], 'reqps'),
    graph(
      'Queries of each Service of a BalancedPool',
      serviceQueries,
      [by(serviceQueries, ['pool', 'external_service', 'result'])],
      'reqps',
    ),
    graph('Addresses and Services that get no work any more', ejections, [
      by(ejections, ['pool', 'reason'], 'increase'),
    ]),
    graph('Connections of readers', readerConnections, [now(readerConnections, 'sum', ['role', 'state'])]),
    graph('Lag of standbys', replicaLag, [now(replicaLag, 'max', ['pool', 'address'])]),
    graph('Lag of standbys in the log', replicaLagBytes, [now(replicaLagBytes, 'max', ['pool', 'address'])]),
    graph('Standbys that were left for their lag', replicaExclusions, [by(replicaExclusions, ['pool'], 'increase')]),
    graph('Time to wait for a token', tokenWaitDuration, quantiles(tokenWaitDuration, ['role'])),
    graph('Callers that are held', heldCallers, [now(heldCallers, 'sum', ['pool', 'cause'])]),
    graph('Time for which callers were held', pauseDuration, quantiles(pauseDuration, ['cause'])),
  ],
  'DNS, certificates, refusals': [
    graph('Time of a DNS query', dnsQueryDuration, quantiles(dnsQueryDuration, ['hop'])),
    graph(
      'DNS queries a second',
      dnsQueryDuration,
      [by(dnsQueryDuration, ['hop', 'result'], 'rate', '_count')],
      'reqps',
    ),
    graph('Answers, by where they came from', dnsAnswers, [by(dnsAnswers, ['from', 'result'])]),
    graph('Stale answers', dnsAnswers, [
      { expr: `sum by (hop) (rate(${select(dnsAnswers, { from: '="stale"' })}[$__rate_interval]))`, legend: '{{hop}}' },
    ]),
    graph('Sources: degraded, other targets', sourceDegradations, [
      by(sourceDegradations, ['external_service', 'source']),
      by(targetChanges, ['external_service', 'source']),
    ]),
    graph('Refusals', refusals, [by(refusals, ['pool', 'check', 'reason'])]),
    {
      ...age('Certificates end in', certificateExpiry, 'min', ['pool', 'target']),
      queries: [
        {
          expr: `min by (pool, target) (${ofPool(certificateExpiry)}) - time()`,
          legend: '{{pool}} {{target}}',
        },
      ],
    },
  ],
};

function graph(title: string, row: MetricRow, queries: readonly Query[], unit: string = row.unit): Plan {
  return { type: 'timeseries', title, row, unit, queries };
}

/** How long ago a point in time is. */
function age<Row extends MetricRow>(title: string, row: Row, of: 'min' | 'max', labels: readonly LabelOf<Row>[]): Plan {
  const { expr, legend } = now(row, of, labels);
  return { type: 'stat', title, row, unit: 's', queries: [{ expr: `time() - ${expr}`, legend }] };
}

function now<Row extends MetricRow>(row: Row, of: 'sum' | 'min' | 'max', labels: readonly LabelOf<Row>[]): Query {
  return { expr: `${of} by (${labels.join(', ')}) (${ofPool(row)})`, legend: legendOf(labels) };
}

/** How often a second, or within the interval of a pixel. */
function by<Row extends MetricRow>(
  row: Row,
  labels: readonly LabelOf<Row>[],
  of: 'rate' | 'increase' = 'rate',
  suffix = '',
): Query {
  const expr = `sum by (${labels.join(', ')}) (${of}(${ofPool(row, suffix)}[$__rate_interval]))`;
  return { expr, legend: legendOf(labels) };
}

function quantiles<Row extends MetricRow>(row: Row, labels: readonly LabelOf<Row>[]): readonly Query[] {
  const { expr } = by<MetricRow>(row, labels, 'rate', '_bucket');
  return [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, ${expr.replace(' by (', ' by (le, ')})`,
    legend: `p${quantile * 100} ${legendOf(labels)}`,
  }));
}

function legendOf(labels: readonly string[]): string {
  return labels.map((label) => `{{${label}}}`).join(' ');
}

function ofPool(row: MetricRow, suffix = ''): string {
  return row.labels.includes('pool') ? `${row.name}${suffix}{pool=~"$pool"}` : `${row.name}${suffix}`;
}

// Types of Grafana's schema: what it does not know does not compile.

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana
const datasource = { type: 'prometheus', uid: '${datasource}' };

/** What the schema leaves to the data source. */
interface PrometheusQuery extends DataQuery {
  readonly expr: string;
  readonly legendFormat: string;
  readonly editorMode: 'code';
  readonly range: boolean;
  readonly instant: boolean;
  readonly format: 'time_series' | 'table';
}

/** The title is what the data source of Prometheus adds to an annotation. */
interface PrometheusAnnotation extends AnnotationQuery<PrometheusQuery> {
  readonly titleFormat: string;
}

export function dashboard(): Dashboard {
  const panels: (Panel | RowPanel)[] = [];
  let y = 0;
  for (const [title, plans] of Object.entries(sections)) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    for (const [index, plan] of plans.entries()) {
      const gridPos = { x: (index % 3) * 8, y: y + Math.floor(index / 3) * 8, w: 8, h: 8 };
      panels.push({ id: panels.length + 1, gridPos, ...panelOf(plan) });
    }
    y += Math.ceil(plans.length / 3) * 8;
  }
  const switched: PrometheusAnnotation = {
    name: 'Switches',
    datasource,
    enable: true,
    iconColor: 'orange',
    titleFormat: 'Switch of {{pool}}',
    target: queryOf({ expr: `sum by (pool) (increase(${ofPool(switches)}[1m])) > 0`, legend: '' }, 'Switches'),
  };
  const pools = `label_values(${instances.name}, pool)`;
  return {
    uid: 'externalname',
    title: 'ExternalName Services: pools and switches',
    description: 'Made from the table of metrics of @externalname/prometheus.',
    tags: ['externalname', 'postgresql'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: DashboardCursorSync.Crosshair,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: '',
    timepicker: {},
    fiscalYearStartMonth: 0,
    links: [],
    annotations: { list: [switched] },
    templating: {
      list: [
        {
          name: 'datasource',
          label: 'Prometheus',
          type: 'datasource',
          query: 'prometheus',
          refresh: VariableRefresh.onDashboardLoad,
          hide: VariableHide.dontHide,
        },
        {
          name: 'pool',
          label: 'Pool',
          type: 'query',
          datasource,
          query: { query: pools, refId: 'pool' },
          includeAll: true,
          multi: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
          refresh: VariableRefresh.onTimeRangeChanged,
          sort: VariableSort.alphabeticalAsc,
          hide: VariableHide.dontHide,
        },
      ],
    },
    panels,
  };
}

function panelOf({ type, title, row, unit, queries }: Plan): Panel {
  return {
    type,
    title,
    description: `${row.help}.`,
    datasource,
    fieldConfig: { defaults: { unit }, overrides: [] },
    options: { ...optionsOf[type] },
    targets: queries.map((query, index) => ({ ...queryOf(query, String.fromCharCode(65 + index), type === 'table') })),
    ...(type === 'table' && {
      transformations: [{ id: 'organize', options: { excludeByName: { Time: true, Value: true } } }],
    }),
  };
}

function queryOf({ expr, legend }: Query, refId: string, instant = false): PrometheusQuery {
  const format = instant ? 'table' : 'time_series';
  return { refId, datasource, expr, legendFormat: legend, editorMode: 'code', range: !instant, instant, format };
}

const optionsOf: { readonly timeseries: GraphOptions; readonly stat: StatOptions; readonly table: TableOptions } = {
  timeseries: {
    legend: { displayMode: LegendDisplayMode.List, placement: 'bottom', showLegend: true, calcs: [] },
    tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
  },
  stat: {
    reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
    orientation: VizOrientation.Auto,
    colorMode: BigValueColorMode.Value,
    graphMode: BigValueGraphMode.None,
    justifyMode: BigValueJustifyMode.Auto,
    textMode: BigValueTextMode.Auto,
    percentChangeColorMode: PercentChangeColorMode.Standard,
    showPercentChange: false,
    wideLayout: true,
  },
  table: { frameIndex: 0, showHeader: true },
};
