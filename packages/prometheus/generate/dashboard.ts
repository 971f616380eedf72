import { type MetricRow, metrics } from '../src/metrics.ts';
import { select } from './alerts.ts';

interface Query {
  readonly expr: string;
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  readonly row: MetricRow;
  readonly queries: readonly Query[];
  readonly kind?: 'timeseries' | 'stat' | 'table';
  /** Where the unit is not that of the row. */
  readonly unit?: string;
}

const pool = '=~"$pool"';
const rate = (series: string) => `rate(${series}[$__rate_interval])`;

/** How often a second, by some labels. */
function perSecond<Row extends MetricRow>(row: Row, by: readonly Row['labels'][number][], suffix = ''): Query {
  return {
    expr: `sum by (${by.join(', ')}) (${rate(ofPool(row, suffix))})`,
    legend: by.map((label) => `{{${label}}}`).join(' '),
  };
}

function quantiles<Row extends MetricRow>(row: Row, by: readonly Row['labels'][number][]): readonly Query[] {
  return [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (${[...by, 'le'].join(', ')}) (${rate(ofPool(row, '_bucket'))}))`,
    legend: [`p${quantile * 100}`, ...by.map((label) => `{{${label}}}`)].join(' '),
  }));
}

function sum<Row extends MetricRow>(row: Row, by: readonly Row['labels'][number][]): Query {
  return { expr: `sum by (${by.join(', ')}) (${ofPool(row)})`, legend: by.map((label) => `{{${label}}}`).join(' ') };
}

function ofPool(row: MetricRow, suffix = ''): string {
  return row.labels.includes('pool') ? `${row.name}${suffix}{pool${pool}}` : `${row.name}${suffix}`;
}

const sections: readonly { readonly title: string; readonly panels: readonly Panel[] }[] = [
  {
    title: 'Where it points',
    panels: [
      {
        title: 'Current target',
        row: metrics.target,
        kind: 'table',
        queries: [{ expr: `max by (pool, target, source) (${ofPool(metrics.target)})`, legend: '' }],
      },
      {
        title: 'On its target since',
        row: metrics.targetSince,
        kind: 'stat',
        unit: 's',
        queries: [
          { expr: `time() - max by (pool, target) (${ofPool(metrics.targetSince)})`, legend: '{{pool}} {{target}}' },
        ],
      },
      {
        title: 'Age of the last confirmation',
        row: metrics.confirmed,
        kind: 'stat',
        unit: 's',
        queries: [
          { expr: `time() - min by (pool, source) (${ofPool(metrics.confirmed)})`, legend: '{{pool}} {{source}}' },
        ],
      },
      {
        title: 'Pools off their target',
        row: metrics.offTarget,
        queries: [sum(metrics.offTarget, ['pool', 'target', 'reason'])],
      },
      {
        title: 'Pools that serve, of all',
        row: metrics.serving,
        queries: [sum(metrics.serving, ['pool']), { ...sum(metrics.instances, ['pool']), legend: '{{pool}} all' }],
      },
      {
        title: 'Pools that would not see a switch',
        row: metrics.unconfirmed,
        queries: [sum(metrics.unconfirmed, ['pool', 'source'])],
      },
    ],
  },
  {
    title: 'Switches',
    panels: [
      {
        title: 'Switches, by who told of them',
        row: metrics.switches,
        queries: [
          {
            expr: `sum by (pool, source) (increase(${ofPool(metrics.switches)}[$__rate_interval]))`,
            legend: '{{pool}} {{source}}',
          },
        ],
      },
      { title: 'Time to move', row: metrics.switchDuration, queries: quantiles(metrics.switchDuration, ['phase']) },
      {
        title: 'Moves refused',
        row: metrics.movesRefused,
        queries: [perSecond(metrics.movesRefused, ['pool', 'reason'])],
      },
      {
        title: 'Ready sessions',
        row: metrics.readySessions,
        queries: [sum(metrics.readySessions, ['pool', 'target'])],
      },
      {
        title: 'Since the last rehearsal',
        row: metrics.drills,
        kind: 'stat',
        unit: 's',
        queries: [
          { expr: `time() - max by (service, result) (${metrics.drills.name})`, legend: '{{service}} {{result}}' },
        ],
      },
      {
        title: 'Since a split brain was seen',
        row: metrics.splitBrain,
        kind: 'stat',
        unit: 's',
        queries: [{ expr: `time() - max by (service) (${metrics.splitBrain.name})`, legend: '{{service}}' }],
      },
    ],
  },
  {
    title: 'Calls and connections',
    panels: [
      {
        title: 'Calls a second',
        row: metrics.operationDuration,
        unit: 'ops',
        queries: [perSecond(metrics.operationDuration, ['operation', 'result'], '_count')],
      },
      {
        title: 'Time of a call',
        row: metrics.operationDuration,
        queries: quantiles(metrics.operationDuration, ['operation']),
      },
      {
        title: 'Retries, and calls that were retried',
        row: metrics.retries,
        queries: [
          perSecond(metrics.retries, ['reason', 'outcome']),
          perSecond(metrics.retriedOperations, ['operation', 'result']),
        ],
      },
      {
        title: 'Connections',
        row: metrics.connections,
        queries: [
          sum(metrics.connections, ['role', 'state']),
          { ...sum(metrics.connectionsMax, ['pool']), legend: '{{pool}} max' },
        ],
      },
      { title: 'Callers that wait', row: metrics.waiters, queries: [sum(metrics.waiters, ['pool'])] },
      { title: 'Time to wait', row: metrics.waitDuration, queries: quantiles(metrics.waitDuration, ['result']) },
      {
        title: 'Time to connect',
        row: metrics.connectDuration,
        queries: quantiles(metrics.connectDuration, ['result']),
      },
      { title: 'Liveness probes', row: metrics.probes, queries: [perSecond(metrics.probes, ['pool', 'result'])] },
      {
        title: 'Since the server was heard from',
        row: metrics.served,
        unit: 's',
        queries: [{ expr: `time() - max by (pool) (${ofPool(metrics.served)})`, legend: '{{pool}}' }],
      },
    ],
  },
  {
    title: 'DNS, certificates, refusals',
    panels: [
      {
        title: 'Time of a DNS query',
        row: metrics.dnsQueryDuration,
        queries: quantiles(metrics.dnsQueryDuration, ['hop']),
      },
      {
        title: 'DNS queries a second',
        row: metrics.dnsQueryDuration,
        unit: 'reqps',
        queries: [perSecond(metrics.dnsQueryDuration, ['hop', 'result'], '_count')],
      },
      {
        title: 'Answers, by where they came from',
        row: metrics.dnsAnswers,
        queries: [perSecond(metrics.dnsAnswers, ['from', 'result'])],
      },
      {
        title: 'Stale answers',
        row: metrics.dnsAnswers,
        queries: [
          { expr: `sum by (hop) (${rate(select(metrics.dnsAnswers, { from: '="stale"' }))})`, legend: '{{hop}}' },
        ],
      },
      {
        title: 'Sources: degraded, other targets',
        row: metrics.sourceDegradations,
        queries: [
          perSecond(metrics.sourceDegradations, ['service', 'source']),
          perSecond(metrics.targetChanges, ['service', 'source']),
        ],
      },
      { title: 'Refusals', row: metrics.refusals, queries: [perSecond(metrics.refusals, ['pool', 'check', 'reason'])] },
      {
        title: 'Certificates end in',
        row: metrics.certificateExpiry,
        kind: 'stat',
        unit: 's',
        queries: [
          {
            expr: `min by (pool, target) (${ofPool(metrics.certificateExpiry)}) - time()`,
            legend: '{{pool}} {{target}}',
          },
        ],
      },
    ],
  },
];

/** Every row is on it; the unit of a panel is that of its row. */
export function dashboard(): object {
  const panels: object[] = [];
  let y = 0;
  for (const { title, panels: own } of sections) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    for (const [index, panel] of own.entries()) {
      const gridPos = { x: (index % 3) * 8, y: y + Math.floor(index / 3) * 8, w: 8, h: 8 };
      panels.push(panelJson(panel, panels.length + 1, gridPos));
    }
    y += Math.ceil(own.length / 3) * 8;
  }
  return {
    uid: 'externalname',
    title: 'ExternalName Services: pools and switches',
    description: 'Made from the table of metrics of @externalname/prometheus.',
    tags: ['externalname', 'postgresql'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: '',
    timepicker: {},
    fiscalYearStartMonth: 0,
    links: [],
    annotations: {
      list: [
        {
          name: 'Switches',
          datasource,
          enable: true,
          iconColor: 'orange',
          expr: `sum by (pool) (increase(${ofPool(metrics.switches)}[1m])) > 0`,
          titleFormat: 'Switch of {{pool}}',
        },
      ],
    },
    templating: {
      list: [
        {
          name: 'datasource',
          label: 'Prometheus',
          type: 'datasource',
          query: 'prometheus',
          refresh: 1,
          hide: 0,
          current: {},
        },
        {
          name: 'pool',
          label: 'Pool',
          type: 'query',
          datasource,
          query: { query: `label_values(${metrics.instances.name}, pool)`, refId: 'pool' },
          definition: `label_values(${metrics.instances.name}, pool)`,
          includeAll: true,
          multi: true,
          allValue: '.*',
          current: { text: 'All', value: '$__all' },
          refresh: 2,
          sort: 1,
          hide: 0,
        },
      ],
    },
    panels,
  };
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana
const datasource = { type: 'prometheus', uid: '${datasource}' };

function panelJson({ title, row, queries, kind = 'timeseries', unit }: Panel, id: number, gridPos: object): object {
  const instant = kind === 'table';
  const ranged = { editorMode: 'code', range: !instant, instant, ...(instant && { format: 'table' }) };
  return {
    id,
    type: kind,
    title,
    description: `${row.help}.`,
    datasource,
    gridPos,
    fieldConfig: { defaults: { unit: unit ?? (row.unit === 'dateTimeFromNow' ? 's' : row.unit) }, overrides: [] },
    options:
      kind === 'timeseries'
        ? {
            legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
            tooltip: { mode: 'multi', sort: 'desc' },
          }
        : {},
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource,
      expr,
      legendFormat: legend,
      ...ranged,
    })),
    ...(kind === 'table' && {
      transformations: [{ id: 'organize', options: { excludeByName: { Time: true, Value: true } } }],
    }),
  };
}
