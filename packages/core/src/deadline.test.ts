import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../test/support/manual-clock.ts';
import { abortable, onAbort, sleep, withDeadline } from './deadline.ts';
import { DeadlineError } from './errors.ts';

const never = () => new Promise<never>(() => {});

describe('a deadline', () => {
  const options = (clock: ManualClock, signal?: AbortSignal) => ({
    clock,
    signal,
    timeoutMillis: 100,
    onTimeout: () => new DeadlineError('the work', 100),
  });

  it('gives the result of work that is done in time, and leaves no timer', async () => {
    const clock = new ManualClock();
    await expect(withDeadline(async () => 7, options(clock))).resolves.toBe(7);
    expect(clock.pending).toBe(0);
  });

  it('rejects when the time is up and tells the work', async () => {
    const clock = new ManualClock();
    let told: unknown;
    const result = withDeadline((signal) => {
      signal.addEventListener('abort', () => {
        told = signal.reason;
      });
      return never();
    }, options(clock));
    const outcome = expect(result).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_DEADLINE', timeoutMillis: 100 });
    await clock.advance(100);
    await outcome;
    expect(told).toBeInstanceOf(DeadlineError);
  });

  it("rejects with the caller's own reason, and leaves neither timer nor listener", async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const result = withDeadline(never, options(clock, controller.signal));
    const reason = new Error('changed my mind');
    controller.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('starts no work for a signal that has fired', async () => {
    const work = vi.fn(never);
    await expect(withDeadline(work, options(new ManualClock(), AbortSignal.abort('no')))).rejects.toBe('no');
    expect(work).not.toHaveBeenCalled();
  });
});

describe('a wait that can be aborted', () => {
  it('keeps no listener once the promise has settled', async () => {
    const controller = new AbortController();
    await abortable(Promise.resolve(1), controller.signal);
    await expect(abortable(Promise.reject(new Error('x')), controller.signal)).rejects.toThrow('x');
    await Promise.resolve();
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
  });

  it('does not report a rejection that comes after the abort', async () => {
    let reject: (error: Error) => void = () => {};
    const late = new Promise<never>((_, no) => {
      reject = no;
    });
    await expect(abortable(late, AbortSignal.abort('stop'))).rejects.toBe('stop');
    reject(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('a sleep', () => {
  it('ends on time, or with the reason of its signal', async () => {
    const clock = new ManualClock();
    let awake = false;
    const first = sleep(50, { clock }).then(() => {
      awake = true;
    });
    await clock.advance(49);
    expect(awake).toBe(false);
    await clock.advance(1);
    await first;

    const controller = new AbortController();
    const second = sleep(50, { clock, signal: controller.signal });
    controller.abort('up');
    await expect(second).rejects.toBe('up');
    expect(clock.pending).toBe(0);
  });
});

describe('a signal that many wait for', () => {
  it('has one listener, tells all of them, and has none when they are told', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const { signal } = controller;
    const waits = Array.from({ length: 50 }, (_, index) => [
      abortable(never(), signal),
      sleep(1_000, { clock, signal }),
      withDeadline(never, { clock, signal, timeoutMillis: 1_000, onTimeout: () => new Error(`${index}`) }),
    ]).flat();
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    controller.abort(new Error('enough'));
    const settled = await Promise.allSettled(waits);
    expect(settled.every((each) => each.status === 'rejected' && each.reason === signal.reason)).toBe(true);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('keeps its listener until the last of them is done', async () => {
    const clock = new ManualClock();
    const { signal } = new AbortController();
    const waits = [sleep(10, { clock, signal }), sleep(20, { clock, signal })];
    await clock.advance(10);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await clock.advance(10);
    await Promise.all(waits);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('tells none that another one has stopped, or that came too late', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const told: string[] = [];
    const stops = [onAbort(signal, () => stops[1]?.()), onAbort(signal, () => told.push('stopped'))];
    onAbort(signal, () => told.push('third'));
    controller.abort();
    onAbort(signal, () => told.push('late'));
    expect(told).toEqual(['third']);
  });
});
