// What stands between the markers `<!-- figures:NAME -->` and `<!-- /figures -->` of a page.
import { faultRows } from '../fault-rows.ts';
import type { Figures, Measurement } from './figures-file.ts';
import { middle, Runs, spread } from './runs.ts';

const millis = { unit: 'ms' };
const seconds = { unit: 's', digits: 2 };
const ratio = { digits: 2 };

export const blocks: Readonly<Record<string, (figures: Figures) => string>> = {
  overview,
  faultsInShort,
  faults,
  site,
  scram,
  validation,
  dns,
  http,
  pipelining,
  metrics,
  memory,
};

function overview(figures: Figures): string {
  const demo = of(figures, 'demo');
  const site = of(figures, 'site');
  const dns = of(figures, 'dns');
  const pg = of(figures, 'throughput');
  const scram = of(figures, 'scram');
  const switches = of(figures, 'switches');
  const start = of(figures, 'start');
  const loaded = (how: string) => spread(start.values(`${how} / times pg`), ratio);
  const ratios = (statement: string) =>
    [1, 10, 64].map((count) => spread(pg.values(`${statement}, ${count} at once / ratio`), ratio)).join(', ');
  const stage = (name: string) =>
    `${spread(site.values(`${name} / first p50`), millis)}, ${spread(site.values(`${name} / all p50`), millis)}`;
  const total = (name: string) => switches.values(name).reduce((sum: number, value) => sum + (value ?? 0), 0);
  const rows: (readonly [what: string, figure: string, command: string])[] = [
    [
      'the demo, crash: patch to first write, to all 20 workers (DNS only, TTL 5 s)',
      `${spread(demo.values('patchToFirstWriteMillis'), millis)}, ${spread(demo.values('patchToAllWorkersMillis'), millis)}`,
      `pnpm --silent demo --json`,
    ],
    [
      'the demo, planned switch',
      `${spread(demo.values('planned / patchToFirstWriteMillis'), millis)}, ${spread(demo.values('planned / patchToAllWorkersMillis'), millis)}; ` +
        `${spread(demo.values('planned / writes / failed'))} statements failed`,
      'pnpm --silent demo --json',
    ],
    ['a switch pushed by a watch: patch to first write, to all 20 workers', stage('loopback, pushed'), site.command],
    ['the same, polled from DNS (TTL 1 s)', stage('loopback, polled'), site.command],
    [
      'pushed, from a pod on another machine with 50 ms to the databases',
      stage('another machine, 50 ms, pushed'),
      site.command,
    ],
    [
      'the same, with `readySessions` as many as `max`',
      stage('another machine, 50 ms, pushed, 20 sessions ready'),
      site.command,
    ],
    [
      'the chain of a Service and its address, uncached, 1 ms to the server',
      `${spread(dns.values('uncached / externalname: chain + A / ratio'), ratio)} of the time that \`dns.promises\` takes for \`resolveCname\`, then \`resolve4\``,
      dns.command,
    ],
    [
      'a cached lookup',
      `${spread(dns.values('cached / externalname: lookup / ratio'), { digits: 1 })} times the rate of \`cacheable-lookup\``,
      dns.command,
    ],
    [
      'throughput of `query()`, ours to plain `pg.Pool`, with 1, 10 and 64 at once',
      `\`select 1\` ${ratios('select 1')}; point read ${ratios('point read')}`,
      pg.command,
    ],
    [
      'the same if one statement in ten fails (plain `pg.Pool` reconnects after each)',
      ratios('one in ten fails'),
      pg.command,
    ],
    ...pipeliningRows(figures),
    [
      'ten connections ready after a switch, ours to plain `pg.Pool`',
      `${spread(scram.values('4096 iterations, warm / ratio'), ratio)} of its time at 4,096 SCRAM iterations, ${spread(scram.values('100000 iterations, warm / ratio'), ratio)} at 100,000`,
      scram.command,
    ],
    [
      'loading the package in a new process, ours to `pg`: `require`, `import`',
      `${loaded("require('@externalname/pg')")}, ${loaded("import '@externalname/pg'")}`,
      start.command,
    ],
    [
      '`externalname --version` in a new process, compared with a bare `node -e 0`',
      `${spread(start.values('externalname --version / times node -e 0'), ratio)} of its time`,
      start.command,
    ],
    [
      `${total('switches')} switches under load, ${switches.values('switches')[0]} in a row`,
      `${total('failed')} of ${total('done').toLocaleString('en')} statements failed; sockets, timers, listeners and sessions as before`,
      switches.command,
    ],
  ];
  return lines(
    '',
    '| | | command |',
    '| --- | --- | --- |',
    ...rows.map(([what, figure, command]) => `| ${what} | ${figure} | \`${command}\` |`),
    '',
    `${demo.kind}, each in a process of its own; \`pnpm figures\` measures and writes them all. ${demo.place}.`,
    '',
  );
}

