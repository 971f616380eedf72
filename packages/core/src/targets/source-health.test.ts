import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { sourceDegraded, sourceRecovered } from '../events/index.ts';
import { SourceHealth } from './source-health.ts';
import type { Target } from './target-source.ts';

const target: Target = { externalName: 'a.example.com', via: ['db'], version: '1', source: 'dns', stale: false };
const events: unknown[] = [];
let stops: (() => void)[];

beforeEach(() => {
  events.length = 0;
  stops = [sourceDegraded, sourceRecovered].map((channel) => channel.subscribe((event) => events.push(event)));
});

afterEach(() => {
  for (const stop of stops) stop();
});

it('publishes an outage once, and its end once', async () => {
  const clock = new ManualClock();
  const health = new SourceHealth('dns', clock);
  health.confirmed('db', target);
  const error = new Error('no answer');
  health.degraded('db', target, error);
  await clock.advance(500);
  health.degraded('db', target, new Error('still no answer'));
  health.confirmed('db', target);
  health.confirmed('db', target);
  expect(events).toEqual([
    { name: 'db', source: 'dns', target: 'a.example.com', error },
    { name: 'db', target: 'a.example.com', via: ['db'], source: 'dns', version: '1', degradedMillis: 500 },
  ]);
});
