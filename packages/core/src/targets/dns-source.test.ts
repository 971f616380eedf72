import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { ScriptedResolver } from '../../test/support/scripted-resolver.ts';
import {
  checkTargetSource,
  type TargetSourceHarness,
  targetSourceContract,
} from '../../test/support/target-source-contract.ts';
import { sleep } from '../deadline.ts';
import {
  type AnswerChangedEvent,
  type AnswerIgnoredEvent,
  answerChanged,
  answerIgnored,
  type EventChannel,
  type SourceDegradedEvent,
  type SourceRecoveredEvent,
  sourceDegraded,
  sourceRecovered,
  type TargetChangedEvent,
  targetChanged,
} from '../events/index.ts';
import { DnsTargetSource, type DnsTargetSourceOptions } from './dns-source.ts';
import type { Target } from './target-source.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const secondary = 'secondary-db.example.com';

/** webscaler-db, which points to primary-db.example.com for 30 s, whose address is good for 60 s. */
function world(options: Partial<DnsTargetSourceOptions> = {}, random = () => 0) {
  const clock = new ManualClock();
  const resolver = new ScriptedResolver(clock);
  const pointTo = (externalName: string, ttlSeconds = 30) => resolver.set(service, { alias: externalName, ttlSeconds });
  pointTo(primary);
  resolver.set(primary, { addresses: ['203.0.113.1'], ttlSeconds: 60 });
  resolver.set(secondary, { addresses: ['203.0.113.2'], ttlSeconds: 60 });
  const source = new DnsTargetSource({ service: 'webscaler-db', resolver, ...options }, { clock, random });
  const told: Target[] = [];
  const follow = () => source.subscribe((target) => told.push(target));
  return { clock, resolver, pointTo, source, told, follow };
}

/** Collects what a channel tells of the Service while `work` runs. */
async function during<Event extends { readonly name: string }>(
  channel: EventChannel<Event>,
  work: () => Promise<void>,
) {
  const events: Event[] = [];
  const stop = channel.subscribe((event) => events.push(event));
  try {
    await work();
  } finally {
    stop();
  }
  return events;
}

describe('a DNS source', () => {
  const make = (): TargetSourceHarness => {
    const { clock, resolver, pointTo, source } = world();
    resolver.set('tertiary-db.example.com', { addresses: ['203.0.113.3'], ttlSeconds: 60 });
    return {
      source,
      change: (externalName) => pointTo(externalName),
      settle: () => clock.advance(35_000),
      fail: () => {
        resolver.isDown = true;
      },
      recover: () => {
        resolver.isDown = false;
      },
      dispose: async () => expect(clock.pending).toBe(0),
    };
  };

  for (const { promise, check } of targetSourceContract) {
    it(promise, () => checkTargetSource(check, make));
  }

  it('asks for the full name of the Service', async () => {
    const { source, resolver } = world({ service: 'webscaler-db', namespace: 'shop', clusterDomain: 'k8s.internal' });
    resolver.set('webscaler-db.shop.svc.k8s.internal', { alias: primary, ttlSeconds: 30 });
    await expect(source.current()).resolves.toMatchObject({
      externalName: primary,
      via: ['webscaler-db.shop.svc.k8s.internal'],
      source: 'dns',
    });
    expect(resolver.asked).toEqual([{ name: 'webscaler-db.shop.svc.k8s.internal', fresh: false }]);
  });

  it('follows any other name, which is its own target outside the cluster', async () => {
    const { source } = world({ service: undefined, name: 'Primary-DB.example.com.' });
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, via: [] });
  });

  it.each<[string, Partial<DnsTargetSourceOptions>, string]>([
    ['neither a Service nor a name', { service: undefined }, 'service'],
    ['both', { name: 'db.example.com' }, 'service'],
    ['a Service that is none', { service: 'db.example.com' }, 'service'],
    ['a name that is none', { service: undefined, name: 'a b' }, 'name'],
    ['no time at all', { timeoutMillis: 0 }, 'timeoutMillis'],
  ])('refuses %s', (_, options, argument) => {
    expect(() => world(options)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });

  it('gives the resolver its deadline for each question', async () => {
    const { source, resolver } = world({ timeoutMillis: 1234 });
    const resolve = resolver.resolve.bind(resolver);
    let timeoutMillis: number | undefined;
    resolver.resolve = (name, options) => {
      timeoutMillis = options?.timeoutMillis;
      return resolve(name, options);
    };
    await source.current();
    expect(timeoutMillis).toBe(1234);
  });
});

