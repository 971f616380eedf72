// The site, as it is built, in a real browser: `pnpm site && pnpm --dir docs/site --ignore-workspace test`. SITE_PICTURES=folder keeps what was seen.
import assert from 'node:assert/strict';
import { accessSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { delimiter, extname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium } from 'playwright-core';

const folder = join(import.meta.dirname, 'dist/site');
const program = process.env.CHROMIUM ?? onPath(['chromium', 'chromium-browser', 'google-chrome']);
const skip = program === undefined ? 'no Chromium here: apt-get install chromium, or CHROMIUM=<file>' : false;
const pictures = process.env.SITE_PICTURES;
const pages = pagesBelow(folder);

describe('the site', () => {
  let server;
  let browser;
  let address;

  before(async () => {
    if (skip) return;
    server = createServer(serve).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    address = `http://127.0.0.1:${server.address().port}`;
    browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
    if (pictures !== undefined) mkdirSync(pictures, { recursive: true });
  });
  after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  const sizes = [
    { name: 'phone', width: 390, height: 844 },
    { name: 'desktop', width: 1440, height: 900 },
  ];
  const looks = sizes.flatMap((size) => ['light', 'dark'].map((colorScheme) => ({ ...size, colorScheme })));

  for (const { name, width, height, colorScheme } of looks) {
    it(`has no serious finding of axe, asks only for itself and does not scroll sideways: ${name}, ${colorScheme}`, {
      skip,
    }, async () => {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: 'reduce' });
      const page = await context.newPage();
      const elsewhere = [];
      page.on(
        'request',
        (request) =>
          request.url().startsWith(address) || request.url().startsWith('data:') || elsewhere.push(request.url()),
      );
      const findings = [];
      for (const path of name === 'desktop' && colorScheme === 'light' ? pages : shown) {
        await page.goto(`${address}${path}`);
        await page.locator('#app > *').first().waitFor();
        const { violations } = await new AxeBuilder({ page }).analyze();
        for (const { id, impact, nodes } of violations) {
          if (impact === 'serious' || impact === 'critical')
            findings.push(`${path}: ${id}: ${nodes[0]?.html.slice(0, 160)}`);
        }
        const wide = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        if (wide > 0) findings.push(`${path}: ${wide} pixels too wide`);
        if (pictures !== undefined && shown.includes(path)) {
          await page.screenshot({
            path: join(pictures, `${name}-${colorScheme}-${path.replaceAll('/', '_')}.png`),
            fullPage: false,
          });
        }
      }
      await context.close();
      assert.deepEqual(findings, []);
      assert.deepEqual(elsewhere, []);
    });
  }

  it('draws its diagrams', { skip }, async () => {
    const page = await browser.newPage();
    await page.goto(`${address}/concepts`);
    await page.waitForSelector('.mermaid svg');
    assert.equal(await page.locator('.mermaid svg').count(), 2);
    assert.match(await page.locator('.mermaid svg').first().textContent(), /cluster DNS/);
    await page.close();
  });

  it('can be used by keyboard alone: skip to the text, search, and open what was found', { skip }, async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await page.goto(`${address}/concepts`, { waitUntil: 'networkidle' });
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Skip to content');
    await page.keyboard.press('Control+k');
    await page.waitForSelector('.VPLocalSearchBox input');
    await page.keyboard.type('split brain', { delay: 5 });
    await page.waitForSelector('.VPLocalSearchBox .result');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => !location.pathname.endsWith('/concepts'));
    assert.match(await page.locator('main').textContent(), /split.?brain/i);
    await page.close();
  });

  it('leads to every page by the sidebar, or by a page that stands there', { skip }, async () => {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    const reached = new Set(['/']);
    const open = ['/'];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      await page.goto(`${address}${path}`);
      const links = await page.$$eval('a[href]', (anchors) => anchors.map((anchor) => new URL(anchor.href).pathname));
      for (const link of links) {
        const clean = link.replace(/\.html$/, '');
        if (!reached.has(clean) && pages.includes(clean)) open.push(clean);
        reached.add(clean);
      }
    }
    await page.close();
    assert.deepEqual(
      pages.filter((path) => !reached.has(path)),
      [],
    );
  });
});

/** One page of each kind: each is looked at in every size and colour, and of each a picture is kept. All others are looked at once. */
const shown = [
  '/',
  '/start',
  '/concepts',
  '/guides/troubleshooting',
  '/guides/fault-matrix',
  '/guides/cli',
  '/guides/drill',
  '/options',
  '/packages/pg/',
  '/api/@externalname/pg/',
];

function pagesBelow(root) {
  assert.ok(existsSync(root), 'the site is not built: pnpm site');
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.html') && file !== '404.html')
    .map((file) => `/${file.replace(/(^|\/)index\.html$/, '$1').replace(/\.html$/, '')}`)
    .sort();
}

function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://site');
  const file = [pathname, `${pathname}.html`, `${pathname}index.html`, `${pathname}/index.html`]
    .map((each) => join(folder, decodeURIComponent(each)))
    .find((each) => each.startsWith(folder) && extname(each) !== '' && existsSync(each));
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
  if (file === undefined) response.writeHead(404).end();
  else
    response
      .writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' })
      .end(readFileSync(file));
}

function onPath(names) {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return names
    .flatMap((name) => folders.map((each) => join(each, name)))
    .find((file) => {
      try {
        accessSync(file);
        return true;
      } catch {
        return false;
      }
    });
}
