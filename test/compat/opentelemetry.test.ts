import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Answer } from './opentelemetry/commands.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// The instrumentation replaces methods while modules are loaded, which is why each application is a process of its own.
describe.each([
  ['an ES module', 'es-module.ts'],
  ['CommonJS', 'common-js.cjs'],
])('OpenTelemetry, in an application that is %s', (_, file) => {
  let webscaler: Webscaler;
  let application: Application;

  beforeAll(async () => {
    webscaler = await startWebscaler();
  });

  beforeEach(async () => {
    application = await startApplication(file);
  });

  afterEach(() => application.stop());

  afterAll(() => webscaler?.[Symbol.asyncDispose]());

  async function openPool(): Promise<void> {
    await application.ask('open', 'ours', webscaler.options());
  }

  function spans(): Promise<Span[]> {
    return application.ask<Span[]>('spans');
  }

  it('records a query with the Service that the pool is for, and the host that it leads to', async () => {
    await openPool();
    await application.ask('query', 'request', 'select 1');
    expect(await spans()).toEqual([
      { name: 'request', parent: null, host: null, failed: false },
      { name: 'pg-pool.connect', parent: 'request', host: 'webscaler-db', failed: false },
      { name: 'pg.connect', parent: 'pg-pool.connect', host: 'primary-db.example.com', failed: false },
      { name: 'pg.query:SELECT app', parent: 'request', host: 'primary-db.example.com', failed: false },
    ]);
  });

  it('records the same spans as with a pool of pg', async () => {
    const { host, port, user, password, database, ssl } = webscaler.pair.connection();
    const recorded: { name: string; parent: string | null }[][] = [];
    for (const open of [openPool, () => application.ask('open', 'pg', { host, port, user, password, database, ssl })]) {
      await open();
      await application.ask('query', 'first', 'select 1');
      await application.ask('query', 'second', 'select 1');
      await application.ask('query', 'wrong', 'select nothing').catch(() => undefined);
      await application.ask('transaction', 'third', 'select 2');
      // The pool of pg has lost its connection by the wrong one.
      recorded.push((await spans()).filter(({ name }) => name !== 'pg.connect').map(({ host: _, ...span }) => span));
      await application.ask('end');
    }
    expect(recorded[0]).toHaveLength(3 * 3 + 5);
    expect(recorded[0]).toEqual(recorded[1]);
  });

  it('counts the connections of the pool, under the name of the Service, until its end', async () => {
    await openPool();
    await Promise.all(Array.from({ length: 8 }, () => application.ask('query', 'request', 'select pg_sleep(0.1)')));
    await application.ask('query', 'request', 'select 1');
    const pool = `webscaler-db:${webscaler.pair.port}/app`;
    const counts = (used: number, idle: number, max: number) =>
      [
        { name: 'count used', pool, value: used },
        { name: 'count idle', pool, value: idle },
        { name: 'pending_requests', pool, value: 0 },
        { name: 'max', pool, value: max },
      ].map((each) => expect.objectContaining(each));
    // As of the last event: the client of the last query is not idle yet when that is told.
    expect(await application.ask('connections')).toEqual(counts(1, 3, 4));
    await application.ask('end');
    expect(await application.ask('connections')).toEqual(counts(0, 0, 0));
  });

  it('records what failed in a crash, and what follows on the other server', async () => {
    await openPool();
    await application.ask('query', 'before', 'select 1');
    await spans();
    const slow = expect(application.ask('query', 'in flight', 'select pg_sleep(20)')).rejects.toThrow();
    await expect
      .poll(() => webscaler.query("select 1 from pg_stat_activity where query = 'select pg_sleep(20)'"))
      .toHaveLength(1);
    await webscaler.failOver();
    await slow;
    await application.ask('query', 'after', 'select 1');
    const recorded = await spans();
    expect(recorded).toContainEqual({
      name: 'pg.query:SELECT app',
      parent: 'in flight',
      host: 'primary-db.example.com',
      failed: true,
    });
    expect(recorded.filter(({ parent }) => parent === 'after')).toEqual([
      { name: 'pg-pool.connect', parent: 'after', host: 'webscaler-db', failed: false },
      { name: 'pg.query:SELECT app', parent: 'after', host: 'secondary-db.example.com', failed: false },
    ]);
    // The first connection to the new server does not belong to the request that saw the old one die, whichever caller waits for it.
    expect(
      recorded.find(({ name, host }) => name === 'pg.connect' && host === 'secondary-db.example.com')?.parent,
    ).not.toBe('in flight');
  });
});

interface Span {
  readonly name: string;
  readonly parent: string | null;
  readonly host: string | null;
  readonly failed: boolean;
}

interface Application {
  ask<Value>(command: string, ...parameters: unknown[]): Promise<Value>;
  stop(): Promise<void>;
}

async function startApplication(file: string): Promise<Application> {
  const folder = join(import.meta.dirname, 'opentelemetry');
  const child = fork(join(folder, file), {
    execArgv: ['--conditions=@externalname/source', '--import', 'tsx', '--import', join(folder, 'tracing.ts')],
  });
  const exited = once(child, 'exit');
  const waiting = new Map<number, (reply: Answer) => void>();
  child.on('message', (reply: Answer) => {
    waiting.get(reply.number)?.(reply);
    waiting.delete(reply.number);
  });
  child.once('exit', (code) => {
    for (const [number, settle] of waiting) settle({ number, error: `the application ended with ${code}` });
  });
  const answerTo = (number: number) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.set(number, ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error))));
    });
  let asked = 0;
  await answerTo(0);
  return {
    ask<Value>(command: string, ...parameters: unknown[]) {
      asked += 1;
      child.send({ number: asked, command, parameters });
      return answerTo(asked) as Promise<Value>;
    },
    async stop() {
      child.kill();
      await exited;
    },
  };
}
