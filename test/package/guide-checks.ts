// What pages say to do with the packages, done to the letter, from the tarballs.
import { mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail, root, run } from './steps.ts';

/** Runs a test that docs/guides/postgres-pair.md shows, as a user who copied it would: on real servers, from the tarballs. */
export async function rehearse(consumer: string, file: string): Promise<void> {
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
export const applications = [
  ['npm', 'in the application, with npm'],
  ['pnpm', 'in the application, with pnpm'],
  ['npm', 'in the application, with npm, as links'],
  ['pnpm', 'in the application, with pnpm, as links'],
] as const;

/** An application beside a clone and its tarballs, installed as the guide says, uses the library and the command. */
export async function fromClone(work: string, manager: 'npm' | 'pnpm', how: string): Promise<void> {
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
export async function start(work: string): Promise<void> {
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

export async function inFolder(folder: string, how: string): Promise<void> {
  await run('sh', ['-e', '-c', await blockOfGuide('sh', how)], folder);
}

async function blockOfGuide(language: string, firstLine: string): Promise<string> {
  const guide = await readFile(join(root, 'docs/guides/from-a-clone.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```(\w+)\n# (.*)\n([\s\S]*?)^```$/gm)];
  const block = blocks.find(([, found, line]) => found === language && line === firstLine)?.[3];
  if (block === undefined) fail(`the guide has no block of ${language} that begins with "# ${firstLine}"`);
  return block;
}
