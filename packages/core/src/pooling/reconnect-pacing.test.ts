import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { ConnectionPacing } from './reconnect-pacing.ts';

function setUp(random = () => 0.5) {
  const clock = new ManualClock();
  const pacing = new ConnectionPacing(
    { spreadMillis: 200, outageIntervalMillis: 334, longestOutageIntervalMillis: 1_000 },
    { clock, random },
  );
  /** Asks for a turn and notes when it came. */
  const ask = () => {
    const turn: { at: number | undefined } = { at: undefined };
    pacing.turn(new AbortController().signal).then(
      () => {
        turn.at = clock.now();
      },
      () => undefined,
    );
    return turn;
  };
  return { clock, pacing, ask };
}

describe('attempts to connect', () => {
  it('are made at once, once the first of the pool has succeeded', async () => {
    const { clock, pacing, ask } = setUp();
    const turns = [ask(), ask(), ask()];
    await clock.advance(5);
    expect(turns.map((turn) => turn.at)).toEqual([0, undefined, undefined]);
    expect(pacing.inOutage).toBe(false);
    pacing.succeeded();
    await clock.advance(0);
    expect(turns.map((turn) => turn.at)).toEqual([0, 5, 5]);
    expect(clock.pending).toBe(0);
  });

  it('are made one at a time again while the server is suspect', async () => {
    const { clock, pacing, ask } = setUp(() => 0.5);
    ask();
    await clock.advance(0);
    pacing.succeeded();
    pacing.suspected();
    const turns = [ask(), ask()];
    await clock.advance(0);
    expect(turns.map((turn) => turn.at)).toEqual([0, undefined]);
    pacing.succeeded();
    await clock.advance(200);
    expect(turns.map((turn) => turn.at)).toEqual([0, 100]);
  });

  it('are made one at a time in an outage, at most three a second, whatever the queue', async () => {
    const { clock, pacing, ask } = setUp(() => 0);
    pacing.failed();
    let waiting = Array.from({ length: 100 }, ask);
    const attempts: number[] = [];
    for (let elapsed = 0; elapsed < 10_000; elapsed += 10) {
      await clock.advance(10);
      const now = waiting.filter((turn) => turn.at !== undefined);
      expect(now.length).toBeLessThanOrEqual(1);
      if (now.length === 0) continue;
      attempts.push(clock.now());
      waiting = waiting.filter((turn) => turn.at === undefined);
      pacing.failed();
    }
    for (const start of attempts) {
      expect(attempts.filter((at) => at >= start && at < start + 1_000).length).toBeLessThanOrEqual(3);
    }
    expect(attempts.length).toBeGreaterThan(5);
  });

  it('let the others go, spread out, once one has succeeded', async () => {
    const { clock, pacing, ask } = setUp(() => 0.25);
    pacing.failed();
    const first = ask();
    const others = [ask(), ask()];
    await clock.advance(500);
    expect(first.at).toBeDefined();
    expect(others.map((turn) => turn.at)).toEqual([undefined, undefined]);
    pacing.succeeded();
    await clock.advance(200);
    const reachedAt = 500;
    expect(others.map((turn) => turn.at)).toEqual([reachedAt + 50, reachedAt + 50]);
    expect(pacing.inOutage).toBe(false);
  });

  it('give the turn to the next caller when one is given back unused', async () => {
    const { clock, pacing, ask } = setUp();
    pacing.failed();
    const first = ask();
    const second = ask();
    await clock.advance(500);
    expect([first.at !== undefined, second.at]).toEqual([true, undefined]);
    pacing.passed();
    await clock.advance(0);
    expect(second.at).toBe(500);
  });

  it('begin at once on a new target: one ahead, the others within the spread', async () => {
    const { clock, pacing, ask } = setUp(() => 0.99);
    pacing.failed();
    const turns = [ask(), ask(), ask()];
    await clock.advance(100);
    pacing.switched();
    await clock.advance(0);
    expect(turns.filter((turn) => turn.at === 100)).toHaveLength(1);
    await clock.advance(200);
    expect(turns.every((turn) => turn.at !== undefined && turn.at <= 300)).toBe(true);
    const later = ask();
    await clock.advance(0);
    expect(later.at).toBe(300);
  });

  it('are hurried by news while the server is down', async () => {
    const { clock, pacing, ask } = setUp();
    pacing.failed();
    const turn = ask();
    await clock.advance(10);
    pacing.hurry();
    await clock.advance(0);
    expect(turn.at).toBe(10);
  });

  it('are not made for a caller that is gone, which leaves no timer behind', async () => {
    const { clock, pacing } = setUp();
    pacing.failed();
    const controller = new AbortController();
    const turn = pacing.turn(controller.signal);
    controller.abort(new Error('gone'));
    await expect(turn).rejects.toThrow('gone');
    expect(clock.pending).toBe(0);
    await expect(pacing.turn(controller.signal)).rejects.toThrow('gone');
  });
});
