import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryAddress } from './package-page.ts';
import { root, run } from './steps.ts';
import { makeTarballs } from './tarballs.ts';

// In a clone that does not know it, any address serves to see whether the pages lead to it.
export const repository: string =
  (await repositoryAddress(root)) ?? 'https://repository.example/externalname/externalname';

export interface Manifest {
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
export type Exports = Readonly<Record<string, string | Readonly<Record<string, unknown>>>>;

export interface Packed {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly tarball: string;
}

/** Packs every package into `tarballs` of a folder, and unpacks each beside it. */
export async function pack(work: string): Promise<readonly Packed[]> {
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

/** What a user can import: every entry of every package. */
export function entries(packed: readonly Packed[]): readonly string[] {
  return packed.flatMap(({ manifest }) =>
    Object.keys(manifest.exports)
      .filter((entry) => entry !== './package.json')
      .map((entry) => manifest.name + entry.slice(1)),
  );
}

export async function readManifest(folder: string): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
}
