import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scriptedResult } from '../../test/scripted-drill.ts';
import type { DrillResult } from '../result/result.ts';
import { htmlReport } from './html.ts';
import { ticksOf } from './html-plot.ts';
import { junitReport } from './junit.ts';
import { markdownReport } from './markdown.ts';

const attack = `"><script>alert(1)</script>|&'\u0000`;
const attacked = (result: DrillResult): DrillResult => ({
  ...result,
  service: attack,
  where: attack,
  events: [{ at: 0, who: attack, text: attack, tone: 'plain', part: false }],
  marks: [{ name: attack, at: 8 }],
  stages: result.stages.map((stage) => ({
    ...stage,
    from: attack,
    to: attack,
    failures: [{ code: attack, outcome: 'unknown', count: 1, stored: 0 }],
  })),
  checks: result.checks.map((check) => ({ ...check, name: attack, found: attack, passed: false })),
});

describe('the page of a drill', () => {
  it('needs nothing from elsewhere, and runs nothing', async () => {
    const page = htmlReport(scriptedResult().result);
    expect(page).not.toMatch(/<script|<link|<img|<iframe|\bsrc=|\bhref=|url\(|@import|\son\w+=/i);
    expect(page).toContain("default-src 'none'");
  });

  it('writes what servers said as text, whatever it is', async () => {
    const page = htmlReport(attacked(scriptedResult().result));
    expect(page).not.toContain('<script');
    expect(page).not.toContain('\u0000');
    expect(page).toContain('&lt;script&gt;');
  });

  it('has the verdict, the figures, a bar for each column with writes, the marks and the longest pauses', async () => {
    const { result } = scriptedResult({ lost: 3 });
    const page = htmlReport(result);
    expect(page).toContain('<p class="verdict bad">Failed</p>');
    expect(page).toContain('<li class="bad"><b>3</b><span>lost</span></li>');
    expect(page).toContain('<b>over: </b>acknowledged writes lost');
    const bars = [...page.matchAll(/<path class="server-\d" d="([^"]*)"/g)].map(
      ([, path = '']) => path.split('M').length - 1,
    );
    const columns = result.plot.series.slice(0, 2).map(({ rates }) => rates.filter((rate) => rate > 0).length);
    expect(bars).toEqual(columns);
    expect(page.match(/class="number level-/g)).toHaveLength(4);
    expect(page).toContain('<b>1.5 s</b>');
    expect(page).toContain('<time>15.3 s</time>');
  });

  it('puts numbers of marks that are close on different levels, and has few ticks', async () => {
    const page = htmlReport(scriptedResult().result);
    expect([...page.matchAll(/number level-(\d)/g)].map(([, level]) => level)).toEqual(['0', '0', '0', '1']);
    for (const span of [3, 18, 60, 600, 9_000]) expect(ticksOf(2, span).length).toBeLessThanOrEqual(7);
    expect(ticksOf(2, 16.5)).toEqual([5, 10, 15]);
  });
});

describe('the Markdown of a drill', () => {
  it('is the same each time', async () => {
    const { report } = scriptedResult({ lost: 3 });
    await expect(report.toMarkdown()).toMatchFileSnapshot('written/drill.md');
  });

  it('keeps what servers said within its cell', async () => {
    const { result, report } = scriptedResult();
    const text = markdownReport(attacked(result), report.plot());
    expect(text).not.toContain('<script>');
    expect(text).toContain('\\<script\\>');
    expect(text).toContain('\\|&');
  });
});

describe('the JUnit XML of a drill', () => {
  it('is the same each time', async () => {
    await expect(scriptedResult({ lost: 3 }).report.toJUnit()).toMatchFileSnapshot('written/drill.xml');
  });

  it('writes what servers said as text', async () => {
    const text = junitReport(attacked(scriptedResult().result));
    expect(text).not.toContain('<script');
    expect(text).not.toContain('\u0000');
  });
});

describe('the reports in a folder', () => {
  it('are four, and the JSON is the result', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-drill-'));
    try {
      const { result, report } = scriptedResult();
      const target = join(folder, 'made/when/needed');
      expect(await report.write(target)).toEqual(['drill.html', 'drill.md', 'drill.json', 'drill.xml']);
      expect(JSON.parse(await readFile(join(target, 'drill.json'), 'utf8'))).toEqual(result);
      expect(await readFile(join(target, 'drill.html'), 'utf8')).toBe(report.toHtml());
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
