import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { type RoutedCall, routingSettings, ServiceRouter, type ServiceRoutingOptions } from './service-router.ts';

interface Member {
  /** What it answers; `silent` answers nothing. */
  state: 'serves' | 'fails' | 'busy' | 'full' | 'silent' | 'blames';
  ending: boolean;
  held: boolean;
}

interface Call extends RoutedCall<string> {
  readonly caller: number;
}

function setUp({
  services = [{ name: 'a' }, { name: 'b', priority: 1 }] as { name: string; weight?: number; priority?: number }[],
  ...options
}: ServiceRoutingOptions & { services?: { name: string; weight?: number; priority?: number }[] } = {}) {
  const clock = new ManualClock();
  const log: string[] = [];
  const members = new Map<string, Member>(
    services.map(({ name }) => [name, { state: 'serves', ending: false, held: false }]),
  );
  const member = (name: string) => members.get(name) as Member;
  const pool = { ended: false };
  const router = new ServiceRouter<string>(
    { ...routingSettings(options, services), services },
    {
      clock,
      random: () => 0.5,
      pauses: { shortestMillis: 40, longestMillis: 500 },
      member: (name) => ({
        serving: member(name).state === 'serves',
        ending: member(name).ending,
        held: member(name).held,
        prove: async () => {
          log.push(`prove ${name}`);
          if (member(name).state !== 'serves') throw new Error(`${name} is down`);
        },
      }),
      ask: (name, _, { budgetMillis, signal }, answer) => {
        const { state } = member(name);
        if (state === 'serves') answer(undefined, name);
        else if (state !== 'silent') answer(new Error(`${name} ${state}`));
        else {
          const timer = clock.schedule(() => answer(new Error(`${name} fails`)), budgetMillis ?? 2 ** 31);
          signal.addEventListener('abort', () => {
            timer.cancel();
            answer(signal.reason);
          });
        }
      },
      judge: (_, error) => {
        const { message } = error as Error;
        if (message.endsWith('busy')) return 'busy';
        if (message.endsWith('full')) return 'full';
        return message.endsWith('fails') ? 'outage' : 'caller';
      },
      timedOut: (millis) => new Error(`no server in ${millis} ms`),
      ended: () => (pool.ended ? new Error('ended') : undefined),
      changed: (name, ejected) => log.push(`${name} ${ejected ?? 'is back'}`),
    },
  );
  const call = (budgetMillis: number | undefined = 1_000, signal?: AbortSignal) => {
    const result: { of?: string; error?: Error } = {};
    const one: Omit<Call, 'caller'> = {
      budgetMillis,
      signal,
      deliver: (connection, requested) => {
        result.of = connection;
        requested(true)('answered');
      },
      refuse: (error) => {
        result.error = error as Error;
      },
    };
    router.route(one);
    return result;
  };
  const state = (name: string, now: Member['state']) => {
    member(name).state = now;
  };
  return { clock, log, router, call, state, member, pool };
}

describe('a caller', () => {
  it('gets the Service with the lowest priority, and the next one at once if that fails', () => {
    const { log, call, state } = setUp();
    expect(call().of).toBe('a');
    state('a', 'fails');
    expect(call().of).toBe('b');
    expect(log).toEqual(['a unreachable']);
  });

  it('goes on after tryNextAfterMillis if the first one is silent, with all who wait there', async () => {
    const { clock, call, state } = setUp({ tryNextAfterMillis: 300 });
    state('a', 'silent');
    const first = call();
    await clock.advance(200);
    const second = call();
    await clock.advance(99);
    expect([first.of, second.of]).toEqual([undefined, undefined]);
    await clock.advance(1);
    expect([first.of, second.of]).toEqual(['b', 'b']);
  });

  it('does not set a Service aside that is only busy', () => {
    const { log, call, state } = setUp();
    state('a', 'busy');
    expect(call().of).toBe('b');
    state('a', 'serves');
    expect(call().of).toBe('a');
    expect(log).toEqual([]);
  });

  it('waits for a Service that is busy, and is refused at once if all let no more callers wait', async () => {
    const { clock, log, call, state } = setUp();
    state('a', 'full');
    state('b', 'busy');
    const waiting = call(1_000);
    expect(waiting.error).toBeUndefined();
    state('b', 'full');
    expect(call().error?.message).toBe('b full');
    state('a', 'serves');
    await clock.advance(100);
    expect(waiting.of).toBe('a');
    expect(log).toEqual([]);
  });

  it('goes to a Service that is paused only if no other one serves', () => {
    const { call, member, state } = setUp();
    member('a').held = true;
    expect(call().of).toBe('b');
    state('b', 'busy');
    expect(call().of).toBe('a');
    member('b').held = true;
    expect(call().of).toBe('a');
  });

  it('is told at once what it is to blame for, after all were asked', () => {
    const { call, state } = setUp();
    state('a', 'blames');
    state('b', 'blames');
    expect(call().error?.message).toBe('b blames');
  });

  it('waits in rounds for a Service that serves again, and no longer than its time', async () => {
    const { clock, call, state } = setUp();
    state('a', 'fails');
    state('b', 'fails');
    const [patient, hasty] = [call(1_000), call(100)];
    await clock.advance(100);
    expect(hasty.error?.message).toBe('no server in 100 ms');
    state('b', 'serves');
    await clock.advance(500);
    expect(patient.of).toBe('b');
  });

  it('is refused at once without a time to wait', () => {
    const { call, state } = setUp({ failoverTimeoutMillis: 0 });
    state('a', 'fails');
    state('b', 'fails');
    expect(call().error?.message).toBe('b fails');
  });

  it('is refused when it gives up, and when the pool ends', async () => {
    const { call, pool } = setUp();
    const given = new AbortController();
    given.abort(new Error('enough'));
    expect(call(1_000, given.signal).error?.message).toBe('enough');
    pool.ended = true;
    expect(call().error?.message).toBe('ended');
  });
});

