import assert from 'node:assert/strict';
import { isExternalNameError } from '../../src/errors.ts';
import type { Target, TargetSource } from '../../src/targets/index.ts';

/** A source under test, and the authority that it learns from. It names `primary-db.example.com` at first. */
export interface TargetSourceHarness {
  readonly source: TargetSource;
  /** Makes the authority name another host. The source has not noticed when this returns. */
  change(externalName: string): void | Promise<void>;
  /** Lets enough time pass for a source that is followed to notice, and to tell. */
  settle(): Promise<void>;
  /** Makes the authority unreachable. Left out where a source has none. */
  fail?(): void | Promise<void>;
  /** Makes it reachable again. */
  recover?(): void | Promise<void>;
  /** Frees what the harness opened. The source is closed before. */
  dispose?(): Promise<void>;
}

/** One promise of {@link TargetSource}, and how to see whether it is kept. */
export interface TargetSourcePromise {
  /** Completes "a target source ...". */
  readonly promise: string;
  /** Whether it needs `fail` and `recover`. */
  readonly needsFailure: boolean;
  check(harness: TargetSourceHarness): Promise<void>;
}

/**
 * What every target source has to do, as a table that each implementation's tests run:
 *
 * ```ts
 * describe.each(targetSourceContract)('a Kubernetes source $promise', ({ check }) => {
 *   it('keeps its promise', () => checkTargetSource(check, makeHarness));
 * });
 * ```
 *
 * It uses `node:assert` and no test runner, so that packages of their own can run it.
 *
 * @internal
 */
