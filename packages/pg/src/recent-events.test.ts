import { inspect } from 'node:util';
import { ManualClock } from '@externalname/core/internal-testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FailoverTimeoutError } from './errors.ts';
import { attachRecentEvents, RecentEvents, recentEventsOf } from './recent-events.ts';

const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.11:5432'), { code: 'ECONNREFUSED' });
const attempt = { event: 'connect', target: 'primary-db.example.com', address: '127.0.0.11:5432' } as const;

/** Events of a pool whose clock stands still until it is told to go on. */
function recorder(secrets: readonly string[] = []) {
  const clock = new ManualClock();
  const startedAt = clock.date().getTime();
  return {
    clock,
    recent: new RecentEvents('webscaler-db', clock, secrets),
    at: (millis: number) => new Date(startedAt + millis).toISOString(),
  };
}

describe('what a pool did last', () => {
  it('is listed in the order in which it happened, with when, what, and how it failed', async () => {
    const { clock, recent, at } = recorder();
    recent.record({ event: 'source', target: 'primary-db.example.com', source: 'dns' });
    await clock.advance(5);
    recent.record({ ...attempt, millis: 3, error: refused });
    expect(recent.list()).toEqual([
      { time: at(0), event: 'source', target: 'primary-db.example.com', source: 'dns' },
      { time: at(5), ...attempt, millis: 3, code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.11:5432' },
    ]);
  });

  it('is one entry with a count if the same happens again and again, so that the beginning stays', async () => {
    const { clock, recent, at } = recorder();
    recent.record({ event: 'lost', error: new Error('Connection terminated unexpectedly') });
    for (let count = 0; count < 100; count++) {
      await clock.advance(300);
      recent.record({ ...attempt, millis: count, error: refused });
    }
    expect(recent.list()).toMatchObject([
      { event: 'lost', time: at(0) },
      { event: 'connect', times: 100, since: at(300), time: at(30_000), millis: 99 },
    ]);
  });

  it('is another entry if the same happens on another occasion', async () => {
    const { clock, recent } = recorder();
    recent.record({ ...attempt, error: refused });
    await clock.advance(3_600_000);
    recent.record({ ...attempt, error: refused });
    expect(recent.list().at(-1)).not.toHaveProperty('times');
  });

  it('is bounded: the oldest of more than 20 goes', () => {
    const { recent } = recorder();
    for (let count = 0; count < 50; count++) recent.record({ event: 'resolve', target: `host-${count}.example.com` });
    expect(recent.list()).toHaveLength(20);
    expect(recent.list()[0]).toMatchObject({ target: 'host-30.example.com' });
  });

  it('ends with what is in progress, until that is over', async () => {
    const { clock, recent, at } = recorder();
    const over = recent.begin(attempt);
    await clock.advance(1_500);
    expect(recent.list()).toEqual([{ time: at(0), ...attempt, millis: 1_500, underWay: true }]);
    expect(over()).toBe(1_500);
    expect(recent.list()).toEqual([]);
  });

  it('cannot be changed by its reader, and does not change later', () => {
    const { recent } = recorder();
    recent.record({ ...attempt, error: refused });
    const list = recent.list();
    const before = JSON.stringify(list);
    recent.record({ ...attempt, error: refused });
    expect(JSON.stringify(list)).toBe(before);
    expect(() => (list as unknown[]).push({})).toThrow();
  });
});

describe('the error of a failover that did not succeed', () => {
  function failed() {
    const { recent } = recorder();
    recent.record({ event: 'source', target: 'primary-db.example.com', source: 'dns' });
    recent.record({
      event: 'resolve',
      target: 'primary-db.example.com',
      addresses: ['127.0.0.11', '127.0.0.12'],
      millis: 1,
    });
    for (let count = 0; count < 3; count++) recent.record({ ...attempt, millis: 2, error: refused });
    recent.record({
      event: 'refuse',
      target: 'evil.example.org',
      from: 'primary-db.example.com',
      error: new Error('no'),
    });
    recent.record({
      event: 'switch',
      target: 'secondary-db.example.com',
      source: 'dns',
      from: 'primary-db.example.com',
    });
    recent.begin({ event: 'connect', target: 'secondary-db.example.com', address: '127.0.0.12:5432' });
    return new FailoverTimeoutError('webscaler-db', 2_000, { recentEvents: recent.list() });
  }

  it('prints as a line for each event', () => {
    const lines = inspect(failed()).split('\n');
    const events = lines.slice(lines.findIndex((line) => line.includes('recentEvents: [')) + 1);
    const time = /^\s+\d{4}-\d\d-\d\dT\S+Z /;
    expect(events.filter((line) => time.test(line)).map((line) => line.replace(time, ''))).toEqual([
      'source primary-db.example.com (dns)',
      'resolve primary-db.example.com is at 127.0.0.11, 127.0.0.12 (1 ms)',
      expect.stringMatching(
        /^connect primary-db.example.com 127.0.0.11:5432 failed: connect ECONNREFUSED 127.0.0.11:5432 \(2 ms, 3 times since .*Z\)$/,
      ),
      'refuse evil.example.org stays on primary-db.example.com failed: no',
      'switch secondary-db.example.com (dns) from primary-db.example.com',
      'connect secondary-db.example.com 127.0.0.12:5432 under way (0 ms)',
    ]);
  });

  it('hands each event to a logger of JSON as an object, by the properties that loggers go through', () => {
    const error = failed();
    const seen: Record<string, unknown> = {};
    for (const key in error) seen[key] = (error as unknown as Record<string, unknown>)[key];
    const logged = JSON.parse(JSON.stringify(seen)) as { recentEvents: object[] };
    expect(logged.recentEvents).toEqual(error.recentEvents.map((event) => ({ ...event })));
    expect(logged.recentEvents[2]).toMatchObject({ event: 'connect', code: 'ECONNREFUSED', times: 3 });
  });

  it('is bounded in what it prints, however long the messages of others are', () => {
    const { recent } = recorder();
    for (let count = 0; count < 100; count++) {
      recent.record({ event: 'lost', error: new Error(`${count} ${'endless\n'.repeat(10_000)}`) });
    }
    const error = new FailoverTimeoutError('webscaler-db', 2_000, { recentEvents: recent.list() });
    expect(inspect(error.recentEvents).length).toBeLessThan(20 * 300);
    expect(inspect(error.recentEvents).split('\n')).toHaveLength(22);
  });

  it('is told from one that has none', () => {
    const error = new Error('timeout expired');
    expect(recentEventsOf(error)).toEqual([]);
    expect(recentEventsOf(undefined)).toEqual([]);
    const { recent } = recorder();
    recent.record(attempt);
    attachRecentEvents(error, recent.list());
    expect(recentEventsOf(error)).toHaveLength(1);
    attachRecentEvents(Object.freeze(new Error('frozen')), recent.list());
  });
});

describe('secrets', () => {
  const passwords = fc
    .oneof(fc.string({ minLength: 4 }), fc.string({ unit: 'binary', minLength: 4 }))
    // One that no event would hold by chance.
    .map((text) => `pw~${text}`);

  it('are in no event, however they came into an error', () => {
    fc.assert(
      fc.property(passwords, passwords, fc.string(), (known, ofAttempt, text) => {
        const { recent } = recorder([known]);
        const say = (message: string) => Object.assign(new Error(message), { code: message, password: known });
        for (const form of [known, encodeURIComponent(Buffer.from(known).toString()), `${text}${known}${text}`]) {
          recent.record({ event: 'lost', error: say(form) });
          recent.record({ event: 'connect', error: new AggregateError([say(form)], form) });
        }
        recent.record({ event: 'connect', error: say(`${text} ${ofAttempt}`), secrets: [ofAttempt, undefined] });
        recent.record({
          event: 'refuse',
          error: say(`postgresql://app:${ofAttempt.replace(/\s/g, '')}@db.example.com`),
        });
        const shown = inspect(recent.list(), { depth: 10 }) + JSON.stringify(recent.list());
        const collapse = (secret: string) => secret.replace(/[\s\p{Cc}]+/gu, ' ');
        for (const secret of [known, ofAttempt, collapse(known), collapse(ofAttempt)])
          expect(shown).not.toContain(secret);
        expect(inspect(recent, { depth: 10, showHidden: true })).not.toContain(known);
      }),
    );
  });
});