const shortRows = {
  'kill -9': 'primary killed, standby promoted, Service patched',
  SIGSTOP: 'primary stopped without a word (SIGSTOP)',
  'half-open': 'the server forgets its connections (half-open); from the fault',
  'demoted to read-only': 'planned switch, old primary fenced',
  'old primary alive': 'planned switch, old primary left alive',
};

function faultsInShort(figures: Figures): string {
  const runs = of(figures, 'faults');
  const total = (what: string) =>
    faultRows.reduce((sum, { name }) => sum + sumOf(runs.values(`${name} / ours / ${what}`)), 0);
  return lines(
    '',
    '| | failed: ours | failed: `pg` | hung: ours | hung: `pg` | first write after the patch: ours | `pg` |',
    '| --- | --: | --: | --: | --: | --: | --: |',
    ...Object.entries(shortRows).map(([row, words]) => {
      const cell = (client: string, what: string, format = {}) =>
        spread(runs.values(`${row} / ${client} / ${what}`), format);
      const cells = [
        cell('ours', 'failed'),
        cell('pg', 'failed'),
        cell('ours', 'hung'),
        cell('pg', 'hung'),
        cell('ours', 'firstWrite', seconds),
        cell('pg', 'firstWrite', seconds),
      ];
      return `| ${words} | ${cells.join(' | ')} |`;
    }),
    '',
    `${runs.kind} of \`${runs.command}\`. In all ${faultRows.length} faults of all runs together, ours lost ${total('lost')} acknowledged writes and did ${total('twice')} twice.`,
    '',
  );
}

function faults(figures: Figures): string {
  const runs = of(figures, 'faults');
  const table = faultRows.flatMap(({ name }) =>
    ['ours', 'pg', 'pg tuned'].map((client) => {
      const values = (what: string) => runs.values(`${name} / ${client} / ${what}`);
      const outcomes =
        client === 'ours' ? `${middle(values('notExecuted'))} / ${middle(values('unknown'))}` : 'not told';
      const cells = [
        client === 'ours' ? name : '',
        client,
        String(middle(values('acknowledged'))),
        // What must not happen is not lost in a middle.
        worst(values('lost')),
        worst(values('twice')),
        spread(values('hung')),
        spread(values('failed')),
        sumOf(values('failed')) > 0 ? outcomes : '',
        spread(values('firstWrite'), seconds),
        spread(values('allWriting'), seconds),
      ];
      return `| ${cells.join(' | ')} |`;
    }),
  );
  return lines(
    '',
    `${runs.kind} of \`${runs.command}\`; lost and twice are those of the worst run. ${runs.place}.`,
    '',
    '| fault | client | acknowledged | lost | twice | hung | failed | of them not executed / unknown | first write | all writing |',
    '| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |',
    ...table,
    '',
  );
}

const siteRows = {
  'loopback, pushed': 'loopback, pushed by a watch',
  'loopback, pushed, 20 sessions ready': 'loopback, pushed, 20 sessions ready',
  'loopback, polled': 'loopback, polled from DNS',
  'another machine, pushed': 'another machine, pushed',
  'another machine, pushed, 20 sessions ready': 'another machine, pushed, 20 sessions ready',
  'another machine, polled': 'another machine, polled',
  'another machine, 50 ms, pushed': 'another machine, 50 ms away, pushed',
  'another machine, 50 ms, pushed, 20 sessions ready': 'another machine, 50 ms away, pushed, 20 sessions ready',
  'another machine, 50 ms, polled': 'another machine, 50 ms away, polled',
};

function site(figures: Figures): string {
  const runs = of(figures, 'site');
  return lines(
    '',
    '| | first write on the new server | all 20 workers there |',
    '| --- | --: | --: |',
    ...Object.entries(siteRows).map(
      ([row, words]) =>
        `| ${words} | ${spread(runs.values(`${row} / first p50`), millis)} | ${spread(runs.values(`${row} / all p50`), millis)} |`,
    ),
    '',
    `The median of the switches of a run. ${runs.kind} of \`${runs.command}\`. ${runs.place}.`,
    '',
  );
}