export const targetSourceContract: readonly TargetSourcePromise[] = [
  kept('names its target in canonical form, with the way it was reached', async ({ source }) => {
    const target = await source.current();
    assert.equal(target.externalName, primary);
    assert.ok(Array.isArray(target.via));
    assert.notEqual(target.version, '');
    assert.equal(target.stale, false);
    assert.ok(['kubernetes', 'dns', 'static', 'engine'].includes(target.source));
  }),

  kept('refuses an option that it does not know', async ({ source }) => {
    await assert.rejects(source.current({ fresch: true } as object), (error: Error) => {
      assert.match(error.message, /^fresch: is not an option\. Did you mean `fresh`\?$/);
      return hasCode('ERR_EXTERNALNAME_INVALID_ARGUMENT')(error);
    });
  }),

  kept('keeps the version while the target is the same, and changes it with the target', async (harness) => {
    const { source } = harness;
    const first = await source.current();
    assert.equal((await source.current({ fresh: true })).version, first.version);
    await harness.change(secondary);
    assert.notEqual((await source.current({ fresh: true })).version, first.version);
  }),

  kept('names a new target at once when it is asked for a fresh one', async (harness) => {
    const { source } = harness;
    await source.current();
    await harness.change(secondary);
    assert.equal((await source.current({ fresh: true })).externalName, secondary);
    assert.equal((await source.current()).externalName, secondary);
  }),

  kept('tells a subscriber of each change, and of the target that it then gives', async (harness) => {
    const { source } = harness;
    await source.current();
    const told: Target[] = [];
    source.subscribe((target) => told.push(target));
    await harness.settle();
    await harness.change(secondary);
    await harness.settle();
    await harness.change(tertiary);
    await harness.settle();
    assert.deepEqual(names(told), [secondary, tertiary]);
    assert.deepEqual(told.at(-1), await source.current());
  }),

  kept('tells a subscriber of the target that a fresh question brought', async (harness) => {
    const { source } = harness;
    await source.current();
    const told: Target[] = [];
    source.subscribe((target) => told.push(target));
    await harness.change(secondary);
    await source.current({ fresh: true });
    await harness.settle();
    assert.deepEqual(names(told), [secondary]);
  }),

  kept('never calls a listener from inside subscribe or current', async (harness) => {
    const { source } = harness;
    await source.current();
    let isInside = false;
    let calledInside = false;
    const listener = () => {
      calledInside ||= isInside;
    };
    const inside = <Result>(call: () => Result): Result => {
      isInside = true;
      try {
        return call();
      } finally {
        isInside = false;
      }
    };
    inside(() => source.subscribe(listener));
    await harness.change(secondary);
    await inside(() => source.current({ fresh: true }));
    inside(() => source.subscribe(listener));
    await inside(() => source.current());
    await harness.settle();
    assert.equal(calledInside, false);
  }),

  kept('never tells the same target twice in a row', async (harness) => {
    const { source } = harness;
    await source.current();
    const told: Target[] = [];
    source.subscribe((target) => told.push(target));
    await harness.change(secondary);
    await Promise.all([source.current({ fresh: true }), source.current({ fresh: true }), source.current()]);
    for (let time = 0; time < 3; time++) {
      await harness.settle();
      await source.current({ fresh: true });
    }
    assert.deepEqual(names(told), [secondary]);
  }),

  kept('goes on to tell the others when a listener throws', async (harness) => {
    const { source } = harness;
    await source.current();
    const told: Target[] = [];
    source.subscribe(() => {
      throw new Error('this listener is broken');
    });
    source.subscribe((target) => told.push(target));
    await harness.change(secondary);
    await source.current({ fresh: true });
    await harness.settle();
    assert.deepEqual(names(told), [secondary]);
  }),

  kept('leaves a listener alone once it is unsubscribed, and the others subscribed', async (harness) => {
    const { source } = harness;
    await source.current();
    const told: string[] = [];
    const listener = (target: Target) => void told.push(target.externalName);
    const first = source.subscribe(listener);
    const second = source.subscribe(listener);
    first();
    first();
    await harness.change(secondary);
    await source.current({ fresh: true });
    await harness.settle();
    assert.deepEqual(told, [secondary]);
    second();
    await harness.change(tertiary);
    await source.current({ fresh: true });
    await harness.settle();
    assert.deepEqual(told, [secondary]);
  }),

  kept('can be followed again after a while without a follower', async (harness) => {
    const { source } = harness;
    await source.current();
    source.subscribe(() => {})();
    await harness.settle();
    await harness.change(secondary);
    const told: Target[] = [];
    source.subscribe((target) => told.push(target));
    await harness.settle();
    assert.equal((await source.current()).externalName, secondary);
    await harness.change(tertiary);
    await harness.settle();
    assert.equal(told.at(-1)?.externalName, tertiary);
  }),

  kept("ends a caller's wait with the reason of its signal", async ({ source }) => {
    const reason = new Error('the caller has left');
    await assert.rejects(source.current({ signal: AbortSignal.abort(reason) }), reason);
    assert.equal((await source.current()).externalName, primary);
  }),

  kept('is closed once and for all', async (harness) => {
    const { source } = harness;
    await source.current();
    let calls = 0;
    source.subscribe(() => calls++);
    await Promise.all([source.close(), source.close()]);
    await source[Symbol.asyncDispose]();
    await harness.settle();
    assert.equal(calls, 0);
    await assert.rejects(source.current(), hasCode('ERR_EXTERNALNAME_CLOSED'));
    await assert.rejects(source.current({ fresh: true }), hasCode('ERR_EXTERNALNAME_CLOSED'));
  }),

  keptInFailure('holds on to the last good target, marked stale, and tells nobody', async (harness) => {
    const { source } = harness;
    const good = await source.current();
    const told: Target[] = [];
    source.subscribe((target) => told.push(target));
    await harness.fail?.();
    await harness.settle();
    assert.deepEqual(await source.current({ fresh: true }), { ...good, stale: true });
    assert.deepEqual(await source.current(), { ...good, stale: true });
    assert.deepEqual(told, []);
  }),

  kept('says what it knows without asking, and that is what it would answer', async (harness) => {
    const { source } = harness;
    const first = await source.current();
    assert.deepEqual(source.known, first);
    source.subscribe(() => {});
    await harness.change(secondary);
    await harness.settle();
    assert.equal(source.known?.externalName, secondary);
    assert.deepEqual(source.known, await source.current());
    await source.close();
    assert.equal(source.known, undefined);
  }),

  keptInFailure('says by itself that what it knows is stale, and that it is not any more', async (harness) => {
    const { source } = harness;
    const good = await source.current();
    source.subscribe(() => {});
    await harness.settle();
    assert.deepEqual(source.known, good);
    await harness.fail?.();
    await harness.settle();
    assert.deepEqual(source.known, { ...good, stale: true });
    await harness.recover?.();
    await harness.settle();
    assert.deepEqual(source.known, good);
  }),

  keptInFailure(
    'has a good target again, and tells what changed meanwhile, when its authority is back',
    async (harness) => {
      const { source } = harness;
      await source.current();
      const told: Target[] = [];
      source.subscribe((target) => told.push(target));
      await harness.fail?.();
      await harness.settle();
      await harness.change(secondary);
      await harness.recover?.();
      const target = await source.current({ fresh: true });
      assert.equal(target.externalName, secondary);
      assert.equal(target.stale, false);
      await harness.settle();
      assert.deepEqual(names(told), [secondary]);
    },
  ),

  keptInFailure('notices by itself that its authority is back', async (harness) => {
    const { source } = harness;
    await source.current();
    const told: Target[] = [];
    source.subscribe((target) => told.push(target));
    await harness.fail?.();
    await harness.settle();
    await harness.change(secondary);
    await harness.recover?.();
    await harness.settle();
    assert.deepEqual(names(told), [secondary]);
  }),
];

/** Runs one promise of the contract against a new harness, and closes everything after. */
export async function checkTargetSource(
  check: TargetSourcePromise['check'],
  make: () => TargetSourceHarness | Promise<TargetSourceHarness>,
): Promise<void> {
  const harness = await make();
  try {
    await check(harness);
  } finally {
    await harness.source.close();
    await harness.dispose?.();
  }
}

function kept(promise: string, check: TargetSourcePromise['check']): TargetSourcePromise {
  return { promise, needsFailure: false, check };
}

function keptInFailure(promise: string, check: TargetSourcePromise['check']): TargetSourcePromise {
  return { promise, needsFailure: true, check };
}

function names(targets: readonly Target[]): readonly string[] {
  return targets.map((target) => target.externalName);
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => isExternalNameError(error) && error.code === code;
}

const primary = 'primary-db.example.com';
const secondary = 'secondary-db.example.com';
const tertiary = 'tertiary-db.example.com';
