import { describe, expect, it } from 'vitest';
import { RetryPause } from './retry-pause.ts';

describe('the pause before another try', () => {
  it('doubles with each try that fails, up to a limit', () => {
    const pause = new RetryPause(0, 100, 300);
    expect([pause.isOver(99), pause.isOver(100)]).toEqual([false, true]);
    pause.failed(100);
    expect([pause.isOver(299), pause.isOver(300)]).toEqual([false, true]);
    pause.failed(300);
    expect([pause.isOver(599), pause.isOver(600)]).toEqual([false, true]);
  });

  it('does not double because many saw one failure', () => {
    const pause = new RetryPause(0, 100, 300);
    pause.failed(1);
    pause.failed(2);
    expect([pause.failedAt, pause.isOver(101), pause.isOver(102)]).toEqual([2, false, true]);
  });

  it('lets one caller try at a time', () => {
    const pause = new RetryPause(0, 100, 300);
    pause.tried(100);
    expect([pause.isOver(199), pause.isOver(200)]).toEqual([false, true]);
    pause.tried(200, 10);
    expect(pause.isOver(210)).toBe(true);
  });

  it('never ends by hand', () => {
    const pause = new RetryPause(0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    expect([pause.isEndless, pause.isOver(Number.MAX_SAFE_INTEGER)]).toEqual([true, false]);
  });
});
