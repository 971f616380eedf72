import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Issue, validate, validationRules } from './index.ts';

const patient = 120_000; // The work takes seconds; a busy machine may take longer, and no time is asserted.

describe('validate', () => {
  it(
    'answers 100,000 random texts and objects, and never throws',
    () => {
      const random = source(20_260_101);
      for (let run = 0; run < 100_000; run += 1) {
        const input = run % 20 === 0 ? randomText(random) : randomObject(random, 4);
        checkShape(validate(input, run % 8 === 1 ? { previous: randomValue(random, 4) } : {}));
      }
    },
    patient,
  );

  it(
    'answers whatever fast-check can think of',
    () => {
      const anything = fc.anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withSet: true,
        withNullPrototype: true,
        withObjectString: true,
        withSparseArray: true,
        withTypedArray: true,
      });
      fc.assert(
        fc.property(anything, anything, (input, previous) => checkShape(validate(input, { previous }))),
        { numRuns: 2000 },
      );
    },
    patient,
  );

  it(
    'answers texts that are nearly manifests',
    () => {
      const line = fc.constantFrom(
        'apiVersion: v1',
        'kind: Service',
        'kind: List',
        'items:',
        'metadata:',
        '  name: db',
        '  labels: &a',
        '    app: x',
        'spec:',
        '  type: ExternalName',
        '  externalName: x',
        '  externalName: *a',
        '  ports:',
        '  - port: 1',
        '  - *a',
        '---',
        '...',
        '%YAML 1.2',
        '\t',
        '? [',
        '  <<: *a',
        '{',
        '"',
        '# x',
        '!!binary x',
      );
      fc.assert(
        fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
          const text = lines.join('\n');
          const issues = validate(text);
          checkShape(issues);
          for (const issue of issues) expect(issue.line).toBeGreaterThanOrEqual(1);
          for (const issue of issues) expect(issue.line).toBeLessThanOrEqual(lines.length + 1);
        }),
        { numRuns: 1500 },
      );
    },
    patient,
  );

  it.each([
    [
      'a getter that throws',
      {
        get kind() {
          throw new Error('no');
        },
      },
    ],
    [
      'a proxy that throws',
      new Proxy(
        {},
        {
          get: () => {
            throw undefined;
          },
          ownKeys: () => {
            throw null;
          },
        },
      ),
    ],
    [
      'a getter that throws an odd error',
      {
        get metadata() {
          throw new Proxy(new Error('no'), {
            get: () => {
              throw new Error('again');
            },
          });
        },
      },
    ],
    [
      'an object within itself',
      (() => {
        const loop: Record<string, unknown> = {};
        loop['metadata'] = loop;
        loop['spec'] = loop;
        loop['labels'] = loop;
        return loop;
      })(),
    ],
    ['a function', () => 'x'],
    ['a symbol', Symbol('x')],
    [
      'a revoked proxy',
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      })(),
    ],
    ['a list of holes', new Array(10_000)],
  ])('refuses %s, and does not throw', (_, input) => {
    const issues = validate(input);
    expect(issues.some(({ severity }) => severity === 'error')).toBe(true);
    checkShape(issues.slice(0, 100));
  });

  it('does not throw for options that make no sense', () => {
    const odd = { kubernetesVersion: 'two', allowedTargets: ['*', 5], clusterDomain: 7 } as unknown as object;
    const issues = validate(
      { metadata: { name: 'db' }, spec: { type: 'ExternalName', externalName: 'db.example.com' } },
      odd,
    );
    expect(issues.map(({ path, code }) => [path, code])).toEqual(
      expect.arrayContaining([
        ['kubernetesVersion', 'bad-option'],
        ['allowedTargets[0]', 'bad-option'],
      ]),
    );
  });
});

function checkShape(issues: readonly Issue[]): void {
  for (const issue of issues) {
    const rule = validationRules[issue.code];
    // One look at all, for this runs a hundred thousand times.
    const whole =
      rule !== undefined &&
      typeof issue.path === 'string' &&
      issue.message !== '' &&
      issue.hint !== '' &&
      issue.source === rule.source &&
      (issue.severity === 'error') === (issue.reason !== undefined);
    if (!whole) expect.fail(`not an issue: ${JSON.stringify(issue)}`);
  }
}

/** Numbers from 0 to 1, the same on each run (mulberry32). */
function source(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pick<T>(random: () => number, list: readonly T[]): T | undefined {
  return list[Math.floor(random() * list.length)];
}

const letters = [...'abzAZ019.-_:/[]{}#&*!|>\'"%@`,? \n\t', 'é', '🐘', '\u0000', '\ud800', '- ', ': ', '---\n'];

function randomText(random: () => number): string {
  return Array.from({ length: Math.floor(random() * 40) }, () => pick(random, letters)).join('');
}

const fields = [
  'apiVersion',
  'kind',
  'metadata',
  'spec',
  'status',
  'name',
  'namespace',
  'generateName',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
  'generation',
  'type',
  'externalName',
  'clusterIP',
  'clusterIPs',
  'ipFamilies',
  'ports',
  'port',
  'targetPort',
  'selector',
  'sessionAffinityConfig',
  'clientIP',
  'timeoutSeconds',
  'externalIPs',
  'loadBalancerSourceRanges',
  'items',
  'addressType',
  'endpoints',
  'addresses',
  'rules',
  'verbs',
  'subjects',
  'roleRef',
  'egress',
  'to',
  'ipBlock',
  'cidr',
  'template',
  'containers',
  '__proto__',
  'constructor',
];
const values = [
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 40,
  Number.NaN,
  '',
  'x',
  'v1',
  'Service',
  'EndpointSlice',
  'Role',
  'RoleBinding',
  'NetworkPolicy',
  'Deployment',
  'Pod',
  'List',
  'ExternalName',
  'ClusterIP',
  'LoadBalancer',
  'None',
  '10.0.0.1',
  '::1',
  '0x7f.1',
  'db.example.com',
  'a..b',
  '169.254.169.254',
  'discovery.k8s.io/v1',
  Symbol.iterator,
  10n,
];

function randomValue(random: () => number, depth: number): unknown {
  const kind = random();
  if (depth === 0 || kind < 0.35) return random() < 0.15 ? randomText(random) : pick(random, values);
  const size = Math.floor(random() * 5);
  if (kind < 0.5) return Array.from({ length: size }, () => randomValue(random, depth - 1));
  return randomObject(random, depth);
}

function randomObject(random: () => number, depth: number): object {
  const object: Record<string, unknown> = {};
  for (let left = Math.floor(random() * 5); left > 0; left -= 1) {
    const value = randomValue(random, depth - 1);
    Object.defineProperty(object, pick(random, fields) ?? '', {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
}
