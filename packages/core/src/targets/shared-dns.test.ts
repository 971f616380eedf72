import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { ScriptedResolver } from '../../test/support/scripted-resolver.ts';
import {
  checkTargetSource,
  type TargetSourceHarness,
  targetSourceContract,
} from '../../test/support/target-source-contract.ts';
import { shareDns, sharedDnsCount } from './shared-dns.ts';
import type { Target } from './target-source.ts';

type Dns = Parameters<typeof shareDns>[0];

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const secondary = 'secondary-db.example.com';
const random = () => 0;

/** webscaler-db, which points to primary-db.example.com for 30 s, and parts in the one resolver that says so. */
function world() {
  const clock = new ManualClock();
  const resolver = new ScriptedResolver(clock);
  const pointTo = (externalName: string) => resolver.set(service, { alias: externalName, ttlSeconds: 30 });
  pointTo(primary);
  for (const name of [primary, secondary, 'tertiary-db.example.com']) {
    resolver.set(name, { addresses: ['203.0.113.1'], ttlSeconds: 60 });
  }
  const part = () => shareDns(resolver, { clock, random });
  const source = () => part().follow({ service: 'webscaler-db' });
  return { clock, resolver, pointTo, part, source };
}

describe('a shared DNS source', () => {
  function make(): TargetSourceHarness {
    const { clock, resolver, pointTo, part } = world();
    const [one, other] = [part(), part()];
    const second = other.follow({ service: 'webscaler-db' });
    second.subscribe(() => undefined);
    return {
      source: one.follow({ service: 'webscaler-db' }),
      change: (externalName) => pointTo(externalName),
      settle: () => clock.advance(31_000),
      fail: () => {
        resolver.isDown = true;
      },
      recover: () => {
        resolver.isDown = false;
      },
      dispose: async () => {
        await Promise.all([one.close(), other.close()]);
      },
    };
  }

  for (const { promise, check } of targetSourceContract) {
    it(promise, () => checkTargetSource(check, make));
  }
});

describe('fifty users that follow one Service', () => {
  it('ask once a TTL', async () => {
    const { clock, resolver, source } = world();
    const sources = Array.from({ length: 50 }, source);
    const told = new Map(sources.map((each): [object, Target[]] => [each, []]));
    await Promise.all(sources.map((each) => each.current()));
    for (const each of sources) each.subscribe((target) => told.get(each)?.push(target));
    expect(resolver.asked).toHaveLength(1);
    await clock.advance(300_000);
    expect(resolver.asked).toHaveLength(11);
    await Promise.all(sources.map((each) => each.close()));
    expect(clock.pending).toBe(0);
  });

  it('are each told of a switch', async () => {
    const { clock, pointTo, source } = world();
    const told: string[] = [];
    const sources = Array.from({ length: 50 }, source);
    for (const each of sources) {
      await each.current();
      each.subscribe(({ externalName }) => told.push(externalName));
    }
    pointTo(secondary);
    await clock.advance(31_000);
    expect(told).toEqual(Array.from({ length: 50 }, () => secondary));
    await Promise.all(sources.map((each) => each.close()));
  });
});

