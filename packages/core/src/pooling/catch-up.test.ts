import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { CatchUp } from './catch-up.ts';

/** A server that has the log up to a position, which grows by one each millisecond if it replays. */
interface Server {
  readonly isPrimary: boolean;
  position(): number;
}

function setUp({ replays = true, hasPrimary = true, primaryAt = 100, limitMillis = 1_000 } = {}) {
  const clock = new ManualClock();
  const log: string[] = [];
  const begin = clock.now();
  const standby: Server = { isPrimary: false, position: () => (replays ? clock.now() - begin : 0) };
  const primary: Server = { isPrimary: true, position: () => primaryAt };
  const catchUp = new CatchUp<Server, number, { server: Server; at: number }, { budgetMillis: number | undefined }>({
    clock,
    limitMillis,
    catchUpMillis: 100,
    connect: async ({ budgetMillis }) => {
      if (budgetMillis !== undefined && budgetMillis < 1) throw new Error('no time');
      return standby;
    },
    connectPrimary: hasPrimary ? async () => primary : undefined,
    release: (server) => log.push(`release ${server.isPrimary ? 'primary' : 'standby'}`),
    positionOf: async (server) => {
      log.push(server.isPrimary ? 'ask primary' : 'ask');
      return { server, at: server.position() };
    },
    hasReached: ({ at }, token) => at >= token,
    hasForGood: ({ server, at }, token) => !server.isPrimary && at >= token,
    notReplayed: (millis) => new Error(`not within ${millis} ms`),
    waited: (server, millis) => log.push(`waited for ${server} ${millis}`),
  });
  const read = (token: number, budgetMillis?: number) => catchUp.connect(token, { budgetMillis });
  return { clock, log, catchUp, read };
}

describe('a read with a token', () => {
  it('gets a standby that has it after one question, and without one the next time', async () => {
    const { log, catchUp, read } = setUp();
    expect(await read(0)).toMatchObject({ isPrimary: false });
    expect(await read(0)).toMatchObject({ isPrimary: false });
    expect(log).toEqual(['ask']);
    expect(catchUp.counts()).toEqual({ total: 2, waited: 0, toPrimary: 0 });
  });

  it('waits for a standby that replays it in time', async () => {
    const { clock, log, catchUp, read } = setUp();
    const reading = read(50);
    for (let millis = 0; millis < 100; millis++) await clock.advance(1);
    expect(await reading).toMatchObject({ isPrimary: false });
    expect(log.at(-1)).toMatch(/^waited for standby (5|6)\d$/);
    expect(catchUp.counts()).toMatchObject({ waited: 1, toPrimary: 0 });
  });

  it('goes to the primary if the standby is late; the next one does not wait as long again', async () => {
    const { clock, log, catchUp, read } = setUp({ replays: false });
    const reading = read(80);
    for (let millis = 0; millis < 110; millis++) await clock.advance(1);
    expect(await reading).toMatchObject({ isPrimary: true });
    expect(log).toContain('release standby');
    expect(await read(80)).toMatchObject({ isPrimary: true });
    expect(catchUp.counts()).toEqual({ total: 2, waited: 2, toPrimary: 2 });
  });

  it('fails in time if no server has it', async () => {
    const { clock, log, read } = setUp({ replays: false, primaryAt: 0 });
    const failed = expect(read(80, 300)).rejects.toThrow('not within 300 ms');
    for (let millis = 0; millis < 400; millis++) await clock.advance(1);
    await failed;
    expect(log.filter((line) => line === 'release primary').length).toBeGreaterThan(0);
  });

  it('waits for all of its time if the primary serves no reads', async () => {
    const { clock, read } = setUp({ hasPrimary: false });
    const reading = read(500);
    for (let millis = 0; millis < 600; millis++) await clock.advance(1);
    expect(await reading).toMatchObject({ isPrimary: false });
  });
});
