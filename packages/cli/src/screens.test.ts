import { readFile } from 'node:fs/promises';
import type { Facts } from '@externalname/doctor';
import { Terminal } from '@xterm/headless';
import { describe, expect, it } from 'vitest';
import {
  answer,
  certificate,
  diagnosed,
  endpoint,
  facts,
  failed,
  fullName,
  hop,
  host,
  tls,
} from '../../doctor/test/healthy-facts.ts';
import { called } from '../test/called.ts';
import { showAnswer, showMeasured } from './commands/resolve.ts';
import { showPage } from './doctor/page.ts';
import { Output } from './output.ts';

// What the commands show, of facts and measurements that never change. `vitest -u` writes the screens again; docs/guides/cli.md has some of them.
const doctorOf = (changes: Partial<Facts>) => (output: Output) => showPage(output, diagnosed(changes));
const service = answer({ name: fullName, chain: [hop()] });
const dangling = { outcome: 'not-found' as const, detail: 'NXDOMAIN', addresses: [] };

const shows: readonly (readonly [name: string, show: (output: Output) => void])[] = [
  ['doctor-healthy', doctorOf({})],
  [
    'doctor-dangling',
    doctorOf({
      dns: { ...facts.dns, service: [{ ...service, ...dangling }], target: [answer(dangling)] },
      endpoints: [],
      access: {
        kind: 'reviewed',
        user: 'operator',
        permissions: [
          { verb: 'get', resource: 'services', allowed: true, reason: '' },
          { verb: 'patch', resource: 'services', allowed: false, reason: '' },
        ],
      },
    }),
  ],
  [
    'doctor-certificate',
    doctorOf({
      endpoints: [
        {
          ...endpoint,
          postgres: undefined,
          tls: {
            ...tls,
            identity: 'another name',
            names: ['webscaler-db', fullName],
            chain: [{ ...certificate, validTo: '2026-12-01T00:00:00.000Z' }],
          },
        },
      ],
    }),
  ],
  [
    'doctor-no-cluster',
    doctorOf({
      service: failed('ERR_EXTERNALNAME_KUBERNETES_CONFIG', 'found no configuration for the Kubernetes API'),
      access: failed('ERR_EXTERNALNAME_KUBERNETES_CONFIG', 'no configuration'),
    }),
  ],
  [
    'resolve',
    (output) => {
      for (const server of ['10.96.0.10:53', '10.96.0.11:53']) showAnswer(output, { ...service, server });
      showAnswer(output, { ...service, ...dangling, server: '10.96.0.12:53' });
    },
  ],
  [
    'resolve-count',
    (output) => {
      const millis = { p50: 0.4, p90: 0.9, p99: 12.25, max: 31 };
      showMeasured(output, [
        { server: '10.96.0.10:53', name: fullName, asked: 1000, failed: 0, millis, failures: {} },
        { server: '10.96.0.10:53', name: host, asked: 1000, failed: 3, millis, failures: { timeout: 3 } },
      ]);
    },
  ],
];

const manifest = `apiVersion: v1
kind: Service
metadata:
  name: webscaler-db
spec:
  type: ExternalName
  externalName: https://primary-db.example.com:5432/
  ports:
    - port: 70000
`;

const calls: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['help', ['--help']],
  ['doctor-help', ['doctor', '--help']],
  [
    'doctor-error',
    ['doctor', '--error', 'curl: (60) SSL: no alternative certificate subject name matches target host name'],
  ],
  ['lint', ['lint', '-']],
  ['create-help', ['create', '--help']],
  ['create-dns-cache', ['create', 'dns-cache', '--seconds', '10']],
];

describe.each([{ columns: 80 }, { columns: 120 }, { columns: undefined }])(
  'with a width of $columns',
  ({ columns }) => {
    const place = columns ?? 'pipe';

    it.each(shows)('%s', async (name, show) => {
      let text = '';
      const stdout = {
        write(part: string) {
          text += part;
        },
        ...(columns !== undefined && { isTTY: true, columns }),
      };
      show(new Output({ stdout, stderr: stdout, environment: { NO_COLOR: '1' }, format: undefined }));
      await expect(await screenOf(text, columns)).toMatchFileSnapshot(`screens/${name}-${place}.txt`);
    });

    it.each(calls)('%s', async (name, args) => {
      const { stdout } = await called(args, { columns, stdin: manifest, environment: { NO_COLOR: '1' } });
      await expect(await screenOf(stdout, columns)).toMatchFileSnapshot(`screens/${name}-${place}.txt`);
    });
  },
);

it('the guide shows the screens as they are', async () => {
  const guide = await readFile(new URL('../../../docs/guides/cli.md', import.meta.url), 'utf8');
  const blocks = [...guide.matchAll(/^<!-- screen: (\S+) -->\n```text\n([\s\S]*?)^```$/gm)];
  expect(blocks.length).toBeGreaterThan(5);
  for (const [, name, block = ''] of blocks) {
    const screen = await readFile(new URL(`screens/${name}.txt`, import.meta.url), 'utf8');
    expect(block.trimEnd(), name).toBe(screen.trimEnd());
  }
});

/** What a terminal of that width shows; in a pipe, the text itself. */
async function screenOf(text: string, columns: number | undefined): Promise<string> {
  if (columns === undefined) return text;
  const terminal = new Terminal({ cols: columns, rows: 500, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(text.replaceAll('\n', '\r\n'), resolve));
  const { active } = terminal.buffer;
  const lines = Array.from(
    { length: active.length },
    (_, index) => active.getLine(index)?.translateToString(true) ?? '',
  );
  return `${lines.join('\n').trimEnd()}\n`;
}
