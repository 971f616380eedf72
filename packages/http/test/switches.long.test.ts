import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { expect, it } from 'vitest';
import { createDispatcher } from '../src/index.ts';
import { startWebscalerManual } from './support/webscaler-manual.ts';

it('50 switches under load lose no request, and none that is not idempotent is sent twice', async () => {
  await using manual = await startWebscalerManual();
  await using dispatcher = createDispatcher(manual.options());
  const url = `https://webscaler-manual:${manual.port}`;
  const state = { over: false, next: 0 };
  const failures: unknown[] = [];
  const answered = new Set<number>();
  const work = async (method: 'GET' | 'POST') => {
    while (!state.over) {
      const id = state.next++;
      try {
        const { statusCode, body } = await request(`${url}/anything?id=${id}&ms=${id % 7}`, {
          dispatcher,
          method,
          ...(method === 'POST' && { body: 'x' }),
        });
        const { url: asked } = (await body.json()) as { url: string };
        expect([statusCode, asked]).toEqual([200, `/anything?id=${id}&ms=${id % 7}`]);
        answered.add(id);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const working = Array.from({ length: 16 }, (_, index) => work(index % 2 === 0 ? 'GET' : 'POST'));
  const names = [manual.b.name, manual.a.name];
  for (let switches = 0; switches < 50; switches++) {
    const name = names[switches % 2] ?? '';
    await manual.point(name);
    while (dispatcher.target?.externalName !== name) await pause(10);
  }
  state.over = true;
  await Promise.all(working);
  expect(failures).toEqual([]);
  expect(answered.size).toBe(state.next);
  const posts = [...manual.a.requests, ...manual.b.requests].filter((line) => line.startsWith('POST'));
  expect(new Set(posts).size).toBe(posts.length);
  expect(posts.length).toBeGreaterThan(100);
  expect(manual.a.requests.length).toBeGreaterThan(100);
  expect(manual.b.requests.length).toBeGreaterThan(100);
}, 240_000);
