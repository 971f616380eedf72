import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readYaml } from '@externalname/core/internal-yaml';
import { toJson, toYaml } from '@externalname/core/manifests';
import { LocalCluster } from '@externalname/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { manifestText, manifestValue } from '../../packages/core/test/manifest-values.ts';
import { KubectlJudge, kubectlBinary } from './kubectl-judge.ts';

const table = new URL('../../packages/core/src/objects/cases/kubectl-reads.json', import.meta.url);
const cases = JSON.parse(await readFile(table, 'utf8')) as {
  name: string;
  text: string;
  kubectl: { taken: boolean; objects?: unknown[] };
}[];

const missing = kubectlBinary === undefined ? ' (skipped: neither KUBEBUILDER_ASSETS nor KUBECTL has one)' : '';

// Without it, the unit tests of core hold the reader to what is written down in the table.
describe.skipIf(kubectlBinary === undefined)(`the real kubectl${missing}`, { timeout: 300_000 }, () => {
  let cluster: LocalCluster;
  let folder: string;
  let judge: KubectlJudge;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'externalname-kubectl-'));
    cluster = await LocalCluster.start();
    judge = new KubectlJudge(kubectlBinary ?? '', await cluster.writeKubeconfig(), folder);
  });
  afterAll(async () => {
    await cluster?.close();
    await rm(folder, { recursive: true, force: true });
  });

  describe('says of each text what the table has', () => {
    it.concurrent.each(cases.map((entry) => [entry.name, entry] as const))('%s', async (_, { text, kubectl }) => {
      const verdict = await judge.judge(text);
      expect({ taken: verdict.taken, ...(verdict.taken && { objects: verdict.objects }) }).toEqual(kubectl);
    });
  });

  it.each(['strict', 'warn', 'ignore'])(
    'takes the last one of two keys and says nothing, with --validate=%s too',
    async (validate) => {
      const spec = (externalName: string) => ({ type: 'ExternalName', externalName });
      const [first, last] = [spec('a.example.com'), spec('b.example.com')];
      const expected = { taken: true, objects: [{ ...service, spec: last }] };
      expect(await judge.judge(`${toYaml({ ...service, spec: first })}${toYaml({ spec: last })}`, validate)).toEqual(
        expected,
      );
      const json = `${JSON.stringify({ ...service, spec: first }).slice(0, -1)},"spec":${JSON.stringify(last)}}`;
      expect(await judge.judge(json, validate)).toEqual(expected);
    },
  );

  it('reads back what was written, whatever the keys and texts are made of', async () => {
    const values = fc.array(fc.tuple(manifestText, manifestValue), { minLength: 50, maxLength: 100 });
    await fc.assert(
      fc.asyncProperty(values, async (entries) => {
        const object = { ...service, entries: entries.map(([key, value]) => ({ [key]: value })) };
        const plain = JSON.parse(JSON.stringify(object)) as object;
        expect(await judge.judge(toYaml(plain))).toEqual({ taken: true, objects: [plain] });
        expect(await judge.judge(toJson(plain))).toEqual({ taken: true, objects: [plain] });
      }),
      { numRuns: 15 },
    );
  });

  it('reads and refuses what the reader reads and refuses, whatever YAML is made of', async () => {
    const body = fc.array(fc.constantFrom(...partsOfYaml), { maxLength: 12 }).map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('', 'x: ', 'x:\n  - a\n  - ', 'x: {a: ', 'x: ["'),
        body,
        async (before, rest) => {
          const text = `${header}${before}${rest}\n`;
          const verdict = await judge.judge(text);
          const documents = readYaml(text);
          const unreadable = documents.some(({ problems }) => problems.length > 0);
          expect(unreadable).toBe(!verdict.taken && verdict.unreadable);
          if (verdict.taken) expect(documents.map(({ value }) => value)).toEqual(withoutMinusZero(verdict.objects));
        },
      ),
      { numRuns: 400 },
    );
  });
});

const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 'default' } };
const header = toYaml(service);

const partsOfYaml = [
  ...['a', 'b', 'x y', 'a b: c', '1', '0777', '0o17', '0x1F', '1_000', '.5', '1e3', 'yes', 'null', '~', '<<', '='],
  ...[
    '!!str ',
    '!!int ',
    '!!float ',
    '!!binary aGk=',
    '!!null ',
    '!t ',
    '! ',
    '!<tag:yaml.org,2002:int> ',
    '&a ',
    '*a',
  ],
  ...[
    '- ',
    '-',
    '? ',
    '?',
    ': ',
    ':',
    ', ',
    ',',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '"x"',
    "'y'",
    '"a": 1',
    'a:b',
    '#',
    ' # c',
  ],
  ...[
    '"\\n"',
    '"\\/"',
    '"\\x41"',
    '"\\ud83d"',
    '"\\\n  x"',
    '|',
    '>',
    '|-',
    '>+',
    '|2',
    '---',
    '...',
    '--- ',
    '%YAML 1.1',
  ],
  ...[
    '\t',
    ' ',
    '  ',
    '    ',
    '\n',
    '\n  ',
    '\n    ',
    '\n- ',
    '\n  - ',
    '\nc: ',
    '\n  d: ',
    '\r\n',
    '\r',
    '\u0085',
    '\u2028',
  ],
  ...[
    '\ufeff',
    '\u007f',
    'é',
    '\u{1f600}',
    '`',
    '@',
    '%',
    '-.inf',
    '12:30',
    '2026-01-02',
    '0b-1',
    '9223372036854775808',
  ],
  ...['\n  <<: *a', '\nd: &a {k: 1, l: 2}', '{k: own, <<: *a}', '\n---\n', '\n...\n'],
];

/** JSON has one zero, and kubectl prints two. */
function withoutMinusZero(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
