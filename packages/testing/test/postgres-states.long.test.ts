import { PostgresPair, type PostgresServer } from '@externalname/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { answer, processesIn } from './support/server-traces.ts';

// Each starts servers several times, maybe on a machine that is busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

type State = 'up' | 'frozen' | 'down';

interface Step {
  readonly act: (server: PostgresServer) => Promise<unknown>;
  readonly next: (state: State) => State;
  /** Whether the server refuses to do it in this state. */
  readonly refused?: (state: State) => boolean;
}

const steps: Readonly<Record<string, Step>> = {
  start: { act: (server) => server.start(), next: (state) => (state === 'down' ? 'up' : state) },
  kill: { act: (server) => server.kill(), next: () => 'down' },
  'stop fast': { act: (server) => server.stop('fast'), next: () => 'down' },
  'stop immediate': { act: (server) => server.stop('immediate'), next: () => 'down' },
  freeze: {
    act: (server) => server.freeze(),
    next: (state) => (state === 'down' ? 'down' : 'frozen'),
    refused: (state) => state === 'down',
  },
  thaw: { act: (server) => server.thaw(), next: (state) => (state === 'frozen' ? 'up' : state) },
  fence: { act: (server) => server.fence(), next: (state) => state, refused: (state) => state !== 'up' },
  query: { act: (server) => server.query('select 1'), next: (state) => state, refused: (state) => state !== 'up' },
};

describe.runIf(process.platform === 'linux')('a server, whatever is done to it', () => {
  let pair: PostgresPair;
  beforeAll(async () => {
    pair = await PostgresPair.start({ synchronous: false });
  });
  afterAll(() => pair?.close());

  it('is in the state that the last call left it in', async () => {
    const anySteps = fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 4, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(anySteps, async (names) => {
        const server = pair.standby;
        await server.kill();
        await server.start();
        let state: State = 'up';
        for (const name of names) {
          const step = steps[name] as Step;
          if (step.refused?.(state) === true) {
            await expect(step.act(server)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_POSTGRES_SERVER' });
          } else {
            await step.act(server);
          }
          state = step.next(state);
          expect(server.isRunning()).toBe(state !== 'down');
          expect(server.isFrozen()).toBe(state === 'frozen');
          expect(processesIn(server.dataFolder).length > 0).toBe(state !== 'down');
          expect(await answer(server)).toBe(state === 'down' ? 'ECONNREFUSED' : 'connected');
        }
      }),
      { numRuns: 6, endOnFailure: true },
    );
  });

  it('is dead when it was killed while it started, and starts again', async () => {
    const server = pair.standby;
    for (let round = 0; round < 6; round++) {
      await server.kill();
      const starting = server.start().then(
        () => 'started',
        (error: { failure?: string }) => error.failure,
      );
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 80));
      await server.kill();
      expect(['started', 'ended']).toContain(await starting);
      expect(processesIn(server.dataFolder)).toEqual([]);
      expect(server.isRunning()).toBe(false);
    }
    await Promise.all([server.start(), server.start(), server.start()]);
    expect(await server.role()).toBe('standby');
  });

  it('has started for its caller when it takes connections, not before', async () => {
    const server = pair.standby;
    await server.kill();
    const first = server.start();
    await expect.poll(() => server.isRunning(), { interval: 1 }).toBe(true);
    await server.start();
    expect(await server.role()).toBe('standby');
    await first;
  });
});
