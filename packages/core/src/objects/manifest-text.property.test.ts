import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { manifestText, manifestValue } from '../../test/manifest-values.ts';
import { parseManifests, readYaml, toJson, toYaml } from './index.ts';

// The same values go through the real kubectl in test/contract.
describe('a manifest that is written', () => {
  it('is read back as it was by the rules of kubectl, of YAML 1.1 and of YAML 1.2', () => {
    fc.assert(
      fc.property(manifestText, manifestValue, (key, value) => {
        const object = JSON.parse(JSON.stringify({ value, more: { [key]: value } })) as object;
        const written = toYaml(object);
        expect(reading(written)).toEqual([[object, [], []]]);
        expect(parse(written, { version: '1.1' })).toEqual(object);
        expect(parse(written, { version: '1.2' })).toEqual(object);
        expect(reading(toJson(object))).toEqual([[object, [], []]]);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  it('has no character that kubectl refuses, and none that breaks a line but the line feed', () => {
    fc.assert(
      fc.property(manifestText, manifestValue, (key, value) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
        expect(toYaml({ [key]: value })).not.toMatch(/[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  it('keeps << and = texts, as values and as keys', () => {
    expect(toYaml({ a: '<<', b: '=', '<<': ['=', { '=': '<<' }] })).toBe(
      'a: "<<"\nb: "="\n"<<":\n  - "="\n  - "=": "<<"\n',
    );
  });

  it('has escapes for what must not stand raw', () => {
    expect(toYaml({ a: '\x7f\x85\u2028\ufeff\ufffe', '\x9f': 1 })).toBe(
      'a: "\\u007f\\u0085\\u2028\\ufeff\\ufffe"\n"\\u009f": 1\n',
    );
  });

  it.each([
    ['\ud83d', 'the first half'],
    ['\ude00', 'the second half'],
    ['a\ude00\ud83db', 'both in the wrong order'],
  ])('cannot hold half of a surrogate pair: %j, %s', (text) => {
    const error = expect.objectContaining({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument: 'manifests',
      message: expect.stringMatching(/^manifests: the (text of|key) .*"secret.*half of a surrogate pair/),
    });
    for (const object of [{ spec: { secret: text } }, { list: [{ secret: text }] }, { [`secret${text}`]: 1 }]) {
      expect(() => toYaml(object)).toThrow(error);
      expect(() => toJson(object)).toThrow(error);
    }
  });

  it('does not repeat the text with half a surrogate pair: it may be a secret', () => {
    expect(() => toYaml({ env: 'hunter2\ud83d' })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('hunter2') }),
    );
  });
});

describe('a text with half of a surrogate pair', () => {
  it.each(['a: \ud83d\n', '# \ud83d\na: 1\n', '{"a": "\ud83d"}', '\ude00'])(
    'is not UTF-8, and is refused: %j',
    (text) => {
      expect(() => parseManifests(text)).toThrow(expect.objectContaining({ code: 'ERR_EXTERNALNAME_MANIFEST_SYNTAX' }));
    },
  );
});

function reading(text: string) {
  return readYaml(text).map(({ value, problems, warnings }) => [value, problems, warnings]);
}
