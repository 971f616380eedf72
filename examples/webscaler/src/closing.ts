import { type FailureOutcome, type PlotGroup, plotWrites } from '@externalname/testing';
import { conclusions, summary } from './comparison.ts';
import type { CrewResult, ScenarioResult } from './scenario.ts';
import { shortName } from './status-line.ts';
import type { Timeline, Tone } from './timeline.ts';
import type { Polled, StageResult } from './verdict.ts';

/** Tells the result: writes per second as a plot, the figures, the verdict, and what to do next. */
export function close(timeline: Timeline, result: ScenarioResult): void {
  const [ours, ...plain] = result.crews;
  if (ours === undefined) return;
  timeline.line();
  const [heading = '', ...lines] = drawn(timeline, result);
  timeline.paragraph(heading);
  for (const line of lines) timeline.line(line);
  timeline.line();
  if (plain.length > 0 && timeline.width >= comparisonWidth) comparison(timeline, result);
  else for (const crew of result.crews) table(timeline, crew, crew === ours ? result.polled : undefined);
  timeline.line();
  for (const crew of result.crews) failures(timeline, crew, plain.length > 0);
  if (plain.length > 0) {
    timeline.line();
    timeline.line(timeline.paint('What this run says', 'step'));
    for (const { who, text } of conclusions(ours, plain, result.leftServer)) {
      timeline.paragraph(text, { lead: `  ${who.padEnd(titleWidth)}  ` });
    }
  }
  timeline.line();
  verdictOf(timeline, ours, plain);
}

function drawn(timeline: Timeline, { crews, servers, moments }: ScenarioResult): readonly string[] {
  const moment = (at: number) => timeline.seconds(at);
  const tones: readonly Tone[] = ['primary', 'secondary'];
  const groups: readonly PlotGroup[] = crews.map(({ settings, ledger }) => {
    const written = servers.map(({ address, hostName }, index) => ({
      name: shortName(hostName),
      at: ledger.acknowledged.filter((write) => write.address === address).map(({ settledAt }) => moment(settledAt)),
      paint: (text: string) => timeline.paint(text, tones[index] ?? 'plain'),
    }));
    const failed = {
      name: 'failed',
      at: ledger.failed.map(({ settledAt }) => moment(settledAt)),
      paint: (text: string) => timeline.paint(text, 'bad'),
    };
    const series = [...written, failed];
    // Next to others, a series without events takes no room.
    return { title: settings.title, series: crews.length === 1 ? series : series.filter(({ at }) => at.length > 0) };
  });
  const all = groups.flatMap(({ series }) => series.flatMap(({ at }) => at));
  if (all.length === 0) return ['No write was acknowledged, and none failed: there is nothing to draw.'];
  return plotWrites({
    groups,
    marks: moments.map(({ name, at }) => ({ name, at: moment(at) })),
    from: all.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY),
    to: all.reduce((most, at) => Math.max(most, at), Number.NEGATIVE_INFINITY),
    width: timeline.width,
  });
}

type Figure = readonly [what: string, of: (stage: StageResult) => string];

const figures: readonly Figure[] = [
  ['first write', ({ patchToFirstWriteMillis }) => millis(patchToFirstWriteMillis)],
  ['all workers write', ({ patchToAllWorkersMillis }) => millis(patchToAllWorkersMillis)],
  ['no write for', ({ outageMillis }) => millis(outageMillis)],
  ['acknowledged', ({ writes }) => String(writes.acknowledged)],
  ['lost', ({ writes }) => String(writes.lost)],
  ['done twice', ({ writes }) => String(writes.duplicated)],
  ['hung', ({ writes }) => String(writes.hung)],
  ['failed', ({ writes }) => String(writes.failed)],
];

/** One crew: a column for each stage, and room for words. */
function table(timeline: Timeline, { settings, crash, planned }: CrewResult, polled: Polled | undefined): void {
  const row = (cells: readonly string[], tone: Tone = 'plain') => {
    const [what = '', first = '', second = ''] = cells;
    timeline.line(timeline.paint(`${what.padEnd(36)}${first.padStart(10)}${second.padStart(13)}`.trimEnd(), tone));
  };
  row([settings.title, 'crash', 'switch back'], 'step');
  for (const [what, of] of figures) {
    row([`  ${inWords[what] ?? what}`, of(crash), of(planned)]);
    if (what === 'first write' && polled !== undefined) {
      row(['  patch to a DNS poll that sees it', millis(polled.crash), millis(polled.planned)]);
    }
  }
}

