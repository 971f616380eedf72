// Every package by itself, in an empty folder, as npm installs it: what it imports must come with it, and all that comes with it must be
// free to use. https://spdx.org/licenses/
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { entries, type Packed } from '../packed.ts';
import { run } from '../steps.ts';
import { sizeOf } from '../without-client-node.ts';
import { npm, prepareFolder } from './managers.ts';

/** What one package brings into an empty folder. */
export interface Installed {
  readonly bytes: number;
  /** How many packages, itself included. */
  readonly packages: number;
  /** By licence, the packages that have it. */
  readonly licences: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Licences that ask for no more than to be named. */
const allowed = new Set([
  'MIT',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
  'Python-2.0',
  'PostgreSQL',
]);

/** Optional peers without which an entry cannot be imported: a user has the one whose entry it imports. */
const chosen: Readonly<Record<string, readonly string[]>> = {
  prometheus: ['prom-client', '@opentelemetry/api', '@opentelemetry/sdk-metrics'],
};

interface Lock {
  readonly packages: Readonly<Record<string, { readonly license?: string; readonly optional?: boolean }>>;
}

/** Installs a package with what it must have, and imports each of its entries. */
export async function installAlone(work: string, packed: Packed, registry: string): Promise<Installed> {
  const { name, version, peerDependencies = {} } = packed.manifest;
  const folder = join(work, `alone-${basename(name)}`);
  await prepareFolder(folder, npm, registry);
  const peers = (chosen[basename(name)] ?? []).map((peer) => [peer, peerDependencies[peer]]);
  const dependencies = { [name]: version, ...Object.fromEntries(peers) };
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
  await npm.install(folder);
  for (const entry of entries([packed])) {
    await run('node', ['--input-type=module', '-e', `await import('${entry}')`], folder);
    await run('node', ['--input-type=commonjs', '-e', `require('${entry}')`], folder);
  }
  const lock = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8')) as Lock;
  const licences = new Map<string, Set<string>>();
  for (const [path, { license = 'none' }] of Object.entries(lock.packages)) {
    if (path === '') continue;
    const dependency = path.replace(/^.*node_modules\//, '');
    licences.set(license, (licences.get(license) ?? new Set()).add(dependency));
  }
  return {
    bytes: await sizeOf(join(folder, 'node_modules')),
    packages: Object.keys(lock.packages).length - 1,
    licences,
  };
}

/** The packages whose licence is not one of those that are allowed, each with its licence. */
export function refusedLicences(installed: readonly Installed[]): readonly string[] {
  return [...licencesOf(installed)]
    .filter(([licence]) => !isAllowed(licence))
    .flatMap(([licence, names]) => [...names].map((name) => `${name}: ${licence}`));
}

/** By licence, the packages of all installations that have it. */
export function licencesOf(installed: readonly Installed[]): ReadonlyMap<string, ReadonlySet<string>> {
  const all = new Map<string, Set<string>>();
  for (const { licences } of installed) {
    for (const [licence, names] of licences) all.set(licence, new Set([...(all.get(licence) ?? []), ...names]));
  }
  return all;
}

/** `(MIT OR GPL-3.0)` may be taken as MIT; of `MIT AND ISC` both must be allowed. */
export function isAllowed(licence: string): boolean {
  const terms = licence.replaceAll(/[()]/g, '').split(' OR ');
  return terms.some((term) => term.split(' AND ').every((each) => allowed.has(each.trim())));
}
