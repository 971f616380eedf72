import { type Clock, isExternalNameError } from '@externalname/core';
import { backoffMillis } from '@externalname/core/internal';
import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { believesReadOnly, repeat, retryNotExecuted, statementPauses } from './retry.ts';

const databaseError = (code: string) =>
  Object.assign(new Error(`SQLSTATE ${code}`), {
    code,
    severity: code.startsWith('57P') || code === '53300' ? 'FATAL' : 'ERROR',
    length: 1,
    name: 'error',
  });

/** Fails with each error in turn, and then succeeds. */
function failing(...errors: readonly Error[]) {
  const left = [...errors];
  let attempts = 0;
  return {
    attempts: () => attempts,
    attempt: async () => {
      attempts += 1;
      const error = left.shift();
      if (error !== undefined) throw error;
      return 'done';
    },
  };
}

describe('a query that is repeated', () => {
  function retry(clock: Clock, work: ReturnType<typeof failing>, overrides: Partial<{ idempotent: boolean }> = {}) {
    const repeats: [attempt: number, message: string][] = [];
    const first = work.attempt().catch((error: unknown) =>
      retryNotExecuted(error, work.attempt, {
        name: 'webscaler-db',
        deadlineAt: 1_000,
        timeoutMillis: 1_000,
        clock,
        random: () => 0,
        idempotent: false,
        recentEvents: () => [],
        isFinal: () => false,
        onRepeat: (error, attempt) => repeats.push([attempt, (error as Error).message]),
        ...overrides,
      }),
    );
    return { result: first, repeats };
  }

  it('tells of each repeat, the first included, by the number of the attempt that failed', async () => {
    const clock = new ManualClock();
    const work = failing(databaseError('57P03'), databaseError('53300'));
    const { result, repeats } = retry(clock, work);
    await clock.advance(20);
    expect(await result).toBe('done');
    expect(repeats).toEqual([
      [1, 'SQLSTATE 57P03'],
      [2, 'SQLSTATE 53300'],
    ]);
  });

  it('is repeated at once, and then with pauses on the clock that it was given', async () => {
    const clock = new ManualClock();
    const work = failing(...Array.from({ length: 4 }, () => databaseError('57P03')));
    const { result } = retry(clock, work);
    await clock.advance(0);
    expect(work.attempts()).toBe(2);
    for (const [pause, attempts] of [
      [20, 3],
      [40, 4],
      [80, 5],
    ] as const) {
      await clock.advance(pause - 1);
      expect(work.attempts()).toBe(attempts - 1);
      await clock.advance(1);
      expect(work.attempts()).toBe(attempts);
    }
    expect(await result).toBe('done');
    expect(clock.pending).toBe(0);
  });

  it('three times after a read-only answer; the fourth such answer is its caller’s', async () => {
    const clock = new ManualClock();
    const answers = Array.from({ length: 9 }, () => databaseError('25006'));
    const work = failing(...answers);
    const { result, repeats } = retry(clock, work);
    const failed = result.catch((error: unknown) => error);
    await clock.advance(900);
    expect(await failed).toBe(answers[3]);
    expect(work.attempts()).toBe(4);
    expect(repeats.map(([attempt]) => attempt)).toEqual([1, 2, 3]);
  });

  it('until its time is up, and then says so with the last error as the cause', async () => {
    const clock = new ManualClock();
    const work = failing(...Array.from({ length: 99 }, () => databaseError('57P03')));
    const failed = retry(clock, work).result.catch((error: unknown) => error);
    await clock.advance(10_000);
    const error = await failed;
    const last = isExternalNameError(error) ? error.cause : error;
    expect(last).toMatchObject({ code: '57P03' });
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['whose outcome is unknown', databaseError('57P01'), false, 1],
    ['whose outcome is unknown, but that may be done twice', databaseError('57P01'), true, 2],
    ['that was executed and failed', databaseError('23505'), true, 1],
  ])('never or once, after a failure %s', async (_, error, idempotent, attempts) => {
    const clock = new ManualClock();
    const work = failing(error);
    const result = retry(clock, work, { idempotent }).result.catch(() => undefined);
    await clock.advance(100);
    await result;
    expect(work.attempts()).toBe(attempts);
  });
});

describe('work that is repeated from its first attempt on', () => {
  it('is numbered in the same way, and pauses before its first repeat', async () => {
    const clock = new ManualClock();
    const work = failing(new Error('one'), new Error('two'));
    const told: [number, unknown][] = [];
    const result = repeat(work.attempt, {
      clock,
      random: () => 0,
      worthRepeating: () => true,
      onRepeat: (error, attempt) => told.push([attempt, (error as Error).message]),
    });
    await clock.advance(19);
    expect(work.attempts()).toBe(1);
    await clock.advance(1);
    expect(work.attempts()).toBe(2);
    await clock.advance(40);
    expect(await result).toBe('done');
    expect(told).toEqual([
      [1, 'one'],
      [2, 'two'],
    ]);
  });

  it('ends in its pause when the signal fires, with the signal’s reason, and leaves no timer', async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const result = repeat(failing(new Error('one')).attempt, {
      clock,
      signal: controller.signal,
      worthRepeating: () => true,
    }).catch((error: unknown) => error);
    await clock.advance(1);
    const reason = new Error('no time any more');
    controller.abort(reason);
    expect(await result).toBe(reason);
    expect(clock.pending).toBe(0);
  });
});

describe('the pauses', () => {
  it.each([
    [1, 20, 40],
    [4, 160, 320],
    [20, 250, 500],
  ])('after %i failures: from %i to %i ms', (failures, least, most) => {
    expect(backoffMillis(failures, statementPauses, () => 0)).toBe(least);
    expect(backoffMillis(failures, statementPauses, () => 1)).toBe(most);
  });
});

describe('read-only answers', () => {
  it('are taken for the server’s doing up to the third', () => {
    expect([1, 2, 3, 4].map(believesReadOnly)).toEqual([true, true, true, false]);
  });
});
