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
  run('vitest', ['run', ...projects, ...words], true),
  ...thirds.map((third) => run('tsx', [...acrossMachines, third], false)),
]);
// A machine without namespaces says so once.
for (const said of new Set(site.map((third) => third.said))) process.stdout.write(said);
// What failed is told last, where it is found.
const failed = [first, ...site].filter(({ code }) => code !== 0);
for (const { said } of failed) process.stdout.write(`\n${failuresOf(said)}`);
process.exitCode = failed[0]?.code ?? 0;

async function run(program: string, parameters: readonly string[], isSeenAtOnce: boolean) {
  const child = spawn(program, parameters, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  });
  const said: Buffer[] = [];
  for (const [stream, own] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    stream.on('data', (bytes: Buffer) => {
      said.push(bytes);
      if (isSeenAtOnce) own.write(bytes);
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 1, said: Buffer.concat(said).toString() };
}

// From the headline on under which vitest lists them; without one, the last lines.
function failuresOf(said: string): string {
  const at = said.search(/^.*(?:Failed (?:Tests|Suites)|Unhandled Errors?) .*$/m);
  return at >= 0 ? said.slice(at) : said.split('\n').slice(-40).join('\n');
}
