// Asks the real kubectl about each text of the table, and writes down what it says:
//
//   KUBECTL=/path/to/kubectl npx tsx --conditions=@externalname/source test/contract/record-kubectl-reads.ts
//
// To add a text, give it a name in the table and run this. A text that the reader refuses on purpose has `ours` beside
// kubectl's verdict, with the reason; that is kept.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalCluster } from '@externalname/testing';
import { KubectlJudge, kubectlBinary } from './kubectl-judge.ts';

const table = new URL('../../packages/core/src/objects/cases/kubectl-reads.json', import.meta.url);

if (kubectlBinary === undefined) throw new Error('set KUBECTL to a kubectl');
const folder = await mkdtemp(join(tmpdir(), 'externalname-kubectl-'));
const cluster = await LocalCluster.start();
try {
  const judge = new KubectlJudge(kubectlBinary, await cluster.writeKubeconfig(), folder);
  const cases = JSON.parse(await readFile(table, 'utf8')) as { name: string; text: string; ours?: string }[];
  const lines: string[] = [];
  for (const { name, text, ours } of cases) {
    const verdict = await judge.judge(text);
    const kubectl = verdict.taken ? verdict : { taken: false };
    const entry = JSON.stringify({ name, text, kubectl, ...(ours && { ours }) });
    lines.push(entry.replace(/[^\x20-\x7e]/g, escaped));
  }
  await writeFile(table, `[\n${lines.join(',\n')}\n]\n`);
  console.log(`${lines.length} texts`);
} finally {
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
}

/** So that the table is ASCII, and an editor changes nothing in it. */
function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
