import { describe, expect, it } from 'vitest';
import { WriteLedger } from './ledger.ts';
import { WriteLoad } from './load.ts';

/** A server that answers when it is told to. */
function server() {
  const asked: { id: number; worker: number; answer: (address: string) => void; fail: (error: Error) => void }[] = [];
  const write = (id: number, worker: number) =>
    new Promise<string>((answer, fail) => void asked.push({ id, worker, answer, fail }));
  return { asked, write };
}

describe('a load of writes', () => {
  it('has each worker write one row after the other, and uses no id twice', async () => {
    const ids: number[] = [];
    const busy = new Set<number>();
    const load: WriteLoad = new WriteLoad({
      workers: 3,
      pauseMillis: 0,
      firstId: 10,
      write: async (id, worker) => {
        expect(busy.has(worker)).toBe(false);
        busy.add(worker);
        await Promise.resolve();
        busy.delete(worker);
        ids.push(id);
        if (ids.length === 12) enough();
        return '127.0.0.1';
      },
    });
    let enough = () => {};
    const done = new Promise<void>((resolve) => {
      enough = resolve;
    });
    load.start();
    load.start();
    await done;
    await load.stop();
    expect([...ids].sort((a, b) => a - b)).toEqual(Array.from({ length: ids.length }, (_, index) => 10 + index));
    expect(load.report().settled).toHaveLength(ids.length);
  });

  it('tells what was acknowledged, what failed and how, and what is under way', async () => {
    const { asked, write } = server();
    let now = 0;
    const outcomeOf = (error: unknown) => ((error as Error).message === 'sent' ? 'unknown' : undefined);
    const load = new WriteLoad({ workers: 4, write, outcomeOf, now: () => now });
    load.start();
    now = 40;
    asked[0]?.answer('127.64.0.1');
    asked[1]?.fail(Object.assign(new Error('sent'), { code: 'ECONNRESET' }));
    asked[2]?.fail(new Error('no reason'));
    await new Promise((resolve) => setImmediate(resolve));
    const { settled, underWay } = load.report();
    expect(settled).toEqual([
      { id: 1, worker: 0, beganAt: 0, settledAt: 40, address: '127.64.0.1' },
      {
        id: 2,
        worker: 1,
        beganAt: 0,
        settledAt: 40,
        failure: { code: 'ECONNRESET', message: 'sent', outcome: 'unknown' },
      },
      {
        id: 3,
        worker: 2,
        beganAt: 0,
        settledAt: 40,
        failure: { code: 'no reason', message: 'no reason', outcome: 'unsaid' },
      },
    ]);
    expect(underWay).toEqual([{ id: 4, worker: 3, beganAt: 0 }]);
    expect(load.report().settled).toEqual([]);
    for (const { answer } of asked) answer('127.64.0.1');
    await load.stop();
  });

  it('stops after the writes that are under way, and says so where they do not settle in time', async () => {
    const { asked, write } = server();
    const load = new WriteLoad({ workers: 2, write });
    load.start();
    await expect(load.stop({ timeoutMillis: 1 })).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_DEADLINE' });
    const ledger = new WriteLedger();
    ledger.enter(load.report(), performance.now());
    ledger.close();
    expect([...ledger.hung.keys()]).toEqual([1, 2]);
    for (const { answer } of asked) answer('127.64.0.1');
    await load.stop();
    expect(asked).toHaveLength(2);
  });

  it('gives up waiting with the signal, and with its reason', async () => {
    const { asked, write } = server();
    const load = new WriteLoad({ workers: 1, write });
    load.start();
    await expect(load.stop({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
    for (const { answer } of asked) answer('127.64.0.1');
    await load.stop();
  });
});
