import { describe, expect, it } from 'vitest';
import { validate } from '../src/validation/index.ts';

const patient = 240_000; // Three sizes of each shape take seconds; a busy machine may take longer.

/** Texts of `length` characters, each made of one thing over and over. */
const texts: [string, (length: number) => string][] = [
  ...[
    ...['[],', '{},', ',', 'a,', 'a: b,', '"a": 1,', '&a 1,', '!t 1,', '[a, b],', '{a},', ',]', '#\n,', '? a,', ': ,'],
  ].flatMap((unit): [string, (length: number) => string][] => [
    [`[ and ${JSON.stringify(unit)}`, (length) => `[${repeated(unit, length)}]`],
    // Without the dashes it would be JSON.
    [`{ and ${JSON.stringify(unit)}`, (length) => `---\n{${repeated(unit, length)}}`],
  ]),
  ...['"a": 1,', '"a": {"b": [1]},', '"a": "\\n\\ud83d",', '"a": ""\n,', ' '].map(
    (unit): [string, (length: number) => string] => [
      `JSON of ${JSON.stringify(unit)}`,
      (length) => `{${repeated(unit, length)}"b": 1}`,
    ],
  ),
  ...['x\\\n ', 'x\n\n ', '\\u00e9', ' '].map((unit): [string, (length: number) => string] => [
    `a text in double quotes of ${JSON.stringify(unit)}`,
    (length) => `a: "${repeated(unit, length)}"`,
  ]),
  ...[
    ...[
      'a: b\n',
      '- a\n',
      '? a\n',
      '---\n',
      '---\na: b\n',
      '...\n',
      '\n',
      ' ',
      '\t',
      '#\n',
      '"',
      "'",
      '""',
      "''",
      '\\',
    ],
    ...[
      '%a\n',
      '%YAML 1.1\n',
      '&a ',
      '*a ',
      '!a ',
      '- [\n',
      '- {}\n',
      '-\n',
      'a:\n- b\n',
      '|\n',
      '>\n ',
      '`',
      '@',
      '\r',
    ],
    ...[
      '[',
      '{',
      ']',
      '}',
      '- ',
      '? ',
      ': ',
      'a: ',
      'a: b: ',
      '[[]',
      '[]]',
      '---\n[',
      '\u2028',
      '\u{1f600}',
      '<<: *a\n',
    ],
    ...['1', '1_', '0x', '1:', '.', '1e', '!!binary a\n'],
  ].map((unit): [string, (length: number) => string] => [JSON.stringify(unit), (length) => repeated(unit, length)]),
];

/** Services with `count` entries of one field, and the same Service as the previous one. */
const objects: [string, (count: number) => { current: object; previous?: object }][] = [
  [
    'finalizers against other previous ones',
    (count) => {
      const deleted = { deletionTimestamp: '2026-01-01T00:00:00Z' };
      return {
        current: service({}, { ...deleted, finalizers: numbered(count, 'example.com/new-') }),
        previous: service({}, { ...deleted, finalizers: numbered(count, 'example.com/old-') }),
      };
    },
  ],
  [
    'ports',
    (count) => both({ type: 'NodePort', ports: numbered(count).map((name, port) => ({ name, port, nodePort: port })) }),
  ],
  ['external addresses', (count) => both({ externalIPs: numbered(count, '10.0.0.') })],
  ['source ranges', (count) => both({ type: 'LoadBalancer', loadBalancerSourceRanges: numbered(count, '10.0.0.0/') })],
  ['cluster addresses', (count) => both({ clusterIPs: numbered(count), ipFamilies: numbered(count) })],
  ['a selector', (count) => both({ selector: Object.fromEntries(numbered(count).map((key) => [key, key])) })],
  ['unknown fields', (count) => both(Object.fromEntries(numbered(count, 'externalNam').map((key) => [key, key])))],
  ['labels', (count) => of({ labels: Object.fromEntries(numbered(count).map((key) => [key, key])) })],
  ['annotations', (count) => of({ annotations: Object.fromEntries(numbered(count).map((key) => [key, key])) })],
  ['owners', (count) => of({ ownerReferences: numbered(count).map((name) => ({ name, controller: true })) })],
  ['managed fields', (count) => of({ managedFields: numbered(count).map((manager) => ({ manager })) })],
  ['a long name', (count) => of({ name: 'a-'.repeat(count) })],
  ['a long target', (count) => both({ externalName: `${'a-'.repeat(count)}.` })],
  ['a target of many labels', (count) => both({ externalName: 'a.'.repeat(count) })],
  ['a list', (count) => ({ current: { kind: 'List', items: numbered(count).map((name) => service({}, { name })) } })],
];

describe('the time that validation takes', () => {
  it.each(texts)(
    'grows no faster than the text: %s',
    (_, text) => {
      const [short, long] = [text(25_000), text(100_000)];
      expectNoFasterThanLength(
        () => validate(short),
        () => validate(long),
      );
    },
    patient,
  );

  it.each(objects)(
    'grows no faster than the object: %s',
    (_, object) => {
      const [short, long] = [object(5_000), object(20_000)];
      expectNoFasterThanLength(
        () => validate(short.current, { previous: short.previous }),
        () => validate(long.current, { previous: long.previous }),
      );
    },
    patient,
  );

  it(
    'is not spent on stack traces: commas take no longer than the values they stand between',
    () => {
      const commas = `[${','.repeat(100_000)}]`;
      const values = `[${'a,'.repeat(50_000)}]`;
      validate(values);
      const fair = Math.min(
        millis(() => validate(values)),
        millis(() => validate(values)),
      );
      const measured = Math.min(
        millis(() => validate(commas)),
        millis(() => validate(commas)),
      );
      expect(measured).toBeLessThan(1.5 * fair + 20);
    },
    patient,
  );
});

/** Four times the input may take four times the time. Quadratic work takes sixteen times; the bound stands between. */
function expectNoFasterThanLength(short: () => unknown, long: () => unknown): void {
  short();
  let ratio = Number.POSITIVE_INFINITY;
  // A pause of the machine makes one measurement slow, seldom three.
  for (let attempt = 0; attempt < 3 && ratio > 8; attempt += 1) {
    ratio = Math.min(ratio, (millis(long) - 20) / Math.max(millis(short), 1));
  }
  expect(ratio).toBeLessThan(8);
}

function millis(work: () => unknown): number {
  const begun = performance.now();
  work();
  return performance.now() - begun;
}

function repeated(unit: string, length: number): string {
  return unit.repeat(Math.ceil(length / unit.length));
}

function numbered(count: number, prefix = 'name-'): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}

function service(spec: object, metadata: object = {}): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 'webscaler-db', ...metadata }, spec };
}

function both(spec: object): { current: object; previous: object } {
  return { current: service(spec), previous: service(structuredClone(spec)) };
}

function of(metadata: object): { current: object; previous: object } {
  return { current: service({}, metadata), previous: service({}, structuredClone(metadata)) };
}
