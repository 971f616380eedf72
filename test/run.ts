// `pnpm test`: unit, integration and acceptance tests, and beside them those across network namespaces, which wait more than they
// work. What the second ones say comes after the first ones, in one piece. With arguments (`pnpm test targets`) only the first ones
// run, as vitest would with these.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const words = process.argv.slice(2);
const site =
  words.length === 0
    ? start('tsx', ['test/site/run.ts', 'vitest', 'run', '--config', 'vitest.site.config.ts'], 'pipe')
    : undefined;
const said: Buffer[] = [];
for (const stream of [site?.stdout, site?.stderr]) stream?.on('data', (bytes: Buffer) => said.push(bytes));
const projects = ['unit', 'integration', 'acceptance'].flatMap((project) => ['--project', project]);
const ends = [start('vitest', ['run', ...projects, ...words], 'inherit'), ...(site === undefined ? [] : [site])].map(
  (child) => once(child, 'close'),
);
const codes = (await Promise.all(ends)).map(([code]) => code as number | null);
process.stdout.write(Buffer.concat(said));
process.exitCode = codes.find((code) => code !== 0) ?? 0;

function start(program: string, parameters: readonly string[], output: 'inherit' | 'pipe') {
  return spawn(program, parameters, {
    stdio: ['ignore', output, output],
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  });
}
