import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { authenticationOk, errorResponse, parameter, readyForQuery } from './support/fake-postgres.ts';
import { start, turn } from './support/pool-on-fake.ts';

describe('a server of another role that says a last word while it is left', () => {
  it('does not end the process', async () => {
    const { pool, server } = await start({ failoverTimeoutMillis: 300 }, async (session) => {
      session.send(
        authenticationOk,
        parameter('in_hot_standby', 'on'),
        parameter('default_transaction_read_only', 'off'),
        readyForQuery(),
      );
      session.send(errorResponse('57P01', 'FATAL'));
      await session.receive();
    });
    await expect(pool.query('select 1')).rejects.toThrow();
    await Promise.all(server.sessions.map(({ socket }) => socket.destroyed || once(socket, 'close')));
    await turn();
  });

  it('does not end the process while its role is being asked', async () => {
    const { pool, server } = await start({ failoverTimeoutMillis: 300 }, async (session) => {
      session.send(authenticationOk, readyForQuery());
      await session.receive();
      session.socket.destroy();
    });
    await expect(pool.query('select 1')).rejects.toThrow();
    await Promise.all(server.sessions.map(({ socket }) => socket.destroyed || once(socket, 'close')));
    await turn();
  });
});