describe('how often a DNS source asks', () => {
  it('asks nothing when it is made', async () => {
    const { clock, resolver } = world();
    await clock.advance(3_600_000);
    expect(resolver.asked).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  it('asks nothing, however long, without a subscriber', async () => {
    const { clock, resolver, source, follow } = world();
    await source.current();
    const stop = follow();
    stop();
    await clock.advance(3_600_000);
    expect(resolver.asked).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('asks again just when the TTL of the alias ends, whatever that of the addresses', async () => {
    const { clock, resolver, source, follow } = world();
    resolver.set(primary, { addresses: ['203.0.113.1'], ttlSeconds: 5 });
    await source.current({ fresh: true });
    follow();
    await clock.advance(29_999);
    expect(resolver.asked).toHaveLength(1);
    await clock.advance(1);
    expect(resolver.asked).toHaveLength(2);
    await clock.advance(30_000);
    expect(resolver.asked).toHaveLength(3);
  });

  it('goes past every cache when the time has come', async () => {
    const { clock, resolver, follow } = world();
    follow();
    await clock.advance(30_000);
    expect(resolver.asked.at(-1)).toEqual({ name: service, fresh: true });
  });

  it('asks at once when it is first followed, and once only where the caller asks too', async () => {
    const { clock, resolver, source, follow, told } = world();
    follow();
    const target = source.current();
    await clock.advance(0);
    expect(resolver.asked).toHaveLength(1);
    expect(told).toEqual([await target]);
  });

  it('asks by the shortest TTL of the aliases that lead to the target', async () => {
    const { clock, resolver, source, follow } = world();
    resolver.set(service, { alias: 'db.data.svc.cluster.local', ttlSeconds: 30 });
    resolver.set('db.data.svc.cluster.local', { alias: primary, ttlSeconds: 7 });
    resolver.set(primary, { alias: 'db-7.provider.net', ttlSeconds: 2 });
    resolver.set('db-7.provider.net', { addresses: ['203.0.113.1'], ttlSeconds: 1 });
    await source.current({ fresh: true });
    follow();
    await clock.advance(6_999);
    expect(resolver.asked).toHaveLength(1);
    await clock.advance(1);
    expect(resolver.asked).toHaveLength(2);
  });

  it('asks sooner where the first answer was old already', async () => {
    const { clock, resolver, source, follow } = world();
    resolver.ageSeconds = 20;
    await source.current();
    follow();
    await clock.advance(9_999);
    expect(resolver.asked).toHaveLength(1);
    await clock.advance(1);
    expect(resolver.asked).toHaveLength(2);
  });

  it('asks at most once a second, whatever the TTL says', async () => {
    const { clock, resolver, source, pointTo, follow } = world();
    pointTo(primary, 0);
    follow();
    await clock.advance(10_000);
    expect(resolver.asked).toHaveLength(11);
    await source.current();
    expect(resolver.asked).toHaveLength(11);
  });

  it('adds up to a tenth of the TTL, at most a second, so that not all processes ask at once', async () => {
    for (const [ttlSeconds, expected] of [
      [5, 5_500],
      [30, 31_000],
      [600, 601_000],
    ] as const) {
      const { clock, resolver, source, pointTo, follow } = world({}, () => 0.999999);
      pointTo(primary, ttlSeconds);
      await source.current({ fresh: true });
      follow();
      await clock.advance(expected - 2);
      expect(resolver.asked).toHaveLength(1);
      await clock.advance(2);
      expect(resolver.asked).toHaveLength(2);
    }
  });

  it('asks for a caller only when the TTL has ended, without a subscriber', async () => {
    const { clock, resolver, source } = world();
    await source.current();
    await clock.advance(29_999);
    await source.current();
    expect(resolver.asked).toHaveLength(1);
    await clock.advance(1);
    await source.current();
    expect(resolver.asked).toHaveLength(2);
  });

  it('makes no caller wait for the next question while somebody is subscribed', async () => {
    const { clock, resolver, source, follow } = world({}, () => 0.5);
    await source.current();
    follow();
    resolver.hold();
    await clock.advance(30_100);
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, stale: false });
    expect(resolver.asked).toHaveLength(1);
    await clock.advance(1000);
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, stale: false });
    expect(resolver.asked).toHaveLength(2);
  });

  it('asks at once for a fresh caller, and counts the TTL from there', async () => {
    const { clock, resolver, source, follow } = world();
    follow();
    await clock.advance(20_000);
    await source.current({ fresh: true });
    expect(resolver.asked).toHaveLength(2);
    await clock.advance(29_999);
    expect(resolver.asked).toHaveLength(2);
    await clock.advance(1);
    expect(resolver.asked).toHaveLength(3);
  });

  it('asks once for many fresh callers at once', async () => {
    const { resolver, source } = world();
    const targets = await Promise.all(Array.from({ length: 1000 }, () => source.current({ fresh: true })));
    expect(resolver.asked).toHaveLength(1);
    expect(new Set(targets).size).toBe(1);
  });

  it('asks again for a fresh caller who comes when a question is under way: its answer may be older than the call', async () => {
    const { clock, resolver, source, pointTo } = world();
    resolver.hold();
    const before = source.current({ fresh: true });
    await clock.advance(0);
    pointTo(secondary);
    const after = source.current({ fresh: true });
    await clock.advance(0);
    resolver.release();
    await expect(before).resolves.toMatchObject({ externalName: primary });
    await expect(after).resolves.toMatchObject({ externalName: secondary });
  });

  it('lets any other caller share the question that is under way', async () => {
    const { clock, resolver, source } = world();
    resolver.hold();
    const callers = [source.current({ fresh: true })];
    await clock.advance(0);
    callers.push(source.current(), source.current());
    resolver.release();
    await Promise.all(callers);
    expect(resolver.asked).toHaveLength(1);
  });

  it('does not let an answer that comes late undo a newer one', async () => {
    const { clock, resolver, source, pointTo, told, follow } = world();
    await source.current();
    follow();
    resolver.hold();
    const slow = source.current({ fresh: true });
    await clock.advance(0);
    pointTo(secondary);
    const quick = source.current({ fresh: true });
    await clock.advance(0);
    resolver.release(1);
    await expect(quick).resolves.toMatchObject({ externalName: secondary });
    resolver.release();
    await expect(slow).resolves.toMatchObject({ externalName: secondary });
    await expect(source.current()).resolves.toMatchObject({ externalName: secondary });
    expect(told.map((target) => target.externalName)).toEqual([secondary]);
  });

  it('never keeps the process alive', async () => {
    const { clock, resolver, source, follow } = world();
    const backgrounds: (boolean | undefined)[] = [];
    const schedule = clock.schedule.bind(clock);
    clock.schedule = (callback, delayMillis, options) => {
      backgrounds.push(options?.background);
      return schedule(callback, delayMillis, options);
    };
    follow();
    await clock.advance(60_000);
    resolver.isDown = true;
    await clock.advance(60_000);
    await source.close();
    expect(backgrounds.length).toBeGreaterThan(5);
    expect(new Set(backgrounds)).toEqual(new Set([true]));
  });

  it('asks between once a second and once a TTL and a second, in any world', async () => {
    // Each second of a short TTL is a turn of the event loop: few and short steps keep this quick on a busy machine.
    const step = fc.record({ ttlSeconds: fc.integer({ min: 0, max: 60 }), waitSeconds: fc.nat(90) });
    const steps = fc.array(step, { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(steps, fc.float({ min: 0, max: Math.fround(0.99), noNaN: true }), async (changes, chance) => {
        const { clock, resolver, source, pointTo, follow } = world({}, () => chance);
        follow();
        await clock.advance(0);
        const times: { at: number; ttlMillis: number }[] = [];
        const resolve = resolver.resolve.bind(resolver);
        let ttlMillis = 30_000;
        times.push({ at: clock.now(), ttlMillis });
        resolver.resolve = (name, options) => {
          times.push({ at: clock.now(), ttlMillis });
          return resolve(name, options);
        };
        for (const { ttlSeconds, waitSeconds } of changes) {
          pointTo(primary, ttlSeconds);
          ttlMillis = ttlSeconds * 1000;
          await clock.advance(waitSeconds * 1000);
        }
        await source.close();
        for (const [index, { at }] of times.slice(1).entries()) {
          const previous = times[index];
          if (previous === undefined) throw new Error('no question before');
          // Sums of fractional times are rounded.
          expect(at - previous.at).toBeGreaterThan(1000 - 1e-6);
          expect(at - previous.at).toBeLessThan(Math.max(previous.ttlMillis, 1000) + 1000 + 1e-6);
        }
      }),
      { numRuns: 20 },
    );
  }, 30_000);
});

describe('a switch, seen through DNS', () => {
  it('is told when the TTL has ended, once', async () => {
    const { clock, pointTo, told, follow } = world();
    follow();
    await clock.advance(10_000);
    pointTo(secondary);
    await clock.advance(19_999);
    expect(told.map((target) => target.externalName)).toEqual([primary]);
    await clock.advance(1);
    expect(told.map((target) => target.externalName)).toEqual([primary, secondary]);
    await clock.advance(300_000);
    expect(told).toHaveLength(2);
  });

  it('is published as a change of the target, and not as a change of the answer', async () => {
    const { clock, pointTo, source, follow } = world();
    const before = await source.current();
    follow();
    let events: TargetChangedEvent[] = [];
    const answers: AnswerChangedEvent[] = await during(answerChanged, async () => {
      events = await during(targetChanged, async () => {
        pointTo(secondary);
        await clock.advance(30_000);
      });
    });
    const { version } = await source.current();
    expect(events).toEqual([
      { name: service, target: secondary, previous: primary, via: [service], source: 'dns', version },
    ]);
    expect(version).not.toBe(before.version);
    expect(answers).toEqual([]);
  });

  it('is not one when only the addresses, their order or the aliases of the provider change', async () => {
    const { clock, resolver, source, told, follow } = world();
    resolver.set(primary, { addresses: ['203.0.113.1', '203.0.113.2'], ttlSeconds: 60 });
    await source.current();
    follow();
    let targets: TargetChangedEvent[] = [];
    const answers = await during(answerChanged, async () => {
      targets = await during(targetChanged, async () => {
        resolver.set(primary, { addresses: ['203.0.113.2', '203.0.113.1'], ttlSeconds: 60 });
        await clock.advance(30_000);
        resolver.set(primary, { addresses: ['203.0.113.3', '203.0.113.1'], ttlSeconds: 60 });
        await clock.advance(30_000);
        resolver.set(primary, { alias: 'db-7.provider.net', ttlSeconds: 60 });
        resolver.set('db-7.provider.net', { addresses: ['203.0.113.1', '203.0.113.3'], ttlSeconds: 60 });
        await clock.advance(30_000);
      });
    });
    const facts = { name: service, target: primary };
    expect(answers).toEqual([
      {
        ...facts,
        chain: [service, primary],
        addresses: ['203.0.113.1', '203.0.113.3'],
        previousAddresses: ['203.0.113.1', '203.0.113.2'],
      },
      {
        ...facts,
        chain: [service, primary, 'db-7.provider.net'],
        addresses: ['203.0.113.1', '203.0.113.3'],
        previousAddresses: ['203.0.113.1', '203.0.113.3'],
      },
    ]);
    expect(targets).toEqual([]);
    expect(told).toEqual([]);
  });

  it('is not one when the target stops to resolve: its addresses are gone, or not known for a while', async () => {
    const { clock, resolver, source, follow } = world();
    await source.current();
    follow();
    const answers = await during(answerChanged, async () => {
      resolver.set(primary, { failure: 'unavailable' });
      await clock.advance(30_000);
      resolver.set(primary, { addresses: ['203.0.113.1'], ttlSeconds: 60 });
      await clock.advance(30_000);
      resolver.delete(primary);
      await clock.advance(30_000);
    });
    expect(answers).toEqual([
      { name: service, target: primary, chain: [service, primary], addresses: [], previousAddresses: ['203.0.113.1'] },
    ]);
  });

  it.each(['not-found', 'no-address', 'unavailable', 'loop', 'too-long'] as const)(
    'is seen although the new target itself does not resolve (%s)',
    async (failure) => {
      const { clock, resolver, pointTo, source, told, follow } = world();
      await source.current();
      follow();
      pointTo('not-there-yet.example.com');
      resolver.set('not-there-yet.example.com', { failure });
      const degraded = await during(sourceDegraded, () => clock.advance(30_000));
      expect(told).toEqual([
        expect.objectContaining({ externalName: 'not-there-yet.example.com', via: [service], stale: false }),
      ]);
      expect(degraded).toEqual([]);
    },
  );

  it('asks by the TTL of the alias, too, while the target does not resolve', async () => {
    const { clock, resolver, source, follow } = world();
    resolver.delete(primary);
    await source.current({ fresh: true });
    follow();
    await clock.advance(29_999);
    expect(resolver.asked).toHaveLength(1);
    await clock.advance(1);
    expect(resolver.asked).toHaveLength(2);
  });
});

describe('a target that was left less than an hour ago, and that DNS names again', () => {
  /** A world that has moved to the secondary, and whose every answer the test may choose. */
  async function moved(answersFor: (question: number) => string = () => secondary) {
    const made = world();
    const { clock, resolver, pointTo, follow, told } = made;
    follow();
    await clock.advance(0);
    pointTo(secondary);
    await clock.advance(30_000);
    expect(told.map((target) => target.externalName)).toEqual([primary, secondary]);
    let question = 0;
    const resolve = resolver.resolve.bind(resolver);
    resolver.resolve = (name, options) => {
      question += 1;
      pointTo(answersFor(question));
      return resolve(name, options);
    };
    return { ...made, names: () => told.map((target) => target.externalName) };
  }

  it('is not gone back to while the servers disagree, however long and however the questions come to them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.nat(2)), async (servers) => {
        // Two of three servers have learned of the switch.
        const behind = servers[Symbol.iterator]();
        let inARow = 0;
        const { clock, names, source } = await moved(() => {
          const isBehind = behind.next().value === 0 && inARow < 7;
          inARow = isBehind ? inARow + 1 : 0;
          return isBehind ? primary : secondary;
        });
        await clock.advance(5 * 60_000);
        expect(names()).toEqual([primary, secondary]);
        await source.close();
      }),
      { numRuns: 50 },
    );
  });

  it('is gone back to at once when all answers agree: a switch back that is meant', async () => {
    const { clock, names, resolver } = await moved(() => primary);
    const before = resolver.asked.length;
    await clock.advance(30_000);
    expect(names()).toEqual([primary, secondary, primary]);
    expect(resolver.asked.length - before).toBe(8);
  });

  it('is gone back to within five seconds after the last server has learned of it', async () => {
    let behind = true;
    const { clock, names } = await moved((question) => (behind && question % 2 === 0 ? secondary : primary));
    await clock.advance(40_000);
    expect(names()).toEqual([primary, secondary]);
    behind = false;
    await clock.advance(5_000);
    expect(names()).toEqual([primary, secondary, primary]);
  });

  it('is asked for two seconds at most, where answers are slow', async () => {
    const { clock, names, resolver, source } = await moved(() => primary);
    const resolve = resolver.resolve.bind(resolver);
    resolver.resolve = async (name, options) => {
      await sleep(900, { clock, background: true });
      return resolve(name, options);
    };
    const asked = source.current({ fresh: true });
    await clock.advance(900 + 2_700);
    await expect(asked).resolves.toMatchObject({ externalName: primary });
    expect(names().at(-1)).toBe(primary);
  });

  it('is gone back to if no server answers the questions that were to prove it', async () => {
    const { clock, names, resolver } = await moved((question) => {
      resolver.isDown = question > 1;
      return primary;
    });
    await clock.advance(30_000);
    expect(names()).toEqual([primary, secondary, primary]);
  });

  it('is told of on a channel while it is not believed', async () => {
    const events: AnswerIgnoredEvent[] = [];
    const stop = answerIgnored.subscribe((event) => events.push(event));
    const { clock } = await moved((question) => (question % 2 === 0 ? secondary : primary));
    await clock.advance(31_000);
    stop();
    expect(events).toEqual([
      { target: secondary, source: 'dns', ignoredTarget: primary, ignoredSource: 'dns', remainingMillis: 5_000 },
    ]);
  });

  it('costs nothing where another host is named, nor after an hour', async () => {
    let now = 'tertiary-db.example.com';
    const { clock, resolver, names } = await moved(() => now);
    resolver.set('tertiary-db.example.com', { addresses: ['203.0.113.3'], ttlSeconds: 60 });
    const before = resolver.asked.length;
    await clock.advance(30_000);
    expect(resolver.asked.length - before).toBe(1);
    await clock.advance(60 * 60_000);
    now = primary;
    const then = resolver.asked.length;
    await clock.advance(30_000);
    expect(names()).toEqual([primary, secondary, 'tertiary-db.example.com', primary]);
    expect(resolver.asked.length - then).toBe(1);
  });

  it('keeps the target, marked stale, where two that were left are named at the same time', async () => {
    const { clock, names, source } = await moved((question) =>
      question === 1 ? 'tertiary-db.example.com' : question % 2 === 0 ? primary : secondary,
    );
    await clock.advance(30_000);
    await source.current({ fresh: true }).catch(() => undefined);
    expect(names()).toEqual([primary, secondary, 'tertiary-db.example.com']);
    await expect(source.current()).resolves.toMatchObject({ externalName: 'tertiary-db.example.com', stale: true });
  });

  it('holds no caller back when the source is closed meanwhile', async () => {
    const { clock, source, resolver } = await moved(() => primary);
    const asked = expect(source.current({ fresh: true })).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await Promise.resolve();
    resolver.hold();
    await clock.advance(0);
    await source.close();
    await asked;
    expect(clock.pending).toBe(0);
  });
});

