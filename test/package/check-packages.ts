// What a user gets from the registry, tried before it is there: every package is packed, its manifest and types are
// linted, and all of them are installed with npm into an empty folder, where a program uses them from ESM and from CJS.
// Needs `pnpm build` first, and the npm registry for what the packages depend on.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { styleText } from 'node:util';

const root = resolve(import.meta.dirname, '../..');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly exports: Exports;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}
type Exports = Readonly<Record<string, string | Readonly<Record<string, unknown>>>>;

interface Packed {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly tarball: string;
}

async function main(): Promise<void> {
  const started = performance.now();
  const work = await mkdtemp(join(tmpdir(), 'externalname-packages-'));
  try {
    const packed = await step('pack', () => pack(work));
    for (const each of packed) {
      await step(`manifest of ${each.manifest.name}`, () => checkManifest(each));
      await step(`publint ${each.manifest.name}`, () => run('publint', ['run', each.tarball, '--strict'], root));
      await step(`types of ${each.manifest.name}`, () => checkTypes(each));
    }
    const consumer = join(work, 'consumer');
    await step('install in an empty folder with npm', () => install(consumer, packed));
    await step('compile against them (strict, ESM and CJS)', () => compile(consumer, packed));
    await step('run from ESM', () => run('node', ['usage.mjs'], consumer));
    await step('run from CJS', () => run('node', ['usage.cjs'], consumer));
    await step('ESM and CJS side by side', () => run('node', ['side-by-side.mjs', ...entries(packed)], consumer));
    await step("the guide's failover test with vitest", () => rehearse(consumer, 'failover.test.ts'));
    await step("the guide's failover test with node:test", () => rehearse(consumer, 'failover.test.mjs'));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  console.log(`packages are fit to publish (${seconds(started)})`);
}

async function pack(work: string): Promise<readonly Packed[]> {
  const packed: Packed[] = [];
  for (const name of await readdir(join(root, 'packages'))) {
    const folder = join(root, 'packages', name);
    if ((await readManifest(folder)).private) continue;
    if (!(await readdir(folder)).includes('dist')) fail(`packages/${name}/dist is missing: run \`pnpm build\` first`);
    const output = await run('pnpm', ['pack', '--json', '--pack-destination', work], folder);
    const { filename }: { filename: string } = JSON.parse(output);
    await mkdir(join(work, name));
    await run('tar', ['-xzf', filename, '-C', join(work, name)], work);
    const unpacked = join(work, name, 'package');
    packed.push({ folder: unpacked, manifest: await readManifest(unpacked), tarball: filename });
  }
  return packed;
}

/** The rules of this workspace that publint does not know. */
async function checkManifest({ folder, manifest }: Packed): Promise<void> {
  const source = await readManifest(join(root, 'packages', basename(manifest.name)));
  const conditions = JSON.stringify(manifest.exports);
  if (conditions.includes('/source')) fail('the source condition is still in `exports`: see `publishConfig.exports`');
  if (conditions !== JSON.stringify(withoutSource(source.exports))) {
    fail('`publishConfig.exports` and `exports` differ by more than the source condition');
  }
  for (const [name, range] of Object.entries({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    if (/^(workspace|file|link):/.test(range)) fail(`depends on ${name} as ${range}, which no user can install`);
    if (name.startsWith('@externalname/') && range !== manifest.version) {
      fail(`depends on ${name} ${range}; the packages are published in lockstep, so it must be ${manifest.version}`);
    }
  }
  const files = await readdir(folder, { recursive: true });
  for (const file of ['README.md', 'LICENSE']) if (!files.includes(file)) fail(`${file} is not in the tarball`);
  const stray = files.filter((file) => /^src\b|\.test\.|tsconfig|tsup/.test(file));
  if (stray.length > 0) fail(`not for users, but in the tarball: ${stray.join(', ')}`);
  for (const file of files.filter((name) => /\.d\.c?ts$/.test(name))) {
    const text = await readFile(join(folder, file), 'utf8');
    const dangling = /from '\.[^']*(?<!\.d)\.ts'/.exec(text);
    if (dangling) fail(`${file} imports a source file: ${dangling[0]}`);
  }
  await checkLicences(folder, files);
}

/** A package whose code was copied into the build must have its licence in the tarball. */
async function checkLicences(folder: string, files: readonly string[]): Promise<void> {
  const copied = new Set<string>();
  for (const file of files.filter((name) => name.endsWith('.map'))) {
    const { sources }: { sources: readonly string[] } = JSON.parse(await readFile(join(folder, file), 'utf8'));
    for (const source of sources) {
      const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
      if (name !== undefined) copied.add(name);
    }
  }
  const known = files.includes('THIRD-PARTY-LICENSES')
    ? await readFile(join(folder, 'THIRD-PARTY-LICENSES'), 'utf8')
    : '';
  const missing = [...copied].filter((name) => !known.includes(`== ${name}\n`));
  if (missing.length > 0) fail(`the build carries ${missing.join(', ')}: add their licences to THIRD-PARTY-LICENSES`);
}

function withoutSource(exports: Exports): Exports {
  return Object.fromEntries(
    Object.entries(exports).map(([entry, target]) => {
      if (typeof target === 'string') return [entry, target];
      return [
        entry,
        Object.fromEntries(Object.entries(target).filter(([condition]) => !condition.endsWith('/source'))),
      ];
    }),
  );
}

async function checkTypes({ manifest, tarball }: Packed): Promise<void> {
  // The main entry also serves TypeScript's old `node` resolution, which reads `main` and `types` and knows no other entry.
  const others = Object.keys(manifest.exports).filter((entry) => entry !== '.' && entry !== './package.json');
  const exclude = others.length > 0 ? ['--exclude-entrypoints', ...others] : [];
  await run('attw', [tarball, '--profile', 'strict', ...exclude], root);
  if (others.length > 0) await run('attw', [tarball, '--profile', 'node16', '--entrypoints', ...others], root);
}

async function install(consumer: string, packed: readonly Packed[]): Promise<void> {
  await mkdir(consumer);
  const { devDependencies: tools = {} } = await readManifest(root);
  // A user brings what the packages have as peers, in the versions that the workspace tests with, and a compiler.
  const brought = Object.fromEntries(
    packed.flatMap(({ manifest }) =>
      Object.entries(manifest.peerDependencies ?? {}).map(([name, range]) => [
        name,
        manifest.devDependencies?.[name] ?? range,
      ]),
    ),
  );
  const dependencies = {
    ...brought,
    ...Object.fromEntries(packed.map(({ manifest, tarball }) => [manifest.name, `file:${tarball}`])),
    typescript: tools['typescript'],
    '@types/node': tools['@types/node'],
    vitest: tools['vitest'],
  };
  await writeFile(join(consumer, 'package.json'), JSON.stringify({ private: true, dependencies }, null, 2));
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], consumer);
}

