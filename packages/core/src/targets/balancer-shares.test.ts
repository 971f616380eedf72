import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { Balancer, type BalancerChange, type BalancerOptions, type Balancing } from './balancer.ts';
import type { Endpoint } from './endpoint.ts';
import type { Target } from './target-source.ts';

const target: Target = { externalName: 'db.example.com', via: [], version: '1', source: 'static', stale: false };
const endpoint = (host: number): Endpoint => ({ target, address: `203.0.113.${host}`, family: 4, port: 5432 });
const hostOf = (each: Endpoint | undefined) => Number(each?.address.split('.')[3]);

/** The same numbers every time, evenly spread (a linear congruential generator). */
function evenRandom() {
  let state = 42;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

function world(options: BalancerOptions = {}, hosts = 3) {
  const clock = new ManualClock();
  const balancer = new Balancer({ balancing: 'round-robin', ...options }, { clock, random: evenRandom() });
  const endpoints = Array.from({ length: hosts }, (_, index) => endpoint(index + 1));
  const changes: BalancerChange[] = [];
  balancer.subscribe((change) => changes.push(change));
  balancer.order(endpoints);
  const counts = (requests: number, list: readonly Endpoint[] = endpoints) => {
    const result = endpoints.map(() => 0);
    for (let time = 0; time < requests; time++) {
      const index = hostOf(balancer.pick(list)) - 1;
      result[index] = (result[index] ?? 0) + 1;
    }
    return result;
  };
  /** `requests` of an endpoint, all at the same time. */
  const serve = async (each: Endpoint, requests: number, { millis = 1, failed = 0 } = {}) => {
    const ends = Array.from({ length: requests }, () => balancer.requested(each));
    await clock.advance(millis);
    for (const [index, end] of ends.entries()) end(index < failed ? 'failed' : 'answered');
  };
  return { clock, balancer, endpoints, changes, counts, serve };
}

const [one, two, three] = [1, 2, 3].map(endpoint) as [Endpoint, Endpoint, Endpoint];

describe('requests', () => {
  it('go to each endpoint in turn', () => {
    const { balancer, endpoints } = world();
    expect(Array.from({ length: 6 }, () => hostOf(balancer.pick(endpoints)))).toEqual([1, 2, 3, 1, 2, 3]);
  });

  it('go to the first one if they are ordered', () => {
    expect(world({ balancing: 'ordered' }).counts(10)).toEqual([10, 0, 0]);
  });

  it.each<Balancing>(['round-robin', 'least-connections'])('are shared exactly by weight (%s)', (balancing) => {
    const { counts } = world({ balancing, weightOf: (each) => hostOf(each) });
    expect(counts(600)).toEqual([100, 200, 300]);
  });

  it('are shared by weight within 5 %, whatever the weights are', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 });
    return fc.assert(
      fc.property(
        weights,
        fc.constantFrom<Balancing>('random', 'round-robin', 'least-connections'),
        (given, balancing) => {
          const { counts } = world({ balancing, weightOf: (each) => given[hostOf(each) - 1] ?? 0 }, given.length);
          const total = given.reduce((sum, weight) => sum + weight, 0);
          const most = 10_000;
          for (const [index, count] of counts(most).entries()) {
            const wanted = ((given[index] ?? 0) / total) * most;
            // By chance, small shares vary by more than 5 %: five standard deviations are allowed.
            const tolerance = balancing === 'random' ? 5 * Math.sqrt(wanted) : 1 + 0.05 * wanted;
            expect(Math.abs(count - wanted)).toBeLessThanOrEqual(tolerance);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('that an endpoint missed while it could not be chosen are made up for, up to a bound', () => {
    const { balancer, counts } = world();
    balancer.connected(three);
    expect(counts(4, [one, two])).toEqual([2, 2, 0]);
    expect(counts(5)).toEqual([1, 1, 3]);
    counts(1_000, [one, two]);
    const [, , missed] = counts(30);
    expect(missed).toBeLessThan(27);
  });

  it('go to the endpoint with the fewest in flight (least-connections)', () => {
    const { balancer, endpoints } = world({ balancing: 'least-connections' });
    for (let time = 0; time < 8; time++) balancer.requested(one);
    const ends = Array.from({ length: 10 }, () => {
      const chosen = balancer.pick(endpoints);
      if (chosen !== undefined) balancer.requested(chosen);
      return hostOf(chosen);
    });
    expect(ends.filter((host) => host === 1).length).toBeLessThanOrEqual(1);
  });

  it('go to an endpoint with weight 0 only if there is no other', () => {
    const { balancer, counts } = world();
    balancer.setWeight(one, 0);
    expect(counts(10)).toEqual([0, 5, 5]);
    expect(counts(3, [one])).toEqual([3, 0, 0]);
    expect(hostOf(balancer.order([one, two])[0])).toBe(2);
  });

  it('go nowhere if there is no endpoint', () => {
    expect(world().balancer.pick([])).toBeUndefined();
  });

  it('go to a failed endpoint only if there is no other; of several, to the one that failed longest ago', () => {
    const { balancer, endpoints, counts } = world({ failureMemoryMillis: Number.POSITIVE_INFINITY });
    balancer.failed(two);
    balancer.failed(one);
    expect(counts(10)).toEqual([0, 0, 10]);
    balancer.failed(three);
    expect(hostOf(balancer.pick(endpoints))).toBe(2);
    expect(balancer.shares(endpoints)).toEqual([0, 0, 0]);
  });

  it.each([-1, Number.NaN, '1'])('have no weight of %s', (weight) => {
    const { balancer } = world();
    const refusal = expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'weight' });
    expect(() => balancer.setWeight(one, weight as number)).toThrow(refusal);
    expect(() => world({ weightOf: () => weight as number })).toThrow(
      expect.objectContaining({ argument: 'weightOf()' }),
    );
  });
});

describe('an endpoint that owes an answer', () => {
  it('gets no further requests after half a second, until it gives one', async () => {
    const { balancer, clock, counts, endpoints } = world({});
    const answer = balancer.requested(endpoints[0] as Endpoint);
    await clock.advance(500);
    expect(counts(30)).toEqual([10, 10, 10]);
    await clock.advance(1);
    expect(balancer.isSilent(endpoints[0] as Endpoint)).toBe(true);
    expect(counts(30)).toEqual([0, 15, 15]);
    answer('answered');
    expect(counts(30)).toEqual([10, 10, 10]);
  });

  it('is not silent while it answers others', async () => {
    const { balancer, clock, endpoints } = world({});
    const [first] = endpoints as [Endpoint];
    balancer.requested(first);
    for (let count = 0; count < 20; count++) {
      await clock.advance(400);
      balancer.requested(first)('answered');
      expect(balancer.isSilent(first)).toBe(false);
    }
  });

  it('is chosen nevertheless if all owe one', async () => {
    const { balancer, clock, counts, endpoints } = world({});
    for (const each of endpoints) balancer.requested(each);
    await clock.advance(1_000);
    expect(counts(30)).toEqual([10, 10, 10]);
  });

  it('owes none for work that is sent later', async () => {
    const { balancer, clock, endpoints } = world({});
    balancer.requested(endpoints[0] as Endpoint, false);
    await clock.advance(60_000);
    expect(balancer.isSilent(endpoints[0] as Endpoint)).toBe(false);
  });
});

describe('an endpoint that joins, or comes back', () => {
  it('gets a tenth of its share at first, and all of it in the end', async () => {
    const { clock, balancer } = world({ slowStartMillis: 10_000 }, 2);
    const all = [one, two, three];
    balancer.order(all);
    const share = () => balancer.shares(all)[2] ?? 0;
    expect(share()).toBeCloseTo(0.1 / 2.1);
    await clock.advance(5_000);
    expect(share()).toBeCloseTo(0.5 / 2.5);
    await clock.advance(5_000);
    expect(share()).toBeCloseTo(1 / 3);
  });

  it('starts slowly after it had failed, but not after a moment', async () => {
    const { clock, balancer, endpoints } = world({
      slowStartMillis: 10_000,
      failureMemoryMillis: Number.POSITIVE_INFINITY,
    });
    balancer.failed(one);
    await clock.advance(999);
    balancer.succeeded(one);
    expect(balancer.shares(endpoints)[0]).toBeCloseTo(1 / 3);
    balancer.failed(one);
    await clock.advance(1_000);
    balancer.succeeded(one);
    expect(balancer.shares(endpoints)[0]).toBeCloseTo(0.1 / 2.1);
  });

  it('is not new if it was there from the start', () => {
    const { balancer, endpoints } = world({ slowStartMillis: 10_000 });
    expect(balancer.shares(endpoints)).toEqual([1 / 3, 1 / 3, 1 / 3]);
  });
});

describe('an outlier', () => {
  const outlierDetection = {};

  it('is ejected after an interval in which half of its requests failed', async () => {
    const { clock, balancer, changes, counts, serve } = world({ outlierDetection });
    counts(1);
    await serve(one, 20, { failed: 10 });
    await serve(two, 20, { failed: 9 });
    await clock.advance(10_000);
    expect(counts(10)).toEqual([0, 5, 5]);
    expect(changes).toEqual([{ endpoint: one, ejected: 'errors', forMillis: 30_000 }]);
    expect(balancer.status()[0]).toMatchObject({
      address: one.address,
      ejected: 'errors',
      share: 0,
      failed: 10,
      failedRequests: 10,
      answered: 10,
    });
  });

  it('is ejected if its answers take four times as long as those of the others', async () => {
    const { clock, balancer, changes, endpoints, serve } = world({ outlierDetection });
    balancer.pick(endpoints);
    await serve(one, 20, { millis: 401 });
    await serve(two, 20, { millis: 100 });
    await serve(three, 20, { millis: 100 });
    await clock.advance(10_000);
    balancer.pick(endpoints);
    expect(changes).toEqual([{ endpoint: one, ejected: 'latency', forMillis: 30_000 }]);
  });

  it.each<[string, number, number]>([
    ['it had too few requests', 19, 1_000],
    ['its answers are fast all the same', 20, 99],
  ])('is not ejected if %s', async (_, requests, millis) => {
    const { clock, balancer, changes, endpoints, serve } = world({ outlierDetection });
    balancer.pick(endpoints);
    await serve(one, requests, { millis });
    await serve(two, 20);
    await clock.advance(10_000);
    balancer.pick(endpoints);
    expect(changes).toEqual([]);
  });

  it('comes back when its time is over, and is out for longer each time', async () => {
    const { clock, balancer, endpoints, changes, serve } = world({ outlierDetection, slowStartMillis: 1_000 });
    balancer.pick(endpoints);
    for (const times of [1, 2, 3]) {
      await serve(one, 20, { failed: 20 });
      await clock.advance(10_000);
      balancer.pick(endpoints);
      expect(changes.at(-1)).toEqual({ endpoint: one, ejected: 'errors', forMillis: times * 30_000 });
      await clock.advance(times * 30_000 - 1);
      expect(balancer.shares(endpoints)[0]).toBe(0);
      await clock.advance(1);
      expect(balancer.shares(endpoints)[0]).toBeCloseTo(0.1 / 2.1);
      expect(changes.at(-1)).toEqual({ endpoint: one, ejected: undefined, forMillis: undefined });
    }
  });

  it('is never the last one that works, and no more than the given percentage are out', async () => {
    const hosts = fc.integer({ min: 1, max: 8 });
    const percent = fc.integer({ min: 0, max: 100 });
    const bad = fc.array(fc.record({ host: fc.nat(7), how: fc.constantFrom('errors', 'latency', 'unreachable') }));
    await fc.assert(
      fc.asyncProperty(hosts, percent, fc.array(bad, { maxLength: 5 }), async (count, maxEjectionPercent, rounds) => {
        const { clock, balancer, endpoints, serve } = world({ outlierDetection: { maxEjectionPercent } }, count);
        balancer.pick(endpoints);
        for (const round of rounds) {
          for (const each of endpoints) await serve(each, 20);
          for (const { host, how } of round) {
            const each = endpoints[host];
            if (each === undefined) continue;
            if (how === 'unreachable') balancer.failed(each);
            else await serve(each, 100, how === 'errors' ? { failed: 100 } : { millis: 5_000 });
          }
          await clock.advance(10_000);
          balancer.pick(endpoints);
          const out = balancer.status().filter(({ ejected }) => ejected === 'errors' || ejected === 'latency').length;
          const unreachable = balancer.status().filter(({ ejected }) => ejected === 'unreachable').length;
          expect(out).toBeLessThanOrEqual(
            maxEjectionPercent === 0 ? 0 : Math.max(1, (count * maxEjectionPercent) / 100),
          );
          if (unreachable === 0) expect(out).toBeLessThan(count);
          expect(balancer.order(endpoints)).toHaveLength(count);
        }
      }),
      { numRuns: 50 },
    );
  });
});

it('what is not an option of a balancer is refused', () => {
  const refused = (options: object, argument: string) =>
    expect(() => world(options)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  refused({ slowStartMillis: -1 }, 'slowStartMillis');
  refused({ outlierDetection: { intervalMillis: 0 } }, 'outlierDetection.intervalMillis');
  refused({ outlierDetection: { latencyFactor: 1 } }, 'outlierDetection.latencyFactor');
  refused(
    { outlierDetection: { baseEjectionMillis: 2, longestEjectionMillis: 1 } },
    'outlierDetection.longestEjectionMillis',
  );
});
