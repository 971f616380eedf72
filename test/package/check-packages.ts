// What a user gets from the registry, tried before it is there: every package is packed, its manifest and types are
// linted, and all of them are installed with npm into an empty folder, where a program uses them from ESM and from CJS.
// Needs `pnpm build` first, and the npm registry for what the packages depend on.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { styleText } from 'node:util';
import { repositoryAddress } from './package-page.ts';
import { makeTarballs } from './tarballs.ts';
import { checkWithoutClientNode } from './without-client-node.ts';

const root = resolve(import.meta.dirname, '../..');
// In a clone that does not know it, any address serves to see whether the pages lead to it.
const repository = (await repositoryAddress(root)) ?? 'https://repository.example/externalname/externalname';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description?: string;
  readonly keywords?: readonly string[];
  readonly repository?: { readonly type: string; readonly url: string; readonly directory: string };
  readonly homepage?: string;
  readonly bugs?: { readonly url: string };
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
      await step(`page of ${each.manifest.name}`, () => checkPage(each));
      await step(`publint ${each.manifest.name}`, () => run('publint', ['run', each.tarball, '--strict'], root));
      // A program has no face.
      if (entries([each]).length > 0) await step(`types of ${each.manifest.name}`, () => checkTypes(each));
    }
    const consumer = join(work, 'consumer');
    await step('install in an empty folder with npm', () => install(consumer, packed));
    await step('compile against them (strict, ESM and CJS)', () => compile(consumer, packed));
    await step('run from ESM', () => run('node', ['usage.mjs'], consumer));
    await step('run from CJS', () => run('node', ['usage.cjs'], consumer));
    await step('ESM and CJS side by side', () => run('node', ['side-by-side.mjs', ...entries(packed)], consumer));
    await step('kubernetes alone, without its optional peer', () => withoutClientNode(work, packed));
    await step('the command in a clone', () => inFolder(root, 'in the clone'));
    for (const [manager, how] of applications) await step(`from a clone, ${how}`, () => fromClone(work, manager, how));
    await step('from an empty folder to the first failover, as docs/start.md says', () => start(work));
    await step("the guide's failover test with vitest", () => rehearse(consumer, 'failover.test.ts'));
    await step("the guide's failover test with node:test", () => rehearse(consumer, 'failover.test.mjs'));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  console.log(`packages are fit to publish (${seconds(started)})`);
}

async function pack(work: string): Promise<readonly Packed[]> {
  const tarballs = await makeTarballs(join(work, 'tarballs'), repository);
  return Promise.all(
    tarballs.map(async ({ name, file }) => {
      await mkdir(join(work, name));
      await run('tar', ['-xzf', file, '-C', join(work, name)], work);
      const folder = join(work, name, 'package');
      return { folder, manifest: await readManifest(folder), tarball: file };
    }),
  );
}

