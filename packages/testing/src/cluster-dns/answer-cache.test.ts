import { ManualClock } from '@externalname/core/internal-testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { AnswerCache, type AnswerCacheOptions } from './answer-cache.ts';
import { type DnsAnswer, type DnsRecord, emptyAnswer, type Rcode } from './message.ts';

const name = 'db.default.svc.cluster.local.';
const question = { name, type: 'A' };
const alias = (ttl: number): DnsRecord => ({ name, type: 'CNAME', ttl, data: 'ext.example.' });
const address = (ttl: number): DnsRecord => ({ name: 'ext.example.', type: 'A', ttl, data: '192.0.2.1' });
const soa = (ttl: number): DnsRecord => ({
  name: 'cluster.local.',
  type: 'SOA',
  ttl,
  data: { mname: 'ns.', rname: 'h.', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: ttl },
});

let clock: ManualClock;
let asked: number;

beforeEach(() => {
  clock = new ManualClock();
  asked = 0;
});

function cacheOf(answers: DnsAnswer[], options: AnswerCacheOptions = {}) {
  const cache = new AnswerCache(options, clock);
  return () =>
    cache.answer(question, '', async () => {
      asked += 1;
      return answers[Math.min(asked, answers.length) - 1];
    });
}
const answerOf = (answer: DnsRecord[], rcode: Rcode = 'NOERROR', authority: DnsRecord[] = []): DnsAnswer => ({
  ...emptyAnswer(rcode),
  answer,
  authority,
});
const ttls = (answer: DnsAnswer | undefined) =>
  [...(answer?.answer ?? []), ...(answer?.authority ?? [])].map((record) => record.ttl);

describe('the TTL of an answer', () => {
  it.each([
    ['CNAME 5 and A 300', answerOf([alias(5), address(300)]), [5, 5]],
    ['CNAME 30 and A 60', answerOf([alias(30), address(60)]), [30, 30]],
    ['CNAME 30 and A 1', answerOf([alias(30), address(1)]), [5, 5]],
    ['more than the longest time', answerOf([alias(600), address(600)]), [30, 30]],
    ['NXDOMAIN with a long SOA', answerOf([], 'NXDOMAIN', [soa(600)]), [30]],
    ['SERVFAIL', answerOf([], 'SERVFAIL', [soa(600)]), [5]],
  ])(
    '%s is the lowest of the message, at least 5, at most the longest: also on the first answer',
    async (_text, answer, expected) => {
      expect(ttls(await cacheOf([answer], { successSeconds: 30, denialSeconds: 30 })())).toEqual(expected);
    },
  );

  it('goes down while the answer is kept', async () => {
    const ask = cacheOf([answerOf([alias(30), address(30)])]);
    await ask();
    await clock.advance(12_000);
    expect(ttls(await ask())).toEqual([18, 18]);
    expect(asked).toBe(1);
  });
});

describe('an answer is kept', () => {
  const complete = answerOf([alias(30), address(30)]);

  it('until its time is up, whatever changed meanwhile', async () => {
    const ask = cacheOf([complete, answerOf([alias(30), { ...address(30), data: '192.0.2.2' } as DnsRecord])]);
    await ask();
    await clock.advance(29_000);
    expect((await ask())?.answer[1]).toMatchObject({ data: '192.0.2.1' });
    await clock.advance(1000);
    expect((await ask())?.answer[1]).toMatchObject({ data: '192.0.2.2' });
  });

  it.each([
    ['a bare alias, as the target could not be asked', answerOf([alias(30)])],
    ['an answer that is cut short', { ...complete, truncated: true }],
    ['REFUSED', answerOf([], 'REFUSED')],
    ['NXDOMAIN without a SOA', answerOf([], 'NXDOMAIN')],
  ])('but not %s', async (_text, answer) => {
    const ask = cacheOf([answer]);
    await ask();
    await ask();
    expect(asked).toBe(2);
  });

  it('but not if its zone is excepted; its TTLs are levelled all the same', async () => {
    const ask = cacheOf([answerOf([alias(30), address(300)])], { disableSuccess: ['cluster.local'] });
    await ask();
    expect(ttls(await ask())).toEqual([30, 30]);
    expect(asked).toBe(2);
  });

  it('for each set of flags apart', async () => {
    const cache = new AnswerCache({}, clock);
    const next = async () => {
      asked += 1;
      return complete;
    };
    await cache.answer(question, 'plain', next);
    await cache.answer(question, 'dnssec', next);
    await cache.answer({ ...question, name: name.toUpperCase() }, 'plain', next);
    expect(asked).toBe(2);
  });

  it('5 seconds for SERVFAIL, and a good answer goes before it', async () => {
    const ask = cacheOf([answerOf([], 'SERVFAIL'), complete]);
    expect((await ask())?.rcode).toBe('SERVFAIL');
    expect((await ask())?.rcode).toBe('SERVFAIL');
    await clock.advance(5000);
    expect((await ask())?.rcode).toBe('NOERROR');
  });
});

describe('serve_stale', () => {
  const first = answerOf([alias(10), address(10)]);
  const second = answerOf([alias(10), { ...address(10), data: '192.0.2.2' } as DnsRecord]);

  it('gives the old answer with TTL 0 at once, and asks behind its back', async () => {
    const ask = cacheOf([first, second], { serveStaleSeconds: 3600 });
    await ask();
    await clock.advance(11_000);
    const stale = await ask();
    expect(ttls(stale)).toEqual([0, 0]);
    expect(stale?.answer[1]).toMatchObject({ data: '192.0.2.1' });
    expect((await ask())?.answer[1]).toMatchObject({ data: '192.0.2.2' });
  });

  it('verify asks first, and falls back on the old answer', async () => {
    const ask = cacheOf([first, answerOf([], 'SERVFAIL'), second], { serveStaleSeconds: 3600, verifyStale: true });
    await ask();
    await clock.advance(11_000);
    expect((await ask())?.answer[1]).toMatchObject({ ttl: 0, data: '192.0.2.1' });
    await clock.advance(5000);
    expect((await ask())?.answer[1]).toMatchObject({ ttl: 10, data: '192.0.2.2' });
  });
});
