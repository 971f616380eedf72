import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ApiServers } from './api-servers.ts';
import type { KubeconfigCase } from './cases.ts';

/** A case whose files are written, and what a client has to be told of them. */
export interface PlacedCase extends AsyncDisposable {
  readonly folder: string;
  /** `HOME`, `KUBECONFIG` and what the case sets besides. A variable that is absent must not be set. */
  readonly environment: Readonly<Record<string, string>>;
  /** `--kubeconfig` */
  readonly kubeconfig: string | undefined;
}

/** Every variable that the rules of kubectl speak of; a client starts with none of them but those of its case. */
export const variables = [
  'HOME',
  'KUBECONFIG',
  'KUBERNETES_MASTER',
  'KUBERNETES_SERVICE_HOST',
  'KUBERNETES_SERVICE_PORT',
  'POD_NAMESPACE',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
];

/** Writes the files of a case into a folder of its own. */
export async function placeCase(entry: KubeconfigCase, servers: ApiServers): Promise<PlacedCase> {
  const folder = await mkdtemp(join(tmpdir(), 'kubeconfig-case-'));
  const places = servers.places(folder);
  const { files = {}, environment = {}, kubeconfig } = entry.given(places);
  await mkdir(join(folder, 'home'));
  for (const [name, content] of Object.entries(files)) {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
    if (name.endsWith('.sh')) await chmod(file, 0o755);
  }
  return {
    folder,
    environment: { HOME: join(folder, 'home'), ...environment },
    kubeconfig,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
