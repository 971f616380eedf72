import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressHistory } from './address-history.ts';

/** Answers of a name with a TTL of `ttlSeconds`, asked for once a TTL; or once a second, of a server that has no cache. */
class World {
  readonly history = new AddressHistory();
  now = 0;
  readonly #ttlMillis: number;
  readonly #pauseMillis: number;

  constructor(ttlSeconds = 5, pauseSeconds = ttlSeconds) {
    this.#ttlMillis = ttlSeconds * 1000;
    this.#pauseMillis = pauseSeconds * 1000;
  }

  /** Gives the answer that many times. */
  answer(addresses: readonly string[], times = 1): this {
    for (let time = 0; time < times; time++) {
      this.history.add({ addresses, expiresAt: this.now + this.#ttlMillis, ttlMillis: this.#ttlMillis }, this.now);
      this.now += this.#pauseMillis;
    }
    return this;
  }

  hasLeft(address: string): boolean {
    return this.history.hasLeft(address, this.now);
  }
}

/** After how many answers without it an address has left; undefined for "not within a thousand". */
function answersUntilLeft(
  world: World,
  address: string,
  next: (index: number) => readonly string[],
): number | undefined {
  for (let index = 0; index < 1000; index++) {
    world.answer(next(index));
    if (world.hasLeft(address)) return index + 1;
  }
  return undefined;
}

describe('a name that moves', () => {
  it.each([
    [20, 3],
    [5, 3],
    [2, 6],
    [1, 7],
  ])('has left its address, which %i answers named, after %i answers with the new one', (before, after) => {
    expect(answersUntilLeft(new World(5, 1).answer(['A'], before), 'A', () => ['B'])).toBe(after);
  });

  it.each([
    [20, 3],
    [9, 3],
    [5, 7],
    [1, 11],
  ])('the same behind a cache, one answer a TTL: %i, %i', (before, after) => {
    expect(answersUntilLeft(new World(5).answer(['A'], before), 'A', () => ['B'])).toBe(after);
  });

  it('leaves the addresses that are gone, and no other', () => {
    const world = new World().answer(['A', 'B', 'C'], 9).answer(['D', 'C', 'B'], 3);
    expect(['A', 'B', 'C', 'D'].filter((address) => world.hasLeft(address))).toEqual(['A']);
  });

  it('does not leave an address that is named again', () => {
    const world = new World().answer(['A'], 8).answer(['B'], 40);
    expect(world.hasLeft('A')).toBe(true);
    world.answer(['A', 'B']);
    expect(world.hasLeft('A')).toBe(false);
  });

  it('and back, when each stood for a while, has left each of them', () => {
    const world = new World().answer(['A'], 10).answer(['B'], 40).answer(['A'], 3);
    expect([world.hasLeft('A'), world.hasLeft('B')]).toEqual([false, true]);
  });

  it('step by step, as when pods are replaced one after the other, has left those that are gone in the end', () => {
    const world = new World().answer(['A', 'B', 'C'], 5).answer(['A', 'B', 'D'], 2).answer(['A', 'E', 'D'], 2);
    world.answer(['F', 'E', 'D'], 10);
    expect(['A', 'B', 'C', 'D', 'E', 'F'].filter((address) => world.hasLeft(address))).toEqual(['A', 'B', 'C']);
  });

  it('while caches still have the old answer, has left it soon after they have not', () => {
    const world = new World(5).answer(['A'], 20);
    for (const stale of ['B', 'A', 'B', 'A', 'B', 'A']) world.answer([stale]);
    expect(answersUntilLeft(world, 'A', () => ['B'])).toBe(3);
  });

  it('order does not count, nor does an address that is there twice', () => {
    const world = new World().answer(['A', 'B'], 8).answer(['B', 'A', 'A'], 8).answer(['A', 'B']);
    expect(world.history.rotates(world.now)).toBe(false);
  });

  it('an address that no answer ever named has left after eight', () => {
    expect(answersUntilLeft(new World(5, 1), 'Z', () => ['B'])).toBe(8);
  });

  it('before the first answer nothing has left', () => {
    expect(new World().hasLeft('A')).toBe(false);
  });
});

describe('an answer out of a cache', () => {
  it('does not count as a second witness', () => {
    const history = new AddressHistory();
    const ttlMillis = 300_000;
    for (let now = 0; now < 8 * ttlMillis; now += ttlMillis)
      history.add({ addresses: ['A'], expiresAt: now + ttlMillis, ttlMillis }, now);
    const changed = 8 * ttlMillis;
    for (let second = 0; second < 300; second++) {
      const now = changed + second * 1000;
      // As caches count down: by whole seconds.
      history.add({ addresses: ['B'], expiresAt: changed + ttlMillis + (second % 2) * 990, ttlMillis }, now);
      expect(history.hasLeft('A', now)).toBe(false);
    }
  });

  it('and one of a server that has none are told apart by when they end', () => {
    const history = new AddressHistory();
    const ttlMillis = 300_000;
    for (let now = 0; now < 8 * ttlMillis; now += ttlMillis)
      history.add({ addresses: ['A'], expiresAt: now + ttlMillis, ttlMillis }, now);
    const changed = 8 * ttlMillis;
    for (let now = changed; now < changed + 3000; now += 1000)
      history.add({ addresses: ['B'], expiresAt: now + ttlMillis, ttlMillis }, now);
    expect(history.hasLeft('A', changed + 3000)).toBe(true);
  });
});

describe('a name that rotates', () => {
  it.each<[string, (index: number) => readonly string[]]>([
    ['one of two', (index) => [['A'], ['B']][index % 2] ?? []],
    ['one of fifteen', (index) => [String.fromCharCode(65 + (index % 15))]],
    [
      'two of three',
      (index) =>
        [
          ['A', 'B'],
          ['B', 'C'],
          ['C', 'A'],
        ][index % 3] ?? [],
    ],
    ['one of two, each twice', (index) => [['A'], ['A'], ['B'], ['B']][index % 4] ?? []],
  ])('never leaves an address: %s', (_what, next) => {
    const world = new World();
    const left = Array.from({ length: 2000 }, (_, index) => {
      world.answer(next(index));
      return world.hasLeft('A');
    });
    expect(left).not.toContain(true);
  });

  it('so slowly that it looks like a move is taken for one once, and known from then on', () => {
    const world = new World();
    const left = Array.from({ length: 2000 }, (_, index) => {
      world.answer([['A', 'B', 'C'][Math.floor(index / 9) % 3] ?? '']);
      return world.hasLeft('A');
    });
    expect(left.lastIndexOf(true)).toBeLessThan(27);
  });

  it('in any window over any number of addresses never leaves one', () => {
    const rotation = fc
      .integer({ min: 2, max: 24 })
      .chain((known) =>
        fc.record({
          known: fc.constant(known),
          size: fc.integer({ min: 1, max: known - 1 }),
          step: fc.integer({ min: 1, max: known }),
        }),
      )
      // Else the window stands still, and some of the addresses are in none of the answers.
      .filter(({ known, size, step }) => step <= size && step < known);
    return fc.assert(
      fc.property(rotation, ({ known, size, step }) => {
        const world = new World();
        const all = Array.from({ length: known }, (_, index) => `10.0.0.${index}`);
        for (let index = 0; index < 120; index++) {
          world.answer(Array.from({ length: size }, (_, place) => all[(index * step + place) % known] ?? ''));
          for (const address of all.slice(0, size)) expect(world.hasLeft(address)).toBe(false);
        }
      }),
      { numRuns: 30 },
    );
  });

  it.each([
    [2, 1],
    [3, 1],
    [15, 1],
    [20, 8],
  ])(
    'at random, %i addresses of which each answer has %i, leaves one in less than two of a hundred processes',
    (known, size) => {
      // mulberry32
      let seed = 42;
      const random = () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
      };
      const all = Array.from({ length: known }, (_, index) => `10.0.0.${index}`);
      const draw = () =>
        all
          .map((address) => ({ address, rank: random() }))
          .sort((one, other) => one.rank - other.rank)
          .slice(0, size)
          .map(({ address }) => address);
      let wrong = 0;
      for (let process = 0; process < 200; process++) {
        const world = new World();
        const first = draw();
        world.answer(first);
        for (let index = 0; index < 60; index++) {
          world.answer(draw());
          if (first.slice(0, 2).some((address) => world.hasLeft(address))) {
            wrong += 1;
            break;
          }
        }
      }
      expect(wrong).toBeLessThan(4);
    },
  );

  it('leaves an address that is gone from it, after twenty times the answers that name all', () => {
    const world = new World();
    for (let index = 0; index < 50; index++) world.answer([['A'], ['B']][index % 2] ?? []);
    expect(answersUntilLeft(world, 'A', () => ['B'])).toBe(39);
  });

  it('and stops to, is a name like others an hour later', () => {
    const world = new World(60);
    for (let index = 0; index < 10; index++) world.answer([['A'], ['B']][index % 2] ?? []);
    world.answer(['A'], 70);
    expect(answersUntilLeft(world, 'A', () => ['C'])).toBe(3);
  });
});
