import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

// What this asserts would end the process of the test with a signal: each text is read in a process of its own.
const [manifests, validation] = ['manifests', 'validation'].map((face) =>
  fileURLToPath(new URL(`../src/${face}.ts`, import.meta.url)),
);

describe('a text that is nested without end', () => {
  it.each([
    ['[', 1_000],
    ['[', 200_000],
    ['[{a: ', 1_000],
    ['{"a": ', 1_000],
    ['{"a": ', 200_000],
    ['{"a": [', 1_000],
    ['- ', 1_000],
    ['- ', 200_000],
    ['? ', 1_000],
    ['[[a]: ', 1_000],
    ['? - ', 1_000],
    ['!t [&a ', 1_000],
  ])('is refused and does not abort the process: %j, %i times, in two documents', async (unit, count) => {
    const script = `
      const { parseManifests } = await import(${JSON.stringify(manifests)});
      const { validate } = await import(${JSON.stringify(validation)});
      const levels = ${JSON.stringify(unit)}.repeat(${count});
      const text = levels + '\\n---\\n' + levels;
      const codes = validate(text).map(({ code }) => code);
      let thrown;
      try { parseManifests(text) } catch (error) { thrown = error.code }
      console.log(JSON.stringify([codes, thrown]));`;
    const flags = ['--conditions=@externalname/source', '--import', 'tsx', '--stack-size=400'];
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--input-type=module', '-e', script]);
    expect(JSON.parse(stdout)).toEqual([['yaml-too-deep'], 'ERR_EXTERNALNAME_MANIFEST_SYNTAX']);
  });
});
