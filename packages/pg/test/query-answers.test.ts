import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { outcomeOf } from '../src/index.ts';
import { commandComplete, errorResponse, obliging, readyForQuery } from './support/fake-postgres.ts';
import { breakAll, start, turn } from './support/pool-on-fake.ts';

describe('pool.query(null)', () => {
  it('is refused as in pg, and the later death of the server is not an uncaught exception', async () => {
    const { pool, server } = await start({ max: 1 });
    await expect(pool.query(null as unknown as string)).rejects.toThrow('null or undefined');
    await pool.query('select 1');
    const removed = once(pool, 'remove');
    breakAll(server);
    await removed;
    await turn();
  });
});

describe('an error of the application while an answer is read', () => {
  it.each([
    ['of no kind', {}],
    ['that looks like a lack of descriptors', { code: 'EMFILE' }],
    ['that looks like a name that does not resolve', { code: 'ENOTFOUND' }],
  ])(
    '%s: the statement was executed, so it is not retried, and its outcome is not called not-executed',
    async (_, like) => {
      let executed = 0;
      const { pool } = await start(
        { max: 1 },
        obliging((text) => {
          if (!text.startsWith('insert')) return undefined;
          executed += 1;
          return [rowDescription('id'), dataRow('1'), commandComplete('INSERT 0 1'), readyForQuery()];
        }),
      );
      const types = {
        getTypeParser: () => () => {
          throw Object.assign(new Error('cannot read this'), like);
        },
      };
      const error: unknown = await pool
        .query({ text: 'insert into t default values returning id', types: types as never })
        .then(
          () => undefined,
          (reason: unknown) => reason,
        );
      expect(executed).toBe(1);
      expect(outcomeOf(error)).toBe('unknown');
    },
  );
});

describe('a statement that commits in its middle', () => {
  it.each([
    'begin; insert into t values (1); commit; insert into t values (2)',
    'call batch_job()',
    '/* nightly */ do $$ begin commit; end $$',
  ])('is not retried when the server turns read-only behind that: %s', async (text) => {
    let executed = 0;
    const { pool } = await start(
      { max: 1 },
      obliging((asked) => {
        if (asked !== text) return undefined;
        executed += 1;
        return [errorResponse('25006'), readyForQuery()];
      }),
    );
    const error: unknown = await pool.query(text).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(executed).toBe(1);
    expect(outcomeOf(error)).toBe('unknown');
  });

  it('while a plain one is', async () => {
    let executed = 0;
    const { pool } = await start(
      { max: 1 },
      obliging((asked) => {
        if (!asked.startsWith('insert')) return undefined;
        executed += 1;
        return executed === 1 ? [errorResponse('25006'), readyForQuery()] : undefined;
      }),
    );
    await pool.query("insert into t values ('end')");
    expect(executed).toBe(2);
  });
});

function rowDescription(name: string): Buffer {
  const body = Buffer.alloc(2 + name.length + 1 + 18);
  body.writeInt16BE(1, 0);
  body.write(name, 2);
  body.writeInt32BE(25, 2 + name.length + 1 + 6);
  body.writeInt16BE(-1, 2 + name.length + 1 + 10);
  body.writeInt32BE(-1, 2 + name.length + 1 + 12);
  const head = Buffer.alloc(5);
  head.write('T');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function dataRow(value: string): Buffer {
  const body = Buffer.alloc(2 + 4 + value.length);
  body.writeInt16BE(1, 0);
  body.writeInt32BE(value.length, 2);
  body.write(value, 6);
  const head = Buffer.alloc(5);
  head.write('D');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
