// The tarballs of all packages, as they are published: `pnpm tarballs <folder>`. pnpm packs them; their pages on a registry are given
// the address of the repository, where the releaser's is, and links that hold there. Needs `pnpm build` first.
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { linksToRepository, repositoryAddress } from './package-page.ts';

const root = resolve(import.meta.dirname, '../..');

/** A package as it is published. */
export interface Tarball {
  /** Name of its folder in `packages/`. */
  readonly name: string;
  readonly file: string;
}

/**
 * Packs every package that is published into a folder.
 *
 * @param repository `https://host/owner/name`; without it the pages lead to no repository, and their relative links stay.
 */
export async function makeTarballs(folder: string, repository: string | undefined): Promise<readonly Tarball[]> {
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'externalname-tarballs-'));
  try {
    const tarballs: Tarball[] = [];
    for (const name of await readdir(join(root, 'packages'))) {
      const source = join(root, 'packages', name);
      if ((await readManifest(source))['private']) continue;
      if (!(await readdir(source)).includes('dist')) {
        throw new Error(`packages/${name}/dist is missing: run \`pnpm build\` first`);
      }
      // By pnpm, which writes `publishConfig.exports` and the versions of the siblings into the manifest.
      const packed = filenameIn(await run('pnpm', ['pack', '--json', '--pack-destination', work], source));
      await mkdir(join(work, name));
      await run('tar', ['-xzf', packed, '-C', join(work, name)], work);
      const page = join(work, name, 'package');
      if (repository !== undefined) await writePage(page, name, repository);
      const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', work];
      const file = join(folder, basename(packed));
      await cp(join(work, filenameIn(await run('npm', args, page))), file);
      tarballs.push({ name, file });
    }
    return tarballs;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writePage(folder: string, name: string, repository: string): Promise<void> {
  const manifest = await readManifest(folder);
  const directory = `packages/${name}`;
  const page = {
    repository: { type: 'git', url: `git+${repository}.git`, directory },
    homepage: `${repository}/tree/main/${directory}#readme`,
    bugs: { url: `${repository}/issues` },
  };
  await writeFile(join(folder, 'package.json'), `${JSON.stringify({ ...manifest, ...page }, null, 2)}\n`);
  const readme = await readFile(join(folder, 'README.md'), 'utf8');
  // Of this version, so that a page does not speak of what came later.
  const base = `${repository}/blob/v${String(manifest['version'])}`;
  await writeFile(join(folder, 'README.md'), linksToRepository(readme, { base, directory }));
}

async function readManifest(folder: string): Promise<Readonly<Record<string, unknown>>> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
}

// Of pnpm an object, of npm a list of one.
function filenameIn(output: string): string {
  const [first]: { filename: string }[] = [JSON.parse(output)].flat();
  if (first === undefined) throw new Error(`nothing was packed: ${output}`);
  return first.filename;
}

function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  // The settings of the pnpm that runs this script are not for npm.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name)));
  return new Promise((done, failed) => {
    execFile(program, args, { cwd, env }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else failed(new Error(`${program} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error }));
    });
  });
}

async function main([folder, ...more]: readonly string[]): Promise<void> {
  if (folder === undefined || more.length > 0) {
    console.error('where to? Name a folder: pnpm tarballs ../externalname-tarballs');
    process.exitCode = 2;
    return;
  }
  const repository = await repositoryAddress(root);
  const target = resolve(folder);
  const tarballs = await makeTarballs(target, repository);
  console.log(
    repository === undefined
      ? 'The address of the repository is not known here, so the pages of these packages do not name it: not for a release.'
      : `The pages of these packages lead to ${repository}`,
  );
  console.log('Install all that you use in one command, as each needs its siblings:\n');
  console.log(`  npm install ${tarballs.map(({ file }) => file).join(' ')}`);
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
