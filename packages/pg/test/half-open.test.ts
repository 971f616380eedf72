import { FaultProxy } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
let proxy: FaultProxy;

beforeAll(async () => {
  webscaler = await startWebscaler({ synchronous: false });
  const { pair, cluster } = webscaler;
  proxy = await FaultProxy.start({ target: { host: pair.primary.address, port: pair.port } });
  // Everything that the pool opens to the primary goes through the proxy.
  cluster.hosts.set('primary-db.example.com', [proxy.address]);
});

afterAll(async () => {
  await webscaler?.endPools();
  await proxy?.close();
  await webscaler?.[Symbol.asyncDispose]();
});

describe('a connection that a firewall forgot, to a server that lives', () => {
  it('is found by asking the server from the side, and a slow statement beside it is left alone', async () => {
    const pool = webscaler.pool({ port: proxy.port, liveness: { afterMillis: 200, intervalMillis: 500 } });
    const slow = pool.query('select pg_sleep(4)');
    const client = await pool.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    expect(rows).toHaveLength(1);
    // The connection made last; the others, and new ones, work.
    proxy.connections.at(-1)?.blackHole();
    await expect(client.query('select 1')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_PEER_SILENT',
      outcome: 'unknown',
    });
    client.release();
    await expect(slow).resolves.toBeDefined();
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });
});
