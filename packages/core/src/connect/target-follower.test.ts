import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { ResolutionError } from '../dns/index.ts';
import { createTargetPolicy, type Target, type TargetSource } from '../targets/index.ts';
import { type CandidateFailure, TargetFollower } from './target-follower.ts';

const target = (externalName: string, stale = false): Target => ({
  externalName,
  via: ['webscaler-db.default.svc.cluster.local'],
  version: externalName,
  source: 'dns',
  stale,
});

const primary = target('primary-db.example.com');
const secondary = target('secondary-db.example.com');
const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
const standby = Object.assign(new Error('a standby in recovery'), { code: 'NOT_READY' });
const otherCertificate = Object.assign(new Error('altnames'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });

/** As a pool judges: a name may come to exist, a certificate is put right by people. */
function judge(error: unknown): CandidateFailure {
  if (error === otherCertificate) return { kind: 'identity', verdict: 'unfit', isLasting: true };
  if (error instanceof ResolutionError) return { kind: 'name', verdict: 'unfit', isLasting: false };
  return { kind: 'other', verdict: error === standby ? 'not-ready' : 'no-answer', isLasting: false };
}

function setUp(options: { answers?: Record<string, unknown>; serves?: boolean } = {}) {
  const clock = new ManualClock();
  /** What an attempt to reach a host meets: an error, or nothing for a connection. */
  const answers: Record<string, unknown> = options.answers ?? {};
  const state = { serves: options.serves ?? true, now: primary };
  const moves: string[] = [];
  const refusals: [string, unknown][] = [];
  const vetted: string[] = [];
  let listener: (next: Target) => void = () => {};
  let subscriptions = 0;
  let dropped = 0;
  const accepted: string[] = [];
  const knowing: { known?: Target | undefined } = {};
  const source: TargetSource = {
    current: async () => state.now,
    subscribe(next) {
      listener = next;
      subscriptions += 1;
      return () => {
        subscriptions -= 1;
      };
    },
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const follower = new TargetFollower(
    {
      source,
      policy: createTargetPolicy({ service: 'webscaler-db', allowedTargets: ['*.example.com'] }),
      vetIntervalMillis: 300,
    },
    {
      vet: async ({ externalName }) => {
        vetted.push(externalName);
        if (answers[externalName] !== undefined) throw answers[externalName];
      },
      judge,
      move: (to, from) => moves.push(`${from?.externalName ?? ''} -> ${to.externalName}`),
      currentServes: () => state.serves,
      refused: (each, error) => refusals.push([each.externalName, error]),
      accepted: ({ externalName }) => accepted.push(externalName),
      candidateDropped: () => {
        dropped += 1;
      },
    },
    clock,
  );
  const announceNow = (next: Target) => {
    state.now = next;
    listener(next);
  };
  const announce = async (next: Target) => {
    announceNow(next);
    await clock.advance(0);
  };
  const start = () => follower.current(new AbortController().signal);
  /** From now on the source says so without being asked. */
  const knows = (known: Target | undefined) => {
    if (!('known' in source)) Object.defineProperty(source, 'known', { get: () => knowing.known });
    knowing.known = known;
  };
  return {
    clock,
    follower,
    knows,
    accepted,
    answers,
    state,
    moves,
    refusals,
    vetted,
    announce,
    start,
    source,
    announceNow,
    dropped: () => dropped,
    subscriptions: () => subscriptions,
  };
}

describe('what a follower says of its target', () => {
  it('is what the source knows at this moment, and not what it said when the pool moved', async () => {
    const { follower, start, knows } = setUp();
    knows(primary);
    await start();
    expect(follower.target).toEqual(primary);
    knows(target('primary-db.example.com', true));
    expect(follower.target?.stale).toBe(true);
    knows(primary);
    expect(follower.target?.stale).toBe(false);
  });

  it('is stale if the source cannot confirm where the Service points, wherever that was last', async () => {
    const { follower, start, knows, announce, answers } = setUp();
    answers['secondary-db.example.com'] = otherCertificate;
    await start();
    await announce(secondary);
    knows(secondary);
    expect(follower).toMatchObject({ target: primary, candidate: secondary });
    knows(target('secondary-db.example.com', true));
    expect(follower).toMatchObject({
      target: { externalName: 'primary-db.example.com', stale: true },
      candidate: { externalName: 'secondary-db.example.com', stale: true },
    });
    follower.close();
  });

  it('stands after the source was closed', async () => {
    const { follower, start, knows } = setUp();
    await start();
    knows(undefined);
    expect(follower.target).toEqual(primary);
  });

  it('is stale once a source that says nothing by itself was asked in vain, until it answers again', async () => {
    const { follower, start, source } = setUp();
    await start();
    const answer = source.current;
    source.current = async () => {
      throw new Error('no answer');
    };
    await follower.refresh();
    expect(follower.target?.stale).toBe(true);
    source.current = answer;
    await follower.refresh();
    expect(follower.target?.stale).toBe(false);
  });
});

describe('a follower', () => {
  it('asks for the first target once, however many ask, and then subscribes', async () => {
    const { follower, start, moves, subscriptions } = setUp();
    await expect(Promise.all([start(), start()])).resolves.toEqual([primary, primary]);
    expect(moves).toEqual([' -> primary-db.example.com']);
    expect(subscriptions()).toBe(1);
    follower.close();
    expect(subscriptions()).toBe(0);
  });

  it('refuses a first target that the policy does not allow, and holds nothing', async () => {
    const { state, start, subscriptions } = setUp();
    state.now = target('evil.example.org');
    await expect(start()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_REFUSED' });
    expect(subscriptions()).toBe(0);
  });

  it('moves to a new target once a connection to it was made', async () => {
    const { announce, start, moves, vetted } = setUp();
    await start();
    await announce(secondary);
    expect(vetted).toEqual(['secondary-db.example.com']);
    expect(moves.at(-1)).toBe('primary-db.example.com -> secondary-db.example.com');
  });

  it('asks again if a source has left a question without an answer', async () => {
    const { clock, follower, state, start, moves, source } = setUp();
    await start();
    const answer = source.current;
    source.current = () => new Promise(() => undefined);
    const unanswered = follower.refresh();
    expect(follower.refresh()).toBe(unanswered);
    await clock.advance(10_000);
    await unanswered;
    source.current = answer;
    state.now = secondary;
    await follower.refresh();
    await clock.advance(0);
    expect(moves.at(-1)).toBe('primary-db.example.com -> secondary-db.example.com');
    source.current = () => new Promise(() => undefined);
    const last = follower.refresh();
    follower.close();
    await last;
    expect(clock.pending).toBe(0);
  });

  it('tells when a candidate is off', async () => {
    const { announce, answers, start, dropped, follower, clock } = setUp();
    answers['secondary-db.example.com'] = otherCertificate;
    await start();
    await announce(secondary);
    expect(dropped()).toBe(0);
    await announce(primary);
    expect(dropped()).toBe(1);
    await announce(secondary);
    follower.close();
    await clock.advance(0);
    expect(dropped()).toBe(2);
  });

  it('moves, and tells of it, outside the call that says that the current target is lost', async () => {
    const { announce, start, moves, follower, state, answers, clock } = setUp();
    answers['secondary-db.example.com'] = new Error('no answer');
    await start();
    await announce(secondary);
    state.serves = false;
    follower.currentLost();
    expect(moves).toHaveLength(1);
    await clock.advance(0);
    expect(moves).toHaveLength(2);
  });

  it('tells of a refusal, and of a candidate that is off, outside the call of the source', async () => {
    const { announceNow, start, refusals, dropped, answers, announce, clock } = setUp();
    answers['secondary-db.example.com'] = otherCertificate;
    await start();
    await announce(secondary);
    const before = refusals.length;
    announceNow({ ...secondary, externalName: 'evil.example.org' });
    expect([refusals.length, dropped()]).toEqual([before, 0]);
    await clock.advance(0);
    expect([refusals.length, dropped()]).toEqual([before + 1, 1]);
  });

  it('tells when the Service points at nothing any more that was refused', async () => {
    const { announce, start, accepted, answers } = setUp();
    answers['secondary-db.example.com'] = refused;
    await start();
    await announce(target('evil.example.org'));
    expect(accepted).toEqual([]);
    await announce(target('primary-db.example.com', true));
    expect(accepted).toEqual([]);
    await announce(primary);
    expect(accepted).toEqual(['primary-db.example.com']);
    await announce(target('evil.example.org'));
    await announce(secondary);
    expect(accepted).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
  });

  it('does not follow a target outside the allow-list, and says so', async () => {
    const { announce, start, moves, refusals, vetted } = setUp();
    await start();
    await announce(target('evil.example.org'));
    expect(refusals).toMatchObject([['evil.example.org', { code: 'ERR_EXTERNALNAME_TARGET_REFUSED' }]]);
    expect(vetted).toEqual([]);
    expect(moves).toHaveLength(1);
  });

  it.each([
    ['does not exist', new ResolutionError('not-found', 'secondary-db.example.com')],
    ['shows a certificate for another name', otherCertificate],
    ['refuses connections', refused],
  ])(
    'stays while its target serves and the new one %s, says so once, and moves when it does better',
    async (_, error) => {
      const { clock, announce, start, moves, refusals, answers } = setUp({
        answers: { 'secondary-db.example.com': error },
      });
      await start();
      await announce(secondary);
      await clock.advance(1_000);
      expect(moves).toHaveLength(1);
      expect(refusals).toEqual([['secondary-db.example.com', error]]);
      delete answers['secondary-db.example.com'];
      await clock.advance(2_000);
      expect(moves.at(-1)).toBe('primary-db.example.com -> secondary-db.example.com');
      expect(clock.pending).toBe(0);
    },
  );

  it('tries ever more seldom a host that shows a wrong certificate or refuses the credentials', async () => {
    const { clock, announce, start, vetted } = setUp({ answers: { 'secondary-db.example.com': otherCertificate } });
    await start();
    await announce(secondary);
    await clock.advance(10 * 60_000);
    expect(vetted.length).toBeGreaterThan(30);
    expect(vetted.length).toBeLessThan(60);
  });

  it('moves to a standby that is not promoted yet: what the old primary acknowledges now may be lost', async () => {
    const { announce, start, moves } = setUp({ answers: { 'secondary-db.example.com': standby } });
    await start();
    await announce(secondary);
    expect(moves.at(-1)).toBe('primary-db.example.com -> secondary-db.example.com');
  });

  it('does not go back to a standby that it left a short while ago: a stale DNS answer is the likelier reason', async () => {
    const { announce, start, moves, answers, clock } = setUp();
    await start();
    await announce(secondary);
    answers['primary-db.example.com'] = standby;
    await announce(primary);
    expect(moves).toHaveLength(2);
    await announce(secondary);
    await clock.advance(60_000);
    await announce(primary);
    expect(moves.at(-1)).toBe('secondary-db.example.com -> primary-db.example.com');
  });

  it('stops trying a target that the Service no longer points at', async () => {
    const { clock, announce, start, vetted } = setUp({ answers: { 'secondary-db.example.com': refused } });
    await start();
    await announce(secondary);
    await announce(primary);
    const tried = vetted.length;
    await clock.advance(5_000);
    expect(vetted).toHaveLength(tried);
    expect(clock.pending).toBe(0);
  });

  it('ignores what a source says only from memory', async () => {
    const { announce, start, vetted } = setUp();
    await start();
    await announce(target('secondary-db.example.com', true));
    expect(vetted).toEqual([]);
  });

  it('leaves a target that has stopped serving for one that does not answer yet, but not for an impostor', async () => {
    const unreachable = setUp({ answers: { 'secondary-db.example.com': refused } });
    await unreachable.start();
    await unreachable.announce(secondary);
    unreachable.state.serves = false;
    unreachable.follower.currentLost();
    await unreachable.clock.advance(0);
    expect(unreachable.moves.at(-1)).toBe('primary-db.example.com -> secondary-db.example.com');

    const impostor = setUp({ answers: { 'secondary-db.example.com': otherCertificate }, serves: false });
    await impostor.start();
    await impostor.announce(secondary);
    impostor.follower.currentLost();
    await impostor.clock.advance(0);
    expect(impostor.moves).toHaveLength(1);
    impostor.follower.close();
    expect(impostor.clock.pending).toBe(0);
  });

  it('learns of a switch by asking past every cache', async () => {
    const { clock, follower, state, start, moves } = setUp();
    await start();
    state.now = secondary;
    await follower.refresh();
    await clock.advance(0);
    expect(moves.at(-1)).toBe('primary-db.example.com -> secondary-db.example.com');
  });
});
