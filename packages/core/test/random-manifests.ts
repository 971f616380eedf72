import { expect } from 'vitest';
import { type Issue, type ValidationOptions, validationRules } from '../src/validation/index.ts';

/** What `validate` may be given, the same on each run. */
export function* randomInputs(count: number): Iterable<[input: string | object, options: ValidationOptions]> {
  const random = source(20_260_101);
  for (let run = 0; run < count; run += 1) {
    const input = run % 20 === 0 ? randomText(random) : randomObject(random, 4);
    yield [input, run % 8 === 1 ? { previous: randomValue(random, 4) } : {}];
  }
}

/** Whether all findings have the shape that they promise. */
export function checkShape(issues: readonly Issue[]): void {
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
