// The site, as it is built, in a real browser: `pnpm site && pnpm --dir docs/site --ignore-workspace test`. SITE_PICTURES=folder keeps what was
// seen; SITE_BASE is the path below which the site was built. Nothing here has a time limit: a busy machine takes longer, and finds the same.
import assert from 'node:assert/strict';
import { accessSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { delimiter, extname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { chromium } from 'playwright-core';

const folder = join(import.meta.dirname, 'dist/site');
const base = process.env.SITE_BASE ?? '/';
const program = process.env.CHROMIUM ?? onPath(['chromium', 'chromium-browser', 'google-chrome']);
const skip = program === undefined ? 'no Chromium here: apt-get install chromium, or CHROMIUM=<file>' : false;
const pictures = process.env.SITE_PICTURES;
const pages = pagesBelow(folder);
const phone = { name: 'phone', width: 390, height: 844 };
const desktop = { name: 'desktop', width: 1440, height: 900 };

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
  '/api/@externalname/http/agent',
];

describe('the site', () => {
  let server;
  let browser;
  let page;
  let address;
  const elsewhere = [];

  before(async () => {
    if (skip) return;
    server = createServer(serve).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    address = `http://127.0.0.1:${server.address().port}${base.replace(/\/$/, '')}`;
    browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'], timeout: 0 });
    const context = await browser.newContext({ viewport: desktop, reducedMotion: 'reduce' });
    context.setDefaultTimeout(0);
    context.on('request', (request) => {
      if (!request.url().startsWith(`${address}/`) && !request.url().startsWith('data:')) elsewhere.push(request.url());
    });
    await context.addInitScript({ path: createRequire(import.meta.url).resolve('axe-core') });
    page = await context.newPage();
    if (pictures !== undefined) mkdirSync(pictures, { recursive: true });
  });
  after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  it('has a page of each kind', () => {
    assert.deepEqual(
      shown.filter((path) => !pages.includes(path)),
      [],
    );
  });

  for (const path of pages) {
    const looks = shown.includes(path)
      ? { light: [desktop, phone], dark: [desktop, phone] }
      : { light: [desktop], dark: [] };
    it(`has no serious finding of axe, asks only for itself and does not scroll sideways: ${path}`, {
      skip,
    }, async () => {
      const findings = [];
      elsewhere.length = 0;
      for (const [colorScheme, sizes] of Object.entries(looks)) {
        for (const size of sizes) {
          await page.setViewportSize(size);
          if (size === sizes[0]) await open(path, colorScheme);
          const look = `${size.name}, ${colorScheme}`;
          findings.push(...(await seriousFindings()).map((finding) => `${look}: ${finding}`));
          const wide = await page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
          );
          if (wide > 0) findings.push(`${look}: ${wide} pixels too wide`);
          await keepPicture(`${size.name}-${colorScheme}-${path.replaceAll('/', '_')}`, shown.includes(path));
        }
      }
      assert.deepEqual(findings, []);
      assert.deepEqual(elsewhere, []);
    });
  }

  it('draws its diagrams', { skip }, async () => {
    await page.setViewportSize(desktop);
    await open('/concepts');
    assert.equal(await page.locator('.mermaid svg').count(), 2);
    assert.match(await page.locator('.mermaid svg').first().textContent(), /cluster DNS/);
  });

  it('can be used by keyboard alone: skip to the text, search, and open what was found', { skip }, async () => {
    await page.setViewportSize(desktop);
    await open('/concepts');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent?.trim()), 'Skip to content');
    await page.keyboard.press('Control+k');
    await page.locator('.VPLocalSearchBox input').waitFor();
    await page.keyboard.type('split brain');
    // Until the whole text was searched for, what is found is for its beginning.
    await page.locator('.VPLocalSearchBox .result.selected', { hasText: /split.?brain/i }).waitFor();
    assert.deepEqual(await seriousFindings(), []);
    await keepPicture('desktop-light-search');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => !location.pathname.endsWith('/concepts'));
    await page.locator('main', { hasText: /split.?brain/i }).waitFor();
  });

  it('can be used by keyboard alone on a phone: open the menu, and a page from it', { skip }, async () => {
    await page.setViewportSize(phone);
    await open('/concepts');
    await page.locator('.VPLocalNav button.menu').focus();
    await page.keyboard.press('Enter');
    await page.locator('.VPSidebar.open').waitFor();
    assert.deepEqual(await seriousFindings(), []);
    await keepPicture('phone-light-menu');
    await page.locator('.VPSidebar a', { hasText: 'The first hour' }).focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => location.pathname.endsWith('/guides/first-hour'));
    await page.locator('.VPSidebar.open').waitFor({ state: 'detached' });
  });

  it('leads to every page by the sidebar, or by a page that stands there', { skip }, async () => {
    await open('/');
    const linksOf = await page.evaluate(
      async ({ address, pages }) => {
        const read = async (path) => {
          const html = await (await fetch(`${address}${path}`)).text();
          const anchors = new DOMParser().parseFromString(html, 'text/html').querySelectorAll('a[href]');
          const links = [...anchors].map((anchor) => new URL(anchor.getAttribute('href'), `${address}${path}`).href);
          return [path, links.map((link) => link.replace(address, '').replace(/(\.html)?(#.*)?$/, ''))];
        };
        return Object.fromEntries(await Promise.all(pages.map(read)));
      },
      { address, pages },
    );
    const reached = new Set(['/']);
    for (const path of reached) for (const link of linksOf[path] ?? []) reached.add(link);
    assert.deepEqual(
      pages.filter((path) => !reached.has(path)),
      [],
    );
  });

  /** Opens a page, and waits until it can be used and its diagrams are drawn. */
  async function open(path, colorScheme = 'light') {
    await page.emulateMedia({ colorScheme });
    await page.goto(`${address}${path}`);
    await page.waitForFunction(() => {
      const app = document.querySelector('#app');
      const diagrams = [...document.querySelectorAll('.mermaid')];
      return app?.__vue_app__ !== undefined && diagrams.every((diagram) => diagram.querySelector('svg') !== null);
    });
  }

  async function seriousFindings() {
    return await page.evaluate(async () => {
      const { violations } = await globalThis.axe.run(document, { resultTypes: ['violations'] });
      return violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)}`);
    });
  }

  async function keepPicture(name, wanted = true) {
    if (pictures !== undefined && wanted) await page.screenshot({ path: join(pictures, `${name}.png`) });
  }
});

function pagesBelow(root) {
  assert.ok(existsSync(root), 'the site is not built: pnpm site');
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.html') && file !== '404.html')
    .map((file) => `/${file.replace(/(^|\/)index\.html$/, '$1').replace(/\.html$/, '')}`)
    .sort();
}

function serve(request, response) {
  const pathname = new URL(request.url, 'http://site').pathname.replace(base, '/');
  const file = [pathname, `${pathname}.html`, `${pathname}index.html`, `${pathname}/index.html`]
    .map((each) => join(folder, decodeURIComponent(each)))
    .find((each) => each.startsWith(folder) && extname(each) !== '' && existsSync(each));
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
  if (file === undefined) response.writeHead(404).end();
  else
    response
      .writeHead(200, {
        'content-type': types[extname(file)] ?? 'application/octet-stream',
        // Their names have a hash of what is in them.
        'cache-control': pathname.startsWith('/assets/') ? 'max-age=3600' : 'no-store',
      })
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
