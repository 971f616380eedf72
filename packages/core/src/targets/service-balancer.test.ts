import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { type BalancedService, ServiceBalancer, type ServiceBalancerOptions } from './service-balancer.ts';

/** The same numbers every time, evenly spread (a linear congruential generator). */
function evenRandom() {
  let state = 42;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const preferred = { name: 'webscaler-db' };
const standIn = { name: 'webscaler-db-dr', priority: 1 };
const lastResort = { name: 'webscaler-db-archive', priority: 2 };

function world(services: readonly BalancedService[] = [standIn, preferred], options: ServiceBalancerOptions = {}) {
  const clock = new ManualClock();
  const balancer = new ServiceBalancer(services, options, { clock, random: evenRandom() });
  return { clock, balancer, first: () => balancer.order()[0] };
}

describe('several Services', () => {
  it('are tried by priority, the lowest number first', () => {
    const { balancer } = world([lastResort, preferred, standIn]);
    expect(balancer.order()).toEqual(['webscaler-db', 'webscaler-db-dr', 'webscaler-db-archive']);
  });

  it('share the work of one priority by weight', () => {
    const { first } = world([
      { name: 'big', weight: 3 },
      { name: 'small', weight: 1 },
      { name: 'spare', priority: 1, weight: 1000 },
    ]);
    const firsts = Array.from({ length: 4000 }, first);
    const share = (name: string) => firsts.filter((entry) => entry === name).length;
    expect(share('big')).toBeGreaterThan(2900);
    expect(share('small')).toBeGreaterThan(900);
    expect(share('spare')).toBe(0);
  });

  it('leave hardly any of it to a weight of 0, and all of it where none has another', () => {
    const { first } = world([
      { name: 'normal', weight: 1 },
      { name: 'none', weight: 0 },
    ]);
    const firsts = Array.from({ length: 1000 }, first);
    expect(firsts.filter((name) => name === 'none').length).toBeLessThan(10);
    const even = world([
      { name: 'a', weight: 0 },
      { name: 'b', weight: 0 },
    ]);
    expect(new Set(Array.from({ length: 100 }, even.first))).toEqual(new Set(['a', 'b']));
  });

  it.each<[string, readonly BalancedService[], ServiceBalancerOptions, string]>([
    ['none', [], {}, 'services'],
    ['two of one name', [preferred, preferred], {}, 'services'],
    ['a priority that is not a whole number', [{ name: 'a', priority: 0.5 }], {}, 'services[0].priority'],
    ['a weight below 0', [{ name: 'a', weight: -1 }], {}, 'services[0].weight'],
    ['a time below 0', [preferred], { comeBackAfterMillis: -1 }, 'comeBackAfterMillis'],
    [
      'a longest time below the first',
      [preferred],
      { comeBackAfterMillis: 2, longestComeBackMillis: 1 },
      'longestComeBackMillis',
    ],
  ])('are refused: %s', (_, services, options, argument) => {
    expect(() => world(services, options)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });

  it('are known by name: reporting on another one is refused', () => {
    const { balancer } = world();
    expect(() => balancer.failed('nobody')).toThrow(expect.objectContaining({ argument: 'name' }));
    expect(() => balancer.succeeded('nobody')).toThrow(expect.objectContaining({ argument: 'name' }));
  });

  it('are all there in every order, whatever happened', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const step = fc.record({
      name: fc.constantFrom(...names),
      report: fc.constantFrom('failed', 'succeeded', 'none'),
      wait: fc.nat(100_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step), async (steps) => {
        const { clock, balancer } = world(names.map((name, index) => ({ name, priority: index % 2 })));
        for (const { name, report, wait } of steps) {
          if (report !== 'none') balancer[report as 'failed' | 'succeeded'](name);
          await clock.advance(wait);
          expect(balancer.order().toSorted()).toEqual(names);
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('a Service that failed', () => {
  it('stands behind all that did not, whatever their priority', () => {
    const { balancer } = world([preferred, standIn, lastResort]);
    balancer.failed('webscaler-db');
    expect(balancer.order()).toEqual(['webscaler-db-dr', 'webscaler-db-archive', 'webscaler-db']);
  });

  it('comes before one that failed after it', async () => {
    const { clock, balancer } = world();
    for (const names of [
      ['webscaler-db-dr', 'webscaler-db'],
      ['webscaler-db', 'webscaler-db-dr'],
    ]) {
      for (const name of names) {
        balancer.failed(name);
        await clock.advance(1);
      }
      expect(balancer.order()).toEqual(names);
    }
  });

  it('is tried first again by one caller after 30 seconds, and by no other before that one reports', async () => {
    const { clock, balancer, first } = world();
    balancer.failed('webscaler-db');
    await clock.advance(29_999);
    expect(first()).toBe('webscaler-db-dr');
    await clock.advance(1);
    expect([first(), first(), first()]).toEqual(['webscaler-db', 'webscaler-db-dr', 'webscaler-db-dr']);
    balancer.succeeded('webscaler-db');
    expect([first(), first()]).toEqual(['webscaler-db', 'webscaler-db']);
  });

  it('is left alone twice as long each time that it fails again, up to five minutes', async () => {
    const { clock, balancer, first } = world();
    balancer.failed('webscaler-db');
    const pauses: number[] = [];
    for (let time = 0; time < 6; time++) {
      const failedAt = clock.now();
      while (first() !== 'webscaler-db') await clock.advance(1000);
      pauses.push((clock.now() - failedAt) / 1000);
      balancer.failed('webscaler-db');
    }
    expect(pauses).toEqual([30, 60, 120, 240, 300, 300]);
  });

  it('is not left alone longer because many callers saw the same failure', async () => {
    const { clock, balancer, first } = world();
    for (let caller = 0; caller < 50; caller++) balancer.failed('webscaler-db');
    await clock.advance(30_000);
    expect(first()).toBe('webscaler-db');
  });

  it('is tried by another caller after the same time, where the first one never says how it went', async () => {
    const { clock, balancer, first } = world();
    balancer.failed('webscaler-db');
    await clock.advance(30_000);
    expect(first()).toBe('webscaler-db');
    await clock.advance(29_999);
    expect(first()).toBe('webscaler-db-dr');
    await clock.advance(1);
    expect(first()).toBe('webscaler-db');
  });

  it('begins with the short time again once it has worked', async () => {
    const { clock, balancer, first } = world();
    balancer.failed('webscaler-db');
    await clock.advance(30_000);
    balancer.failed('webscaler-db');
    balancer.succeeded('webscaler-db');
    balancer.failed('webscaler-db');
    await clock.advance(30_000);
    expect(first()).toBe('webscaler-db');
  });

  it('comes back by hand only, where that is asked for', async () => {
    const { clock, balancer, first } = world([preferred, standIn], { comeBackAfterMillis: 'by-hand' });
    balancer.failed('webscaler-db');
    await clock.advance(365 * 24 * 3_600_000);
    expect(first()).toBe('webscaler-db-dr');
    balancer.succeeded('webscaler-db');
    expect(first()).toBe('webscaler-db');
  });
});

describe('with a stable time, a Service that failed', () => {
  const stable = { comeBackAfterMillis: 1_000, stableMillis: 8_000 };

  it('is tried by no caller, and looked at after its pause', async () => {
    const { clock, balancer, first } = world([preferred, standIn], stable);
    balancer.failed('webscaler-db');
    await clock.advance(999);
    expect(balancer.toProbe()).toEqual([]);
    await clock.advance(1);
    expect([balancer.toProbe(), balancer.toProbe(), first()]).toEqual([['webscaler-db'], [], 'webscaler-db-dr']);
  });

  it('returns when every look has found it working for that long', async () => {
    const { clock, balancer, first } = world([preferred, standIn], stable);
    balancer.failed('webscaler-db');
    await clock.advance(1_000);
    for (let millis = 0; millis < 8_000; millis += 2_000) {
      expect(balancer.toProbe()).toEqual(['webscaler-db']);
      balancer.probed('webscaler-db');
      expect(first()).toBe('webscaler-db-dr');
      await clock.advance(2_000);
    }
    balancer.probed('webscaler-db');
    expect(first()).toBe('webscaler-db');
    expect(balancer.toProbe()).toEqual([]);
  });

  it('begins again when it fails meanwhile', async () => {
    const { clock, balancer, first } = world([preferred, standIn], stable);
    balancer.failed('webscaler-db');
    await clock.advance(1_000);
    balancer.probed('webscaler-db');
    await clock.advance(7_000);
    balancer.failed('webscaler-db');
    await clock.advance(2_000);
    balancer.probed('webscaler-db');
    expect([first(), balancer.status()[0]?.setAside]).toEqual(['webscaler-db-dr', true]);
  });

  it('is not looked at if it comes back by hand', async () => {
    const { clock, balancer, first } = world([preferred, standIn], { ...stable, comeBackAfterMillis: 'by-hand' });
    balancer.failed('webscaler-db');
    await clock.advance(24 * 3_600_000);
    expect(balancer.toProbe()).toEqual([]);
    balancer.probed('webscaler-db');
    await clock.advance(24 * 3_600_000);
    balancer.probed('webscaler-db');
    expect(first()).toBe('webscaler-db-dr');
    balancer.succeeded('webscaler-db');
    expect(first()).toBe('webscaler-db');
  });

  it('starts slowly when it returns', async () => {
    const { clock, balancer } = world([{ name: 'a' }, { name: 'b' }], { ...stable, slowStartMillis: 10_000 });
    const share = () => balancer.status()[0]?.share;
    balancer.failed('a');
    await clock.advance(1_000);
    balancer.succeeded('a');
    expect(share()).toBeCloseTo(0.1 / 1.1);
    await clock.advance(10_000);
    expect(share()).toBeCloseTo(0.5);
  });
});

describe('several Services of one priority', () => {
  it.each(['round-robin', 'least-connections'] as const)('share requests exactly by weight (%s)', (balancing) => {
    const { first } = world([{ name: 'big', weight: 3 }, { name: 'small' }], { balancing });
    const firsts = Array.from({ length: 400 }, first);
    expect(firsts.filter((name) => name === 'big')).toHaveLength(300);
  });

  it('are left for the next priority while they are outliers', async () => {
    const { clock, balancer, first } = world([preferred, standIn], { outlierDetection: {} });
    const told: unknown[] = [];
    balancer.subscribe((...change) => told.push(change));
    first();
    for (let time = 0; time < 20; time++) balancer.requested('webscaler-db')('failed');
    await clock.advance(10_000);
    expect(first()).toBe('webscaler-db-dr');
    expect(balancer.order()).toEqual(['webscaler-db-dr', 'webscaler-db']);
    expect(balancer.status()[0]).toMatchObject({
      name: 'webscaler-db',
      ejected: 'errors',
      failed: 20,
      setAside: false,
    });
    await clock.advance(30_000);
    expect(first()).toBe('webscaler-db');
    expect(told).toEqual([
      ['webscaler-db', 'errors'],
      ['webscaler-db', undefined],
    ]);
  });
});
