// `@externalname/kubernetes` alone, as a pod has it: packed, installed with npm into an empty folder without its optional peer
// `@kubernetes/client-node`, measured, compiled against, and used with nothing but a mounted service account. Needs `pnpm build` first,
// and the npm registry for what core depends on.
import { execFile } from 'node:child_process';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
// With client-node it would be 57 MB.
const mostBytes = 2_200_000;

/**
 * Resolves with the size of what was installed.
 *
 * @param folder an empty one
 * @param tarballs of core and of kubernetes, in this order
 */
export async function checkWithoutClientNode(folder: string, tarballs: readonly string[]): Promise<string> {
  const dependencies = Object.fromEntries(tarballs.map((file, index) => [names[index], `file:${file}`]));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], folder);
  const modules = join(folder, 'node_modules');
  if ((await readdir(modules)).includes('@kubernetes')) throw new Error('npm installed @kubernetes/client-node');
  const bytes = await sizeOf(modules);
  if (bytes >= mostBytes)
    throw new Error(`the installed folder has ${bytes} bytes; it must have fewer than ${mostBytes}`);
  await writeFile(join(folder, 'types.mts'), typesProgram);
  const typeRoots = join(root, 'node_modules/@types');
  const options = [
    '--strict',
    '--noEmit',
    '--module',
    'node16',
    '--target',
    'es2022',
    '--lib',
    'es2023,esnext.disposable',
  ];
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, ...options, '--typeRoots', typeRoots, '--types', 'node', 'types.mts'], folder);
  await writeFile(join(folder, 'pod.mjs'), podProgram);
  await run(process.execPath, ['pod.mjs'], folder);
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

const names = ['@externalname/core', '@externalname/kubernetes'];

const typesProgram = `
import { kubernetesSource, switchTarget, type KubeConfigLike, type SwitchReport } from '@externalname/kubernetes';
declare const kubeConfig: KubeConfigLike;
export const source = kubernetesSource({ service: 'webscaler-db', kubeConfig });
export const report: Promise<SwitchReport> = switchTarget({ service: 'a', to: 'b.example.com', allowedTargets: 'any' });
`;

// A user who logs in by an exec plugin is told what to install; a plain token needs nothing.
const podProgram = `
import { createServer } from 'node:http';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { kubernetesSource } from '@externalname/kubernetes';

const service = {
  kind: 'Service',
  metadata: { name: 'webscaler-db', namespace: 'default', resourceVersion: '1' },
  spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
};
const server = createServer((_, response) => response.end(JSON.stringify(service))).listen(0, '127.0.0.1');
await once(server, 'listening');
const config = (scheme, user) => JSON.stringify({
  clusters: [{ name: 'c', cluster: { server: scheme + '://127.0.0.1:' + server.address().port } }],
  users: [{ name: 'u', user }],
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  'current-context': 'x',
});
await writeFile('token.json', config('http', { token: 'secret' }));
const source = kubernetesSource({ service: 'webscaler-db.default', kubeConfig: 'token.json' });
const { externalName } = await source.current();
if (externalName !== 'primary-db.example.com') throw new Error(externalName);
await source.close();

const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: 'true', interactiveMode: 'Never' };
await writeFile('exec.json', config('https', { exec }));
const plugged = kubernetesSource({ service: 'webscaler-db.default', kubeConfig: 'exec.json' });
const error = await plugged.current().then(() => undefined, (failure) => failure);
await plugged.close();
if (error?.code !== 'ERR_EXTERNALNAME_KUBERNETES_CONFIG' || !/npm install @kubernetes\\/client-node@1/.test(error.message)) {
  throw new Error('not the error that says what to install', { cause: error });
}
server.close();
`;

/** The bytes of all files in a folder. */
export async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true });
  const sizes = entries.map((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sizeOf(path) : stat(path).then(({ size }) => size);
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  // The settings of the pnpm that runs this script are not for the npm that a user has.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name)));
  return new Promise((done, failed) => {
    execFile(program, args, { cwd, env }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else failed(new Error(`${program} ${args.join(' ')}\n${stdout}${stderr}`));
    });
  });
}
