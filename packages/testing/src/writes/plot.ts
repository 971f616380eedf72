import { aFunction, aNumber, aText, checkOptions, listOf, optional, optionsOf } from '@externalname/core/internal';
import { Bins } from './rates.ts';

/** A row, or several, of a plot: how often something happened. */
export interface PlotSeries {
  /** Stands at the left. */
  readonly name: string;
  /** When it happened each time: seconds. */
  readonly at: readonly number[];
  /** Colours what is drawn. */
  readonly paint?: ((text: string) => string) | undefined;
}

/** Series that belong together, under a heading of their own if there are several groups. */
export interface PlotGroup {
  /** The heading. */
  readonly title: string;
  /** The rows, from above. */
  readonly series: readonly PlotSeries[];
}

/** A moment that is marked under the axis. */
export interface PlotMark {
  /** Stands in the legend. */
  readonly name: string;
  /** Seconds. */
  readonly at: number;
}

/** See {@link plotWrites}. */
export interface PlotOptions {
  /** What is drawn, from above. */
  groups: readonly PlotGroup[];
  /** Moments that are marked under the axis. */
  marks: readonly PlotMark[];
  /** Where the span begins that is drawn: seconds. */
  from: number;
  /** Where it ends. */
  to: number;
  /** Columns for all of it. At least 40. */
  width: number;
}

/**
 * Draws how often things happened a second, over time, with Unicode's block elements. All series share one scale; even a single event
 * is visible.
 */
export function plotWrites(options: PlotOptions): readonly string[] {
  checkOptions(options, {
    groups: listOf(optionsOf<PlotGroup>({ title: aText, series: listOf(aSeries) })),
    marks: listOf(optionsOf<PlotMark>({ name: aText, at: aNumber() })),
    from: aNumber({ least: 0 }),
    to: aNumber({ least: 0 }),
    width: aNumber({ least: 40, whole: true }),
  });
  const { groups, marks, from, to, width } = options;
  const bins = new Bins(from, to, width - leftWidth);
  const rates = new Map(groups.flatMap(({ series }) => series).map((each) => [each, bins.rates(each.at)]));
  const top = niceCeiling(Math.max(1, ...[...rates.values()].flat()));
  const height = groups.length === 1 ? tall : 1;
  const lines = groups.flatMap(({ title, series }) => [
    ...(groups.length === 1 ? [] : ['', title]),
    ...series.flatMap((each) => drawn(each, rates.get(each) ?? [], top, height)),
  ]);
  const scale = height === 1 ? `a full block is ${top} a second, ` : '';
  return [
    `Writes a second, by server (${scale}a column is ${bins.seconds} s)`,
    ...lines,
    ...axis(bins),
    ...marked(marks, bins, width),
  ];
}

const aSeries = optionsOf<PlotSeries>({ name: aText, at: listOf(aNumber()), paint: optional(aFunction) });

function drawn(series: PlotSeries, rates: readonly number[], top: number, height: number): readonly string[] {
  const { name, paint = (text: string) => text } = series;
  const most = Math.max(0, ...rates);
  // All rows have one scale; rows that would stay empty above a small series are left out.
  const rows = Math.max(1, Math.ceil((most / top) * height));
  const eighths = rates.map((rate) => (rate === 0 ? 0 : Math.max(1, Math.round((rate / top) * height * 8))));
  const scale = height === 1 ? '' : rows === height ? String(top) : `max ${most}`;
  return Array.from({ length: rows }, (_, index) => {
    const below = (rows - 1 - index) * 8;
    const bar = eighths.map((count) => blocks[Math.min(8, Math.max(0, count - below))]).join('');
    const label = `  ${index === 0 ? name : ''}`.padEnd(nameWidth) + (index === 0 ? scale : '').padStart(numberWidth);
    return `${label} │${bar.trimEnd() === '' ? '' : paint(bar.trimEnd())}`;
  });
}

function axis(bins: Bins): readonly string[] {
  const every = tickSeconds.find((seconds) => seconds / bins.seconds >= 8) ?? 60;
  let [line, text] = ['', ''];
  for (let column = 0; column < bins.count; column++) {
    const at = bins.from + column * bins.seconds;
    const isTick = Math.abs(at / every - Math.round(at / every)) < 1e-9;
    line += isTick ? '┬' : '─';
    if (isTick) text = `${text.padEnd(column)}${Math.round(at)} s`;
  }
  const left = ' '.repeat(leftWidth - 1);
  return [`${left}└${line}`, `${left} ${text}`];
}

function marked(marks: readonly PlotMark[], bins: Bins, width: number): readonly string[] {
  if (marks.length === 0) return [];
  let line = '';
  for (const [index, { at }] of marks.entries()) {
    // Two marks in one column stand side by side.
    line = `${line.padEnd(Math.min(bins.count, Math.max(0, bins.columnOf(at))))}${index + 1}`;
  }
  return [`${' '.repeat(leftWidth)}${line}`, '', ...legend(marks, width)];
}

function legend(marks: readonly PlotMark[], width: number): readonly string[] {
  const lines: string[] = [];
  for (const [index, { name, at }] of marks.entries()) {
    const entry = `  ${index + 1} ${name} ${at.toFixed(1)} s`;
    const last = lines.at(-1);
    if (last === undefined || last.length + entry.length >= width) lines.push(entry);
    else lines[lines.length - 1] = `${last} ${entry}`;
  }
  return lines;
}

/** The next of 1, 2, 3, 4, 5, 6, 8, 10, 20, ... */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 3, 4, 5, 6, 8].find((step) => step * power >= value) ?? 10);
}

const blocks = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const tickSeconds = [1, 2, 5, 10, 20, 30] as const;
const nameWidth = 14;
const numberWidth = 8;
const leftWidth = nameWidth + numberWidth + 2;
/** Rows of a series if there is one group. */
const tall = 4;
