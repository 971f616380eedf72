import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../test/support/manual-clock.ts';
import { type Clock, systemClock } from './clock.ts';

/** A clock, and how a test moves it. */
interface Harness {
  readonly clock: Clock;
  advance(millis: number): Promise<unknown>;
}

const harnesses: Record<string, () => Harness> = {
  'the clock of this machine': () => {
    vi.useFakeTimers();
    return { clock: systemClock, advance: (millis) => vi.advanceTimersByTimeAsync(millis) };
  },
  'a clock that a test moves': () => {
    const clock = new ManualClock();
    return { clock, advance: (millis) => clock.advance(millis) };
  },
};

describe.each(Object.entries(harnesses))('a timer of %s', (_, make) => {
  let harness: Harness;
  let calls = 0;
  const call = () => {
    calls += 1;
  };
  const set = (delayMillis: number) => harness.clock.schedule(call, delayMillis);

  beforeEach(() => {
    harness = make();
    calls = 0;
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it('calls back once, when its delay is over', async () => {
    set(100);
    await harness.advance(99);
    expect(calls).toBe(0);
    await harness.advance(1);
    expect(calls).toBe(1);
    await harness.advance(1_000);
    expect(calls).toBe(1);
  });

  it('never calls back once it was cancelled, also if it is restarted', async () => {
    const timer = set(100);
    timer.cancel();
    timer.restart();
    await harness.advance(1_000);
    expect(calls).toBe(0);
  });

  it('begins its whole delay again when it is restarted', async () => {
    const timer = set(100);
    await harness.advance(90);
    timer.restart();
    await harness.advance(99);
    expect(calls).toBe(0);
    await harness.advance(1);
    expect(calls).toBe(1);
  });

  it('calls back again when it is restarted after it has called', async () => {
    const timer = set(100);
    await harness.advance(100);
    timer.restart();
    await harness.advance(100);
    expect(calls).toBe(2);
  });
});