describe('the life of a Service, seen through DNS', () => {
  it('leads to the Service itself when it becomes ClusterIP or headless, and out again', async () => {
    const { clock, resolver, pointTo, source, told, follow } = world();
    await source.current();
    follow();
    resolver.set(service, { addresses: ['10.96.7.7'], ttlSeconds: 30 });
    await clock.advance(30_000);
    pointTo(secondary);
    await clock.advance(30_000);
    expect(told).toEqual([
      expect.objectContaining({ externalName: service, via: [], stale: false }),
      expect.objectContaining({ externalName: secondary, via: [service], stale: false }),
    ]);
  });

  it('leads to another Service of the cluster by its last name', async () => {
    const { resolver, source } = world();
    resolver.set(service, { alias: 'db.data.svc.cluster.local', ttlSeconds: 30 });
    resolver.set('db.data.svc.cluster.local', { addresses: ['10.96.7.8'], ttlSeconds: 30 });
    await expect(source.current()).resolves.toMatchObject({
      externalName: 'db.data.svc.cluster.local',
      via: [service],
    });
  });

  it('does not take a hop inside the cluster for the target when the rest of the chain is not known', async () => {
    const { resolver, source } = world();
    resolver.set(service, { alias: 'db.data.svc.cluster.local', ttlSeconds: 30 });
    resolver.set('db.data.svc.cluster.local', { failure: 'unavailable' });
    await expect(source.current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_DNS_UNAVAILABLE' });
    resolver.set('db.data.svc.cluster.local', { failure: 'not-found' });
    await expect(source.current({ fresh: true })).resolves.toMatchObject({ externalName: 'db.data.svc.cluster.local' });
  });

  it('keeps the last good target, marked stale, when it is deleted, says so once, and finds the new one', async () => {
    const { clock, resolver, pointTo, source, told, follow } = world();
    await source.current();
    follow();
    let degraded: SourceDegradedEvent[] = [];
    const recovered: SourceRecoveredEvent[] = await during(sourceRecovered, async () => {
      degraded = await during(sourceDegraded, async () => {
        resolver.delete(service);
        await clock.advance(90_000);
      });
      await expect(source.current()).resolves.toMatchObject({ externalName: primary, stale: true });
      pointTo(primary);
      await clock.advance(60_000);
    });
    expect(degraded).toEqual([
      {
        name: service,
        source: 'dns',
        target: primary,
        code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND',
        error: expect.objectContaining({ failure: 'not-found' }),
      },
    ]);
    expect(recovered).toEqual([
      expect.objectContaining({ name: service, target: primary, via: [service], source: 'dns' }),
    ]);
    expect(recovered[0]?.degradedMillis).toBeGreaterThan(60_000);
    expect(told).toEqual([]);
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, stale: false });
  });

  it('has no target before it exists, and gets one when it does', async () => {
    const { clock, resolver, pointTo, source, told, follow } = world();
    resolver.delete(service);
    follow();
    const degraded = await during(sourceDegraded, async () => {
      await expect(source.current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND' });
    });
    expect(degraded).toEqual([expect.not.objectContaining({ target: expect.anything() })]);
    pointTo(primary);
    await clock.advance(2_000);
    expect(told).toEqual([expect.objectContaining({ externalName: primary, stale: false })]);
  });
});

