import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DnsCache, type Found, isResolution } from './cache.ts';
import { type Answer, type Asked, type FailedOutcome, judge } from './chain.ts';
import { type CacheOptions, cacheSettings } from './options.ts';
import type { Hop } from './resolution.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';

const hop = (name: string, target: string, ttlSeconds = 30): Hop => ({
  name,
  target,
  ttlSeconds,
  server: 's',
  elapsedMillis: 1,
});
const v4 = (address: string, ttlSeconds = 60) => ({ address, family: 4 as const, ttlSeconds });
const v6 = (address: string, ttlSeconds = 60) => ({ address, family: 6 as const, ttlSeconds });
const failed = { kind: 'failed', detail: 'SERVFAIL', cause: undefined, reachable: false } as const;

function cacheOf(options: CacheOptions = {}) {
  const cache = new DnsCache(cacheSettings(options), () => 1);
  const learn = (name: string, answers: { A?: Asked['answer']; AAAA?: Asked['answer'] }, now = 0, askedAt = now) => {
    const asked = Object.entries(answers).map(([type, answer]) => ({ question: { name, type: type as 'A' }, answer }));
    cache.store({ name, asked, step: judge(asked, { passed: [], mayAskAgain: false }), askedAt }, now);
  };
  return { cache, learn };
}

function show(found: Found | undefined): unknown {
  if (found === undefined) return undefined;
  const { settled } = found;
  return isResolution(settled) ? settled.addresses.map((entry) => entry.address) : (settled as FailedOutcome).kind;
}

describe('an answer', () => {
  it('is kept for the shortest of its records, within the floor and the cap', () => {
    const answer: Answer = {
      kind: 'addresses',
      chain: [hop(service, primary, 30)],
      addresses: [v4('192.0.2.10', 600)],
    };
    const expiry = (options: CacheOptions) => {
      const { cache, learn } = cacheOf(options);
      learn(service, { A: answer });
      return [cache.find(service, 4, 0)?.expiresAt, cache.find(primary, 4, 0)?.expiresAt];
    };
    expect(expiry({})).toEqual([30_000, 300_000]);
    expect(expiry({ maxTtlSeconds: 10 })).toEqual([10_000, 10_000]);
    expect(expiry({ minTtlSeconds: 60 })).toEqual([60_000, 300_000]);
  });

  it('ends on the millisecond', () => {
    const { cache, learn } = cacheOf();
    learn(primary, { A: { kind: 'addresses', chain: [], addresses: [v4('192.0.2.10', 5)] } });
    expect(show(cache.find(primary, 4, 4999))).toEqual(['192.0.2.10']);
    expect(cache.find(primary, 4, 5000)).toBeUndefined();
  });

  it('of one family says nothing about the other', () => {
    const { cache, learn } = cacheOf();
    learn(primary, { A: { kind: 'addresses', chain: [], addresses: [v4('192.0.2.10')] } });
    expect(cache.find(primary, 0, 0)).toBeUndefined();
    expect(cache.find(primary, 6, 0)).toBeUndefined();
  });

  it('whose other family was not answered serves both, and does not pass for "none" when that one alone is asked for', () => {
    const { cache, learn } = cacheOf();
    learn(primary, { A: { kind: 'addresses', chain: [], addresses: [v4('192.0.2.10')] }, AAAA: failed });
    expect(show(cache.find(primary, 0, 0))).toEqual(['192.0.2.10']);
    expect(cache.find(primary, 6, 0)).toBeUndefined();
    // The unanswered family is asked for again before the addresses end.
    expect(cache.find(primary, 0, 30_000)).toBeUndefined();
  });
});

describe('a change', () => {
  it('from an address to an alias, and back, leaves no mixture', () => {
    const { cache, learn } = cacheOf();
    learn(
      service,
      {
        A: { kind: 'addresses', chain: [], addresses: [v4('10.96.0.7')] },
        AAAA: { kind: 'no-data', chain: [], ttlSeconds: 30 },
      },
      0,
    );
    const aliased = { kind: 'addresses', chain: [hop(service, primary)], addresses: [v4('192.0.2.10')] } as const;
    learn(service, { A: aliased, AAAA: { kind: 'alias', chain: [hop(service, primary)] } }, 10);
    expect(show(cache.find(service, 0, 10))).toEqual(['192.0.2.10']);
    learn(
      service,
      {
        A: { kind: 'addresses', chain: [], addresses: [v4('10.96.0.7')] },
        AAAA: { kind: 'no-data', chain: [], ttlSeconds: 30 },
      },
      20,
    );
    expect(show(cache.find(service, 0, 20))).toEqual(['10.96.0.7']);
    expect(cache.findStale(service, 0, 20)?.chain).toEqual([]);
  });

  it('learnt from an older query than what is known is passed over', () => {
    const { cache, learn } = cacheOf();
    learn(
      service,
      { A: { kind: 'addresses', chain: [hop(service, 'new.example.com')], addresses: [v4('198.51.100.20')] } },
      100,
      90,
    );
    learn(
      service,
      { A: { kind: 'addresses', chain: [hop(service, 'old.example.com')], addresses: [v4('192.0.2.10')] } },
      110,
      80,
    );
    learn(service, { A: { kind: 'no-name', chain: [], ttlSeconds: 30 } }, 120, 85);
    expect(show(cache.find(service, 4, 120))).toEqual(['198.51.100.20']);
  });

  it('of the addresses behind a shared target is seen through every alias', () => {
    const { cache, learn } = cacheOf();
    learn('a.example', { A: { kind: 'addresses', chain: [hop('a.example', primary)], addresses: [v4('192.0.2.10')] } });
    expect(show(cache.find('a.example', 4, 0))).toEqual(['192.0.2.10']);
    learn(
      'b.example',
      { A: { kind: 'addresses', chain: [hop('b.example', primary)], addresses: [v4('192.0.2.99')] } },
      1000,
    );
    expect(show(cache.find('a.example', 4, 1000))).toEqual(['192.0.2.99']);
  });
});

