import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { type BackgroundFailedEvent, backgroundFailed } from '../events/index.ts';
import type { Endpoint } from './endpoint.ts';
import { interleaved, type RaceOptions, raceEndpoints } from './racing.ts';
import type { Target } from './target-source.ts';

const target: Target = {
  externalName: 'primary-db.example.com',
  via: [],
  version: '1',
  source: 'static',
  stale: false,
};
const endpoint = (address: string): Endpoint => ({
  target,
  address,
  family: address.includes(':') ? 6 : 4,
  port: 5432,
});
const [first, second, third] = ['203.0.113.1', '203.0.113.2', '203.0.113.3'].map(endpoint) as [
  Endpoint,
  Endpoint,
  Endpoint,
];

interface Attempt {
  readonly at: number;
  readonly address: string;
  readonly signal: AbortSignal;
  succeed(result: string): void;
  fail(error: unknown): void;
}

/** A race whose attempts the test ends by hand. */
function race(endpoints: readonly Endpoint[], options: RaceOptions<string> = {}) {
  const clock = new ManualClock();
  const attempts: Attempt[] = [];
  const attempt = ({ address }: Endpoint, signal: AbortSignal) =>
    new Promise<string>((succeed, fail) => attempts.push({ at: clock.now(), address, signal, succeed, fail }));
  const result = raceEndpoints(endpoints, attempt, options, { clock });
  result.catch(() => {}); // Each test looks at it in its own time.
  const started = () => attempts.map(({ at, address }) => `${at} ${address}`);
  const nth = (index: number) => {
    const found = attempts[index];
    if (found === undefined) throw new Error(`there are only ${attempts.length} attempts`);
    return found;
  };
  return { clock, attempts, started, nth, result };
}

