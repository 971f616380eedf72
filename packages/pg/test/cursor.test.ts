import type { Socket } from 'node:net';
import type pg from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Client, type PoolOptions } from '../src/index.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

// pg-cursor waits for a word of the server when it is closed, and so does every stream of rows when it fails. From a server that is
// dead none comes (node-postgres#2642): with pg, the reader of a stream then waits for ever.

vi.setConfig({ testTimeout: 5_000 });

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});

afterAll(() => webscaler?.[Symbol.asyncDispose]());

// It depends on whether it is read from or written to first.
const broken = /terminat|EPIPE|ECONNRESET/;

const endless = 'select generate_series(1, 2000000000) as number';

function plain(): PoolOptions {
  const { pair } = webscaler;
  return {
    ...pair.connection(),
    ssl: { ca: pair.ca, servername: 'primary-db.example.com', checkServerIdentity: () => undefined },
  };
}

async function fromPool(options: PoolOptions): Promise<pg.ClientBase> {
  const client = await webscaler.pool(options).connect();
  onTestFinished(() => client.release());
  return client;
}

async function fromClient(options: PoolOptions): Promise<pg.ClientBase> {
  const client = new Client(options);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

describe.each([
  ['a client of the pool', () => fromPool({})],
  ['a client of a pool for a plain host', () => fromPool({ ...plain(), ...plainHost })],
  ['a client', () => fromClient(webscaler.options())],
  ['a client for a plain host', () => fromClient(plain())],
])('the connection of %s dies', (_, connect) => {
  async function connectAndKill(): Promise<{ client: pg.ClientBase; kill: () => Promise<unknown> }> {
    const client = await connect();
    client.on('error', () => undefined);
    const { processID } = client as unknown as { processID: number };
    const kill = async () => {
      const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
      const ended = new Promise((resolve) => connection.once('end', resolve));
      await webscaler.pair.primary.query('select pg_terminate_backend($1)', [processID]);
      await ended;
    };
    return { client, kill };
  }

  it('between two reads of a cursor: the next one fails, and it can be closed', async () => {
    const { client, kill } = await connectAndKill();
    const cursor = client.query(new Cursor(endless));
    expect(await cursor.read(2)).toHaveLength(2);
    await kill();
    await expect(cursor.read(2)).rejects.toThrow(broken);
    await cursor.close();
  });

  it('while a cursor is being closed: it is closed', async () => {
    const { client } = await connectAndKill();
    const cursor = client.query(new Cursor(endless));
    await cursor.read(2);
    const closed = cursor.close();
    (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    await closed;
  });

  it('while a stream is read: reading fails', async () => {
    const { client, kill } = await connectAndKill();
    const stream = client.query(new QueryStream(endless));
    const read = async () => {
      let count = 0;
      for await (const _row of stream) {
        count += 1;
        if (count === 250) await kill();
      }
    };
    await expect(read()).rejects.toThrow(broken);
  });
});

const plainHost: PoolOptions = {
  service: undefined,
  allowedTargets: undefined,
  allowedNetworks: undefined,
  dns: undefined,
};
