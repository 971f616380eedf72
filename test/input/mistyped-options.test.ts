import { ChildProcess } from 'node:child_process';
import dgram from 'node:dgram';
import net from 'node:net';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { validate } from '../../packages/core/src/validation.ts';
import * as pg from '../../packages/pg/src/index.ts';
import { type Call, faces, ready } from './faces.ts';

// An option with a typing error has no effect, and that of a timeout or an allow-list shows in production. So every bag of options
// refuses a name that nothing reads, and tells the nearest one. Each object among the arguments in `faces.ts` is such a bag, unless it
// stands below: a new one that takes any name fails here.

/** Objects that take any name, by call and place, and why. */
const openPlaces: readonly (readonly [why: string, places: RegExp])[] = [
  [
    "the names are the caller's",
    /\.(labels|podLabels|selector|env|environment|parameters|hosts|set|current|targets|candidates|clusters|restApis)$|^core: (?!switch).*\.annotations$/,
  ],
  [
    'a Kubernetes object, which the API server and validate() judge',
    /(0|1|services\.0)\.(metadata|spec)$|services\.0$|^core: (?!\w+NetworkPolicy|serviceEntry).*ports\.0$|^core: (migrate\w+ 0|serviceIssues [01]|to(Json|Yaml) 0)$/,
  ],
  [
    'a value that these packages make, and may get more fields',
    /^doctor: describeAnswer |^core: (Balancer\.(order|pick)|TargetPolicy\.|raceEndpoints 0|resolveEndpoints 0|isSameTarget|tlsIdentity|matchesTargetPattern|formatIssue|refused|sarifLog 0|githubAnnotations)|^kubernetes: (judgePostgres|inspectTls 0\.target)|^testing: measureWrites 0\.earlier/,
  ],
  [
    'what is known of the pod: a whole resolv.conf, or a context, may be passed',
    /^core: (discoverClusterContext 0|searchCandidates 1|(parseServiceReference|serviceReference) 1)$/,
  ],
  ['an address, all of whose fields are required', /^testing: FaultProxy 0\.target$/],
  [
    "an object with methods, of a class of the caller's",
    /(probes\.\w+|pools|followers)\.0$|\.authority$|^pg: .* 0\.types$/,
  ],
  ["tls.connect's options, passed on by pg", /^pg: .* 0\.ssl$/],
  [
    'pg and frameworks have options of their own there: a name like one of ours gives a warning',
    /^pg: (Pool|Client|BalancedPool)(, .*)? 0(\.services\.0)?$/,
  ],
  ['what is wrong is returned as an issue', /^core: (validate 1|serviceIssues 2)$/],
];
const isOpen = (name: string, place: string) => openPlaces.some(([, places]) => places.test(`${name} ${place}`));

const calls = Object.entries(faces).flatMap(([face, { table, beyond }]) =>
  Object.entries({ ...table, ...beyond }).flatMap(([name, entry]) =>
    typeof entry === 'string'
      ? []
      : bagsOf(entry.args()).map((path) => [`${face}: ${name}`, path.join('.'), entry, path] as const),
  ),
);

const io = [
  vi.spyOn(net.Socket.prototype, 'connect'),
  vi.spyOn(net.Server.prototype, 'listen'),
  vi.spyOn(dgram.Socket.prototype, 'send'),
  vi.spyOn(dgram.Socket.prototype, 'bind'),
  vi.spyOn(ChildProcess.prototype as unknown as { spawn(): void }, 'spawn'),
];

beforeAll(async () => {
  await ready;
});

describe('an option with a typing error is refused, with the right one, before any I/O', () => {
  it.each(calls.filter(([name, place]) => !isOpen(name, place)))('%s at %s', async (_, __, call, path) => {
    for (const [option, value] of Object.entries(valueAt(call.args(), path) as object)) {
      for (const spy of io) spy.mockClear();
      const error = await failureOf(call, path, mistyped(option), value ?? true);
      expect(error).toMatchObject({
        code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
        message: expect.stringMatching(new RegExp(`is not an option.*Did you mean \`(.*\\.)?${option}\`\\?$`)),
      });
      for (const spy of io) expect(spy).not.toHaveBeenCalled();
    }
  });
});

describe('a name that nothing reads is taken', () => {
  it.each(calls.filter(([name, place]) => isOpen(name, place)))('%s at %s', async (_, __, call, path) => {
    for (const [option, value] of Object.entries(valueAt(call.args(), path) as object)) {
      const error = await failureOf(call, path, mistyped(option), value ?? true);
      expect(error?.message ?? '').not.toContain('is not an option');
    }
  });

  it.each(openPlaces)('because it is %s: there is such a place', (_, places) => {
    expect(calls.filter(([name, place]) => places.test(`${name} ${place}`))).not.toEqual([]);
  });
});

it.each([
  ['Pool', (options: object) => void new pg.Pool(options), 'failoverTimeoutMilis'],
  ['Client', (options: object) => void new pg.Client(options), 'failoverTimeoutMilli'],
])('an option of %s with a typing error gives a warning', (_, make, typed) => {
  const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  make({ host: 'localhost', user: 'app', database: 'app', [typed]: 10 });
  expect(warnings.mock.calls).toEqual([
    [
      expect.stringContaining('Did you mean `failoverTimeoutMillis`?'),
      expect.objectContaining({ code: 'EXTERNALNAME_UNKNOWN_OPTION' }),
    ],
  ]);
  warnings.mockRestore();
});

it('an option of validate() with a typing error is an issue', () => {
  expect(validate('kind: Service', { allowedTarget: ['*.example.com'] } as object)).toContainEqual(
    expect.objectContaining({ code: 'bad-option', message: expect.stringContaining('Did you mean `allowedTargets`?') }),
  );
});

function bagsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [];
  const isList = Array.isArray(value);
  if (!isList && Object.getPrototypeOf(value) !== Object.prototype) return [];
  const below = Object.entries(value).flatMap(([key, each]) => bagsOf(each, [...path, key]));
  return isList || Object.keys(value).length === 0 ? below : [path, ...below];
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], value);
}

/** With one letter too many. */
function mistyped(option: string): string {
  return `${option.slice(0, -1)}x${option.slice(-1)}`;
}

function withOption(value: unknown, [key, ...rest]: readonly string[], name: string, set: unknown): unknown {
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  if (key === undefined) return { ...copy, [name]: set };
  copy[key] = withOption(copy[key], rest, name, set);
  return copy;
}

async function failureOf(call: Call, path: readonly string[], name: string, value: unknown) {
  const args = withOption(call.args(), path, name, value) as readonly unknown[];
  try {
    const made = await call.run(...args);
    await call.end?.(made);
    return undefined;
  } catch (error) {
    return error as Error & { code?: unknown };
  }
}
