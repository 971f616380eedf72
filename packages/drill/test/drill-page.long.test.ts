import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Browser, chromium } from './browser.ts';
import { type Script, scriptedResult } from './scripted-drill.ts';

// The page in a real browser: `DRILL_PICTURES=folder npx vitest run --project long packages/drill/test/drill-page.long.test.ts` keeps the
// pictures, to be looked at after a change of the page.
const missing = chromium === undefined ? ' (skipped: no Chromium here; apt-get install chromium)' : '';

describe.skipIf(chromium === undefined)(`the page of a drill in a browser${missing}`, () => {
  let browser: Browser;
  let folder: string;
  let pictures: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'externalname-page-'));
    pictures = process.env['DRILL_PICTURES'] ?? folder;
    await mkdir(pictures, { recursive: true });
    browser = await Browser.start(chromium ?? '');
  });
  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const scripts: readonly (Script & { readonly name: string })[] = [
    { name: 'passed' },
    { name: 'failed', stuck: true, lost: 3 },
  ];
  const looks = [400, 1280].flatMap((width) => (['light', 'dark'] as const).map((scheme) => ({ width, scheme })));

  it.each(scripts.flatMap((script) => looks.map((look) => ({ script, ...look }))))(
    'fits $width pixels, $scheme, asks for nothing, and can be read ($script.name)',
    async ({ script, width, scheme }) => {
      const file = join(folder, `${script.name}.html`);
      await writeFile(file, scriptedResult(script).report.toHtml());
      const seen = await browser.look(file, { width, scheme }, contrasts);
      await writeFile(join(pictures, `drill-${script.name}-${width}-${scheme}.png`), seen.picture);
      expect(seen.scrollWidth).toBe(width);
      expect(seen.requests).toEqual([]);
      expect(seen.value).toEqual([]);
    },
  );
});

/** Texts whose contrast with what is behind them is under 4.5 (WCAG 2.2, 1.4.3), and texts that lie on each other. */
const contrasts = `(() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll('main *')].filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== ''));
  const faint = texts.filter((element) => {
    const [one, other] = [parse(getComputedStyle(element).color), behind(element)].map(luminance).sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05) < 4.5;
  });
  const boxes = [...document.querySelectorAll('.number, .ticks span, .chart .most, .chart .least, .failures .most')].map((element) => ({ element, box: element.getBoundingClientRect() }));
  const overlapping = boxes.flatMap(({ element, box }, index) => boxes.slice(index + 1)
    .filter(({ box: other }) => box.left < other.right - 1 && other.left < box.right - 1 && box.top < other.bottom - 1 && other.top < box.bottom - 1)
    .map(({ element: other }) => element.textContent + ' on ' + other.textContent));
  return [...faint.map((element) => 'faint: ' + element.textContent), ...overlapping];
})()`;
