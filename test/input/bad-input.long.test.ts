import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isExternalNameError } from '../../packages/core/src/index.ts';
import { type Call, faces } from './faces.ts';

// Whatever is passed to what is public: it is taken, or refused by an error of ours that names the argument. Never a TypeError of
// the inside. Each export needs an entry in the tables: a new one without fails here.

describe.each(Object.entries(faces))('@externalname/%s', (_, { exports, table, beyond }) => {
  const entries = Object.entries({ ...table, ...beyond });
  const calls = entries.flatMap(([name, entry]) => (typeof entry === 'string' ? [] : [[name, entry] as const]));

  it('has an entry for each export, and none for what is not exported', () => {
    expect(Object.keys(table).toSorted()).toEqual(Object.keys(exports).toSorted());
  });

  it('calls whatever can be called', () => {
    for (const [name, entry] of Object.entries(table)) {
      const value = (exports as Record<string, unknown>)[name];
      const isError = typeof value === 'function' && value.prototype instanceof Error;
      const kind = typeof entry === 'string' ? entry : 'call';
      expect([name, kind]).toEqual([name, isError ? 'error' : typeof value === 'function' ? 'call' : 'constant']);
    }
  });

  it.each(calls)('%s takes what is right', async (_, call) => {
    await expectTaken(call);
  });

  it.each(calls)(
    '%s takes or refuses anything, at any place, and says where',
    async (_, call) => {
      for (const path of pathsOf(call.args())) {
        for (const value of values) await expectTakenOrRefused(call, path, value);
      }
    },
    60_000,
  );

  it.each(calls)(
    '%s takes or refuses what fast-check comes up with',
    async (_, call) => {
      const paths = pathsOf(call.args());
      if (paths.length === 0) return;
      const anything = fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withNullPrototype: true,
        withSparseArray: true,
      });
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...paths), anything, async (path, value) => {
          await expectTakenOrRefused(call, path, value);
        }),
        { numRuns: call.runs ?? 100 },
      );
    },
    60_000,
  );
});

const values: readonly unknown[] = [
  ...[undefined, null, true, false, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 5n, Symbol('s')],
  ...['', ' ', 'text', 'two,texts', 'a text with blanks', '5', '\u0000'],
  ...[[], [null], [undefined], ['text'], [[]], [{}], new Array(1)],
  ...[{}, { name: 5 }, Object.create(null), () => undefined, new Date(0), new Map(), /a/, new Error('an error')],
];

type Path = readonly (string | number)[];

/** Every place in the arguments of a call, and in their options at any depth. */
function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const isPlain = Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value));
  if (!isPlain) return [path];
  const below = Object.entries(value).flatMap(([key, each]) =>
    pathsOf(each, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? below : [path, ...below];
}

function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, unknown>;
  copy[key] = replaced(copy[key], rest, by);
  return copy;
}

async function expectTaken(call: Call): Promise<void> {
  const error = await failureOf(call, call.args());
  if (error === undefined || call.stops?.(error)) return;
  throw new Error('the example itself is not taken', { cause: error });
}

async function expectTakenOrRefused(call: Call, path: Path, value: unknown): Promise<void> {
  const error = await failureOf(call, replaced(call.args(), path, value) as readonly unknown[]);
  if (error === undefined || call.stops?.(error)) return;
  const where = `${path.join('.')} = ${shown(value)}`;
  if (!isExternalNameError(error)) throw new Error(`raw error for ${where}: ${String(error)}`, { cause: error });
  if (error.code === 'ERR_EXTERNALNAME_INVALID_ARGUMENT') {
    if (!(error as unknown as { argument?: string }).argument) throw new Error(`no argument is named for ${where}`);
    return;
  }
  if (call.codes?.includes(error.code)) return;
  throw new Error(`${error.code} for ${where}: ${error.message}`, { cause: error });
}

async function failureOf(call: Call, args: readonly unknown[]): Promise<unknown> {
  try {
    const made = await call.run(...args);
    await call.end?.(made);
    return undefined;
  } catch (error) {
    return error ?? new Error('rejected with nothing');
  }
}

function shown(value: unknown): string {
  try {
    return typeof value === 'string' ? JSON.stringify(value) : fc.stringify(value);
  } catch {
    return typeof value;
  }
}
