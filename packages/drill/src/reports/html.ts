import { failuresInWords, figures } from '../result/figures.ts';
import type { DrillCheck, DrillResult } from '../result/result.ts';
import { inWords } from '../result/words.ts';
import { htmlPlot } from './html-plot.ts';
import { escaped } from './xml.ts';

/** The result as one page that needs nothing else: no script, no font, no picture from elsewhere. */
export function htmlReport(result: DrillResult): string {
  const { passed, service, where, kind, startedAt, durationMillis, workers, connections, ttlSeconds, stages } = result;
  const follow = ttlSeconds === 0 ? 'told by the Kubernetes API' : `DNS, TTL ${ttlSeconds}\u00a0s`;
  const title = `Drill of ${service}: ${passed ? 'passed' : 'failed'}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<header>
<p class="verdict ${passed ? 'good' : 'bad'}">${passed ? 'Passed' : 'Failed'}</p>
<h1>${escaped(service)}</h1>
<p class="about">${kind === 'crash' ? 'A crash' : 'A planned switch'} and the way back, rehearsed on ${escaped(where)}.
<time datetime="${escaped(startedAt)}">${escaped(startedAt.replace('T', ' ').replace(/\..*/, ''))} UTC</time>, ${inWords(durationMillis).replace(' ', '&nbsp;')};
${workers} workers over ${connections} connections; ${follow}.</p>
</header>
${tiles(result)}
${htmlPlot(result)}
<section>
<h2>The two switches</h2>
<div class="scroll"><table>
<thead><tr><th></th>${stages.map(({ name, to }) => `<th>${escaped(name)}<small>to ${escaped(to)}</small></th>`).join('')}</tr></thead>
<tbody>${figures.map(([name, of]) => `<tr><th>${escaped(name)}</th>${stages.map((stage) => `<td>${escaped(of(stage))}</td>`).join('')}</tr>`).join('\n')}</tbody>
</table></div>
${failureList(result)}
</section>
<section>
<h2>Checks</h2>
<div class="scroll"><table class="checks">
<thead><tr><th>check</th><th>found</th><th>allowed</th></tr></thead>
<tbody>${stages.map(({ name }) => checkRows(name, result.checks)).join('\n')}</tbody>
</table></div>
</section>
<section>
<h2>What happened</h2>
<ol class="events">${result.events
    .map(
      ({ at, who, text, tone, part }) =>
        `<li class="${part ? 'part ' : ''}${tone}"><time>${at.toFixed(2)} s</time><b>${escaped(who)}</b><span>${escaped(text)}</span></li>`,
    )
    .join('\n')}</ol>
</section>
<footer>Made by <code>externalname drill</code>. <code>-o json</code> has the same for programs.</footer>
</main>
</body>
</html>
`;
}

function tiles({ stages }: DrillResult): string {
  const sum = (of: (stage: DrillResult['stages'][number]) => number) =>
    stages.reduce((total, stage) => total + of(stage), 0);
  const longest = Math.max(0, ...stages.map(({ longestPause }) => longestPause?.millis ?? 0));
  const tile = (name: string, value: string, tone = '') =>
    `<li class="${tone}"><b>${value}</b><span>${name}</span></li>`;
  const count = (name: string, value: number) => tile(name, String(value), value > 0 ? 'bad' : 'good');
  return `<ul class="tiles">${[
    tile('acknowledged', sum(({ writes }) => writes.acknowledged).toLocaleString('en')),
    count(
      'lost',
      sum(({ writes }) => writes.lost),
    ),
    count(
      'done twice',
      sum(({ writes }) => writes.duplicated),
    ),
    count(
      'hung',
      sum(({ writes }) => writes.hung),
    ),
    tile('failed', String(sum(({ writes }) => writes.failed))),
    tile('longest pause', inWords(longest)),
  ].join('')}</ul>`;
}

function failureList({ stages }: DrillResult): string {
  const items = stages.flatMap((stage) =>
    failuresInWords(stage).map((text) => `<li>${escaped(`${stage.name}: ${text}`)}</li>`),
  );
  return items.length === 0
    ? '<p class="about">No write failed.</p>'
    : `<p class="about">Failed writes:</p><ul class="about">${items.join('')}</ul>`;
}

function checkRows(stage: string, checks: readonly DrillCheck[]): string {
  const rows = checks
    .filter((check) => check.stage === stage)
    .map(
      ({ name, found, limit, passed }) =>
        `<tr class="${passed ? '' : 'bad'}"><td>${passed ? '' : '<b>over: </b>'}${escaped(name)}</td><td>${escaped(found)}</td><td>${escaped(limit)}</td></tr>`,
    );
  return `<tr class="group"><th colspan="3">${escaped(stage)}</th></tr>\n${rows.join('\n')}`;
}