describe('the end', () => {
  it('comes at once if no call is on its way', () => {
    const { call, router } = setUp();
    call();
    expect(router.end(new Error('ended'))).toBeUndefined();
  });

  it('comes after calls that wait for a busy Service, or are answered by another one', async () => {
    const { clock, call, state, router } = setUp({ tryNextAfterMillis: 300 });
    state('a', 'busy');
    state('b', 'silent');
    const early = call(10_000);
    let isOver = false;
    const over = router.end(new Error('ended'))?.then(() => {
      isOver = true;
    });
    await clock.advance(1_000);
    expect([early.of, early.error, isOver]).toEqual([undefined, undefined, false]);
    state('a', 'serves');
    await clock.advance(1_000);
    expect(early.of).toBe('a');
    await over;
  });

  it('refuses calls that wait for a Service that does not serve', async () => {
    const { clock, call, state, router } = setUp();
    state('a', 'fails');
    state('b', 'fails');
    const early = call(10_000);
    const over = router.end(new Error('ended'));
    await clock.advance(100);
    expect(early.error?.message).toBe('ended');
    await over;
  });
});

describe('work', () => {
  it('is shared exactly by weight among equals', () => {
    const { call } = setUp({ services: [{ name: 'a', weight: 3 }, { name: 'b' }] });
    const served = Array.from({ length: 400 }, () => call().of);
    expect(served.filter((name) => name === 'a')).toHaveLength(300);
  });
});

describe('a Service that failed', () => {
  it('gets its work back when it has worked for failbackAfterMillis', async () => {
    const { clock, log, call, state } = setUp({ failbackAfterMillis: 4_000 });
    state('a', 'fails');
    call();
    state('a', 'serves');
    let backAt: number | undefined;
    for (let millis = 0; millis < 12_000 && backAt === undefined; millis += 100) {
      await clock.advance(100);
      if (call().of === 'a') backAt = millis + 100;
    }
    expect(backAt).toBeGreaterThanOrEqual(4_000);
    expect(backAt).toBeLessThan(7_000);
    expect(log).toContain('prove a');
  });

  it('gets it back by hand alone, if that is asked for, even if all others fail', async () => {
    const { clock, router, call, state } = setUp({ failbackAfterMillis: 'by-hand' });
    state('a', 'fails');
    call();
    state('a', 'serves');
    state('b', 'fails');
    await clock.advance(3_600_000);
    const waiting = call(2_000);
    await clock.advance(2_000);
    expect(waiting.error?.message).toBe('no server in 2000 ms');
    router.failback('a');
    expect(call().of).toBe('a');
  });

  it('is used if nothing else is there, and says so by working', () => {
    const { call, state, router } = setUp();
    state('a', 'fails');
    call();
    state('a', 'serves');
    state('b', 'fails');
    expect(call().of).toBe('a');
    expect(router.status().map(({ setAside }) => setAside)).toEqual([true, true]);
  });

  it('takes no callers once it is ending', () => {
    const { call, member } = setUp();
    member('a').ending = true;
    expect(call().of).toBe('b');
  });
});

describe('settings', () => {
  it.each([
    ['failbackAfterMillis', { failbackAfterMillis: -1 }],
    ['tryNextAfterMillis', { tryNextAfterMillis: 0 }],
    ['failoverTimeoutMillis', { failoverTimeoutMillis: Number.NaN }],
  ])('refuse a wrong %s', (argument, options) => {
    expect(() => routingSettings(options, [{}])).toThrow(expect.objectContaining({ argument }));
  });

  it('refuse Services of which none gets work', () => {
    expect(() => routingSettings({}, [{ weight: 0 }, { weight: 0 }])).toThrow('give at least one a weight above 0');
  });
});
