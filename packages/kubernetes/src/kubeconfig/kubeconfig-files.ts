import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { KubernetesConfigError } from './errors.ts';
import { type Kubeconfig, parseKubeconfig } from './kubeconfig.ts';

/** The part of `process.env` that the rules below read. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A kubeconfig, and the files that it was read from. */
export interface ReadKubeconfig {
  readonly config: Kubeconfig;
  /** Files that exist, in their order. */
  readonly files: readonly string[];
  /** Files that were looked for. */
  readonly wanted: readonly string[];
}

/**
 * Reads the kubeconfig by kubectl's rules. A file that is named explicitly is the only one, and must exist. Otherwise the
 * files that `KUBECONFIG` lists are merged, and missing files are skipped; without that variable, `~/.kube/config` is read. In a
 * merge, the first file that sets current-context wins. For each cluster, user and context, the first file that has the name wins,
 * with its whole entry.
 *
 * Source: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files"; client-go,
 * `ClientConfigLoadingRules.Load`.
 *
 * @throws KubernetesConfigError `ERR_EXTERNALNAME_KUBERNETES_CONFIG` if one of the files cannot be read
 */
export async function readKubeconfig(file: string | undefined, environment: Environment): Promise<ReadKubeconfig> {
  const wanted = file === undefined ? filesOf(environment) : [file];
  const files: string[] = [];
  const configs: Kubeconfig[] = [];
  for (const path of wanted) {
    const text = await readText(path, file === undefined);
    if (text === undefined) continue;
    files.push(path);
    configs.push(parseKubeconfig(text, path));
  }
  return { config: merged(configs), files, wanted };
}

function filesOf(environment: Environment): string[] {
  const listed = environment['KUBECONFIG'];
  if (listed) return listed.split(delimiter).filter((path) => path !== '');
  return [join(environment['HOME'] || homedir(), '.kube', 'config')];
}

async function readText(path: string, mayBeMissing: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (mayBeMissing && code === 'ENOENT') return undefined;
    throw new KubernetesConfigError(`cannot read the kubeconfig ${path} (${code})`, { cause: error });
  }
}

function merged(configs: readonly Kubeconfig[]): Kubeconfig {
  return {
    currentContext: configs.find(({ currentContext }) => currentContext !== undefined)?.currentContext,
    clusters: firstOfEach(configs.map(({ clusters }) => clusters)),
    users: firstOfEach(configs.map(({ users }) => users)),
    contexts: firstOfEach(configs.map(({ contexts }) => contexts)),
  };
}

function firstOfEach<T>(maps: readonly ReadonlyMap<string, T>[]): ReadonlyMap<string, T> {
  return new Map(maps.toReversed().flatMap((map) => [...map]));
}