function scram(figures: Figures): string {
  const runs = of(figures, 'scram');
  return lines(
    '',
    '| iterations | `pg.Pool` | here | ratio of neighbouring rounds |',
    '| --: | --: | --: | --: |',
    ...[4_096, 100_000].map((iterations) => {
      const cell = (what: string, format = {}) =>
        spread(runs.values(`${iterations} iterations, warm / ${what}`), format);
      return `| ${iterations.toLocaleString('en')} | ${cell('plain ms', millis)} | ${cell('ours ms', millis)} | ${cell('ratio', ratio)} |`;
    }),
    '',
    `${runs.kind} of \`${runs.command}\`. ${runs.place}.`,
    '',
  );
}

function dns(figures: Figures): string {
  const runs = of(figures, 'dns');
  const service = 'webscaler-db.default.svc.cluster.local';
  const names = ['webscaler-db', 'webscaler-db.default', 'webscaler-db.default.svc', service, `${service}.`];
  const ways = ['resolve(service)', 'resolveHost, first', 'resolveHost, then', 'libc (dns.lookup)'];
  const took = (way: string) => {
    const cell = (what: string) => spread(runs.values(`uncached / ${way} / ${what}`), { digits: 2 });
    return `| ${way} | ${cell('median ms')} | ${cell('ratio')} |`;
  };
  const rate = (way: string) => `| ${way} | ${spread(runs.values(`cached / ${way} / ratio`), { digits: 1 })} |`;
  return lines(
    '',
    'Queries at the server for A and AAAA, with `ndots:5` and three search domains. If one family is asked for, it is half.',
    '',
    '| name | `resolve(service)` | `resolveHost`, first | `resolveHost`, then | libc |',
    '| --- | --: | --: | --: | --: |',
    ...names.map((name) => {
      const cells = ways.map((way) => spread(runs.values(`queries / ${name} / ${way}`)));
      return `| \`${name}\` | ${cells.join(' | ')} |`;
    }),
    '',
    'Uncached, with a server that takes 1 ms to answer:',
    '',
    '| way | ms | ratio to the first row |',
    '| --- | --: | --: |',
    took('c-ares: resolveCname, then resolve4'),
    took('c-ares: resolve4 alone (no chain)'),
    took('externalname: chain + A'),
    took('externalname: chain + A + AAAA'),
    '',
    'From the cache, one name:',
    '',
    '| way | lookups a second, ratio to `cacheable-lookup` |',
    '| --- | --: |',
    rate('externalname: lookup'),
    rate('externalname: resolve (promise)'),
    rate('undici: dns interceptor'),
    '',
    `${runs.kind} of \`${runs.command}\`. ${runs.place}.`,
    '',
  );
}

function validation(figures: Figures): string {
  const runs = of(figures, 'validation');
  const took = (name: string) => ((middle(runs.values(`${name} / median µs`)) ?? Number.NaN) / 1000).toFixed(2);
  return `${took('an object that is right')} ms for a Service, ${took('YAML that is right')} ms with YAML to read (\`${runs.command}\`)`;
}

function http(figures: Figures): string {
  const runs = of(figures, 'http');
  const cell = (row: string, what: string) => spread(runs.values(`${row} / ${what}`), { digits: 3 });
  return lines(
    '',
    '| | 1 request | 10 at once | 64 at once |',
    '| --- | --: | --: | --: |',
    ...Object.entries({ '': 'through `createDispatcher()`', ', undici against itself': 'two equal pools' }).map(
      ([row, words]) =>
        `| ${words} | ${[1, 10, 64].map((count) => cell(`${count} at once${row}`, 'ratio')).join(' | ')} |`,
    ),
    '',
    `Throughput as a ratio to that of a bare \`Pool\`; the second row says how far to believe the first. ${runs.kind} of \`${runs.command}\`. ${runs.place}.`,
    '',
  );
}

const distances = ['loopback', '1 ms', '10 ms'];
const peers = [
  'pg.Pool',
  'ours',
  'ours, statementCache',
  'ours, pipelining',
  'ours, both',
  'postgres.js',
  'PgBouncer + pg.Pool',
];

