/**
 * How long a program needs to load a package, in a new process each time: ours, by `require` and by `import`, beside `pg`. The packages
 * are built from the sources as they are now and installed side by side, with links to what they depend on. The programs take turns.
 * Prints a table of medians, and of the ratios to `pg` loaded in the same way in the same round.
 *
 *   pnpm bench:start [--rounds=31] [--json]
 *
 * The command `externalname --version` takes its turns beside a bare `node -e 0`.
 *
 * `ms` is the time from starting the process to its end; `cpu ms` is the processor time that it took, which other processes disturb less.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './compared-pools.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '31' }, json: { type: 'boolean', default: false } },
});
const rounds = Number(values.rounds);
const root = resolve(import.meta.dirname, '../..');

const ours = ['@externalname/pg', '@externalname/core', '@externalname/kubernetes'];
const programs = ['pg', ...ours].flatMap((name) => [
  { label: `require('${name}')`, name, how: 'require', code: `require('${name}')` },
  { label: `import '${name}'`, name, how: 'import', code: `import '${name}'` },
]);

const bare = 'node -e 0';
const version = 'externalname --version';

const work = await mkdtemp(join(tmpdir(), 'externalname-start-'));
try {
  await Promise.all(ours.map((name) => install(name)));
  await installCommand();
  const commands = [
    { label: bare, args: ['-e', '0'] },
    { label: version, args: [join(work, 'node_modules/@externalname/cli/bin/externalname.mjs'), '--version'] },
  ];
  const measured = new Map(programs.map(({ label }) => [label, [] as Cost[]]));
  const ended = new Map(commands.map(({ label }) => [label, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    // Who goes first changes, so that what grows or fades over time favours no program.
    for (const index of programs.keys()) {
      const program = programs[(index + round) % programs.length];
      if (program !== undefined) measured.get(program.label)?.push(await costOf(program.code));
    }
    for (const index of commands.keys()) {
      const command = commands[(index + round) % commands.length];
      if (command !== undefined) ended.get(command.label)?.push(await millisOf(command.args));
    }
  }
  print(measured, ended);
} finally {
  await rm(work, { recursive: true, force: true });
}

interface Cost {
  readonly millis: number;
  readonly cpuMillis: number;
}

/** Builds a package as it is published, without its types, into `node_modules` of the working folder. */
async function install(name: string): Promise<void> {
  const source = join(root, 'packages', name.replace('@externalname/', ''));
  const target = join(work, 'node_modules', name);
  await mkdir(target, { recursive: true });
  const manifest = await readFile(join(source, 'package.json'), 'utf8');
  await writeFile(join(target, 'package.json'), manifest);
  const build = ['--no-dts', '--no-clean', '--silent', '--out-dir', join(target, 'dist')];
  const tsup = spawn(join(root, 'node_modules/.bin/tsup'), build, {
    cwd: source,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [exitCode] = await once(tsup, 'exit');
  if (exitCode !== 0) throw new Error(`${name} cannot be built`);
  const { dependencies = {}, peerDependencies = {} }: Record<string, object> = JSON.parse(manifest);
  for (const needed of Object.keys({ ...dependencies, ...peerDependencies })) {
    if (!needed.startsWith('@')) await link(needed, join(source, 'node_modules', needed));
  }
}

/** The command as it is published: without its sources, which the bins of a clone would run. */
async function installCommand(): Promise<void> {
  const target = join(work, 'node_modules/@externalname/cli');
  await cp(join(root, 'packages/cli/bin'), join(target, 'bin'), { recursive: true });
  await cp(join(root, 'packages/cli/package.json'), join(target, 'package.json'));
}

async function millisOf(args: readonly string[]): Promise<number> {
  const started = performance.now();
  const child = spawn(process.execPath, args, { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] });
  const [exitCode] = await once(child, 'exit');
  if (exitCode !== 0) throw new Error(`node ${args.join(' ')} ended with exit code ${exitCode}`);
  return performance.now() - started;
}

async function link(name: string, target: string): Promise<void> {
  try {
    await symlink(target, join(work, 'node_modules', name));
  } catch (error) {
    // Two packages need it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

async function costOf(code: string): Promise<Cost> {
  const type = code.startsWith('import') ? 'module' : 'commonjs';
  const program = `${code}; process.on('exit', () => process.stdout.write(JSON.stringify(process.cpuUsage())));`;
  const started = performance.now();
  const child = spawn(process.execPath, [`--input-type=${type}`, '-e', program], {
    cwd: work,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const [exitCode] = await once(child, 'close');
  const millis = performance.now() - started;
  if (exitCode !== 0) throw new Error(`${code} ended with exit code ${exitCode}`);
  const { user, system }: NodeJS.CpuUsage = JSON.parse(printed);
  return { millis, cpuMillis: (user + system) / 1000 };
}

function print(measured: ReadonlyMap<string, readonly Cost[]>, ended: ReadonlyMap<string, readonly number[]>): void {
  const loaded = Object.fromEntries(
    programs.map(({ label, how }) => {
      const costs = measured.get(label) ?? [];
      const peers = measured.get(how === 'require' ? `require('pg')` : `import 'pg'`) ?? [];
      const ratio = (of: keyof Cost) =>
        median(costs.map((cost, round) => cost[of] / (peers[round]?.[of] ?? Number.NaN)));
      const figures = {
        ms: Math.round(median(costs.map(({ millis }) => millis))),
        'times pg': hundredths(ratio('millis')),
        'cpu ms': Math.round(median(costs.map(({ cpuMillis }) => cpuMillis))),
        'cpu, times pg': hundredths(ratio('cpuMillis')),
      };
      return [label, figures];
    }),
  );
  const bareMillis = ended.get(bare) ?? [];
  const started = [...ended].map(([label, times]) => {
    const ratio = median(times.map((time, round) => time / (bareMillis[round] ?? Number.NaN)));
    return [label, { ms: Math.round(median(times)), [`times ${bare}`]: hundredths(ratio) }] as const;
  });
  const report = { ...loaded, ...Object.fromEntries(started) };
  const load = loadavg()[0]?.toFixed(1);
  if (values.json) {
    console.log(JSON.stringify({ load, rounds, report }, null, 2));
    return;
  }
  console.log(`Node ${process.version}, ${cpus().length} cores, load ${load}; ${rounds} rounds`);
  console.table(report);
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
