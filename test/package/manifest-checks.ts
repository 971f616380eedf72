// What must hold of every tarball by itself: its manifest, its page on a registry, its files and the licences in it.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Exports, type Manifest, type Packed, readManifest, repository } from './packed.ts';
import { fail, root } from './steps.ts';

/** What a registry shows of a package. */
export async function checkPage({ folder, manifest }: Packed): Promise<void> {
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
export async function checkManifest({ folder, manifest }: Packed): Promise<void> {
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