const style = `
:root{--back:#fff;--text:#1c2128;--faint:#59636e;--line:#d5dbe1;--soft:#f4f6f8;--good:#1a7f37;--bad:#c4232e;--one:#1d63c9;--two:#c26a00;--band:#8c959f33}
@media (prefers-color-scheme:dark){:root{--back:#14181d;--text:#e2e7ec;--faint:#99a4af;--line:#333b44;--soft:#1d232a;--good:#4fbf67;--bad:#ff7d74;--one:#68a8ff;--two:#efac4b;--band:#99a4af40}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;line-height:1.25;margin:.25rem 0;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.25rem 0 .5rem}
.about{color:var(--faint);margin:.25rem 0;max-width:60rem}
ul.about{padding-left:1.2rem}
.verdict{display:inline-block;margin:0;padding:.1rem .7rem;border-radius:1rem;color:var(--back);font-weight:600}
.verdict.good{background:var(--good)}.verdict.bad{background:var(--bad)}
.tiles{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:.5rem;margin:1.25rem 0;padding:0}
.tiles li{background:var(--soft);border-radius:.5rem;padding:.6rem .8rem}
.tiles b{display:block;font-size:1.4rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tiles span{color:var(--faint);font-size:.875rem}
.tiles .good b{color:var(--good)}.tiles .bad b{color:var(--bad)}
.plot{margin:1.75rem 0 0}
figcaption{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;justify-content:space-between;font-weight:600}
.key{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin:0;padding:0;font-weight:400;font-size:.875rem;color:var(--faint)}
.swatch{display:inline-block;width:.75rem;height:.75rem;border-radius:2px;margin-right:.4rem;vertical-align:-1px}
.swatch.server-0{background:var(--one)}.swatch.server-1{background:var(--two)}.swatch.failed{background:var(--bad)}.swatch.pause{background:var(--band)}
.numbers{position:relative;margin-left:2.6rem;height:1.5rem}.numbers.rows-2{height:2.8rem}.numbers.rows-3{height:4.1rem}.numbers.rows-4{height:5.4rem}
.number{position:absolute;bottom:.15rem;transform:translateX(-50%);width:1.15rem;height:1.15rem;border-radius:50%;background:var(--text);color:var(--back);font-size:.72rem;line-height:1.15rem;text-align:center}
.level-1{bottom:1.45rem}.level-2{bottom:2.75rem}.level-3{bottom:4.05rem}
.chart,.failures{position:relative;margin-left:2.6rem;border-bottom:1px solid var(--line)}
.chart{height:15rem}.failures{height:3.4rem;padding-top:1.2rem}
svg{display:block;width:100%;height:100%}
.server-0{fill:var(--one)}.server-1{fill:var(--two)}path.failed{fill:var(--bad)}
.grid{stroke:var(--line);fill:none;vector-effect:non-scaling-stroke;stroke-width:1}
.chart .most,.chart .least{position:absolute;right:100%;margin-right:.4rem;font-size:.8rem;color:var(--faint);font-variant-numeric:tabular-nums}
.chart .most{top:-.6rem}.chart .least{bottom:-.6rem}
.failures .most{position:absolute;top:.1rem;left:.1rem;font-size:.75rem;color:var(--faint)}
.pause{position:absolute;top:0;bottom:0;min-width:1px;background:var(--band);border-radius:0}
.swatch.pause{position:static}
.chart .pause b{position:absolute;top:.2rem;left:50%;transform:translateX(-50%);white-space:nowrap;font-size:.75rem;font-weight:600;background:var(--back);border-radius:.25rem;padding:0 .25rem}
.mark{position:absolute;top:0;bottom:0;border-left:1px dashed var(--text);opacity:.65}
.ticks{position:relative;margin-left:2.6rem;height:1.5rem;font-size:.8rem;color:var(--faint);font-variant-numeric:tabular-nums}
.ticks span{position:absolute;top:.2rem;transform:translateX(-50%);white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1.75rem;margin:.5rem 0 0;padding-left:2.6rem;font-size:.875rem}
.legend time{color:var(--faint);font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.94rem;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top;font-weight:400}
thead th{font-weight:600}thead small{display:block;font-weight:400;color:var(--faint);overflow-wrap:anywhere}
.group th{font-weight:600;padding-top:.9rem}
tr.bad td{color:var(--bad)}
.events{list-style:none;margin:0;padding:0;font-size:.94rem}
.events li{display:grid;grid-template-columns:4.2rem 5.5rem 1fr;gap:0 .75rem;padding:.15rem 0}
.events .part{margin-top:.9rem}
.events time{text-align:right;color:var(--faint);font-variant-numeric:tabular-nums}
.events b{font-weight:400;color:var(--faint)}
.events span{overflow-wrap:anywhere}
.events .strong span{font-weight:600}.events .good span{color:var(--good)}.events .bad span{color:var(--bad)}
@media (max-width:36rem){.events li{grid-template-columns:4.2rem 1fr}.events span{grid-column:1/-1;padding-left:0}.events time{text-align:left}.tiles{grid-template-columns:repeat(3,1fr)}.chart{height:11rem}}
footer{margin-top:2.5rem;color:var(--faint);font-size:.875rem}
code{font-family:ui-monospace,monospace;font-size:.94em}
`;
