import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { missingForNext, NextApp } from './support/next-app.ts';
import { RequestLoad, storeOrder } from './support/request-load.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

const missing = missingForNext();
if (missing !== undefined) console.log(`skipped: ${missing}`);

describe.skipIf(missing !== undefined)('the recipe for Next.js', () => {
  it('keeps one pool in `next dev` while files change, and answers every request through a crash', async () => {
    await using webscaler = await startWithOrders();
    await using app = await NextApp.create();
    const url = await app.serve('dev', webscaler);
    for (let change = 1; change <= 5; change++) {
      await app.edit('lib/database.ts', (text) => `${text}\n// Change ${change}.\n`);
      await app.edit('app/healthz/route.ts', (text) => text.replace(/'alive[^']*'/, `'alive ${change}'`));
      await expect.poll(() => statusOf(url), { timeout: 30_000 }).toBe(`alive ${change}`);
      expect(await storeOrder(`${url}/orders`, `change-${change}`)).toBe(201);
    }
    // One for the first look, and one for the orders, which came one after the other.
    expect(await connections(webscaler)).toBeLessThanOrEqual(2);

    await through(webscaler, url, () => webscaler.failOver());
  });

  it('is built without an environment, answers every request through a planned switch, and ends at SIGTERM', async () => {
    await using webscaler = await startWithOrders();
    await using app = await NextApp.create();
    await app.build();
    const url = await app.serve('start', webscaler);
    await through(webscaler, url, () => webscaler.switchOver({ rejoin: false }));
    await app.end();
    await expect.poll(() => connections(webscaler), { timeout: 10_000 }).toBe(0);
  });

  it('is alive but not ready without a server', async () => {
    await using webscaler = await startWithOrders();
    await using app = await NextApp.create();
    const url = await app.serve('dev', webscaler);
    expect(await ready(url)).toEqual([200, { ready: true, target: webscaler.pair.primary.hostName }]);
    for (const server of webscaler.pair.servers) await server.kill();
    await expect.poll(async () => (await ready(url))[0], { timeout: 20_000 }).toBe(503);
    expect(await statusOf(url)).toBe('alive');
  });
});

it('the recipe for Next.js is shown as it is', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/libraries/nextjs.md'), 'utf8');
  for (const file of files) {
    const code = readFileSync(join(import.meta.dirname, 'next', file), 'utf8');
    const language = file.endsWith('.ts') ? 'ts' : 'js';
    expect(page, file).toContain(`\`\`\`${language}\n${code}\`\`\`\n`);
    expect(page).toContain(`\`${file}\``);
  }
});

const files = [
  'lib/database.ts',
  'app/orders/route.ts',
  'app/healthz/route.ts',
  'app/readyz/route.ts',
  'instrumentation.ts',
  'next.config.mjs',
];

/** Orders are stored all the time. None may fail, and all of them have to be there. */
async function through(webscaler: Webscaler, url: string, change: () => Promise<void>): Promise<void> {
  const load = new RequestLoad(`${url}/orders`, 'load');
  try {
    await load.more(20);
    await change();
    await load.more(20);
  } finally {
    await load.stop();
  }
  expect([...load.statuses.keys()]).toEqual([201]);
  expect(await ready(url)).toEqual([200, { ready: true, target: webscaler.pair.primary.hostName }]);
  const rows = await webscaler.query<{ count: number }>(
    "select count(*)::int as count from orders where id like 'load-%'",
  );
  expect(rows[0]?.count).toBe(load.statuses.get(201));
}

async function startWithOrders(): Promise<Webscaler> {
  const webscaler = await startWebscaler();
  await webscaler.query('create table orders (id text primary key)');
  await webscaler.query(`grant all on orders to ${webscaler.pair.user}`);
  return webscaler;
}

async function connections({ pair, query }: Webscaler): Promise<number | undefined> {
  const text =
    "select count(*)::int as count from pg_stat_activity where usename = $1 and backend_type = 'client backend'";
  const [row] = await query<{ count: number }>(text, [pair.user]);
  return row?.count;
}

async function statusOf(url: string): Promise<unknown> {
  return ((await (await fetch(`${url}/healthz`)).json()) as { status: unknown }).status;
}

async function ready(url: string): Promise<readonly [status: number, body: unknown]> {
  const response = await fetch(`${url}/readyz`);
  return [response.status, await response.json()];
}
