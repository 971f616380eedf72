import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseManifests, readYaml, toJson, toYaml } from './index.ts';

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'webscaler-db', namespace: 'default' },
  spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
};

describe('YAML that is written', () => {
  it('has the keys in the order of the object, and two spaces', () => {
    expect(toYaml(service)).toBe(`apiVersion: v1
kind: Service
metadata:
  name: webscaler-db
  namespace: default
spec:
  type: ExternalName
  externalName: primary-db.example.com
`);
  });

  it('has --- between documents', () => {
    expect(toYaml([{ a: 1 }, { b: 2 }])).toBe('a: 1\n---\nb: 2\n');
  });

  it('has short lists of values on one line, and lists of objects one entry a line', () => {
    expect(toYaml({ verbs: ['get', 'watch'], ports: [{ port: 1 }], none: [] })).toBe(
      'verbs: ["get", "watch"]\nports:\n  - port: 1\nnone: []\n',
    );
  });

  it('has long text in lines of its own', () => {
    expect(toYaml({ expression: 'a ||\nb' })).toBe('expression: |-\n  a ||\n  b\n');
  });

  it('leaves out what is undefined', () => {
    expect(toYaml({ a: undefined, b: 1 })).toBe('b: 1\n');
  });

  it.each([
    'yes',
    'on',
    'No',
    'y',
    'true',
    'null',
    '~',
    '',
    '1',
    '0777',
    '0o17',
    '0x1f',
    '1_000',
    '1e3',
    '.5',
    '12:30',
    '=',
    '2026-01-02',
    '10.0.0.1',
  ])('keeps the text %j a text for every reader', (text) => {
    const written = toYaml({ value: text, [text]: 'key' });
    const expected = { value: text, [text]: 'key' };
    expect(parse(written, { version: '1.1' })).toEqual(expected);
    expect(parse(written, { version: '1.2' })).toEqual(expected);
    expect(readYaml(written)[0]?.value).toEqual(expected);
  });

  it('is read back unchanged, whatever it says', () => {
    const json = fc
      .jsonValue({ maxDepth: 4 })
      .filter((value) => typeof value === 'object' && value !== null && !hasMinusZero(value));
    fc.assert(
      fc.property(json, (value) => {
        expect(readYaml(toYaml({ value }))[0]?.value).toEqual({ value });
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});

describe('YAML that is read', () => {
  it('is read as kubectl reads it: yes is true, 0777 is octal, a date is text', () => {
    const [document] = readYaml('a: yes\nb: 0777\nc: 2026-01-02\nd: 12:30\n');
    expect(document?.value).toEqual({ a: true, b: 511, c: '2026-01-02', d: '12:30' });
  });

  it('knows the line of each field, in each of several documents', () => {
    const [first, second] = readYaml('# a comment\na: 1\nb:\n  - from: 1\n    to: 2\n---\n\nc:\n  d: 1\n');
    expect(first?.lineOf(['a'])).toBe(2);
    expect(first?.lineOf(['b', 0, 'to'])).toBe(5);
    expect(second?.lineOf(['c', 'd'])).toBe(9);
  });

  it('gives the line of the nearest field above one that is not there', () => {
    const [document] = readYaml('a:\n  b: 1\n');
    expect(document?.lineOf(['a', 'missing', 0])).toBe(1);
  });

  it('leaves documents without content out', () => {
    expect(readYaml('---\n---\n# nothing\n---\na: 1\n---\n').map(({ value }) => value)).toEqual([{ a: 1 }]);
  });

  it('unfolds aliases and merge keys', () => {
    const [document] = readYaml('base: &base { a: 1, b: 2 }\nuse: *base\nmore: { <<: *base, b: 3 }\n');
    expect(document?.value).toEqual({ base: { a: 1, b: 2 }, use: { a: 1, b: 2 }, more: { a: 1, b: 3 } });
  });

  it('is reported with its line if it is not YAML', () => {
    const [document] = readYaml('a: 1\nb: [1, 2\nc: 3\n');
    expect(document).toMatchObject({ value: undefined, problems: [{ code: 'yaml-syntax' }] });
    expect(document?.problems[0]?.line).toBeGreaterThan(1);
  });

  it('is taken if a key comes twice, as kubectl does without a word: the last one counts, and that is a warning', () => {
    const [document] = readYaml('a: 1\nb: 2\na: 3\n');
    expect(document).toMatchObject({
      value: { a: 3, b: 2 },
      problems: [],
      warnings: [{ code: 'yaml-duplicate-key', line: 3, path: ['a'] }],
    });
  });

  it('is taken as far as kubectl reads it: what follows ... is a warning', () => {
    const [document, ...others] = readYaml('a: 1\n...\n# a comment\nb: [that reads\n');
    expect(document).toMatchObject({
      value: { a: 1 },
      problems: [],
      warnings: [{ code: 'yaml-not-read', line: 2, path: [] }],
    });
    expect(others).toEqual([]);
    expect(readYaml('a: 1\n...\n# a comment\n...\n')[0]?.warnings).toEqual([]);
  });

  it('knows the lines of JSON too, and of a text with line breaks of Windows', () => {
    const [first, second] = readYaml('{"a": 1,\n "b": {\n "c": [1,\n2]}}\n{"d": 1}');
    expect(first?.lineOf(['b', 'c', 1])).toBe(4);
    expect(second?.lineOf(['d'])).toBe(5);
    const [, windows] = readYaml('a: 1\r\n---\r\n\r\nb: 1\r\n');
    expect(windows?.lineOf(['b'])).toBe(4);
  });

  it.each([
    ['a text without its end', 'a: 1\nb: "x\n', 2],
    ['a bracket that does not match', 'a: 1\nb:\n  - [x}\n', 3],
    ['a tab that indents', 'a:\n\tb: 1\n', 2],
    ['a line without a colon', 'a: 1\nb\nc: 1\n', 2],
    ['a control character', 'a: 1\nb: "\x7f"\n', 2],
    ['an escape that YAML 1.1 does not have', 'a: 1\nb: "\\/"\n', 2],
    ['a document on the line of ---', 'a: 1\n--- {b: 1}\n', 2],
    ['a merge of a text', 'a: 1\nb:\n  <<: text\n', 3],
    ['JSON with a comma too many', '{"a": 1,\n "b": [1,]}\n', 2],
    ['JSON with a comment', '{"a": 1,\n // comment\n "b": 1}\n', 2],
  ])('is refused with the line of what is wrong: %s', (_, text, line) => {
    const problems = readYaml(text).flatMap((document) => document.problems);
    expect(problems).toMatchObject([{ code: 'yaml-syntax', line }]);
  });

  it('is read on behind a document that is refused', () => {
    const documents = readYaml('a: [\n---\nb: 1\n---\nc: ]\n');
    expect(documents.map(({ value }) => value)).toEqual([undefined, { b: 1 }, undefined]);
  });

  it('is YAML even if it begins with a brace, when the API server reads the body of a request', () => {
    expect(readYaml('{a: 1, b: [x,], }', 'yaml')[0]?.value).toEqual({ a: 1, b: ['x'] });
    expect(readYaml('%YAML 1.1\n--- {a: 1}\n---\nb: [', 'yaml')).toMatchObject([{ value: { a: 1 }, problems: [] }]);
    expect(readYaml('{a: 1, b: [x,], }')[0]?.problems).toMatchObject([{ code: 'yaml-syntax' }]);
  });

  it.each([
    ['an alias inside of what it names', 'a: &a [*a]\n', 'yaml-aliases'],
    ['an alias without an anchor', 'a: *b\n', 'yaml-aliases'],
    ['a key that is a list', '[1, 2]: x\n', 'yaml-key'],
    ['ten thousand brackets', '['.repeat(10_000), undefined],
    [
      'six hundred levels',
      Array.from({ length: 600 }, (_, level) => `${' '.repeat(level)}a:`).join('\n'),
      'yaml-too-deep',
    ],
    ['more than 3 MiB', `a: ${'x'.repeat(3 * 1024 * 1024)}`, 'yaml-too-long'],
  ])('is refused, not followed: %s', (_, text, code) => {
    const problems = readYaml(text).flatMap((document) => document.problems);
    expect(problems.length).toBeGreaterThan(0);
    if (code !== undefined) expect(problems.map((problem) => problem.code)).toContain(code);
  });

  it('is not repeated whole in what is said of it', () => {
    const text = `a: 1\n${'&a 1e9? : '.repeat(10_000)}`;
    const problems = readYaml(text).flatMap((document) => document.problems);
    expect(problems.length).toBeGreaterThan(0);
    for (const { message } of problems) expect(message.length).toBeLessThan(500);
  });

  it('does not unfold aliases to more than ten times the text', () => {
    const levels = Array.from(
      { length: 9 },
      (_, level) => `l${level + 1}: &l${level + 1} [${`*l${level}, `.repeat(9)}*l${level}]`,
    );
    const text = `l0: &l0 [x]\n${levels.join('\n')}\n`;
    expect(readYaml(text).flatMap(({ problems }) => problems)).toMatchObject([{ code: 'yaml-aliases' }]);
  });
});

describe('manifests', () => {
  it('come back from YAML, JSON and a List as they were', () => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } };
    expect(parseManifests(toYaml([service, pod]))).toEqual([service, pod]);
    expect(parseManifests(toJson(service))).toEqual([service]);
    expect(parseManifests(toJson([service, pod]))).toEqual([service, pod]);
  });

  it('come from a list of any kind, whose items get its kind if they have none', () => {
    const text =
      'apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: { name: a }\n- { apiVersion: v1, kind: Pod, metadata: { name: b } }\n';
    expect(parseManifests(text)).toEqual([
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } },
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'b' } },
    ]);
    expect(parseManifests('apiVersion: v1\nkind: ServiceList\nitems: null\n')).toEqual([]);
  });

  it('are refused all at once, each problem with its line', () => {
    expect(() => parseManifests('a: 1\n---\n- b\n')).toThrow(
      expect.objectContaining({
        code: 'ERR_EXTERNALNAME_MANIFEST_SYNTAX',
        problems: [expect.objectContaining({ line: 1 }), expect.objectContaining({ line: 3 })],
      }),
    );
  });
});

/** JSON has one zero. */
function hasMinusZero(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(hasMinusZero);
  return Object.is(value, -0);
}
