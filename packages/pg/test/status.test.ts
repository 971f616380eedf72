import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { nextRefusal, startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});

afterEach(async () => {
  await webscaler.endPools();
  webscaler.cluster.dns.heal();
});

afterAll(() => webscaler[Symbol.asyncDispose]());

const anyRole = { targetSessionAttrs: 'any' } as const;
const soon = { timeout: 20_000, interval: 50 };

describe('status() of a pool that is not in use at the moment', () => {
  it('says that switches are not seen while DNS is silent, and that they are again', async () => {
    const pool = webscaler.pool(anyRole);
    await pool.query('select 1');
    expect(pool.status().target).toMatchObject({ externalName: 'primary-db.example.com', stale: false });
    webscaler.cluster.dns.fault({ kind: 'silent' });
    await expect.poll(() => pool.status().target?.stale, soon).toBe(true);
    expect(pool.status()).toMatchObject({ target: { externalName: 'primary-db.example.com' }, serving: true });
    webscaler.cluster.dns.heal();
    await expect.poll(() => pool.status().target?.stale, soon).toBe(false);
  });

  it('says so while the Service is gone', async () => {
    const { services } = webscaler.cluster;
    const pool = webscaler.pool(anyRole);
    await pool.query('select 1');
    await services.delete('default', 'webscaler-db');
    await expect.poll(() => pool.status().target?.stale, soon).toBe(true);
    await services.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'webscaler-db', namespace: 'default' },
      spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
    });
    await expect.poll(() => pool.status().target?.stale, soon).toBe(false);
  });

  it('says how long ago its server was heard from', async () => {
    const pool = webscaler.pool(anyRole);
    expect(pool.status()).toMatchObject({ serving: true, servedMillisAgo: undefined });
    await pool.query('select 1');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { serving, servedMillisAgo } = pool.status();
    expect(serving).toBe(true);
    expect(servedMillisAgo).toBeGreaterThanOrEqual(250);
    await pool.query('select 1');
    expect(pool.status().servedMillisAgo).toBeLessThan(servedMillisAgo ?? 0);
  });

  it('names a refusal as long as the Service points there, and no longer', async () => {
    const pool = webscaler.pool(anyRole);
    await pool.query('select 1');
    const refusal = nextRefusal();
    await webscaler.point('evil.example.org');
    await refusal;
    expect(pool.status().refusal?.target).toBe('evil.example.org');
    await webscaler.point('primary-db.example.com');
    await expect.poll(() => pool.status().refusal, soon).toBeUndefined();
    expect(pool.status().epoch).toBe(0);
  });
});
