import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDispatcher, type DispatcherOptions, type ServiceDispatcher } from '../src/index.ts';
import { breakStages, startBreakingServer } from './support/breaking-server.ts';
import { outcomeOf } from './support/outcome-of.ts';
import { startWebscalerManual, type WebscalerManual } from './support/webscaler-manual.ts';

let manual: WebscalerManual;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  manual = await startWebscalerManual();
});

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  for (const server of [manual.a, manual.b]) server.requests.length = 0;
  manual.cluster.hosts.set(manual.a.name, [manual.a.address]);
  await manual.point(manual.a.name);
});

afterAll(async () => {
  await manual?.[Symbol.asyncDispose]();
});

function dispatcherOf(more: Partial<DispatcherOptions> = {}): ServiceDispatcher {
  const dispatcher = createDispatcher({ ...manual.options(), allowHttp: true, ...more });
  ends.push(() => dispatcher.destroy());
  return dispatcher;
}

// Larger than what a socket takes at once.
const large = 'x'.repeat(512 * 1024);

describe.each(['end', 'reset'] as const)('a connection that breaks by %s', (how) => {
  describe.each(breakStages)('with the stage "%s"', (stage) => {
    it('sees what is not idempotent once at the most, and what is up to three times if there was no answer', async () => {
      const server = await startBreakingServer('127.0.0.56', stage, how);
      ends.push(() => server.close());
      manual.cluster.hosts.set(manual.a.name, ['127.0.0.56']);
      // A reset may come before the connection counts as made.
      const dispatcher = dispatcherOf({ failoverTimeoutMillis: 200 });
      const base = `http://webscaler-manual:${server.port}`;
      const bodies = { string: large, bytes: Buffer.from(large), stream: () => Readable.from([large, large]) };
      for (const [kind, body] of Object.entries(bodies)) {
        for (const method of ['POST', 'PATCH', 'PUT'] as const) {
          const given = typeof body === 'function' ? body() : body;
          const { answer, error } = await outcomeOf(dispatcher, `${base}/${kind}`, { method, body: given });
          const outcomes = stage === 'connected' ? ['unknown', 'not-executed'] : ['unknown'];
          expect([answer, outcomes.includes(error?.outcome ?? '')]).toEqual([undefined, true]);
        }
      }
      await outcomeOf(dispatcher, `${base}/none`, { method: 'GET' });
      const times = (line: string) => server.requests.filter((each) => each === line).length;
      for (const kind of Object.keys(bodies)) {
        expect([kind, times(`POST /${kind}`) <= 1, times(`PATCH /${kind}`) <= 1]).toEqual([kind, true, true]);
      }
      expect(times('PUT /stream')).toBeLessThanOrEqual(1);
      const answered = stage.startsWith('response');
      const seen = stage === 'connected' ? 0 : answered ? 1 : 3;
      expect(times('GET /none')).toBe(seen);
      expect(times('PUT /string')).toBe(seen);
    });
  });
});

describe('a connection that the server closes while it is idle', () => {
  it('loses no request but those that may have been read, and sends none twice', async () => {
    const dispatcher = dispatcherOf({ connections: 2 });
    const url = `https://webscaler-manual:${manual.port}/anything`;
    const failures: unknown[] = [];
    const send = async (id: number) => {
      const { error } = await outcomeOf(dispatcher, `${url}?id=${id}`, { method: 'POST', body: 'x' });
      if (error !== undefined) failures.push(error.outcome);
      // In the same turn as the next request, now and then.
      for (const connection of manual.a.connections) if (id % 3 === 0) connection.destroy();
      if (id % 2 === 0) await pause(1);
    };
    for (let id = 0; id < 60; id++) await send(id);
    expect(failures.filter((outcome) => outcome !== 'unknown')).toEqual([]);
    const seen = manual.a.requests.filter((line) => line.startsWith('POST'));
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.length).toBeGreaterThanOrEqual(60 - failures.length);
  });
});
