import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { PostgresPair } from '@externalname/testing';
import { describe, expect, it, vi } from 'vitest';
import { commandLines } from './support/server-traces.ts';

// Each starts servers several times, maybe on a machine that is busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe('changes of role', () => {
  it('follow one another when they are asked for at once', async () => {
    await using pair = await PostgresPair.start();
    const [first, second] = pair.servers;
    const order: string[] = [];
    const onPromoted = (server: { hostName: string }) => {
      order.push(server.hostName);
    };
    await Promise.all([
      pair.switchover({ onPromoted }),
      pair.rejoin(first).then(() => order.push('rejoined')),
      pair.switchover({ onPromoted }),
    ]);
    expect(order).toEqual([second.hostName, 'rejoined', first.hostName]);
    expect(pair.primary).toBe(first);
    expect(await first.role()).toBe('primary');
    expect(await second.role()).toBe('standby');
  });

  it('leave nothing running when the caller gives up, and can be made again', async () => {
    await using pair = await PostgresPair.start();
    for (const millis of [1, 60, 200]) {
      await expect(pair.rejoin(pair.standby, { signal: AbortSignal.timeout(millis) })).rejects.toMatchObject({
        name: 'TimeoutError',
      });
    }
    await expect(pair.rejoin(pair.standby, { timeoutMillis: 50 })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DEADLINE',
      message: expect.stringContaining('secondary-db.example.com'),
    });
    await pair.primary.query('create table after_all ()');
    await pair.rejoin(pair.standby);
    expect(await pair.replicationLag()).toBe(0);
  });

  it('go on with the next one if one fails', async () => {
    await using pair = await PostgresPair.start();
    const failed = pair.rejoin(pair.primary);
    const made = pair.switchover();
    await expect(failed).rejects.toMatchObject({ failure: 'wrong-role' });
    await made;
  });

  it('report what the callback of a switchover throws, when the new primary takes writes', async () => {
    await using pair = await PostgresPair.start();
    const old = pair.primary;
    const failure = new Error('the API server said no');
    await expect(
      pair.switchover({
        onPromoted: () => {
          throw failure;
        },
      }),
    ).rejects.toBe(failure);
    expect(pair.standby).toBe(old);
    await pair.primary.query('create table writable ()');
    await pair.rejoin(old);
  });

  it.each([
    ['a rejoin', (pair: PostgresPair) => pair.rejoin(pair.standby)],
    ['a switchover', (pair: PostgresPair) => pair.switchover()],
    [
      'a switchover whose callback never ends',
      (pair: PostgresPair) => pair.switchover({ onPromoted: () => new Promise(() => undefined) }),
    ],
  ])('end with the pair: %s', async (_, change) => {
    for (let round = 0; round < 3; round++) {
      const pair = await PostgresPair.start();
      const folder = dirname(dirname(pair.primary.dataFolder));
      const changing = change(pair).then(
        () => 'done',
        (error: { code?: string }) => error.code,
      );
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 600));
      await pair.close();
      expect(['done', 'ERR_EXTERNALNAME_CLOSED', 'ERR_EXTERNALNAME_POSTGRES_SERVER']).toContain(await changing);
      expect(existsSync(folder)).toBe(false);
      expect(commandLines().filter((line) => line.includes(folder))).toEqual([]);
    }
  });
});
