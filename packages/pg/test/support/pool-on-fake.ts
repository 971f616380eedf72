import type { Dependencies, StaticTargetSource } from '@externalname/core';
import { afterEach } from 'vitest';
import { Pool, type PoolOptions, switched, targetNotFollowed } from '../../src/index.ts';
import { errorResponse, type FakeOptions, type FakePostgres, obliging, startFakePostgres } from './fake-postgres.ts';

/** A pool for a Service, and the one server that all its targets lead to. */
export interface PoolOnFake {
  readonly pool: Pool;
  readonly server: FakePostgres;
  readonly source: StaticTargetSource;
  /** Points the Service elsewhere, and waits until the pool has moved. */
  switchTo(externalName: string): Promise<void>;
  /** Points the Service elsewhere, and waits until the pool says that it does not follow. */
  pointTo(externalName: string): Promise<void>;
}

const servers: FakePostgres[] = [];
const pools: Pool[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server[Symbol.asyncDispose]()));
  await Promise.all(pools.splice(0).map((pool) => (pool.ending ? undefined : pool.end())));
});

/** Ended after the test. */
export function ended(pool: Pool): Pool {
  pools.push(pool);
  return pool;
}

/** Closed after the test. */
export async function startServer(script: FakeOptions['script'] = obliging()): Promise<FakePostgres> {
  const server = await startFakePostgres({ script });
  servers.push(server);
  return server;
}

export async function start(
  overrides: PoolOptions & Record<string, unknown> = {},
  script?: FakeOptions['script'],
  dependencies?: Dependencies,
): Promise<PoolOnFake> {
  const server = await startServer(script);
  const options = server.options({ endTimeoutMillis: 500, ...overrides });
  const { source } = options;
  const pool = ended(new Pool(options, dependencies));
  const pointing = (externalName: string, channel: { subscribe(listener: () => void): () => void }): Promise<void> =>
    new Promise((resolve) => {
      const stop = channel.subscribe(() => {
        stop();
        resolve();
      });
      source.set(externalName);
    });
  return {
    pool,
    server,
    source,
    switchTo: (externalName) => pointing(externalName, switched),
    pointTo: (externalName) => pointing(externalName, targetNotFollowed),
  };
}

/** A server that refuses every session after it is told so. */
export async function startRefusing(): Promise<PoolOnFake & { refuse(): void }> {
  let refusing = false;
  const started = await start({}, async (session) => {
    if (!refusing) return obliging()(session);
    session.send(errorResponse('28P01', 'FATAL'));
    session.socket.end();
  });
  return {
    ...started,
    refuse: () => {
      refusing = true;
    },
  };
}

/** A promise, and the function that resolves it. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export const never = (): Promise<never> => new Promise<never>(() => undefined);

/** What is on its way by now has arrived. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Breaks every connection of a server, without a word. */
export function breakAll({ sessions }: FakePostgres): void {
  for (const { socket } of sessions) socket.destroy();
}