/** What a registry shows of a package. */
async function checkPage({ folder, manifest }: Packed): Promise<void> {
  const directory = `packages/${basename(manifest.name)}`;
  if (!manifest.description) fail('has no `description`');
  if ((manifest.keywords ?? []).length < 5) fail('has fewer than five `keywords`');
  if (manifest.repository?.url !== `git+${repository}.git`) fail('`repository` does not say where the repository is');
  if (manifest.repository.directory !== directory) fail(`\`repository.directory\` is not ${directory}`);
  if (!manifest.homepage?.startsWith(repository)) fail('`homepage` does not lead to the repository');
  if (!manifest.bugs?.url.startsWith(repository)) fail('`bugs` does not lead to the repository');
  const prose = (await readFile(join(folder, 'README.md'), 'utf8')).replace(/^```[\s\S]*?^```/gm, '');
  for (const [, link = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^(#|https:)/.test(link) === false) fail(`README.md has a link that holds in the repository only: ${link}`);
    if (!link.startsWith(repository)) continue;
    const [path = ''] = link.slice(`${repository}/blob/v${manifest.version}/`.length).split('#');
    if (!existsSync(join(root, path))) fail(`README.md leads to what is not in the repository: ${link}`);
  }
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
  // What is built is not minified, and keeps its names and files: a map would be larger than what it maps.
  const stray = files.filter((file) => /^src\b|\.test\.|\.map$|tsconfig|tsup/.test(file));
  if (stray.length > 0) fail(`not for users, but in the tarball: ${stray.join(', ')}`);
  for (const file of files.filter((name) => /\.d\.c?ts$/.test(name))) {
    const text = await readFile(join(folder, file), 'utf8');
    const dangling = /from '\.[^']*(?<!\.d)\.ts'/.exec(text);
    if (dangling) fail(`${file} imports a source file: ${dangling[0]}`);
    const missing = packagesOf(text).filter((name) => !isInstalled(name, manifest));
    if (missing.length > 0) fail(`${file} has types of ${missing.join(', ')}, which a user need not have`);
  }
  await checkLicences(folder, files);
}

/** The packages that a text imports from, in declarations also by `import('name')`. */
function packagesOf(text: string): readonly string[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '');
  const specifiers = code.matchAll(/(?:\bfrom |\bimport |\bimport\(|\brequire\()'([^'.][^']*)'/g);
  const names = [...specifiers].map(([, specifier = '']) => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '');
  return [...new Set(names.filter((name) => !name.startsWith('node:')))];
}

/** Whether everyone who installs the package has the other one too: `undici-types` and the like come with @types/node. */
function isInstalled(name: string, { dependencies, peerDependencies }: Manifest): boolean {
  return [name, `@types/${name}`].some((each) => each in { ...dependencies, ...peerDependencies });
}

/** A package whose code or types were copied into the build must have its licence in the tarball. */
async function checkLicences(folder: string, files: readonly string[]): Promise<void> {
  const copied = new Set<string>();
  for (const file of files.filter((name) => /\.(?:c?js|d\.c?ts)$/.test(name))) {
    const text = await readFile(join(folder, file), 'utf8');
    if (text.includes('sourceMappingURL')) fail(`${file} names a source map, which is not in the tarball`);
    // The bundler writes the name of each file above what it took from it.
    for (const [, source = ''] of text.matchAll(/^\/\/ (\S+)$/gm)) {
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

/** What only has a source, such as support for tests, is not published. */
function withoutSource(exports: Exports): Exports {
  return Object.fromEntries(
    Object.entries(exports).flatMap(([entry, target]): [string, Exports[string]][] => {
      if (typeof target === 'string') return [[entry, target]];
      const published = Object.entries(target).filter(([condition]) => !condition.endsWith('/source'));
      return published.length > 0 ? [[entry, Object.fromEntries(published)]] : [];
    }),
  );
}

async function checkTypes({ manifest, tarball }: Packed): Promise<void> {
  // The public entries also serve TypeScript's old `node` resolution, which reads `main`, `types` and `typesVersions`.
  const others = Object.keys(manifest.exports).filter((entry) => entry.startsWith('./internal'));
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

async function withoutClientNode(work: string, packed: readonly Packed[]): Promise<void> {
  const folder = join(work, 'without-client-node');
  await mkdir(folder);
  const of = (name: string) => packed.find(({ manifest }) => manifest.name === name)?.tarball ?? fail(`no ${name}`);
  const tarballs = ['@externalname/core', '@externalname/kubernetes'].map(of);
  console.log(`     installed: ${await checkWithoutClientNode(folder, tarballs)}`);
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

/** What docs/guides/from-a-clone.md says to do in an application, and for which package manager. */
const applications = [
  ['npm', 'in the application, with npm'],
  ['pnpm', 'in the application, with pnpm'],
  ['npm', 'in the application, with npm, as links'],
  ['pnpm', 'in the application, with pnpm, as links'],
] as const;

/** An application beside a clone and its tarballs, installed as the guide says, uses the library and the command. */
async function fromClone(work: string, manager: 'npm' | 'pnpm', how: string): Promise<void> {
  const place = await besideClone(work);
  const application = join(place, 'application');
  await mkdir(application);
  await writeFile(join(application, 'package.json'), '{ "private": true }');
  if (manager === 'pnpm' && !how.endsWith('as links')) {
    await writeFile(join(application, 'pnpm-workspace.yaml'), await blockOfGuide('yaml', 'pnpm-workspace.yaml'));
  }
  await inFolder(application, how);
  const program = `import { Pool } from '@externalname/pg'; await new Pool({ host: 'localhost' }).end();`;
  await run('node', ['--input-type=module', '-e', program], application);
  const usage = await run(join(application, 'node_modules/.bin/local-cluster'), ['--help'], application);
  if (!usage.startsWith('Usage: local-cluster')) fail(`local-cluster --help printed:\n${usage}`);
}

/** An empty folder, in which the page is followed to the letter: only the registry is a folder of tarballs. */
async function start(work: string): Promise<void> {
  const page = await readFile(join(root, 'docs/start.md'), 'utf8');
  const [install, program, command] = [...page.matchAll(/^```(?:sh|js)\n([\s\S]*?)^```$/gm)].map(
    ([, code = '']) => code,
  );
  const place = await besideClone(work);
  // The first line makes the folder. The others name packages that are on no registry yet: the page says so, and where the way is.
  await run('sh', ['-e', '-c', install?.split('\n')[0] ?? ''], place);
  const folder = join(place, 'first-failover');
  await inFolder(folder, 'in the application, with npm');
  const [, name = ''] =
    /^\/\/ (\S+)\n/.exec(program ?? '') ?? fail('docs/start.md has no program that begins with its name');
  await writeFile(join(folder, name), program ?? '');
  const output = await run('sh', ['-e', '-c', command ?? ''], folder);
  if (!/\n0 acknowledged orders lost, \d+ writes failed\n$/.test(output))
    fail(`the failover was not survived:\n${output}`);
}

/** A new folder with a clone and its tarballs in it. */
async function besideClone(work: string): Promise<string> {
  const place = await mkdtemp(join(work, 'beside-'));
  await symlink(root, join(place, 'externalname'));
  await symlink(join(work, 'tarballs'), join(place, 'externalname-tarballs'));
  return place;
}

async function inFolder(folder: string, how: string): Promise<void> {
  await run('sh', ['-e', '-c', await blockOfGuide('sh', how)], folder);
}

async function blockOfGuide(language: string, firstLine: string): Promise<string> {
  const guide = await readFile(join(root, 'docs/guides/from-a-clone.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```(\w+)\n# (.*)\n([\s\S]*?)^```$/gm)];
  const block = blocks.find(([, found, line]) => found === language && line === firstLine)?.[3];
  if (block === undefined) fail(`the guide has no block of ${language} that begins with "# ${firstLine}"`);
  return block;
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
