import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { ScriptedResolver } from '../../test/support/scripted-resolver.ts';
import {
  checkTargetSource,
  type TargetSourceHarness,
  targetSourceContract,
} from '../../test/support/target-source-contract.ts';
import { ClosedError, ExternalNameError } from '../errors.ts';
import { type AnswerIgnoredEvent, answerIgnored } from '../events/index.ts';
import { DnsTargetSource } from './dns-source.ts';
import { FirstAvailableTargetSource } from './first-available-source.ts';
import { StaticTargetSource } from './static-source.ts';
import { TargetFeed } from './target-feed.ts';
import type { CurrentOptions, Target, TargetSource } from './target-source.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const primary = 'primary-db.example.com';
const secondary = 'secondary-db.example.com';
const tertiary = 'tertiary-db.example.com';

/** What a watch on the Kubernetes API looks like from here. */
class ScriptedSource implements TargetSource {
  readonly kind: Target['source'];
  asked = 0;
  isClosed = false;
  /** Rejects, or answers stale where it had a target. */
  isDown = false;
  /** Never answers. */
  hangs = false;
  readonly #feed = new TargetFeed();
  #target: Target | undefined;

  constructor(kind: Target['source'] = 'kubernetes') {
    this.kind = kind;
  }

  get isFollowed(): boolean {
    return this.#feed.isFollowed;
  }