function pipelining(figures: Figures): string {
  const runs = of(figures, 'pipelining');
  const cell = (peer: string, line: string, what: string, format: object) => {
    const figure = `point read, ${line}: ${peer} / ${what}`;
    return runs.has(figure) ? spread(runs.values(figure), format) : '';
  };
  const ratios = (peer: string) => {
    const rates = distances.map((line) => cell(peer, line, 'x pg.Pool', ratio));
    return `| ${[`\`${peer}\``, ...rates, cell(peer, 'loopback', 'cpu x pg.Pool', ratio)].join(' | ')} |`;
  };
  const rates = (peer: string, cpu: string) =>
    `| ${[`\`${peer}\`, queries a second`, ...distances.map((line) => cell(peer, line, '/s', {})), cpu].join(' | ')} |`;
  const measured = (peer: string) => runs.has(`point read, loopback: ${peer} / /s`);
  return lines(
    '',
    '| | loopback | 1 ms to the server | 10 ms | processor time of a query, loopback |',
    '| --- | --: | --: | --: | --: |',
    rates('pg.Pool', cell('pg.Pool', 'loopback', 'µs cpu', { unit: 'µs' })),
    ...peers.slice(1).filter(measured).map(ratios),
    ...['pgbench (10 clients)'].filter(measured).map((peer) => rates(peer, '')),
    '',
    `Ratios are to \`pg.Pool\` in the same round: point reads of 64 callers on ten connections, with \`pipelining: 16\` and \`statementCache: 100\` where they are on. ${runs.kind} of \`${runs.command}\`. ${runs.place}.`,
    '',
  );
}

/** In the overview, as soon as it was measured. */
function pipeliningRows(figures: Figures): readonly (readonly [what: string, figure: string, command: string])[] {
  if (!('pipelining' in figures)) return [];
  const runs = of(figures, 'pipelining');
  const rates = distances.map((line) => spread(runs.values(`point read, ${line}: ours, both / x pg.Pool`), ratio));
  return [
    [
      'point reads of 64 callers on ten connections with `pipelining` and `statementCache`, compared with plain `pg.Pool`: on loopback, with 1 ms and with 10 ms to the server',
      `${rates.join(', ')} times as many`,
      runs.command,
    ],
  ];
}

const memoryRows = {
  'pg.Pool': '`pg.Pool`',
  ours: 'ours',
  'ours, pipelining and statementCache': 'ours, `pipelining` and `statementCache`',
  'ours, for a Service': 'ours, for a Service',
};

function memory(figures: Figures): string {
  const runs = of(figures, 'memory');
  const cell = (line: string, peer: string, what: string) => {
    const figure = `${line}: ${peer} / ${what}`;
    return peer === 'pg.Pool'
      ? `${spread(runs.values(figure))} bytes`
      : spread(runs.values(`${figure} x pg.Pool`), ratio);
  };
  return lines(
    '',
    '| | heap, TLS | heap, no TLS | heap, 20 statements prepared, TLS | resident memory, TLS |',
    '| --- | --: | --: | --: | --: |',
    ...Object.entries(memoryRows).map(([peer, words]) => {
      const cells = [
        cell('TLS', peer, 'idle'),
        cell('no TLS', peer, 'idle'),
        cell('TLS', peer, 'prepared'),
        cell('TLS', peer, 'rss'),
      ];
      return `| ${[words, ...cells].join(' | ')} |`;
    }),
    '',
    `Ratios are to \`pg.Pool\`. ${runs.kind} of \`${runs.command}\`. ${runs.place}.`,
    '',
  );
}

const metricsRows = {
  'nothing, once more': 'nothing, once more',
  'all: Prometheus, spans, createMetricProducer()': 'everything on',
};

function metrics(figures: Figures): string {
  const runs = of(figures, 'metrics');
  const cells = (row: string) =>
    ['10 at once', '64 at once', '10, cpu', '64, cpu'].map((column) =>
      spread(runs.values(`${row} / ${column} / ratio`), { digits: 3 }),
    );
  return lines(
    '',
    '| | 10 callers | 64 callers | processor time, 10 | processor time, 64 |',
    '| --- | --: | --: | --: | --: |',
    ...Object.entries(metricsRows).map(([row, words]) => `| ${[words, ...cells(row)].join(' | ')} |`),
    '',
    `Throughput, and statements for a second of the process' own processor time, as ratios to nothing. ${runs.kind} of \`${runs.command}\`. ${runs.place}.`,
    '',
  );
}

function of(figures: Figures, name: string): Runs {
  const measurement: Measurement | undefined = figures[name];
  if (measurement === undefined) throw new Error(`docs/figures.json has no ${name}: pnpm figures --only=${name}`);
  return new Runs(name, measurement);
}

function worst(values: readonly (number | null)[]): string {
  return String(Math.max(...values.map((value) => value ?? 0)));
}

function sumOf(values: readonly (number | null)[]): number {
  return values.reduce((sum: number, value) => sum + (value ?? 0), 0);
}

function lines(...text: readonly string[]): string {
  return text.join('\n');
}
