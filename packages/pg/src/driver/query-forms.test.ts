import { EventEmitter } from 'node:events';
import * as pg from 'pg';
import { describe, expect, it } from 'vitest';
import {
  askedByPromise,
  holdQuery,
  type Interceptor,
  interceptQueries,
  type QueryArguments,
  refuseQuery,
  replyTo,
  sendObserved,
} from './query-forms.ts';

/** One question in each form that `pg` takes, and how its answer is heard. */
interface Form {
  readonly query: QueryArguments;
  /** The answer, whether it comes by the returned promise or by the query itself. */
  heard(returned: unknown): Promise<unknown>;
  /** Whether `query()` returns the query object. */
  readonly returnsItself?: boolean;
}

const answered = (take: (callback: (error: unknown, result?: unknown) => void) => QueryArguments): Form => {
  let settle: (answer: unknown) => void = () => undefined;
  const answer = new Promise<unknown>((resolve) => {
    settle = resolve;
  });
  return { query: take((error, result) => settle(error ?? result)), heard: () => answer };
};

const forms: Record<string, () => Form> = {
  'text, by promise': () => ({ query: ['select 1'], heard: byPromise }),
  'a config, by promise': () => ({ query: [{ text: 'select 1' }], heard: byPromise }),
  'text and values, by promise': () => ({ query: ['select $1', [1]], heard: byPromise }),
  'text and a callback': () => answered((callback) => ['select 1', callback]),
  'text, values and a callback': () => answered((callback) => ['select $1', [1], callback]),
  'a config and a callback': () => answered((callback) => [{ text: 'select 1' }, callback]),
  'a config with a callback in it': () => answered((callback) => [{ text: 'select 1', callback }]),
  'a Query of pg with a callback': () => ({
    ...answered((callback) => [new pg.Query('select 1', callback as never)]),
    returnsItself: true,
  }),
  'a Query of pg and a callback beside it': () => ({
    ...answered((callback) => [new pg.Query('select 1'), callback]),
    returnsItself: true,
  }),
};

async function byPromise(returned: unknown): Promise<unknown> {
  return await (returned as Promise<unknown>).catch((error: unknown) => error);
}

describe.each(Object.entries(forms))('a query asked as %s', (_, make) => {
  const error = new Error('no');

  it('is refused in that form', async () => {
    const { query, heard, returnsItself } = make();
    const returned = refuseQuery(query, error);
    expect(await heard(returned)).toBe(error);
    expect(returned === query[0]).toBe(returnsItself === true);
  });

  it('gets a later error in that form', async () => {
    const { query, heard } = make();
    expect(await heard(replyTo(query, Promise.reject(error)))).toBe(error);
  });

  it('is held, and refused in that form when it cannot be sent', async () => {
    const { query, heard, returnsItself } = make();
    const held = holdQuery(query, () => undefined);
    expect(held.answer === query[0]).toBe(returnsItself === true);
    held.fail(error);
    expect(await heard(held.answer)).toBe(error);
  });

  it('is held, and refused in that form when pg throws on it', async () => {
    const { query, heard } = make();
    const held = holdQuery(query, () => {
      throw error;
    });
    expect(() => held.send()).not.toThrow();
    expect(await heard(held.answer)).toBe(error);
  });

  it('is held, and answered in that form by what it is sent on', async () => {
    const { query, heard } = make();
    const held = holdQuery(query, (sent) => clientThatFails(error).query(...sent));
    held.send();
    expect(await heard(held.answer)).toBe(error);
  });

  it('shows its error to a judge before its caller gets it', async () => {
    const { query, heard } = make();
    const told: unknown[] = [];
    const result = sendObserved(
      query,
      (sent) => clientThatFails(error).query(...sent),
      (cause) => told.push(cause),
    );
    expect(await heard(result)).toBe(error);
    expect(told).toContain(error);
  });
});

describe('a rejection that the caller of an observed query forgets', () => {
  it('stays unhandled, as in pg', async () => {
    const unhandled: unknown[] = [];
    const listeners = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    const heard = new Promise<void>((resolve) => {
      process.once('unhandledRejection', (reason) => {
        unhandled.push(reason);
        resolve();
      });
    });
    const error = new Error('forgotten');
    sendObserved(
      ['select 1'],
      () => Promise.reject(error),
      () => undefined,
    );
    await heard;
    for (const listener of listeners) process.on('unhandledRejection', listener);
    expect(unhandled).toEqual([error]);
  });
});

