import { afterEach, describe, expect, it } from 'vitest';
import { Client, outcomeOf, Pool } from '../src/index.ts';
import {
  authenticationOk,
  backendKey,
  cleartextRequest,
  type FakePostgres,
  type FakeSession,
  message,
  primaryParameters,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';
import { rejectionOf } from './support/rejection.ts';

let server: FakePostgres | undefined;
const ending: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  await server?.[Symbol.asyncDispose]();
});

/** A server that lets everybody in, and answers the first statement by these bytes. */
function answering(bytes: Buffer) {
  return async (session: FakeSession) => {
    session.send(authenticationOk, ...primaryParameters, backendKey(session.number + 1), readyForQuery());
    let received = await session.receive();
    while (received !== undefined && received.type !== 'Q') received = await session.receive();
    if (received !== undefined) session.send(bytes);
  };
}

const raw = (...bytes: number[]) => Buffer.from(bytes);

// With a password, a server for a Service must ask for it; and here it lets in every client.
const credentials = { password: 'secret', requireAuth: 'none,password' };

/** What a client may be: each reads the messages of a server by itself. */
const ways: [string, () => Promise<unknown>][] = [
  [
    'a pool for a Service',
    () => {
      const pool = new Pool(server?.options({ ...credentials, liveness: false }));
      ending.push(() => pool.end());
      return pool.query('select 1');
    },
  ],
  [
    'a pool for a plain host',
    () => {
      const pool = new Pool({ host: '127.0.0.1', port: server?.port, user: 'app', ...credentials, ssl: false });
      ending.push(() => pool.end());
      return pool.query('select 1');
    },
  ],
  [
    'a client for a Service',
    async () => {
      const client = new Client(server?.options({ ...credentials, liveness: false }));
      client.on('error', () => undefined);
      ending.push(() => client.end());
      await client.connect();
      return client.query('select 1');
    },
  ],
];

describe.each(ways)('%s', (_, query) => {
  it.each([
    ['an error without a field', raw(0x45, 0, 0, 0, 4)],
    ['a length of 2 GiB', raw(0x45, 0x7f, 0xff, 0xff, 0xff)],
    ['an unknown way to authenticate', message('R', raw(0, 0, 0, 99))],
    ['the password twice', Buffer.concat([cleartextRequest, cleartextRequest])],
  ])('refuses a server that sends, before it lets the client in, %s', async (__, bytes) => {
    server = await startFakePostgres({
      script: async (session) => {
        session.send(bytes);
        await session.receive();
      },
    });
    const error = await rejectionOf(query());
    expect(outcomeOf(error) ?? 'not-executed').toBe('not-executed');
    expect(server.received().split('secret').length).toBeLessThanOrEqual(2);
  });

  it.each([
    ['an error without a field', raw(0x45, 0, 0, 0, 4)],
    ['a length of 0', raw(0x44, 0, 0, 0, 0)],
    ['a row of 2 GiB', raw(0x44, 0x7f, 0xff, 0xff, 0xff)],
    ['a row with -1 columns', message('D', raw(0xff, 0xff))],
    ['a row that is cut off', message('D', raw(0, 9))],
    ['a tag without an end', message('C', Buffer.from('SELECT'))],
    ['a description with -1 columns', message('T', raw(0xff, 0xff))],
    ['a description that is cut off', message('T', raw(0, 3))],
    ['parameters that are cut off', message('t', raw(0, 3))],
    ['a COPY that is cut off', message('G', raw(0))],
    ['a key that is cut off', message('K', raw(0, 0))],
    ['a notification that is cut off', message('A', raw(0, 0, 0))],
    ['a message of an unknown type', message('?')],
    ['a request for the password', cleartextRequest],
  ])('ends a connection that answers with %s, and the process goes on', async (__, bytes) => {
    server = await startFakePostgres({ script: answering(bytes) });
    const error = await rejectionOf(query());
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_PROTOCOL_VIOLATION' });
    expect(outcomeOf(error)).toBe('unknown');
    expect(server.received()).not.toContain('secret');
  });
});
