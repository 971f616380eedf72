import type { Resolver } from '@externalname/core';
import { afterEach, describe, expect, it } from 'vitest';
import { Client, Pool } from '../src/index.ts';
import {
  authenticationOk,
  errorResponse,
  type FakePostgres,
  type FakeSession,
  parameter,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';

type Behaviour = 'a primary' | 'a standby' | 'down';

const addresses = ['127.0.0.1', '127.0.0.2'] as const;

const servers: FakePostgres[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server[Symbol.asyncDispose]()));
});

/** One name with two addresses. */
async function start(...behaviours: readonly [Behaviour, Behaviour]) {
  for (const [index, address] of addresses.entries()) {
    const script = (session: FakeSession) => serve(session, behaviours[index] ?? 'down');
    servers.push(await startFakePostgres({ address, port: servers[0]?.port, script }));
  }
  const [first] = servers as [FakePostgres, FakePostgres];
  const options = first.options({
    max: 4,
    targetSessionAttrs: 'prefer-standby',
    dns: {
      resolve: async (name) => ({
        name,
        chain: [],
        canonicalName: name,
        addresses: addresses.map((address) => ({ address, family: 4, ttlSeconds: 1 })),
        expiresAt: Number.POSITIVE_INFINITY,
        stale: false,
      }),
      close: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    } satisfies Resolver,
  });
  return { options, sessions: () => servers.map(({ sessions }) => sessions.filter(isOpen).length) };
}

const isOpen = ({ socket }: FakeSession) => !socket.destroyed && !socket.readableEnded;

async function serve(session: FakeSession, behaviour: Behaviour): Promise<void> {
  if (behaviour === 'down') {
    session.send(errorResponse('57P03', 'FATAL'));
    session.socket.end();
    return;
  }
  session.send(
    authenticationOk,
    parameter('in_hot_standby', behaviour === 'a standby' ? 'on' : 'off'),
    parameter('default_transaction_read_only', 'off'),
    readyForQuery(),
  );
  for (let message = await session.receive(); message !== undefined; message = await session.receive()) {
    if (message.type === 'X') session.socket.end();
  }
}

describe('prefer-standby, for a name with several addresses', () => {
  it.each<[Behaviour, Behaviour, string, readonly number[]]>([
    ['a primary', 'a standby', 'the standby', [0, 4]],
    ['a standby', 'a primary', 'the standby', [4, 0]],
    ['a primary', 'down', 'the primary', [4, 0]],
    ['down', 'a primary', 'the primary', [0, 4]],
    ['down', 'a standby', 'the standby', [0, 4]],
  ])('with %s and %s leads every connection to %s', async (first, second, _, expected) => {
    const { options, sessions } = await start(first, second);
    await using pool = new Pool(options);
    await Promise.all(Array.from({ length: 4 }, () => pool.connect().then((client) => client.release())));
    await expect.poll(sessions).toEqual(expected);
  });

  it('takes any server if none is a standby', async () => {
    const { options, sessions } = await start('a primary', 'a primary');
    await using pool = new Pool(options);
    const client = await pool.connect();
    await expect.poll(() => sessions().reduce((sum, count) => sum + count, 0)).toBe(1);
    client.release();
  });

  it.each<[Behaviour, Behaviour, readonly number[]]>([
    ['a primary', 'a standby', [0, 1]],
    ['a primary', 'down', [1, 0]],
  ])('leads a client to it, too: %s and %s', async (first, second, expected) => {
    const { options, sessions } = await start(first, second);
    await using client = new Client(options);
    await client.connect();
    await expect.poll(sessions).toEqual(expected);
  });
});