describe('a query that is null', () => {
  it.each([null, undefined])('is not held: %s', (asked) => {
    expect(() => holdQuery([asked], () => undefined)).toThrow('Client was passed a null or undefined query');
  });
});

describe('a query to be answered by a promise', () => {
  it.each<[string, QueryArguments, QueryArguments]>([
    ['text and a callback', ['select 1', () => undefined], ['select 1', undefined]],
    ['values and a callback', ['select $1', [1], () => undefined], ['select $1', [1]]],
    [
      'a callback in its config',
      [{ text: 'select 1', callback: () => undefined }],
      [{ text: 'select 1', callback: undefined }, undefined],
    ],
  ])('loses its callback: %s', (_, query, expected) => {
    expect(askedByPromise(query)).toEqual(expected);
  });
});

/** What takes a query as `pg.Client` does, and fails it. */
function clientThatFails(error: Error): { query(...query: QueryArguments): unknown } {
  const client = Object.assign(new pg.Client(), { _queryable: true, connection: new EventEmitter() });
  (client as unknown as { _pulseQueryQueue(): void })._pulseQueryQueue = () => {
    const { _queryQueue } = client as unknown as { _queryQueue: { handleError(error: Error, from: unknown): void }[] };
    for (const query of _queryQueue.splice(0)) process.nextTick(() => query.handleError(error, client.connection));
  };
  return client as unknown as { query(...query: QueryArguments): unknown };
}

describe('the queries of a client that are intercepted', () => {
  class Client {
    readonly name: string;
    constructor(name: string) {
      this.name = name;
    }
    query(...query: unknown[]): unknown {
      return [this.name, ...query];
    }
  }

  function clientOf(name: string): pg.ClientBase {
    return new Client(name) as unknown as pg.ClientBase;
  }

  const doubled: Interceptor = {
    concerns: (_client, asked) => asked === 'double',
    intercept: (_client, query, send) => [send(query), send(query)],
  };
  const told: Interceptor = {
    concerns: (_client, asked) => asked === 'who',
    intercept: (client, _query, send) => send([(client as unknown as Client).name]),
  };
  const ask = (client: object, ...query: unknown[]) => (client as Client).query(...query);

  it('are sent as they are if they do not concern it', () => {
    const client = clientOf('one');
    interceptQueries(client, doubled);
    expect(ask(client, 'select 1', [1])).toEqual(['one', 'select 1', [1]]);
    expect(ask(client, 'double', [1])).toEqual([
      ['one', 'double', [1]],
      ['one', 'double', [1]],
    ]);
  });

  it('are those of each client, although all share the function', () => {
    const [one, other] = [clientOf('one'), clientOf('other')];
    for (const client of [one, other]) interceptQueries(client, told);
    expect(one.query).toBe(other.query);
    expect([ask(one, 'who'), ask(other, 'who')]).toEqual([
      ['one', 'one'],
      ['other', 'other'],
    ]);
  });

  it('pass through each interceptor, the last one first', () => {
    const client = clientOf('one');
    for (const interceptor of [told, doubled, doubled]) interceptQueries(client, interceptor);
    expect(ask(client, 'who')).toEqual(['one', 'one']);
    expect(ask(client, 'double')).toEqual([
      [
        ['one', 'double'],
        ['one', 'double'],
      ],
      [
        ['one', 'double'],
        ['one', 'double'],
      ],
    ]);
  });

  it('may be asked on an heir of the client, which is `this` in the class', () => {
    const client = clientOf('one');
    interceptQueries(client, told);
    interceptQueries(client, doubled);
    const heir = Object.create(client, { name: { value: 'heir' } }) as object;
    expect(ask(heir, 'select 1')).toEqual(['heir', 'select 1']);
    expect(ask(heir, 'who')).toEqual(['heir', 'one']);
  });

  it('reach what replaces the method of the class later', () => {
    class Traced extends Client {}
    const client = new Traced('one') as unknown as pg.ClientBase;
    interceptQueries(client, told);
    Traced.prototype.query = (...query) => ['traced', ...query];
    expect(ask(client, 'select 1')).toEqual(['traced', 'select 1']);
  });
});
