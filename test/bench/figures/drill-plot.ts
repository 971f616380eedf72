import type { DrillResult } from '@externalname/drill';

/** What a plot needs of a drill's report (`externalname drill -o json`). */
export type PlottedDrill = Pick<DrillResult, 'service' | 'kind' | 'stages' | 'marks' | 'plot'>;

/**
 * Draws a drill as a picture for a page: bars of writes a second by server, below them what failed, a numbered line for each mark, and a band for
 * the longest pause of each stage. It brings its own colours for bright and dark surroundings, and asks for nothing from elsewhere. Pure.
 */
export function drillSvg({ service, kind, stages, marks, plot }: PlottedDrill): string {
  const servers = plot.series.slice(0, -1);
  const failed = plot.series.at(-1) ?? { name: 'failed', rates: [] };
  const columns = Math.max(1, ...plot.series.map(({ rates }) => rates.length));
  const sums = Array.from({ length: columns }, (_, index) =>
    servers.reduce((sum, { rates }) => sum + (rates[index] ?? 0), 0),
  );
  const top = roundedUp(Math.max(1, ...sums));
  const most = Math.max(1, ...failed.rates);
  const x = (seconds: number) => left + (chartWidth * (seconds - plot.from)) / (columns * plot.seconds);
  const column = (index: number) => left + (chartWidth * index) / columns;
  const bar = (index: number, base: number, height: number, of: { readonly y: number; readonly height: number }) =>
    `M${short(column(index))} ${short(of.y + of.height * (1 - base))}v${short(-of.height * height)}h${short(chartWidth / columns)}v${short(of.height * height)}z`;

  const below = sums.map(() => 0);
  const bars = servers.map(({ rates }, server) => {
    const path = rates.map((rate, index) => {
      const base = below[index] ?? 0;
      below[index] = base + rate;
      return rate === 0 ? '' : bar(index, base / top, rate / top, writes);
    });
    return `<path class="server-${server}" d="${path.join('')}"/>`;
  });
  const failures = failed.rates.map((rate, index) =>
    rate === 0 ? '' : bar(index, 0, Math.max(0.2, rate / most), fails),
  );
  const pauses = stages.flatMap(({ longestPause }) => {
    if (longestPause === null || longestPause.millis < shownPauseMillis) return [];
    const [from, to] = [x(longestPause.from), x(longestPause.to)];
    const label = `${(longestPause.millis / 1_000).toFixed(1)} s`;
    return [
      `<rect class="pause" x="${short(from)}" y="${writes.y}" width="${short(to - from)}" height="${writes.height}"/>`,
      `<text class="middle" x="${short((from + to) / 2)}" y="${writes.y + 18}">${label}</text>`,
    ];
  });
  const bottom = fails.y + fails.height;
  const lines = marks.map(({ at }) => `<path class="mark" d="M${short(x(at))} ${writes.y}V${bottom}"/>`);
  const numbers = placed(marks.map(({ at }) => x(at))).map(
    ({ at, level }, index) =>
      `<circle class="number" cx="${short(at)}" cy="${writes.y - 12 - level * 20}" r="9"/>` +
      `<text class="digit" x="${short(at)}" y="${writes.y - 7.5 - level * 20}">${index + 1}</text>`,
  );
  const ticks = ticksOf(plot.from, columns * plot.seconds).map(
    (at) => `<text class="middle" x="${short(x(at))}" y="${bottom + 18}">${at} s</text>`,
  );
  const legend = marks.map(
    ({ name, at }, index) =>
      `<text x="${left + (index % 2) * (chartWidth / 2)}" y="${bottom + 46 + Math.floor(index / 2) * 20}">${index + 1}  ${escaped(name)}, ${at.toFixed(1)} s</text>`,
  );
  const key = [...servers.map(({ name }) => name.split('.')[0] ?? name), 'failed'].map((name, index) => {
    const style = index < servers.length ? `server-${index}` : 'failed';
    const at = left + index * 140;
    return `<rect class="${style}" x="${at}" y="38" width="12" height="12"/><text x="${at + 18}" y="49">${escaped(name)}</text>`;
  });
  const height = bottom + 46 + Math.ceil(marks.length / 2) * 20;
  const title = `${kind === 'crash' ? 'A crash' : 'A planned switch'} and the way back: writes a second through ${service}`;
  const told = stages.map(
    ({ name, to, writes: count, longestPause }) =>
      `${name} to ${to}: ${count.acknowledged} writes acknowledged, ${count.lost} lost, ${count.failed} failed, longest pause ${((longestPause?.millis ?? 0) / 1_000).toFixed(1)} s.`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title told">
<title id="title">${escaped(title)}</title>
<desc id="told">${escaped(told.join(' '))}</desc>
<style>${style}</style>
<rect class="paper" width="${width}" height="${height}" rx="8"/>
<text class="title" x="${left}" y="24">${escaped(title)}</text>
${key.join('\n')}
<path class="grid" d="M${left} ${writes.y}h${chartWidth}m0 ${writes.height / 2}h${-chartWidth}m0 ${writes.height / 2}h${chartWidth}"/>
<text class="end" x="${left - 6}" y="${writes.y + 5}">${top}</text>
<text class="end" x="${left - 6}" y="${writes.y + writes.height + 4}">0</text>
${bars.join('\n')}
${pauses.join('\n')}
<path class="failed" d="${failures.join('')}"/>
<text class="end" x="${left - 6}" y="${bottom}">${Math.max(0, ...failed.rates)}</text>
${lines.join('\n')}
${numbers.join('\n')}
${ticks.join('\n')}
${legend.join('\n')}
</svg>
`;
}

/** Numbers that would stand on each other go to different levels. */
function placed(places: readonly number[]): readonly { readonly at: number; readonly level: number }[] {
  const last: number[] = [];
  return places.map((at) => {
    const free = last.findIndex((before) => at - before > 20);
    const level = free === -1 ? last.length : free;
    last[level] = at;
    return { at, level };
  });
}

/** At most eight whole seconds, at equal distances. */
function ticksOf(from: number, span: number): readonly number[] {
  const every = [1, 2, 5, 10, 20, 30, 60, 120, 300].find((seconds) => span / seconds <= 7) ?? 600;
  const first = Math.ceil(from / every) * every;
  return Array.from({ length: Math.floor((from + span - first) / every) + 1 }, (_, index) => first + index * every);
}

function roundedUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 3, 4, 5, 6, 8].find((step) => step * power >= value) ?? 10);
}

function short(value: number): number {
  return Math.round(value * 10) / 10;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

// In units of the picture, which are pixels where there is room.
const width = 640;
const left = 48;
const chartWidth = width - left - 16;
const writes = { y: 106, height: 150 };
const fails = { y: 266, height: 26 };
/** A shorter pause is between two writes of a few workers. */
const shownPauseMillis = 200;

const style = `
text { font: 14px system-ui, sans-serif; fill: #1f2933 } .title { font-weight: 600 } .end { text-anchor: end } .middle { text-anchor: middle }
.paper { fill: #ffffff; stroke: #d5dbe3 } .grid { stroke: #d5dbe3; fill: none } .server-0 { fill: #1d6fd8 } .server-1 { fill: #e08a00 }
.failed { fill: #c62828 } .pause { fill: #c62828; opacity: 0.12 } .mark { stroke: #4b5563; stroke-dasharray: 3 3 } .number { fill: #374151 }
.digit { font-size: 12px; fill: #ffffff; text-anchor: middle }
@media (prefers-color-scheme: dark) {
text { fill: #e5e7eb } .paper { fill: #1b1f27; stroke: #3b4252 } .grid { stroke: #3b4252 } .server-0 { fill: #6aa9ff } .server-1 { fill: #f5b041 }
.failed { fill: #ff7b72 } .pause { fill: #ff7b72; opacity: 0.2 } .mark { stroke: #aab2bf } .number { fill: #d1d5db } .digit { fill: #111827 } }`;