describe('DNS that is down', () => {
  it('is asked again after 1, 2, 4, ... and at most 30 seconds', async () => {
    const { clock, resolver, source, follow } = world({}, () => 1);
    await source.current({ fresh: true });
    follow();
    resolver.isDown = true;
    await clock.advance(31_000); // the TTL, and its jitter
    const at: number[] = [];
    const start = clock.now();
    const resolve = resolver.resolve.bind(resolver);
    resolver.resolve = (name, options) => {
      at.push((clock.now() - start) / 1000);
      return resolve(name, options);
    };
    await clock.advance(125_000);
    expect(at).toEqual([1, 3, 7, 15, 31, 61, 91, 121]);
  });

  it('does not keep a caller waiting that has a target and asks for no fresh one', async () => {
    const { clock, resolver, source, follow } = world();
    await source.current();
    follow();
    resolver.isDown = true;
    await clock.advance(30_000);
    resolver.hold();
    await clock.advance(60_000);
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, stale: true });
  });

  it('is not asked by every caller while it is down and has no subscriber', async () => {
    const { clock, resolver, source } = world({}, () => 1);
    await source.current();
    resolver.isDown = true;
    await clock.advance(30_000);
    for (let time = 0; time < 10; time++) await source.current();
    expect(resolver.asked).toHaveLength(2);
    await clock.advance(1000);
    await source.current();
    expect(resolver.asked).toHaveLength(3);
  });

  it('leaves an expired answer of the resolver to stand in, marked stale, only where nothing better is known', async () => {
    const first = world();
    first.resolver.isDown = true;
    first.resolver.servesStale = true;
    await expect(first.source.current()).resolves.toMatchObject({ externalName: primary, stale: true });

    const second = world();
    second.pointTo(secondary);
    await second.source.current();
    second.pointTo(primary); // what an old cache still holds
    second.resolver.isDown = true;
    second.resolver.servesStale = true;
    await expect(second.source.current({ fresh: true })).resolves.toMatchObject({
      externalName: secondary,
      stale: true,
    });
  });

  it('lets a caller leave, and the question go on for the others', async () => {
    const { clock, resolver, source } = world();
    resolver.hold();
    const leaving = new AbortController();
    const one = source.current({ signal: leaving.signal });
    const other = source.current();
    await clock.advance(0);
    leaving.abort(new Error('gone'));
    await expect(one).rejects.toThrow('gone');
    resolver.release();
    await expect(other).resolves.toMatchObject({ externalName: primary });
    expect(resolver.asked).toHaveLength(1);
  });

  it('holds no caller back when the source is closed', async () => {
    const { clock, resolver, source } = world();
    resolver.hold();
    const waiting = source.current();
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await clock.advance(0);
    await source.close();
    await outcome;
    expect(clock.pending).toBe(0);
  });
});
