// What a user gets from the registry, tried before it is there: every package is packed, its manifest and types are
// linted, and all of them are installed with npm into an empty folder, where a program uses them from ESM and from CJS.
// Needs `pnpm build` first, and the npm registry for what the packages depend on.
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { applications, fromClone, inFolder, rehearse, start } from './guide-checks.ts';
import { checkManifest, checkPage } from './manifest-checks.ts';
import { entries, type Packed, pack, readManifest } from './packed.ts';
import { fail, program, root, run, seconds, step } from './steps.ts';
import { checkWithoutClientNode } from './without-client-node.ts';

/** Checks all that was packed into a folder. */
export async function checkPackages(work: string, packed: readonly Packed[]): Promise<void> {
  for (const each of packed) {
    await step(`manifest of ${each.manifest.name}`, () => checkManifest(each));
    await step(`page of ${each.manifest.name}`, () => checkPage(each));
    await step(`publint ${each.manifest.name}`, () => run('publint', ['run', each.tarball, '--strict'], root));
    // A program has no face.
    if (entries([each]).length > 0) await step(`types of ${each.manifest.name}`, () => checkTypes(each));
  }
  const consumer = join(work, 'consumer');
  await step('install in an empty folder with npm', () => install(consumer, packed));
  await step('compile against them (strict: node16 as ESM and CJS, bundler, and CommonJS by node10)', () =>
    compile(consumer, packed),
  );
  await step('run from ESM', () => run('node', ['usage.mjs'], consumer));
  await step('run from CJS', () => run('node', ['usage.cjs'], consumer));
  await step('ESM and CJS side by side', () => run('node', ['side-by-side.mjs', ...entries(packed)], consumer));
  await step('kubernetes alone, without its optional peer', () => withoutClientNode(work, packed));
  await step('the command in a clone', () => inFolder(root, 'in the clone'));
  for (const [manager, how] of applications) await step(`from a clone, ${how}`, () => fromClone(work, manager, how));
  await step('from an empty folder to the first failover, as docs/start.md says', () => start(work));
  await step("the guide's failover test with vitest", () => rehearse(consumer, 'failover.test.ts'));
  await step("the guide's failover test with node:test", () => rehearse(consumer, 'failover.test.mjs'));
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
  // What a bundler takes, and applications that began before TypeScript knew `exports`.
  for (const resolution of ['bundler', 'older']) {
    await cp(join(source, 'usage.ts'), join(consumer, resolution, 'usage.ts'));
    await cp(join(source, `tsconfig.${resolution}.json`), join(consumer, resolution, 'tsconfig.json'));
    await run('node', ['node_modules/typescript/bin/tsc', '--project', resolution], consumer);
  }
}

async function main(): Promise<void> {
  const started = performance.now();
  const work = await mkdtemp(join(tmpdir(), 'externalname-packages-'));
  try {
    await checkPackages(work, await step('pack', () => pack(work)));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  console.log(`packages are fit to publish (${seconds(started)})`);
}

if (process.argv[1] === import.meta.filename) await program(main);
