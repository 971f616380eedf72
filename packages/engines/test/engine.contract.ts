import assert from 'node:assert/strict';
import { isExternalNameError } from '@externalname/core';
import type { EngineState, HaEngine } from '../src/index.ts';

/** An engine under test, and what it reads. `a` leads at first, and the two members are `a` and `b`. */
export interface EngineHarness {
  readonly engine: HaEngine;
  /** Makes the engine name another leader. */
  lead(member: 'a' | 'b'): void | Promise<void>;
  /** Makes the last leader let go of its lock, and no other take it. */
  unlock(): void | Promise<void>;
  /** What the engine reads gives no answer. */
  fail(): void | Promise<void>;
  /** It answers again. */
  recover(): void | Promise<void>;
  /** People take over. Left out if this engine has no such thing. */
  pause?(): void | Promise<void>;
  /** Two members lead. Left out if this engine cannot say so, or cannot be brought to it. */
  split?(): void | Promise<void>;
  /** A planned switch from `a` to `b` begins. Left out if this engine cannot tell. */
  release?(): void | Promise<void>;
  /** What it says is too old. Left out if it has no age, or would take too long to grow old. */
  age?(): void | Promise<void>;
  /** How many connections are open. Left out if none are counted. */
  connections?(): number;
  dispose?(): Promise<void> | void;
}

/** One promise of `HaEngine`, and what the harness must be able to do for it. */
export interface EnginePromise {
  /** Completes "an engine ...". */
  readonly promise: string;
  readonly needs: 'pause' | 'split' | 'release' | 'age' | undefined;
  check(harness: EngineHarness): Promise<void>;
}

