import { setTimeout } from 'node:timers/promises';
import { FaultProxy } from '@externalname/testing';
import Cursor from 'pg-cursor';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client } from '../src/index.ts';
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

afterEach(async () => {
  await webscaler?.endPools();
});

afterAll(async () => {
  await proxy?.close();
  await webscaler?.[Symbol.asyncDispose]();
});

const peerSilent = { code: 'ERR_EXTERNALNAME_PEER_SILENT', outcome: 'unknown' };

describe('a connection that a firewall forgot, to a server that lives', () => {
  it('is found by asking the server from the side, and a slow statement beside it is left alone', async () => {
    const pool = webscaler.pool({ port: proxy.port });
    let isSlowOver = false;
    const slow = pool.query('select pg_sleep(15)').finally(() => {
      isSlowOver = true;
    });
    const client = await pool.connect();
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    expect(rows).toHaveLength(1);
    // The connection made last; the others, and new ones, work.
    proxy.connections.at(-1)?.blackHole();
    const error = await client.query('select 1').catch((cause: unknown) => cause);
    expect(error).toMatchObject(peerSilent);
    expect(isSlowOver).toBe(false);
    client.release();
    await expect(slow).resolves.toBeDefined();
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });

  it('is found when that happens long after the server was asked first', async () => {
    const pool = webscaler.pool({ port: proxy.port, liveness: { afterMillis: 200, intervalMillis: 500 } });
    const client = await pool.connect();
    const lost = client.query('select pg_sleep(3)');
    const connection = proxy.connections.at(-1);
    const expected = expect(lost).rejects.toMatchObject(peerSilent);
    await setTimeout(1_500);
    connection?.blackHole();
    await expected;
    client.release();
  });

  it('is found if the server has lost every connection', async () => {
    const pool = webscaler.pool({ port: proxy.port, max: 3, liveness: { afterMillis: 200, intervalMillis: 500 } });
    await Promise.all(Array.from({ length: 3 }, () => pool.query('select pg_sleep(0.05)')));
    proxy.halfOpen('server');
    const lost = await Promise.allSettled(Array.from({ length: 3 }, () => pool.query('select 1')));
    for (const each of lost) expect(each).toMatchObject({ status: 'rejected', reason: peerSilent });
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });

  it('is found if a client has it, without a pool', async () => {
    const client = new Client(
      webscaler.options({ port: proxy.port, liveness: { afterMillis: 200, intervalMillis: 500 } }),
    );
    client.on('error', () => undefined);
    await client.connect();
    proxy.connections.at(-1)?.halfOpen('server');
    await expect(client.query('select 1')).rejects.toMatchObject(peerSilent);
    await client.end();
  });
});

describe('a slow statement', () => {
  it('whose rows an application takes its time to read, by a cursor, is left alone', async () => {
    const pool = webscaler.pool({ port: proxy.port, liveness: { afterMillis: 100, intervalMillis: 300 } });
    const client = await pool.connect();
    const cursor = client.query(new Cursor('select generate_series(1, 1000)'));
    expect(await cursor.read(10)).toHaveLength(10);
    await setTimeout(2_000);
    expect(await cursor.read(10)).toHaveLength(10);
    await cursor.close();
    client.release();
  });

  it('of many megabytes, which the line takes long to carry, is left alone', async () => {
    const pool = webscaler.pool({ port: proxy.port, liveness: { afterMillis: 100, intervalMillis: 300 } });
    const client = await pool.connect();
    await client.query('select 1');
    // The network holds the end of the statement back for two seconds, while all of it has left the process.
    const connection = proxy.connections.at(-1);
    connection?.blackHole('to-server');
    const length = client.query('select length($1::text)', ['x'.repeat(600_000)]).catch((error: unknown) => error);
    await setTimeout(2_000);
    connection?.heal();
    expect(await length).toMatchObject({ rows: [{ length: 600_000 }] });
    client.release();
  });

  it('costs one more session, however often its server is asked, and the pool closes it with its own end', async () => {
    const pool = webscaler.pool({ port: proxy.port, liveness: { afterMillis: 400, intervalMillis: 2_000 } });
    const { open } = proxy.counts;
    await pool.query('select 1');
    const { connections } = proxy.counts;
    await pool.query('select pg_sleep(6)');
    // A probe and the session; and some more probes where the machine is slow to bring its answers. Asked fifteen times.
    expect(proxy.counts.connections - connections).toBeLessThanOrEqual(6);
    expect(proxy.counts.connections - connections).toBeGreaterThanOrEqual(2);
    await pool.end();
    await expect.poll(() => proxy.counts.open).toBeLessThanOrEqual(open);
  });
});
