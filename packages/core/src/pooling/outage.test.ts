import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { Outage } from './outage.ts';

function setUp({ serving = false } = {}) {
  const clock = new ManualClock();
  const state = { serving, looks: 0, tries: 0, told: [] as number[], recovers: false };
  const outage = new Outage({
    clock,
    serving: () => state.serving,
    look: () => void state.looks++,
    tryAgain: async () => {
      state.tries += 1;
      state.serving = state.recovers;
    },
    waitedLong: (millis) => state.told.push(millis),
  });
  return { clock, state, outage };
}

describe('while no server serves', () => {
  it('the Service is looked at as soon as a server fails, and twice a second while callers wait', async () => {
    const { clock, state, outage } = setUp();
    const served = outage.callerWaits();
    outage.begin();
    expect(state.looks).toBe(1);
    await clock.advance(2_000);
    expect(state.looks).toBe(5);
    served();
    await clock.advance(2_000);
    expect(state.looks).toBe(5);
  });

  it('a warning says once that callers have waited for two seconds', async () => {
    const { clock, state, outage } = setUp();
    outage.callerWaits();
    await clock.advance(1_999);
    expect(state.told).toEqual([]);
    await clock.advance(10_000);
    expect(state.told).toEqual([2_000]);
  });

  it('there is no warning if each caller is served sooner', async () => {
    const { clock, state, outage } = setUp();
    for (let count = 0; count < 5; count++) {
      const served = outage.callerWaits();
      await clock.advance(1_400);
      served();
      await clock.advance(100);
    }
    expect(state.told).toEqual([]);
  });

  it('the wait is that of the outage, and not of callers who were there before', async () => {
    const { clock, state, outage } = setUp({ serving: true });
    outage.callerWaits();
    await clock.advance(60_000);
    state.serving = false;
    outage.begin();
    await clock.advance(1_999);
    expect(state.told).toEqual([]);
    await clock.advance(1);
    expect(state.told).toEqual([2_000]);
  });

  it('there is another warning in the next outage', async () => {
    const { clock, state, outage } = setUp();
    outage.callerWaits();
    await clock.advance(2_500);
    state.serving = true;
    await clock.advance(2_500);
    state.serving = false;
    outage.begin();
    await clock.advance(2_500);
    expect(state.told).toHaveLength(2);
  });

  it('a connection is tried every five seconds while no caller waits, until the server is back', async () => {
    const { clock, state, outage } = setUp();
    outage.begin();
    await clock.advance(4_999);
    expect(state.tries).toBe(0);
    await clock.advance(10_001);
    expect(state.tries).toBe(3);
    state.recovers = true;
    await clock.advance(60_000);
    expect(state.tries).toBe(4);
    expect(clock.pending).toBe(0);
  });

  it('nothing is tried if no server was ever asked, and nothing after the end', async () => {
    const { clock, state, outage } = setUp();
    await clock.advance(60_000);
    outage.begin();
    outage.close();
    outage.begin();
    await clock.advance(60_000);
    expect(state.tries).toBe(0);
    expect(clock.pending).toBe(0);
  });
});
