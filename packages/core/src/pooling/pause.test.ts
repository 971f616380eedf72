import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { Pause } from './pause.ts';

function setUp({ plannedHoldMillis = 10_000 } = {}) {
  const clock = new ManualClock();
  const log: string[] = [];
  const state = { quiet: true, isUnused: true, returned: () => {} };
  const pause = new Pause({
    clock,
    plannedHoldMillis,
    queue: {
      size: 3,
      get isUnused() {
        return state.isUnused;
      },
      hold: (returned) => {
        state.returned = returned;
        log.push('hold');
      },
      resume: () => void log.push('serve'),
    },
    isQuiet: () => state.quiet,
    endedEarly: (reason) => new Error(`because ${reason}`),
    poolEnded: () => new Error('the pool ended'),
    paused: (cause) => log.push(`paused ${cause}`),
    resumed: ({ cause, why, durationMillis, waiting }) =>
      log.push(`resumed ${cause} ${why} ${durationMillis} ${waiting}`),
  });
  return { clock, log, state, pause };
}

describe('a pause', () => {
  it('holds callers at once, and is there when work in progress has finished', async () => {
    const { clock, log, state, pause } = setUp();
    state.isUnused = false;
    const paused = pause.pause({});
    expect(log).toEqual(['hold', 'paused application']);
    await clock.advance(50);
    expect(pause.status).toEqual({ cause: 'application', millis: 50, quiet: false });
    state.isUnused = true;
    state.returned();
    await paused;
    expect(pause.status?.quiet).toBe(true);
    pause.resume();
    expect(log.slice(2)).toEqual(['serve', 'resumed application resumed 50 3']);
    expect(pause.status).toBeUndefined();
  });

  it('ends, and says so, if work does not finish in time', async () => {
    const { clock, log, state, pause } = setUp();
    state.quiet = false;
    const paused = pause.pause({ timeoutMillis: 100 });
    const failed = expect(paused).rejects.toThrow('because work in progress did not finish within 100 ms');
    await clock.advance(100);
    await failed;
    expect(log.slice(2)).toEqual(['serve', 'resumed application failed 100 3']);
  });

  it('goes on for a second caller of pause() if a first one gives up', async () => {
    const { clock, log, state, pause } = setUp();
    state.quiet = false;
    const aborted = new AbortController();
    const first = pause.pause({ signal: aborted.signal });
    const second = pause.pause({});
    aborted.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    expect(log).toEqual(['hold', 'paused application']);
    state.quiet = true;
    pause.check();
    await second;
    await clock.advance(0);
    expect(pause.status?.quiet).toBe(true);
  });

  it('rejects if callers are served meanwhile, or the pool ends', async () => {
    const { state, pause } = setUp();
    state.quiet = false;
    const first = pause.pause({});
    pause.resume();
    await expect(first).rejects.toThrow('because pool.resume() was called meanwhile');
    const second = pause.pause({});
    pause.close();
    await expect(second).rejects.toThrow('the pool ended');
  });
});

describe('a planned switch', () => {
  it('holds callers until the pool has moved', async () => {
    const { clock, log, pause } = setUp();
    expect(pause.planned({ to: 'secondary-db.example.com', startsInMillis: 20 })).toBe(true);
    expect(log).toEqual([]);
    await clock.advance(20);
    expect(pause.status?.cause).toBe('planned-switch');
    await clock.advance(30);
    pause.moved();
    expect(log.at(-1)).toBe('resumed planned-switch moved 30 3');
  });

  it.each([
    ['the time of the plan', { holdMillis: 100 }, 10_000, 100],
    ['the time that the pool allows', { holdMillis: 60_000 }, 200, 200],
  ])('lets them go after %s, if it never comes', async (_, plan, plannedHoldMillis, after) => {
    const { clock, log, pause } = setUp({ plannedHoldMillis });
    pause.planned(plan);
    await clock.advance(after - 1);
    expect(log).not.toContain('serve');
    await clock.advance(1);
    expect(log.at(-1)).toBe(`resumed planned-switch expired ${after} 3`);
  });

  it('lets them go when it is given up, and holds none if the pool does not want that', () => {
    const { log, pause } = setUp();
    pause.planned({});
    pause.planned(undefined);
    expect(log.at(-1)).toBe('resumed planned-switch given-up 0 3');
    const { log: other, pause: unwilling } = setUp({ plannedHoldMillis: 0 });
    expect(unwilling.planned({})).toBe(false);
    expect(other).toEqual([]);
  });

  it('does not end the pause of the application', async () => {
    const { log, pause } = setUp();
    await pause.pause({});
    pause.planned({});
    pause.moved();
    expect(log).not.toContain('serve');
    pause.resume();
    expect(log).toContain('serve');
  });
});
