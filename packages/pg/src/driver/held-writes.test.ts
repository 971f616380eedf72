import { EventEmitter } from 'node:events';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import * as pg from 'pg';
import { describe, expect, it } from 'vitest';
import { silenceClient } from './closing.ts';
import { HeldWrites } from './pipelining.ts';
import { recordStatementOutcomes } from './statement-outcome.ts';

/** A client of `pg` on a stream that remembers what is written. */
function clientOf() {
  const written: string[] = [];
  const stream = Object.assign(new EventEmitter(), {
    writable: true,
    write: (bytes: Buffer) => written.push(bytes.toString('latin1')) > 0,
    pause: () => undefined,
    setNoDelay: () => undefined,
  });
  const client = new pg.Client({ stream: () => stream } as unknown as pg.ClientConfig);
  const { connection } = client as unknown as { connection: { query(text: string): void } };
  return { client, connection, written, writes: new HeldWrites(client) };
}

describe('what a client holds back', () => {
  it('leaves in one piece at the end of the turn', async () => {
    const { connection, written, writes } = clientOf();
    writes.hold();
    const { held } = writes;
    connection.query('select 1');
    connection.query('select 2');
    expect([written, held?.isSent]).toEqual([[], false]);
    await endOfTurn();
    expect(written).toEqual(['Q\0\0\0\rselect 1\0Q\0\0\0\rselect 2\0']);
    expect(held?.isSent).toBe(true);
  });

  it('is never sent once the client is silenced, which keeps its connection', async () => {
    const { client, connection, written, writes } = clientOf();
    writes.hold();
    const { held } = writes;
    connection.query('select 1');
    silenceClient(client);
    await endOfTurn();
    expect([written, held?.isSent]).toEqual([[], false]);
  });

  it('is never sent once all of its statements have failed, whatever happens to the connection', async () => {
    const { client, connection, written, writes } = clientOf();
    recordStatementOutcomes(client);
    writes.hold();
    const { held } = writes;
    connection.query('select 1');
    const { _errorAllQueries: failAll } = client as unknown as { _errorAllQueries(error: Error): void };
    failAll.call(client, new Error('the server said goodbye'));
    await endOfTurn();
    expect([written, held?.isSent]).toEqual([[], false]);
  });
});
