import type { DrillResult } from '../result/result.ts';
import { escaped } from './xml.ts';

/**
 * The plot of a drill for a page: bars of writes a second by server, below them what failed, pauses as bands, and a numbered line for each
 * mark. What is drawn stretches with the page; what is written is HTML beside it, and keeps its size on a phone.
 */
export function htmlPlot({ plot, marks, stages, service }: DrillResult): string {
  const columns = Math.max(1, ...plot.series.map(({ rates }) => rates.length));
  const span = columns * plot.seconds;
  const across = (seconds: number) => percent((seconds - plot.from) / span);
  const servers = plot.series.slice(0, -1);
  const failed = plot.series.at(-1) ?? { name: 'failed', rates: [] };
  const sums = Array.from({ length: columns }, (_, index) =>
    servers.reduce((sum, { rates }) => sum + (rates[index] ?? 0), 0),
  );
  const top = niceCeiling(Math.max(1, ...sums));
  const most = Math.max(1, ...failed.rates);
  const below = Array.from({ length: columns }, () => 0);
  const bars = servers.map(({ rates }, server) => {
    const path = rates.map((rate, index) => {
      const base = below[index] ?? 0;
      below[index] = base + rate;
      return rate === 0 ? '' : bar(index, base / top, rate / top);
    });
    return `<path class="server-${server}" d="${path.join('')}"/>`;
  });
  const failures = failed.rates
    .map((rate, index) => (rate === 0 ? '' : bar(index, 0, Math.max(0.15, rate / most))))
    .join('');
  const pauses = stages
    .flatMap(({ longestPause }) =>
      longestPause !== null && longestPause.millis >= shownPauseMillis ? [longestPause] : [],
    )
    .map(({ from, to, millis }) => {
      const width = percent((to - from) / span);
      return `<span class="pause" style="left:${across(from)};width:${width}"><b>${(millis / 1_000).toFixed(1)} s</b></span>`;
    });
  const levels = levelsOf(marks.map(({ at }) => (at - plot.from) / span));
  const lines = marks.map(({ at }) => `<i class="mark" style="left:${across(at)}"></i>`);
  const numbers = marks.map(
    ({ at }, index) => `<b class="number level-${levels[index]}" style="left:${across(at)}">${index + 1}</b>`,
  );
  const ticks = ticksOf(plot.from, span).map((at) => `<span style="left:${across(at)}">${at} s</span>`);
  const spoken = stages.map(
    ({ name, to, writes, longestPause }) =>
      `${name} to ${to}: ${writes.acknowledged} writes acknowledged, ${writes.failed} failed, longest pause ${((longestPause?.millis ?? 0) / 1_000).toFixed(1)} seconds`,
  );
  const key = [
    ...servers.map(({ name }, server) => `<li><i class="swatch server-${server}"></i>${escaped(name)}</li>`),
    `<li><i class="swatch failed"></i>failed</li>`,
    ...(pauses.length > 0 ? ['<li><i class="swatch pause"></i>longest pause</li>'] : []),
  ];
  return `<figure class="plot">
<figcaption><span>Writes a second</span><ul class="key">${key.join('')}</ul></figcaption>
<div class="numbers rows-${Math.max(0, ...levels) + 1}">${numbers.join('')}</div>
<div class="chart">
<span class="most">${top}</span><span class="least">0</span>
<svg viewBox="0 0 ${columns} 100" preserveAspectRatio="none" role="img" aria-label="${escaped(`Writes a second through ${service}. ${spoken.join('. ')}.`)}">
<path class="grid" d="M0 0H${columns}M0 50H${columns}"/>
${bars.join('\n')}
</svg>
${pauses.join('')}${lines.join('')}
</div>
<div class="failures"><span class="most">failed, max ${Math.max(0, ...failed.rates)}/s</span>
<svg viewBox="0 0 ${columns} 100" preserveAspectRatio="none" aria-hidden="true"><path class="failed" d="${failures}"/></svg>
${lines.join('')}</div>
<div class="ticks">${ticks.join('')}</div>
<ol class="legend">${marks.map(({ name, at }) => `<li><span>${escaped(name)}</span> <time>${at.toFixed(1)} s</time></li>`).join('')}</ol>
</figure>`;
}

/** A bar of one column: from its base upwards, both as a part of the height. Bars of neighbours touch. */
function bar(column: number, base: number, height: number): string {
  const round = (value: number) => Math.round(value * 100) / 100;
  return `M${column} ${round(100 - base * 100)}v${-round(height * 100)}h1v${round(height * 100)}z`;
}

/** Numbers that would stand on each other go to different levels. */
function levelsOf(places: readonly number[]): readonly number[] {
  const last: number[] = [];
  return places.map((place) => {
    const free = last.findIndex((before) => place - before > closest);
    const level = free === -1 ? last.length : free;
    last[level] = place;
    return level;
  });
}

/** At most seven whole seconds, at equal distances: there must be room on a phone. */
export function ticksOf(from: number, span: number): readonly number[] {
  const every = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 3_600].find((seconds) => span / seconds <= 6) ?? 7_200;
  const first = Math.ceil(from / every) * every;
  return Array.from({ length: Math.floor((from + span - first) / every) + 1 }, (_, index) => first + index * every);
}

function percent(part: number): string {
  return `${Math.round(Math.min(1, Math.max(0, part)) * 10_000) / 100}%`;
}

function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 3, 4, 5, 6, 8].find((step) => step * power >= value) ?? 10);
}

/** As a part of the width: a number takes 18 of at least 320 pixels. */
const closest = 0.065;
/** A shorter pause is between two writes of a few workers. */
const shownPauseMillis = 200;