  /** Learns of a target, and tells its subscribers. */
  push(externalName: string): void {
    this.know(externalName);
    if (this.#target !== undefined) this.#feed.tell(this.#target);
  }

  /** Has known a target for long. */
  know(externalName: string): void {
    this.#target = { externalName, via: [service], version: `${++versions}`, source: this.kind, stale: false };
  }

  async current(options: CurrentOptions = {}): Promise<Target> {
    this.asked++;
    if (this.isClosed) throw new ClosedError('the target source');
    if (this.hangs) {
      await new Promise((_, reject) =>
        options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true }),
      );
    }
    if (this.#target === undefined) throw new ExternalNameError('ERR_EXTERNALNAME_TEST', 'not reachable');
    return this.isDown ? { ...this.#target, stale: true } : this.#target;
  }

  subscribe(listener: (target: Target) => void): () => void {
    return this.#feed.subscribe(listener, this.#target);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.#feed.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
let versions = 0;

function world() {
  const clock = new ManualClock();
  const watch = new ScriptedSource('kubernetes');
  const dns = new ScriptedSource('dns');
  const source = new FirstAvailableTargetSource([watch, dns], {}, { clock });
  const told: string[] = [];
  const follow = () => source.subscribe((target) => told.push(target.externalName));
  return { clock, watch, dns, source, told, follow };
}

/** Both knew the primary; the watch told of the secondary and broke, while caches of DNS still hold the primary. */
async function brokenAfterSwitch() {
  const all = world();
  all.watch.know(primary);
  all.dns.know(primary);
  await all.source.current();
  all.follow();
  await all.clock.advance(20_000);
  all.watch.push(secondary);
  await all.clock.advance(0);
  all.watch.isDown = true;
  expect(all.told).toEqual([secondary]);
  return all;
}

describe('a first-available source', () => {
  const dnsWorld = (others: (clock: ManualClock) => readonly TargetSource[]) => (): TargetSourceHarness => {
    const clock = new ManualClock();
    const resolver = new ScriptedResolver(clock);
    const pointTo = (externalName: string) => resolver.set(service, { alias: externalName, ttlSeconds: 30 });
    for (const name of [primary, secondary, tertiary]) {
      resolver.set(name, { addresses: ['203.0.113.1'], ttlSeconds: 30 });
    }
    pointTo(primary);
    const dns = new DnsTargetSource({ service: 'webscaler-db', resolver }, { clock, random: () => 0 });
    return {
      source: new FirstAvailableTargetSource([...others(clock), dns], {}, { clock }),
      change: pointTo,
      settle: () => clock.advance(65_000),
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
    it(`of one: ${promise}`, () =>
      checkTargetSource(
        check,
        dnsWorld(() => []),
      ));
    it(`whose better one is out of reach: ${promise}`, () =>
      checkTargetSource(
        check,
        dnsWorld(() => [new ScriptedSource()]),
      ));
  }

  it('believes the best source that has a good answer, and asks no other', async () => {
    const { watch, dns, source } = world();
    watch.know(secondary);
    dns.know(primary);
    await expect(source.current()).resolves.toMatchObject({ externalName: secondary, source: 'kubernetes' });
    expect(dns.asked).toBe(0);
  });

  it('takes the next one where the best has no target', async () => {
    const { dns, source } = world();
    dns.know(primary);
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, source: 'dns', stale: false });
  });

  it('takes the next one where the best does not answer in time', async () => {
    const { clock, watch, dns, source } = world();
    watch.hangs = true;
    dns.know(primary);
    const target = source.current();
    await clock.advance(4_999);
    expect(dns.asked).toBe(0);
    await clock.advance(1);
    await expect(target).resolves.toMatchObject({ externalName: primary, source: 'dns' });
  });

  it('asks again for a fresh caller who comes when a round is under way: its answers may be older than the call', async () => {
    const { clock, watch, source } = world();
    watch.know(primary);
    await Promise.all([source.current({ fresh: true }), source.current({ fresh: true })]);
    expect(watch.asked).toBe(1);
    watch.hangs = true;
    const early = source.current({ fresh: true });
    await clock.advance(0);
    watch.hangs = false;
    watch.know(secondary);
    await expect(source.current({ fresh: true })).resolves.toMatchObject({ externalName: secondary });
    await clock.advance(5_000);
    await expect(early).resolves.toMatchObject({ externalName: secondary, stale: true });
  });

  it('never keeps the process alive by following', async () => {
    const { clock, watch, dns, source, follow } = world();
    const backgrounds: (boolean | undefined)[] = [];
    const schedule = clock.schedule.bind(clock);
    clock.schedule = (callback, delayMillis, options) => {
      backgrounds.push(options?.background);
      return schedule(callback, delayMillis, options);
    };
    watch.hangs = true;
    dns.know(primary);
    follow();
    await clock.advance(0);
    dns.push(secondary);
    await clock.advance(180_000);
    await source.close();
    expect(backgrounds.length).toBeGreaterThan(3);
    expect(new Set(backgrounds)).toEqual(new Set([true]));
  });

  it('says why each of them has none, where none has', async () => {
    const { source } = world();
    await expect(source.current()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_NO_TARGET',
      message: 'no source has a target: not reachable; not reachable',
      cause: { errors: [{ code: 'ERR_EXTERNALNAME_TEST' }, { code: 'ERR_EXTERNALNAME_TEST' }] },
    });
  });

  it('passes the error of an only source on as it is', async () => {
    const source = new FirstAvailableTargetSource([new ScriptedSource()]);
    await expect(source.current()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TEST' });
  });

  it('refuses no sources, and times that are none', () => {
    const invalid = expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT' });
    const sources = [new StaticTargetSource('a.example.com')];
    expect(() => new FirstAvailableTargetSource([])).toThrow(invalid);
    expect(() => new FirstAvailableTargetSource(sources, { settleMillis: -1 })).toThrow(invalid);
    expect(() => new FirstAvailableTargetSource(sources, { timeoutMillis: 0 })).toThrow(invalid);
  });

  it('follows its sources only while it is followed, and closes them when it is closed', async () => {
    const { clock, watch, dns, source, follow } = world();
    watch.know(primary);
    expect([watch.isFollowed, dns.isFollowed]).toEqual([false, false]);
    const stop = follow();
    expect([watch.isFollowed, dns.isFollowed]).toEqual([true, true]);
    stop();
    expect([watch.isFollowed, dns.isFollowed]).toEqual([false, false]);
    follow();
    await source.close();
    expect([watch.isClosed, dns.isClosed]).toEqual([true, true]);
    expect(clock.pending).toBe(0);
  });

  it('tells of what the better source pushes at once, and not of what the lower one says meanwhile', async () => {
    const { clock, watch, dns, source, told, follow } = world();
    watch.know(primary);
    dns.know(primary);
    await source.current();
    follow();
    await clock.advance(0);
    watch.push(secondary);
    await clock.advance(0);
    dns.push(tertiary);
    dns.push(secondary);
    await clock.advance(0);
    expect(told).toEqual([secondary]);
  });

  it('follows the lower source while the better one is out of reach, and the better one when it is back', async () => {
    const { clock, watch, dns, source, told, follow } = world();
    dns.know(primary);
    await source.current();
    follow();
    await clock.advance(0);
    dns.push(secondary);
    await clock.advance(0);
    watch.push(tertiary);
    await clock.advance(0);
    expect(told).toEqual([secondary, tertiary]);
    await expect(source.current()).resolves.toMatchObject({ externalName: tertiary, source: 'kubernetes' });
  });
});

describe('an old answer of DNS, after the watch has told of a switch and gone silent', () => {
  it('does not undo the switch', async () => {
    const { clock, dns, source, told } = await brokenAfterSwitch();
    await expect(source.current()).resolves.toMatchObject({ externalName: secondary, stale: true });
    dns.push(primary);
    await clock.advance(59_000);
    await expect(source.current({ fresh: true })).resolves.toMatchObject({ externalName: secondary, stale: true });
    expect(told).toEqual([secondary]);
  });

  it('is told on a channel while it is ignored', async () => {
    const { source } = await brokenAfterSwitch();
    const events: AnswerIgnoredEvent[] = [];
    const stop = answerIgnored.subscribe((event) => events.push(event));
    await source.current();
    stop();
    expect(events).toEqual([
      {
        target: secondary,
        source: 'kubernetes',
        ignoredTarget: primary,
        ignoredSource: 'dns',
        remainingMillis: 60_000,
      },
    ]);
  });

  it('is news once DNS has caught up: the target is good again, and a switch back is a switch', async () => {
    const { clock, dns, source, told } = await brokenAfterSwitch();
    await clock.advance(30_000);
    dns.push(secondary);
    await clock.advance(0);
    await expect(source.current()).resolves.toMatchObject({ externalName: secondary, stale: false, source: 'dns' });
    dns.push(primary);
    await clock.advance(0);
    expect(told).toEqual([secondary, primary]);
  });

  it('is news, too, where DNS had caught up before the watch went silent', async () => {
    const { clock, watch, dns, source, told, follow } = world();
    watch.know(primary);
    dns.know(primary);
    await source.current();
    follow();
    await clock.advance(0);
    watch.push(secondary);
    dns.push(secondary);
    await clock.advance(0);
    watch.isDown = true;
    dns.push(primary);
    await clock.advance(0);
    expect(told).toEqual([secondary, primary]);
  });

  it('is believed by itself when it is still there after every cache must have forgotten it', async () => {
    const { clock, source, told } = await brokenAfterSwitch();
    await source.current();
    await clock.advance(59_999);
    expect(told).toEqual([secondary]);
    await clock.advance(1);
    expect(told).toEqual([secondary, primary]);
    await expect(source.current()).resolves.toMatchObject({ externalName: primary, stale: false });
  });

  it('is believed even if no caller asked in between', async () => {
    const { clock, told } = await brokenAfterSwitch();
    await clock.advance(180_000);
    expect(told).toEqual([secondary, primary]);
  });

  it('gives way to the watch when that is back, although it has nothing new to push', async () => {
    const { clock, watch, told } = await brokenAfterSwitch();
    await clock.advance(180_000);
    watch.isDown = false;
    await clock.advance(180_000);
    expect(told).toEqual([secondary, primary, secondary]);
  });
});
