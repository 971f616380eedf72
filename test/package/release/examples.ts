// The examples as a user has them: outside of this workspace, without its sources, with what a registry gives.
import { spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { readManifest } from '../packed.ts';
import { fail, root, run, step } from '../steps.ts';
import { type Manager, prepareFolder } from './managers.ts';

/** A program of an example, and what it prints if it showed what it shows. */
interface Example {
  readonly program?: string;
  readonly parameters?: readonly string[];
  readonly prints: RegExp;
  /** Tried with every package manager, as it is quick and has a package of its own. The others are tried with the first alone. */
  readonly everywhere?: boolean;
}

const examples: Readonly<Record<string, Example>> = {
  webscaler: { parameters: ['--json'], prints: /"held":true/ },
  'configuration-centralisation': { prints: /All 10 moved .* 0 lost, 0 failed\./ },
  dns: { prints: /from the cache/, everywhere: true },
  httpbin: { prints: /refused target evil\.example\.org/, everywhere: true },
  hybrid: { parameters: ['2'], prints: /0 failed, 0 lost, 0 stored twice/, everywhere: true },
  'local-cluster': { program: 'src/failover.node.ts', prints: /^. fail 0$/m, everywhere: true },
  manifests: { prints: /externalName: httpbin\.org/ },
  migration: { prints: /POST: 0 dropped/ },
  'multi-cloud-reads': { parameters: ['2'], prints: /# Both are back\n.*, 0 failed;/ },
  'own-wrapper': { prints: /the counter is \d+\. 0 failed/ },
  switch: { prints: /webscaler-db points to primary-db\.example\.com\n$/, everywhere: true },
  transactions: { prints: /moneyAfter +│ 2000/ },
};

/** Copies all examples into a folder as one workspace of a package manager, and installs what they need. */
export async function installExamples(folder: string, manager: Manager, registry: string): Promise<void> {
  await prepareFolder(folder, manager, registry);
  const { version } = await readManifest(join(root, 'packages/core'));
  const { devDependencies: tools = {} } = await readManifest(root);
  const taken = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, tools[name]]));
  const workspace = { private: true, type: 'module', workspaces: ['examples/*'] };
  await writeJson(folder, { ...workspace, devDependencies: taken(['typescript', '@types/node', 'tsx']) });
  await cp(join(root, 'examples'), join(folder, 'examples'), {
    recursive: true,
    filter: (path) => basename(path) !== 'node_modules',
  });
  for (const name of await readdir(join(folder, 'examples'))) {
    const example = join(folder, 'examples', name);
    const manifest = JSON.parse(
      (await readFile(join(example, 'package.json'), 'utf8')).replaceAll('workspace:*', version),
    ) as { readonly devDependencies?: object };
    // yarn 1 passes over a member of a workspace that has no version.
    await writeJson(example, {
      ...manifest,
      version: '0.0.0',
      devDependencies: { ...manifest.devDependencies, ...taken(['tsx']) },
    });
  }
  await manager.install(folder);
}

/** Compiles the examples against what was installed, as an editor and a bundler would. */
export async function compileExamples(folder: string): Promise<void> {
  const shared = { target: 'ES2022', lib: ['ES2023', 'ESNext.Disposable'], types: ['node'], noEmit: true };
  const strict = { strict: true, exactOptionalPropertyTypes: true, allowImportingTsExtensions: true };
  const ways = {
    node16: { module: 'Node16', moduleResolution: 'Node16' },
    bundler: { module: 'ESNext', moduleResolution: 'Bundler' },
  };
  for (const [name, how] of Object.entries(ways)) {
    const settings = {
      compilerOptions: { ...shared, ...strict, ...how },
      include: ['examples/*/src'],
      exclude: ['**/*.test.ts'],
    };
    await writeFile(join(folder, `tsconfig.${name}.json`), JSON.stringify(settings));
    await run('node', ['node_modules/typescript/bin/tsc', '--project', `tsconfig.${name}.json`], folder);
  }
}

/** Runs the examples that a package manager has installed: all of them, or one for each package. */
export async function runExamples(folder: string, manager: Manager, which: 'all' | 'everywhere'): Promise<void> {
  const names = await readdir(join(folder, 'examples'));
  const unknown = names.filter((name) => !(name in examples) && name !== 'service');
  if (unknown.length > 0) fail(`examples that are not run from the tarballs: ${unknown.join(', ')}`);
  for (const [name, { program = 'src/main.ts', parameters = [], prints, everywhere = false }] of Object.entries(
    examples,
  )) {
    if (which === 'everywhere' && !everywhere) continue;
    await step(`${manager.name}: the example ${name}`, async () => {
      const printed = await manager.node(join(folder, 'examples', name), ['--import', 'tsx', program, ...parameters]);
      if (!prints.test(printed)) fail(`it did not print ${prints}:\n${printed}`);
    });
  }
  if (which === 'all')
    await step(`${manager.name}: the example service`, () => runService(join(folder, 'examples/service')));
}

/** Starts the service, asks whether it is ready, and ends it as a kubelet does. */
async function runService(folder: string): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: folder,
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const deadline = AbortSignal.timeout(60_000);
  try {
    const ended = once(child, 'close', { signal: deadline });
    const lines = on(createInterface(child.stdout), 'line', { signal: deadline, close: ['close'] });
    let url: string | undefined;
    while (url === undefined) {
      const { done, value } = await lines.next();
      if (done) fail('it ended before it listened');
      url = /Listens on (http:\S+)\./.exec(String(value))?.[1];
    }
    const { status } = await fetch(`${url}/readyz`, { signal: deadline });
    if (status !== 200) fail(`/readyz answered ${status}`);
    child.kill('SIGTERM');
    const [code] = (await ended) as [number | null];
    if (code !== 0) fail(`it ended with ${code}`);
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
}

async function writeJson(folder: string, manifest: object): Promise<void> {
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}
