import { getEventListeners } from 'node:events';
import { systemClock } from '@externalname/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubernetesApi } from '../src/api/kubernetes-api.ts';
import { ScriptedApi, until } from './scripted-api.ts';

let api: ScriptedApi;

beforeEach(async () => {
  api = await new ScriptedApi().start();
  api.put('primary-db.example.com');
});
afterEach(() => api.stop());

const attempt = { verb: 'watch', group: '', resource: 'services', name: 'webscaler-db', namespace: 'default' } as const;

function watch(signal: AbortSignal) {
  return new KubernetesApi(api.kubeConfig(), systemClock).lines({
    attempt,
    path: '/api/v1/namespaces/default/services',
    query: { watch: 'true', fieldSelector: 'metadata.name=webscaler-db', resourceVersion: '100' },
    timeoutMillis: 5_000,
    silenceMillis: 5_000,
    signal,
  });
}

describe('an answer that goes on', () => {
  it.each([
    ['closed here', async (lines: Awaited<ReturnType<typeof watch>>) => lines.close()],
    ['cut', async () => api.cut()],
    [
      'ended by the server',
      async (lines: Awaited<ReturnType<typeof watch>>) => {
        api.endWatches();
        while ((await lines.next()) !== undefined);
        lines.close();
      },
    ],
  ])('leaves nothing behind when it is %s, time after time', async (_how, end) => {
    const { signal } = new AbortController();
    for (let round = 0; round < 20; round += 1) {
      const lines = await watch(signal);
      expect(await lines.next()).toContain('primary-db.example.com');
      await end(lines);
    }
    await until('no connection', () => api.connections === 0);
    await until('no listener', () => getEventListeners(signal, 'abort').length === 0);
  });

  it('ends with the signal, and the connection with it', async () => {
    const controller = new AbortController();
    const lines = await watch(controller.signal);
    await lines.next();
    controller.abort();
    await expect(lines.next()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE' });
    await until('no connection', () => api.connections === 0);
  });

  it('may have a line of megabytes in small pieces, which is joined once', async () => {
    const lines = await watch(new AbortController().signal);
    await lines.next();
    const piece = 'x'.repeat(100);
    api.sendPieces(Array.from({ length: 40_000 }, () => piece));
    api.sendPieces(['\n']);
    const begun = process.cpuUsage();
    expect((await lines.next())?.length).toBe(4_000_000);
    const { user, system } = process.cpuUsage(begun);
    expect((user + system) / 1e6).toBeLessThan(5);
    lines.close();
  });

  it('may come in pieces that cut a character in two', async () => {
    const lines = await watch(new AbortController().signal);
    await lines.next();
    const text = 'für é 🐘'.repeat(20_000);
    api.sendToWatches({ text });
    expect(await lines.next()).toBe(JSON.stringify({ text }));
    lines.close();
  });
});
