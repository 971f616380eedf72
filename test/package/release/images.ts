// The Dockerfiles, played without Docker: their commands run in an empty folder, in their order, with the packages as they will be published.
// What they are beside that (a base that is pinned, a user, sources that are there) is in test/docs/dockerfiles.test.ts.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fail, root, run } from '../steps.ts';
import { npm } from './managers.ts';

export const dockerfiles: readonly string[] = ['examples/service/Dockerfile', 'packages/engines/deploy/Dockerfile'];

/** Does in a folder what a Dockerfile says, and looks whether what it starts is there. */
export async function playDockerfile(dockerfile: string, folder: string, registry: string): Promise<void> {
  await mkdir(join(folder, 'app'), { recursive: true });
  for (const [name, text] of Object.entries(npm.files(registry))) await writeFile(join(folder, name), text);
  const shell = (command: string) => {
    const here = `export HOME='${folder}' npm_config_prefix='${folder}' PATH="${folder}/bin:$PATH"`;
    return run('sh', ['-c', `${here}; ${command}`], join(folder, 'app'));
  };
  for (const [keyword, rest] of await instructions(dockerfile)) {
    if (keyword === 'RUN') await shell(rest);
    if (keyword === 'COPY') await copy(dirname(join(root, dockerfile)), rest.split(' '), join(folder, 'app'));
    if (keyword === 'ENTRYPOINT' || keyword === 'CMD') await look(JSON.parse(rest) as string[], shell);
  }
}

async function instructions(dockerfile: string): Promise<readonly (readonly [keyword: string, rest: string])[]> {
  const text = (await readFile(join(root, dockerfile), 'utf8')).replace(/^#.*\n/gm, '').replace(/\\\n\s*/g, '');
  return [...text.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, keyword = '', rest = '']) => [keyword, rest]);
}

async function copy(from: string, words: readonly string[], to: string): Promise<void> {
  const target = words.at(-1) ?? fail('COPY without a target');
  for (const source of words.slice(0, -1)) await cp(join(from, source), join(to, target, basename(source)));
}

/** A program that is installed says its version; of a source, the packages that it imports are there. The Node.js of this machine may not read TypeScript. */
async function look([program = '', ...words]: readonly string[], shell: (command: string) => Promise<string>) {
  if (program !== 'node') return void (await shell(`${program} --version`));
  const [source = ''] = words;
  const text = await shell(`cat ${join(dirname(source), '*.ts')}`);
  const imported = [...text.matchAll(/from '([^.'][^']*)'/g)].map(([, name = '']) => name);
  if (imported.length === 0) fail(`${source} imports nothing`);
  for (const name of new Set(imported)) await shell(`node --input-type=module -e "await import('${name}')"`);
}
