import { describe, expect, it } from 'vitest';
import { type BackgroundFailedEvent, backgroundFailed } from '../events/index.ts';
import { isSameTarget, TargetFeed } from './target-feed.ts';
import type { Target } from './target-source.ts';

const target = (externalName: string, other: Partial<Target> = {}): Target => ({
  externalName,
  via: [],
  version: '1',
  source: 'dns',
  stale: false,
  ...other,
});
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a feed of targets', () => {
  it('tells each listener of what it does not know yet', async () => {
    const feed = new TargetFeed();
    const told: string[] = [];
    feed.subscribe(({ externalName }) => told.push(`one: ${externalName}`), target('a'));
    feed.subscribe(({ externalName }) => told.push(`two: ${externalName}`), undefined);
    feed.tell(target('a'));
    feed.tell(target('b'));
    feed.tell(target('b'));
    feed.tell(target('a'));
    await turn();
    expect(told).toEqual(['two: a', 'one: b', 'two: b', 'one: a', 'two: a']);
  });

  it('tells no listener before the caller is done', async () => {
    const feed = new TargetFeed();
    let told = 0;
    feed.subscribe(() => told++, undefined);
    feed.tell(target('a'));
    expect(told).toBe(0);
    await turn();
    expect(told).toBe(1);
  });

  it('leaves out who has unsubscribed meanwhile, from another listener too', async () => {
    const feed = new TargetFeed();
    const told: string[] = [];
    const ends: (() => void)[] = [];
    feed.subscribe(() => {
      told.push('first');
      for (const end of ends) end();
    }, undefined);
    ends.push(feed.subscribe(() => told.push('second'), undefined));
    feed.tell(target('a'));
    await turn();
    expect(told).toEqual(['first']);
  });

  it('reports a listener that throws, and calls it again the next time', async () => {
    const events: BackgroundFailedEvent[] = [];
    const stop = backgroundFailed.subscribe((event) => events.push(event));
    const feed = new TargetFeed();
    const error = new Error('broken');
    feed.subscribe(() => {
      throw error;
    }, undefined);
    feed.tell(target('a'));
    feed.tell(target('b'));
    await turn();
    stop();
    const event = { what: 'calling a listener for targets', error };
    expect(events).toEqual([event, event]);
  });

  it('knows whether anybody listens', () => {
    const feed = new TargetFeed();
    expect(feed.isFollowed).toBe(false);
    const end = feed.subscribe(() => {}, undefined);
    feed.subscribe(() => {}, undefined);
    end();
    expect(feed.isFollowed).toBe(true);
    feed.clear();
    expect(feed.isFollowed).toBe(false);
  });
});

describe('the same target', () => {
  it('is the same host, whatever source names it, by whatever way, and however lately', () => {
    const one = target('a');
    expect(isSameTarget(one, target('a', { via: ['x'], version: '2', source: 'kubernetes', stale: true }))).toBe(true);
    expect(isSameTarget(one, target('b'))).toBe(false);
  });
});