describe('the end of a part', () => {
  it('ends nothing of the others', async () => {
    const { clock, pointTo, source } = world();
    const [first, second] = [source(), source()];
    const told: Target[] = [];
    await Promise.all([first.current(), second.current()]);
    first.subscribe(() => expect.unreachable());
    second.subscribe((target) => told.push(target));
    await first.close();
    await expect(first.current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    pointTo(secondary);
    await clock.advance(31_000);
    expect(told).toMatchObject([{ externalName: secondary }]);
    await second.close();
  });

  it('ends its own waits at once, and not those of the others', async () => {
    const { resolver, source } = world();
    const [first, second] = [source(), source()];
    resolver.hold();
    const waits = [first.current(), second.current()];
    const ended = expect(waits[0]).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await first.close();
    await ended;
    resolver.release();
    await expect(waits[1]).resolves.toMatchObject({ externalName: primary });
    await second.close();
  });

  it('leaves nothing open if it was the last, and the next one starts again', async () => {
    const { clock, resolver, part } = world();
    const before = sharedDnsCount();
    const parts = [part(), part()];
    for (const each of parts) {
      const source = each.follow({ service: 'webscaler-db' });
      await source.current();
      source.subscribe(() => undefined);
    }
    expect(sharedDnsCount()).toBe(before + 1);
    await parts[0]?.close();
    await parts[0]?.close();
    expect(clock.pending).toBe(1);
    await parts[1]?.close();
    expect([clock.pending, sharedDnsCount()]).toEqual([0, before]);
    const next = part();
    await next.follow({ service: 'webscaler-db' }).current();
    expect(resolver.asked).toHaveLength(2);
    await next.close();
  });

  it('is nothing for one that was never used', async () => {
    const { part } = world();
    const before = sharedDnsCount();
    const unused = part();
    unused.follow({ service: 'webscaler-db' });
    expect(sharedDnsCount()).toBe(before);
    await unused.close();
    expect(() => unused.resolver).toThrow(expect.objectContaining({ code: 'ERR_EXTERNALNAME_CLOSED' }));
  });
});

describe('what is shared', () => {
  const clock = new ManualClock();
  /** How many resolvers there are for two users of these options. */
  async function resolversOf(one: Dns, other: Dns, clocks: readonly [ManualClock, ManualClock] = [clock, clock]) {
    const before = sharedDnsCount();
    const parts = [one, other].map((dns, index) => shareDns(dns, { clock: clocks[index] ?? clock, random }));
    for (const part of parts) expect(part.resolver).toBeDefined();
    const count = sharedDnsCount() - before;
    await Promise.all(parts.map((part) => part.close()));
    expect(sharedDnsCount()).toBe(before);
    return count;
  }

  it.each<[string, Dns, Dns]>([
    ['no options and no options', undefined, undefined],
    ['no options and the defaults', undefined, { edns0: true, cache: { maxNames: 10_000 } }],
    ['equal options in another order', { ndots: 2, attempts: 1 }, { attempts: 1, ndots: 2 }],
  ])('a resolver of %s', async (_what, one, other) => {
    expect(await resolversOf(one, other)).toBe(1);
  });

  it.each<[string, Dns, Dns]>([
    ['another resolv.conf', undefined, { resolvConfPath: '/etc/resolv.other' }],
    ['other servers', { nameservers: ['127.0.0.1'] }, { nameservers: ['127.0.0.2'] }],
    ['a cache of other times', undefined, { cache: { maxTtlSeconds: 5 } }],
    ['no cache', undefined, { cache: false }],
  ])('is not shared with %s', async (_what, one, other) => {
    expect(await resolversOf(one, other)).toBe(2);
  });

  it('is not shared with another clock', async () => {
    expect(await resolversOf(undefined, undefined, [clock, new ManualClock()])).toBe(2);
  });

  it('is what is looked for past the cache, and not more than ten times a second', async () => {
    const { clock: time, resolver, part } = world();
    const parts = Array.from({ length: 50 }, part);
    const sources = parts.map((each) => each.follow({ service: 'webscaler-db' }));
    const looks: Promise<unknown>[] = [];
    for (let round = 0; round < 100; round++) {
      const source = sources[round % 50];
      const own = parts[round % 50];
      looks.push(
        ...(source && own ? [source.current({ fresh: true }), own.resolver.resolve(primary, { fresh: true })] : []),
      );
      await time.advance(10);
    }
    await time.advance(100);
    await Promise.all(looks);
    expect(resolver.asked.filter(({ name }) => name === service).length).toBeLessThanOrEqual(11);
    expect(resolver.asked.filter(({ name }) => name === primary).length).toBeLessThanOrEqual(11);
    await Promise.all(parts.map((each) => each.close()));
    expect(time.pending).toBe(0);
  });

  it('does not include errors: what one user writes on an error, the others do not see', async () => {
    const { resolver, source } = world();
    resolver.isDown = true;
    const [first, second] = [source(), source()];
    const errors = await Promise.all([first, second].map((each) => each.current().catch((error: unknown) => error)));
    expect(errors).toMatchObject([{ failure: 'unavailable' }, { failure: 'unavailable' }]);
    expect(errors[0]).not.toBe(errors[1]);
    expect((errors[0] as Error).message).toBe((errors[1] as Error).message);
    await Promise.all([first.close(), second.close()]);
  });

  it('options that cannot be used are refused before anything is shared', () => {
    expect(() => shareDns({ ndots: 16 }, { clock, random })).toThrow(expect.objectContaining({ argument: 'ndots' }));
    expect(() => shareDns(undefined, { clock, random }).follow({})).toThrow(
      expect.objectContaining({ argument: 'service' }),
    );
  });
});