const inWords: Readonly<Record<string, string>> = {
  'first write': 'patch to first write',
  'all workers write': 'patch to all workers writing',
  'no write for': 'last write before to first after',
  acknowledged: 'writes acknowledged',
  lost: '  of these lost',
};

/** Several crews: a column for each of them. */
function comparison(timeline: Timeline, { crews, polled }: ScenarioResult): void {
  const row = (what: string, cells: readonly string[], tone: Tone = 'plain') =>
    timeline.line(
      timeline.paint(`${what.padEnd(19)}${cells.map((cell) => cell.padStart(15)).join('')}`.trimEnd(), tone),
    );
  const headings = [
    crews.map(({ settings }) => (settings.client === 'externalname' ? 'externalname/pg' : 'pg')),
    crews.map(({ settings }) => settings.tls),
    crews.map(({ settings }) => settings.calls),
  ];
  for (const cells of headings) row('', cells, 'step');
  for (const [title, stage] of [
    ['CRASH', 'crash'],
    ['SWITCH BACK', 'planned'],
  ] as const) {
    row(title, [], 'step');
    for (const [what, of] of figures) {
      const cells = crews.map((crew) => of(crew[stage]));
      row(`  ${what}`, cells);
      if (what === 'first write' && polled !== undefined) row('  DNS poll sees it', [millis(polled[stage])]);
    }
  }
}

/** Which errors the failed writes of a crew ended with, and what is known of those writes. */
function failures(timeline: Timeline, { settings, crash, planned }: CrewResult, named: boolean): void {
  const all = [...crash.failures, ...planned.failures];
  if (all.length === 0) return;
  const stages = [
    { name: 'crash', failures: crash.failures },
    { name: 'planned switch', failures: planned.failures },
  ].filter((stage) => stage.failures.length > 0);
  const kinds = stages.map(({ name, failures: kinds }) => {
    const each = kinds.map(({ code, count }, index) => `${count}${index === 0 ? ' failed' : ''} with ${code}`);
    return `${name}: ${each.join(', ')}`;
  });
  const stored = all.reduce((sum, each) => sum + each.stored, 0);
  const outcomes = [...new Set(all.map(({ outcome }) => meaning[outcome]))];
  const text = `${kinds.join('; ')}. ${outcomes.join('; ')}. On the promoted server: ${stored} of them.`;
  timeline.paragraph(text, { lead: named ? `  ${settings.title.padEnd(titleWidth)}  ` : '  ' });
}

const meaning: Readonly<Record<FailureOutcome, string>> = {
  'not-executed': 'The pool says which were not executed',
  unknown: 'Outcome unknown: they were sent, and no answer came',
  unsaid: 'pg does not say which of them were executed',
};

function verdictOf(timeline: Timeline, ours: CrewResult, plain: readonly CrewResult[]): void {
  const objections = [
    ...ours.crash.objections.map((text) => `crash: ${text}`),
    ...ours.planned.objections.map((text) => `planned switch: ${text}`),
  ];
  if (objections.length > 0) {
    timeline.line(timeline.paint('The verdict does not hold:', 'bad'));
    for (const text of objections) timeline.paragraph(text, { lead: '- ', tone: 'bad' });
    timeline.line();
    timeline.paragraph(
      'docs/guides/demo.md says when it holds. A machine that is busy with other things makes times grow, not counts.',
      {
        lead: 'Next   ',
      },
    );
    return;
  }
  timeline.paragraph('The verdict holds: nothing lost, nothing done twice, nothing hung.', { tone: 'good' });
  timeline.line();
  timeline.paragraph(plain.length > 0 ? summary(ours, plain) : today, { lead: 'Today  ' });
  timeline.paragraph(next, { lead: 'Next   ' });
}

const today =
  'With pg.Pool these workers would not get here. If TLS is verified, it does not connect, because the certificate does not name the ' +
  'Service; without TLS, clients from pool.connect() stay on the old server after a planned switch. See it beside them: pnpm demo ' +
  '--plain-pg';
const next =
  "In your application, import { Pool } from '@externalname/pg' instead of 'pg': packages/pg/README.md says how. Your ORM or queue is " +
  'in docs/libraries, and what each figure means in docs/guides/demo.md.';

function millis(value: number | null): string {
  return value === null ? 'never' : `${value} ms`;
}

const titleWidth = 16;
/** Columns of the table that has a column for each crew. */
const comparisonWidth = 79;