describe('a race over endpoints', () => {
  it('gives the first one where that works in time, and starts no other', async () => {
    const { clock, nth, started, result } = race([first, second]);
    await clock.advance(249);
    nth(0).succeed('connected');
    await expect(result).resolves.toEqual({ result: 'connected', endpoint: first, failures: [] });
    await clock.advance(10_000);
    expect(started()).toEqual(['0 203.0.113.1']);
  });

  it('starts each a quarter of a second after the one before', async () => {
    const { clock, started } = race([first, second, third]);
    await clock.advance(10_000);
    expect(started()).toEqual(['0 203.0.113.1', '250 203.0.113.2', '500 203.0.113.3']);
  });

  it('starts the next one at once where one fails, and a full delay after that the next', async () => {
    const { clock, nth, started } = race([first, second, third]);
    await clock.advance(100);
    nth(0).fail(new Error('refused'));
    await clock.advance(249);
    expect(started()).toEqual(['0 203.0.113.1', '100 203.0.113.2']);
    await clock.advance(1);
    expect(started()).toEqual(['0 203.0.113.1', '100 203.0.113.2', '350 203.0.113.3']);
  });

  it('goes one after the other where the delay is infinite', async () => {
    const { clock, nth, started, result } = race([first, second], { attemptDelayMillis: Number.POSITIVE_INFINITY });
    await clock.advance(3_600_000);
    expect(started()).toEqual(['0 203.0.113.1']);
    nth(0).fail(new Error('refused'));
    await clock.advance(0);
    nth(1).succeed('connected');
    await expect(result).resolves.toMatchObject({ endpoint: second, failures: [{ endpoint: first }] });
  });

  it('aborts the losers with a reason, and never the winner', async () => {
    const { clock, nth, result } = race([first, second, third]);
    await clock.advance(500);
    nth(1).succeed('connected');
    await expect(result).resolves.toMatchObject({ endpoint: second });
    expect([nth(0), nth(1), nth(2)].map(({ signal }) => signal.aborted)).toEqual([true, false, true]);
    expect(nth(0).signal.reason).toMatchObject({ code: 'ERR_EXTERNALNAME_RACE_LOST' });
  });

  it('discards what a loser opens all the same', async () => {
    const discard = vi.fn();
    const { clock, nth, result } = race([first, second], { discard });
    await clock.advance(250);
    nth(1).succeed('winner');
    await result;
    nth(0).succeed('too late');
    await clock.advance(0);
    expect(discard.mock.calls).toEqual([['too late', first]]);
  });

  it('tells of a discard that fails, and goes on', async () => {
    const events: BackgroundFailedEvent[] = [];
    const stop = backgroundFailed.subscribe((event) => events.push(event));
    const error = new Error('cannot close');
    const { clock, nth, result } = race([endpoint('2001:db8::1'), second], {
      discard: () => {
        throw error;
      },
    });
    await clock.advance(250);
    nth(1).succeed('winner');
    await result;
    nth(0).succeed('too late');
    await clock.advance(0);
    stop();
    expect(events).toEqual([{ what: 'discarding what [2001:db8::1]:5432 opened too late', error }]);
  });

  it('fails when all have failed, with one error an endpoint in the order in which they were tried', async () => {
    const { clock, nth, result } = race([first, second]);
    const refused = Object.assign(new Error('connect ECONNREFUSED 203.0.113.1:5432'), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
    });
    const wrong = new Error('certificate is for another name');
    await clock.advance(250);
    nth(1).fail(wrong);
    await clock.advance(0);
    nth(0).fail(refused);
    await expect(result).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_NO_ENDPOINT',
      outcome: 'not-executed',
      message:
        'no endpoint of primary-db.example.com could be used: ' +
        '203.0.113.1:5432: ECONNREFUSED; 203.0.113.2:5432: certificate is for another name',
      failures: [
        { endpoint: first, error: refused },
        { endpoint: second, error: wrong },
      ],
    });
    const error = await result.catch((reason: Error) => reason);
    expect(error).toMatchObject({ cause: expect.any(AggregateError) });
    expect((error as { cause: AggregateError }).cause.errors).toEqual([refused, wrong]);
  });

  it('fails at once where there is no endpoint', async () => {
    await expect(race([]).result).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_NO_ENDPOINT',
      message: 'there is no endpoint to try',
    });
  });

  it('takes an attempt that throws for one that failed', async () => {
    const attempt = ({ address }: Endpoint): Promise<string> => {
      if (address === first.address) throw new Error('thrown');
      return Promise.resolve('connected');
    };
    await expect(raceEndpoints([first, second], attempt, {}, { clock: new ManualClock() })).resolves.toMatchObject({
      endpoint: second,
      failures: [{ endpoint: first }],
    });
  });

  it('ends with an error that would be the same everywhere', async () => {
    const wrongPassword = new Error('password authentication failed');
    const { clock, nth, started, result } = race([first, second, third], {
      isFinal: (error) => error === wrongPassword,
    });
    await clock.advance(250);
    nth(0).fail(wrongPassword);
    await expect(result).rejects.toBe(wrongPassword);
    expect(nth(1).signal.aborted).toBe(true);
    await clock.advance(10_000);
    expect(started()).toHaveLength(2);
  });

  it("rejects with the caller's reason, aborts every attempt and discards what they open", async () => {
    const discard = vi.fn();
    const leaving = new AbortController();
    const { clock, nth, started, result } = race([first, second, third], { signal: leaving.signal, discard });
    await clock.advance(250);
    const reason = new Error('the caller has left');
    leaving.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect(nth(0).signal.reason).toBe(reason);
    nth(1).succeed('too late');
    await clock.advance(10_000);
    expect(started()).toHaveLength(2);
    expect(discard).toHaveBeenCalledTimes(1);
    expect(getEventListeners(leaving.signal, 'abort')).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });

  it('attempts nothing for a caller who has left before, or in the same turn', async () => {
    const gone = race([first], { signal: AbortSignal.abort('gone') });
    await expect(gone.result).rejects.toBe('gone');
    const leaving = new AbortController();
    const going = race([first], { signal: leaving.signal });
    leaving.abort('gone');
    await expect(going.result).rejects.toBe('gone');
    await going.clock.advance(0);
    expect([...gone.attempts, ...going.attempts]).toEqual([]);
  });

  it('leaves neither timer nor listener behind', async () => {
    const { signal } = new AbortController();
    const { clock, nth, result } = race([first, second], { signal });
    await clock.advance(0);
    nth(0).succeed('connected');
    await result;
    expect(clock.pending).toBe(0);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('refuses a delay below the 10 ms of RFC 8305', async () => {
    for (const attemptDelayMillis of [0, 9, -1, Number.NaN]) {
      await expect(race([first], { attemptDelayMillis }).result).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
        argument: 'attemptDelayMillis',
      });
    }
  });

  it('alternates the families, unless told not to', async () => {
    const endpoints = ['2001:db8::1', '2001:db8::2', '203.0.113.1'].map(endpoint);
    const mixed = race(endpoints);
    await mixed.clock.advance(10_000);
    expect(mixed.started()).toEqual(['0 2001:db8::1', '250 203.0.113.1', '500 2001:db8::2']);
    const straight = race(endpoints, { interleaveFamilies: false });
    await straight.clock.advance(10_000);
    expect(straight.started()).toEqual(['0 2001:db8::1', '250 2001:db8::2', '500 203.0.113.1']);
  });

  it('ends in every course of events: the first success wins, and nothing is left open', async () => {
    const instant = { millis: 0, works: true, hearsSignal: true };
    const course = fc.record({ millis: fc.nat(2000), works: fc.boolean(), hearsSignal: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(course, { minLength: 1, maxLength: 6 }), async (courses) => {
        const clock = new ManualClock();
        const endpoints = courses.map((_, index) => endpoint(`203.0.113.${index}`));
        const open = new Set<string>();
        const attempt = ({ address }: Endpoint, signal: AbortSignal) =>
          new Promise<string>((resolve, reject) => {
            const { millis, works, hearsSignal } = courses[Number(address.split('.')[3])] ?? instant;
            if (hearsSignal) signal.addEventListener('abort', () => reject(signal.reason), { once: true });
            clock.schedule(() => {
              if (hearsSignal && signal.aborted) return;
              if (works) open.add(address);
              if (works) resolve(address);
              else reject(new Error(address));
            }, millis);
          });
        const settled = raceEndpoints(
          endpoints,
          attempt,
          { discard: (address) => void open.delete(address) },
          { clock },
        ).then(
          ({ result }) => result,
          () => undefined,
        );
        await clock.advance(20_000);
        const winner = await settled;
        expect([...open]).toEqual(winner === undefined ? [] : [winner]);
        expect(winner !== undefined).toBe(courses.some(({ works }) => works));
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('interleaved families', () => {
  it('begin with the family of the first endpoint, and keep the order within each', () => {
    return fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom<4 | 6>(4, 6), fc.nat())), (entries) => {
        const endpoints = entries.map(([family, port]): Endpoint => ({ target, address: 'x', family, port }));
        const mixed = interleaved(endpoints);
        for (const family of [4, 6]) {
          const only = (list: readonly Endpoint[]) => list.filter((entry) => entry.family === family);
          expect(only(mixed)).toEqual(only(endpoints));
        }
        expect(mixed[0]).toBe(endpoints[0]);
        const firstSame = mixed.findIndex((entry, index) => index > 0 && entry.family === mixed[index - 1]?.family);
        if (firstSame !== -1) {
          expect(new Set(mixed.slice(firstSame).map((entry) => entry.family)).size).toBe(1);
        }
      }),
    );
  });
});