async function compile(consumer: string, packed: readonly Packed[]): Promise<void> {
  const source = join(import.meta.dirname, 'consumer');
  await cp(join(source, 'tsconfig.json'), join(consumer, 'tsconfig.json'));
  await cp(join(source, 'side-by-side.mjs'), join(consumer, 'side-by-side.mjs'));
  // One program, in both formats.
  await cp(join(source, 'usage.ts'), join(consumer, 'usage.mts'));
  await cp(join(source, 'usage.ts'), join(consumer, 'usage.cts'));
  // What the READMEs show must at least compile.
  for (const { folder, manifest } of packed) {
    const readme = await readFile(join(folder, 'README.md'), 'utf8');
    for (const [index, match] of [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].entries()) {
      await writeFile(
        join(consumer, `readme-${basename(manifest.name)}-${index + 1}.mts`),
        `${match[1]}\nexport {};\n`,
      );
    }
  }
  await run('node', ['node_modules/typescript/bin/tsc', '--project', '.'], consumer);
  // Applications that began before TypeScript knew `exports` still compile like this.
  await cp(join(source, 'usage.ts'), join(consumer, 'older/usage.ts'));
  await cp(join(source, 'tsconfig.older.json'), join(consumer, 'older/tsconfig.json'));
  await run('node', ['node_modules/typescript/bin/tsc', '--project', 'older'], consumer);
}

/** Runs a test that docs/guides/postgres-pair.md shows, as a user who copied it would: on real servers, from the tarballs. */
async function rehearse(consumer: string, file: string): Promise<void> {
  const guide = await readFile(join(root, 'docs/guides/postgres-pair.md'), 'utf8');
  const blocks = guide.matchAll(/^```(?:ts|js)\n\/\/ (.*)\n([\s\S]*?)^```$/gm);
  const shown = [...blocks].find(([, name]) => name === file)?.[2];
  if (shown === undefined) fail(`the guide has no block that begins with "// ${file}"`);
  const folder = join(consumer, 'rehearsal');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, file), shown);
  const output = file.endsWith('.ts')
    ? await run('node', ['node_modules/vitest/vitest.mjs', 'run', '--root', folder], consumer)
    : await run('node', ['--test', '--test-reporter=tap', join(folder, file)], consumer);
  if (!/Tests\s+1 passed|^# pass 1$/m.test(output)) fail(`the test of the guide did not run:\n${output}`);
}

function entries(packed: readonly Packed[]): readonly string[] {
  return packed.flatMap(({ manifest }) =>
    Object.keys(manifest.exports)
      .filter((entry) => entry !== './package.json')
      .map((entry) => manifest.name + entry.slice(1)),
  );
}

async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
}

function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const path = `${join(root, 'node_modules/.bin')}:${process.env['PATH']}`;
  // The settings of the pnpm that runs this script are not for the npm that a user has.
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name));
  const env = { ...Object.fromEntries(inherited), PATH: path, NO_COLOR: '1', NODE_NO_WARNINGS: '1' };
  const command = program === 'node' ? process.execPath : program;
  return new Promise((done, failed) => {
    execFile(command, args, { cwd, env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else failed(new CheckFailure(`${program} ${args.join(' ')}\n${stdout}${stderr}${'code' in error ? '' : error}`));
    });
  });
}

class CheckFailure extends Error {}

function fail(message: string): never {
  throw new CheckFailure(message);
}

async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  try {
    const result = await work();
    console.log(`${styleText('green', 'ok')}   ${name} (${seconds(started)})`);
    return result;
  } catch (error) {
    console.log(`${styleText('red', 'fail')} ${name}`);
    throw error;
  }
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof CheckFailure ? error.message : error);
  process.exitCode = 1;
}
