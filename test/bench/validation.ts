// How long one answer of validate() takes, and how it grows with the input. Prints tables; asserts nothing.
//
//   pnpm bench:validation [--answers=20000] [--json]
//
// With --json it prints how long an answer takes, and leaves out how that grows.
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { validate } from '@externalname/core/validation';

const { values } = parseArgs({
  options: { answers: { type: 'string', default: '20000' }, json: { type: 'boolean', default: false } },
});

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'db' },
  spec: { type: 'ExternalName', externalName: 'db.example.com' },
};
const yaml =
  'apiVersion: v1\nkind: Service\nmetadata:\n  name: db\nspec:\n  type: ExternalName\n  externalName: db.example.com\n';

const answers: [string, () => unknown][] = [
  ['an object that is right', () => service],
  ['an object with an address', () => ({ ...service, spec: { ...service.spec, externalName: '10.0.0.1' } })],
  ['YAML that is right', () => yaml],
  ['YAML of ten documents', () => Array.from({ length: 10 }, () => yaml).join('---\n')],
  ['random text of 40 characters', () => randomText(40)],
  ['a random object', () => randomObject(3)],
];

const report: Record<string, Record<string, number>> = {};
for (const [name, make] of answers) {
  const times = measure(make, Number(values.answers));
  const at = (part: number) =>
    Number((times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0).toFixed(1));
  report[name] = { 'median µs': at(0.5), 'p99 µs': at(0.99), 'longest µs': at(1) };
}
if (values.json) console.log(JSON.stringify({ report }));
else {
  console.table(report);
  printGrowth();
}

function printGrowth(): void {
  // Inputs that have made parsers and patterns slow. Time over length must not grow.
  const growing: [string, (size: number) => unknown][] = [
    ['one long label', (size) => object({ externalName: 'a'.repeat(size) })],
    ['a label that fails at its end', (size) => object({ externalName: `${'a'.repeat(size)}_` })],
    ['many labels that fail at the end', (size) => object({ externalName: `${'a.'.repeat(size / 2)}_` })],
    ['hyphens', (size) => object({ externalName: '-'.repeat(size) })],
    ['ports of one number', (size) => object({ ports: Array.from({ length: size / 10 }, () => ({ port: 1 })) })],
    ['addresses', (size) => object({ clusterIPs: Array.from({ length: size / 10 }, () => 'x') })],
    [
      'labels',
      (size) => ({
        ...service,
        metadata: {
          name: 'db',
          labels: Object.fromEntries(Array.from({ length: size / 10 }, (_, i) => [`k ${i}`, 'a b'])),
        },
      }),
    ],
    [
      'unknown fields',
      (size) => object(Object.fromEntries(Array.from({ length: size / 10 }, (_, i) => [`field${i}`, 1]))),
    ],
    ['a URL', (size) => object({ externalName: `http://${'a'.repeat(size)}` })],
    ['YAML: one long text', (size) => 'a: '.padEnd(size, 'x')],
    ['YAML: folded text', (size) => `a: >\n${'  x y\n'.repeat(size / 6)}`],
    ['YAML: quoted text over lines', (size) => `a: "${'x\n  '.repeat(size / 4)}"`],
    ['YAML: keys', (size) => Array.from({ length: size / 10 }, (_, i) => `key${i}: 1`).join('\n')],
    ['YAML: the same key', (size) => 'a: 1\n'.repeat(size / 5)],
    ['YAML: documents', (size) => '---\na: 1\n'.repeat(size / 9)],
    [
      'YAML: services',
      (size) => Array.from({ length: size / 100 }, (_, i) => yaml.replace('name: db', `name: db-${i}`)).join('---\n'),
    ],
    ['YAML: anchors and aliases', (size) => `l:\n${'  - &a x\n  - *a\n'.repeat(size / 16)}`],
    ['YAML: comments', (size) => '# x\n'.repeat(size / 4)],
    ['YAML: a list on one line', (size) => `a: [${'1, '.repeat(size / 3)}1]`],
    ['YAML: brackets', (size) => '['.repeat(Math.min(size, 5000))],
    ['YAML: errors', (size) => '}\n'.repeat(size / 2)],
    ['YAML: tabs', (size) => '\t'.repeat(size)],
  ];

  console.log('\n| input | 20 kB, ms | 40 kB, ms | 80 kB, ms | 80 kB over 20 kB (4 is in step) |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const [name, make] of growing) {
    const [small = 0, middle = 0, large = 0] = [20_000, 40_000, 80_000].map((size) => {
      const input = make(size);
      validate(input);
      return Math.min(...measure(() => input, 3)) / 1000;
    });
    const growth = (large / Math.max(small, 0.001)).toFixed(1);
    console.log(`| ${name} | ${small.toFixed(2)} | ${middle.toFixed(2)} | ${large.toFixed(2)} | ${growth} |`);
  }
}

/** Times of each answer in microseconds, sorted. */
function measure(make: () => unknown, times: number): number[] {
  const taken: number[] = [];
  for (let run = 0; run < times; run += 1) {
    const input = make();
    const start = performance.now();
    validate(input);
    taken.push((performance.now() - start) * 1000);
  }
  return taken.sort((left, right) => left - right);
}

function object(spec: object): object {
  return { ...service, spec: { ...service.spec, ...spec } };
}

function randomText(length: number): string {
  const letters = 'abcXYZ019.-_:/[]{}#&*!|>\'"%@` \n\té🐘';
  return Array.from({ length }, () => letters[Math.floor(Math.random() * letters.length)]).join('');
}

function randomObject(depth: number): unknown {
  const names = ['metadata', 'spec', 'name', 'labels', 'ports', 'type', 'externalName', 'kind', 'apiVersion'];
  const values = [null, 1, -1.5, true, '', 'x', 'Service', 'v1', 'ExternalName', [], {}];
  if (depth === 0) return values[Math.floor(Math.random() * values.length)];
  return Object.fromEntries(
    Array.from({ length: 4 }, () => [names[Math.floor(Math.random() * names.length)], randomObject(depth - 1)]),
  );
}
