// `pnpm test`: unit, integration and acceptance tests, and beside them those across network namespaces, which wait more than they
// work: a third of their files in each of three networks, because all files have the same addresses. What these say comes after the
// first ones, in one piece. With arguments (`pnpm test targets`) only the first ones run, as vitest would with these.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const words = process.argv.slice(2);
const projects = ['unit*', 'integration', 'acceptance'].flatMap((project) => ['--project', project]);
const acrossMachines = ['test/site/run.ts', 'vitest', 'run', '--config', 'vitest.site.config.ts'];
const thirds = words.length === 0 ? [1, 2, 3].map((number) => `--shard=${number}/3`) : [];

const [first, ...site] = await Promise.all([
  run('vitest', ['run', ...projects, ...words], 'inherit'),
  ...thirds.map((third) => run('tsx', [...acrossMachines, third], 'pipe')),
]);
// A machine without namespaces says so once.
for (const said of new Set(site.map((third) => third.said))) process.stdout.write(said);
process.exitCode = [first, ...site].find(({ code }) => code !== 0)?.code ?? 0;

async function run(program: string, parameters: readonly string[], output: 'inherit' | 'pipe') {
  const child = spawn(program, parameters, {
    stdio: ['ignore', output, output],
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes: Buffer) => said.push(bytes));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 1, said: Buffer.concat(said).toString() };
}