/** What every engine has to do: each runs this table, against stand-ins and against the real thing. */
export const engineContract: readonly EnginePromise[] = [
  kept('names its leader', undefined, async ({ engine }) => {
    const state = await engine.read();
    assert.equal(nameOf(state), 'a');
    assert.deepEqual(engine.known, state);
    assert.notEqual(engine.name, '');
    assert.ok((engine.heardMillisAgo ?? Number.NaN) < 60_000);
  }),
  kept('names another leader when it is asked', undefined, async (harness) => {
    await harness.engine.read();
    await harness.lead('b');
    assert.equal(nameOf(await harness.engine.read()), 'b');
  }),
  kept(
    'tells a subscriber of the leader, and of each other one, never from inside the call',
    undefined,
    async (harness) => {
      let isInside = true;
      const told: string[] = [];
      let last: EngineState | undefined;
      const end = harness.engine.subscribe((state) => {
        assert.equal(isInside, false);
        assert.notDeepEqual(state, last);
        last = state;
        // A real engine tells the timeline of a new leader a moment after its name.
        if (state.state === 'leader' && told.at(-1) !== state.member) told.push(state.member);
      });
      isInside = false;
      await until('the first leader', () => told.length === 1);
      await harness.lead('b');
      await until('the second leader', () => told.length === 2);
      await harness.lead('a');
      await until('the third leader', () => told.length === 3);
      assert.deepEqual(told, ['a', 'b', 'a']);
      end();
      end();
    },
  ),
  kept('tells a late subscriber what is known, and one that left nothing', undefined, async (harness) => {
    const told: EngineState[][] = [[], []];
    const first = harness.engine.subscribe((state) => told[0]?.push(state));
    await until('the first leader', () => told[0]?.length === 1);
    harness.engine.subscribe((state) => told[1]?.push(state));
    await until('what is known', () => told[1]?.length === 1);
    first();
    await harness.lead('b');
    await until('the other leader', () => told[1]?.some((state) => nameOf(state) === 'b') === true);
    assert.equal(told[0]?.length, 1);
  }),
  kept('does not know a leader when no member holds the lock', undefined, async (harness) => {
    await harness.unlock();
    assert.equal(reasonOf(await harness.engine.read()), 'unlocked');
  }),
  kept('does not know when it gives no answer, and knows again by itself', undefined, async (harness) => {
    const told: EngineState[] = [];
    harness.engine.subscribe((state) => told.push(state));
    await until('the first leader', () => told.length === 1);
    await harness.fail();
    const heardAt = performance.now() - (harness.engine.heardMillisAgo ?? Number.NaN);
    assert.equal(reasonOf(await harness.engine.read()), 'unreachable');
    // A look that gave no answer is not a word of the engine.
    assert.ok(performance.now() - (harness.engine.heardMillisAgo ?? Number.NaN) - heardAt < 20);
    await until('the failure', () => reasonOf(told.at(-1)) === 'unreachable');
    await harness.recover();
    await until('the leader again', () => nameOf(told.at(-1)) === 'a');
  }),
  kept('does not know a leader while people have taken over', 'pause', async (harness) => {
    await harness.pause?.();
    assert.equal(reasonOf(await harness.engine.read()), 'paused');
  }),
  kept('does not choose between two leaders', 'split', async (harness) => {
    await harness.split?.();
    assert.equal(reasonOf(await harness.engine.read()), 'two-leaders');
  }),
  kept('does not know a leader from what is too old', 'age', async (harness) => {
    await harness.age?.();
    assert.ok(['stale', 'unlocked'].includes(reasonOf(await harness.engine.read()) ?? ''));
  }),
  kept('tells that a planned switch has begun', 'release', async (harness) => {
    await harness.engine.read();
    await harness.release?.();
    const state = await harness.engine.read();
    assert.equal(state.state, 'releasing');
    assert.equal(state.state === 'releasing' && (state.member ?? 'a'), 'a');
    await harness.lead('b');
    assert.equal(nameOf(await harness.engine.read()), 'b');
  }),
  kept(
    'believes of a member that it leads only if the member says so, or says that it cannot be asked',
    undefined,
    async (harness) => {
      await harness.engine.read();
      const [leader, other] = [await harness.engine.ask('a'), await harness.engine.ask('b')];
      assert.notEqual(leader?.leads, false);
      assert.notEqual(other?.leads, true);
      assert.notEqual((await harness.engine.ask('no such member'))?.leads, true);
    },
  ),
  kept("ends a caller's wait with the reason of its signal", undefined, async ({ engine }) => {
    const reason = new Error('the caller has left');
    await assert.rejects(engine.read({ signal: AbortSignal.abort(reason) }), reason);
    assert.equal(nameOf(await engine.read()), 'a');
  }),
  kept('is closed once and for all, and leaves nothing open', undefined, async (harness) => {
    const { engine } = harness;
    let calls = 0;
    engine.subscribe(() => {
      calls += 1;
    });
    await until('the first leader', () => calls === 1);
    await Promise.all([engine.close(), engine.close()]);
    await engine[Symbol.asyncDispose]();
    await harness.lead('b');
    assert.equal(calls, 1);
    assert.equal(engine.known, undefined);
    await assert.rejects(engine.read(), isClosed);
    await assert.rejects(async () => engine.subscribe(() => {}), isClosed);
    if (harness.connections !== undefined) await until('no connection', () => harness.connections?.() === 0);
  }),
];

/** Runs one promise of the contract against a new harness, and closes everything after. */
export async function checkEngine(check: EnginePromise['check'], harness: EngineHarness): Promise<void> {
  try {
    await check(harness);
  } finally {
    await harness.engine.close();
    await harness.dispose?.();
  }
}

/** Resolves when it holds; fails after 15 seconds. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMillis = 15_000,
): Promise<void> {
  const end = performance.now() + limitMillis;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function kept(promise: string, needs: EnginePromise['needs'], check: EnginePromise['check']): EnginePromise {
  return { promise, needs, check };
}

function nameOf(state: EngineState | undefined): string | undefined {
  return state?.state === 'leader' ? state.member : undefined;
}

function reasonOf(state: EngineState | undefined): string | undefined {
  return state?.state === 'unknown' ? state.reason : undefined;
}

function isClosed(error: unknown): boolean {
  return isExternalNameError(error) && error.code === 'ERR_EXTERNALNAME_CLOSED';
}