describe('a failure', () => {
  it('is kept where it happened, and leaves what was known for serving it stale', () => {
    const { cache, learn } = cacheOf({ failureTtlSeconds: 2, maxStaleSeconds: 100 });
    learn(primary, { A: { kind: 'addresses', chain: [], addresses: [v4('192.0.2.10', 10)] } });
    learn(primary, { A: failed }, 11_000);
    expect(show(cache.find(primary, 4, 12_999))).toBe('unavailable');
    expect(cache.find(primary, 4, 13_000)).toBeUndefined();
    expect(cache.hasFailed(primary)).toBe(true);
    expect(cache.findStale(primary, 4, 109_999)).toMatchObject({ stale: true, addresses: [{ address: '192.0.2.10' }] });
    expect(cache.findStale(primary, 4, 110_000)).toBeUndefined();
    learn(primary, { A: { kind: 'addresses', chain: [], addresses: [v4('192.0.2.10', 10)] } }, 14_000);
    expect(cache.hasFailed(primary)).toBe(false);
  });

  it('while the answer is still good does not hide it', () => {
    const { cache, learn } = cacheOf();
    learn(primary, { A: { kind: 'addresses', chain: [], addresses: [v4('192.0.2.10', 10)] } });
    learn(primary, { A: failed }, 9000);
    expect(show(cache.find(primary, 4, 9000))).toEqual(['192.0.2.10']);
  });
});

describe('the size', () => {
  it('is bounded: names not used lately go first', () => {
    const { cache, learn } = cacheOf({ maxNames: 10 });
    const keep = (index: number) =>
      learn(`n${index}.example`, { A: { kind: 'addresses', chain: [], addresses: [v4('192.0.2.1')] } });
    keep(0);
    for (let index = 1; index < 1000; index++) {
      keep(index);
      cache.find('n0.example', 4, 0); // In use all the time.
    }
    expect(cache.names).toBe(10);
    expect(cache.evictions).toBe(990);
    expect(show(cache.find('n0.example', 4, 0))).toEqual(['192.0.2.1']);
  });
});

describe('whatever is learnt in whatever order', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const answer = (own: string): fc.Arbitrary<Answer | typeof failed> =>
    fc.oneof(
      fc.tuple(name, fc.nat({ max: 40 }), fc.nat({ max: 40 })).map(([target, ttl, addressTtl]): Answer => {
        const chain = target === own ? [] : [hop(own, target, ttl)];
        return {
          kind: 'addresses',
          chain,
          addresses: [v4(`192.0.2.${addressTtl}`, addressTtl), v6('2001:db8::1', 40)].slice(0, 1),
        };
      }),
      fc.nat({ max: 40 }).map((ttlSeconds): Answer => ({ kind: 'no-name', chain: [], ttlSeconds })),
      fc.nat({ max: 40 }).map((ttlSeconds): Answer => ({ kind: 'no-data', chain: [], ttlSeconds })),
      fc.constant(failed),
    );
  const event = name.chain((own) =>
    fc.record({ own: fc.constant(own), A: answer(own), wait: fc.nat({ max: 20_000 }) }),
  );

  it('nothing is served past its time, or longer than its TTL, or from a broken chain', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const { cache, learn } = cacheOf({ maxNames: 3 });
        let now = 0;
        for (const { own, A, wait } of events) {
          learn(own, { A }, now);
          now += wait;
          for (const asked of ['a', 'b', 'c', 'd']) {
            const found = cache.find(asked, 4, now);
            if (found === undefined) continue;
            expect(found.expiresAt).toBeGreaterThan(now);
            expect(found.expiresAt - now).toBeLessThanOrEqual(40_000);
            const { chain } = found.settled;
            const names = [asked, ...chain.map((one) => one.target)];
            chain.forEach((one, index) => {
              expect(one.name).toBe(names[index]);
            });
            if (isResolution(found.settled)) {
              expect(found.settled.stale).toBe(false);
              expect(found.settled.canonicalName).toBe(names.at(-1));
            }
          }
          expect(cache.names).toBeLessThanOrEqual(3);
        }
      }),
    );
  });
});
