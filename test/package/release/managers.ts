import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, run } from '../steps.ts';

/** A package manager that users have, as the npm registry carries it. */
export interface Manager {
  readonly name: string;
  readonly install: (folder: string) => Promise<unknown>;
  /** How a program of a package in the workspace is run: words before `node`'s own. */
  readonly node: (folder: string, words: readonly string[]) => Promise<string>;
  /** Which files, beside package.json, tell it of a workspace and of the registry of a scope. */
  readonly files: (registry: string) => Readonly<Record<string, string>>;
}

const scope = '@externalname';
// A scope of its own: everything else comes from the registry that this machine uses.
const npmrc = (registry: string) => `${scope}:registry=${registry}\n${registry.replace('http:', '')}:_authToken=none\n`;
const nodeOfFolder = (folder: string, words: readonly string[]) => run('node', words, folder);

export const npm: Manager = {
  name: 'npm',
  install: (folder) => run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], folder),
  node: nodeOfFolder,
  files: (registry) => ({ '.npmrc': npmrc(registry) }),
};

const pnpm: Manager = {
  name: 'pnpm',
  install: (folder) => run('npx', ['-y', 'pnpm@10.34.9', 'install'], folder),
  node: nodeOfFolder,
  files: (registry) => ({ '.npmrc': npmrc(registry), 'pnpm-workspace.yaml': 'packages:\n  - examples/*\n' }),
};

const classicYarn: Manager = {
  name: 'yarn 1',
  install: (folder) => run('npx', ['-y', 'yarn@1.22.22', 'install', '--non-interactive', '--ignore-engines'], folder),
  node: nodeOfFolder,
  files: (registry) => ({ '.npmrc': npmrc(registry) }),
};

const yarn: Manager = {
  name: "yarn 4 with Plug'n'Play",
  install: async (folder) => {
    const said = await run('npx', [...yarnCommand, 'install'], folder);
    // The others bring the peer of a dependency by themselves, or say nothing of it.
    const missing = said.match(/^.*doesn't provide.*$/gm) ?? [];
    if (missing.length > 0) fail(missing.join('\n'));
  },
  node: (folder, words) => run('npx', [...yarnCommand, 'node', ...words], folder),
  files: (registry) => ({
    'yarn.lock': '',
    '.yarnrc.yml': [
      'enableTelemetry: false',
      // It waits some days with what is new.
      `npmPreapprovedPackages: ['${scope}/*']`,
      'enableScripts: false',
      // What it knows of a registry is no longer true of the next one on the same port.
      'globalFolder: ./.yarn/global',
      'unsafeHttpWhitelist: [127.0.0.1]',
      `npmScopes: { externalname: { npmRegistryServer: '${registry}' } }`,
      '',
    ].join('\n'),
  }),
};
const yarnCommand = ['-y', '--package=@yarnpkg/cli-dist@4.18.1', 'yarn'];

export const managers: readonly Manager[] = [npm, pnpm, classicYarn, yarn];

/** Makes a folder that a manager installs in. */
export async function prepareFolder(folder: string, manager: Manager, registry: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(manager.files(registry))) await writeFile(join(folder, name), text);
}

/** Publishes a tarball, as the workflow `release` does it, to the registry of this machine. */
export async function publish(folder: string, tarball: string): Promise<void> {
  await run('npm', ['publish', tarball, '--access', 'public', '--loglevel=error'], folder);
}
