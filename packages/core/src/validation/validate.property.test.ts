import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkShape, randomInputs } from '../../test/random-manifests.ts';
import { validate } from './index.ts';

const patient = 120_000; // The work takes seconds; a busy machine may take longer, and no time is asserted.

describe('validate', () => {
  it(
    'answers 10,000 random texts and objects, and never throws',
    () => {
      for (const [input, options] of randomInputs(10_000)) checkShape(validate(input, options));
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
