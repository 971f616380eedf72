import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { Balancer, type BalancerOptions, type Balancing } from './balancer.ts';
import type { Endpoint } from './endpoint.ts';
import type { Target } from './target-source.ts';

const target: Target = { externalName: 'db.example.com', via: [], version: '1', source: 'static', stale: false };
const endpoint = (host: number): Endpoint => ({ target, address: `203.0.113.${host}`, family: 4, port: 5432 });
const endpoints = [1, 2, 3].map(endpoint);
const hosts = (list: readonly Endpoint[]) => list.map(({ address }) => Number(address.split('.')[3]));

/** The same numbers every time, evenly spread (a linear congruential generator). */
function evenRandom() {
  let state = 42;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

function world(options: BalancerOptions = {}) {
  const clock = new ManualClock();
  const balancer = new Balancer(options, { clock, random: evenRandom() });
  const order = (list: readonly Endpoint[] = endpoints) => hosts(balancer.order(list));
  return { clock, balancer, order };
}

describe('balancing', () => {
  it('ordered keeps the order of DNS', () => {
    const { order } = world({ balancing: 'ordered' });
    expect([order(), order()]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('is ordered where nothing is said', () => {
    expect(world().order([2, 1].map(endpoint))).toEqual([2, 1]);
  });

  it('round-robin gives each its turn, although DNS shuffles its answers', () => {
    const { order } = world({ balancing: 'round-robin' });
    const shuffles = [
      [1, 2, 3],
      [3, 1, 2],
      [2, 3, 1],
      [1, 3, 2],
    ].map((list) => list.map(endpoint));
    expect(shuffles.map((list) => order(list))).toEqual([
      [1, 2, 3],
      [2, 3, 1],
      [3, 1, 2],
      [1, 2, 3],
    ]);
  });

  it('random gives each the first place equally often', () => {
    const { order } = world({ balancing: 'random' });
    const firsts = new Map<number | undefined, number>();
    for (let time = 0; time < 3000; time++) {
      const [first] = order();
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    for (const host of [1, 2, 3]) expect(firsts.get(host)).toBeGreaterThan(900);
  });

  it('least-connections begins with the one that fewest connections are open to', () => {
    const { balancer, order } = world({ balancing: 'least-connections' });
    const [one, two] = endpoints as [Endpoint, Endpoint];
    const close = balancer.connected(one);
    balancer.connected(one);
    balancer.connected(two);
    expect(order()).toEqual([3, 2, 1]);
    balancer.connected(endpoint(3));
    balancer.connected(endpoint(3));
    close();
    close(); // A second time counts for nothing.
    balancer.connected(two);
    expect(order()[0]).toBe(1);
  });

  it('least-connections gives all an equal share, whatever the order of the answer', () => {
    const { balancer } = world({ balancing: 'least-connections' });
    const counts = new Map<string, number>();
    for (let time = 0; time < 300; time++) {
      const answer = time % 2 === 0 ? endpoints : [3, 1, 2].map(endpoint);
      const [first] = balancer.order(answer);
      if (first === undefined) throw new Error('no endpoint');
      balancer.connected(first);
      counts.set(first.address, (counts.get(first.address) ?? 0) + 1);
    }
    expect([...counts.values()]).toEqual([100, 100, 100]);
  });

  it.each<Balancing>(['ordered', 'random', 'round-robin', 'least-connections'])(
    '%s neither loses nor invents an endpoint, nor touches the list it was given',
    (balancing) => {
      const { balancer } = world({ balancing });
      const list = fc.uniqueArray(fc.integer({ min: 1, max: 250 })).map((numbers) => numbers.map(endpoint));
      return fc.assert(
        fc.property(list, fc.array(fc.integer({ min: 1, max: 250 })), (given, failing) => {
          for (const host of failing) balancer.failed(endpoint(host));
          const before = hosts(given);
          const ordered = balancer.order(Object.freeze(given));
          expect(hosts(ordered).toSorted()).toEqual(before.toSorted());
          expect(hosts(given)).toEqual(before);
        }),
      );
    },
  );

  it('refuses what it does not know', () => {
    const unknown = 'fastest' as Balancing;
    expect(() => world({ balancing: unknown })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'balancing' }),
    );
    expect(() => world({ failureMemoryMillis: -1 })).toThrow(
      expect.objectContaining({ argument: 'failureMemoryMillis' }),
    );
  });
});

describe('an endpoint that failed', () => {
  it.each<Balancing>(['ordered', 'random', 'round-robin', 'least-connections'])(
    'comes last for ten seconds (%s)',
    async (balancing) => {
      const { clock, balancer, order } = world({ balancing });
      balancer.failed(endpoint(1));
      await clock.advance(9_999);
      for (let time = 0; time < 10; time++) expect(order().at(-1)).toBe(1);
    },
  );

  it('is in its old place after that', async () => {
    const { clock, balancer, order } = world();
    balancer.failed(endpoint(1));
    await clock.advance(10_000);
    expect(order()).toEqual([1, 2, 3]);
  });

  it('is in its old place as soon as it works again', () => {
    const { balancer, order } = world();
    balancer.failed(endpoint(1));
    balancer.succeeded(endpoint(1));
    expect(order()).toEqual([1, 2, 3]);
  });

  it('comes before those that failed after it', async () => {
    const { clock, balancer, order } = world();
    for (const host of [2, 1, 3]) {
      balancer.failed(endpoint(host));
      await clock.advance(1);
    }
    expect(order()).toEqual([2, 1, 3]);
    balancer.failed(endpoint(2));
    expect(order()).toEqual([1, 3, 2]);
  });

  it('is forgotten in its own time, although another one failed before and again after it', async () => {
    const { clock, balancer, order } = world();
    balancer.failed(endpoint(2));
    await clock.advance(1000);
    balancer.failed(endpoint(1));
    await clock.advance(1000);
    balancer.failed(endpoint(2));
    await clock.advance(9000);
    expect(order()).toEqual([1, 3, 2]);
  });

  it('is known again in another answer, and not confused with another port of its address', () => {
    const { balancer, order } = world();
    balancer.failed({ ...endpoint(1), target: { ...target, version: '2' } });
    expect(order()).toEqual([2, 3, 1]);
    balancer.succeeded(endpoint(1));
    balancer.failed({ ...endpoint(1), port: 5433 });
    expect(order()).toEqual([1, 2, 3]);
  });

  it('is forgotten at once where there is no memory', () => {
    const { balancer, order } = world({ failureMemoryMillis: 0 });
    balancer.failed(endpoint(1));
    expect(order()).toEqual([1, 2, 3]);
  });
});

it('the options of a balancer are those that were given, and none that stand on a prototype', () => {
  const polluted = Object.create({ balancing: 'nonsense', failureMemoryMillis: -1, comeBackAfterMillis: -1 });
  expect(() => new Balancer(polluted)).not.toThrow();
  expect(() => new Balancer({ balancing: 'toString' as never })).toThrow(
    expect.objectContaining({ argument: 'balancing' }),
  );
});
