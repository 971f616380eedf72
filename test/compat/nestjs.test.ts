import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from '@externalname/pg';
import { Logger } from '@nestjs/common';
import { beforeAll, describe, expect, it } from 'vitest';
import { createApp } from './nestjs/app.ts';
import { RequestLoad, storeOrder } from './support/request-load.ts';
import { changes, startWebscaler, type Webscaler } from './support/webscaler.ts';

beforeAll(() => Logger.overrideLogger(false));

describe('the recipe for NestJS', () => {
  it.each(changes)('answers every request through %s, and its readiness names the new server', async (_, change) => {
    await using webscaler = await startWithOrders();
    await using service = await serve(webscaler);
    const load = new RequestLoad(`${service.url}/orders`, 'load');
    try {
      await load.more(20);
      await change(webscaler);
      await load.more(20);
    } finally {
      await load.stop();
    }
    expect([...load.statuses.keys()]).toEqual([201]);
    const ready = await fetch(`${service.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, target: webscaler.pair.primary.hostName }]);
    const rows = await webscaler.query<{ count: number }>('select count(*)::int as count from orders');
    expect(rows[0]?.count).toBe(load.statuses.get(201));
  });

  it('is alive but not ready without a server, and says 503 for what was not done', async () => {
    await using webscaler = await startWithOrders();
    await using service = await serve(webscaler, { failoverTimeoutMillis: 300 });
    expect(await storeOrder(`${service.url}/orders`, 'first')).toBe(201);
    for (const server of webscaler.pair.servers) await server.kill();
    await expect.poll(() => storeOrder(`${service.url}/orders`, 'second'), { timeout: 20_000 }).toBe(503);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
  });

  it('leaves an error of PostgreSQL a 500: it would be the same again', async () => {
    await using webscaler = await startWithOrders();
    await using service = await serve(webscaler);
    await webscaler.query('alter table orders add constraint short check (length(id) < 9)');
    expect(await storeOrder(`${service.url}/orders`, 'far too long')).toBe(500);
  });

  it('ends the pool after the last answer', async () => {
    await using webscaler = await startWithOrders();
    const service = await serve(webscaler);
    const load = new RequestLoad(`${service.url}/orders`, 'load');
    await load.more(5);
    await load.stop();
    const pool = service.app.get(Pool);
    expect(pool.ended).toBe(false);
    await service.app.close();
    expect(pool.ended).toBe(true);
    expect(pool.totalCount).toBe(0);
  });

  it('is shown as it is', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/libraries/nestjs.md'), 'utf8');
    for (const file of files) {
      const code = readFileSync(join(import.meta.dirname, 'nestjs', file), 'utf8');
      expect(page, file).toContain(`\`${file}\`:\n\n\`\`\`ts\n${code}\`\`\`\n`);
    }
  });
});

const files = [
  'database.module.ts',
  'orders.controller.ts',
  'health.controller.ts',
  'outcome.filter.ts',
  'app.ts',
  'main.ts',
];

async function startWithOrders(): Promise<Webscaler> {
  const webscaler = await startWebscaler();
  await webscaler.query('create table orders (id text primary key)');
  await webscaler.query(`grant all on orders to ${webscaler.pair.user}`);
  return webscaler;
}

async function serve(webscaler: Webscaler, options: Parameters<typeof createApp>[0] = {}) {
  const app = await createApp(webscaler.options(options));
  await app.listen(0, '127.0.0.1');
  return { app, url: await app.getUrl(), [Symbol.asyncDispose]: () => app.close() };
}
