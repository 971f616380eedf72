import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from '@externalname/core';
import {
  auroraEngine,
  type CnpgCluster,
  cnpgEngine,
  type HaEngine,
  type HttpAccess,
  patroniEngine,
  pgAutoFailoverEngine,
  sqlEngine,
} from '@externalname/engines';
import type { KubeConfigLike, PostgresClientLike } from '@externalname/kubernetes';
import { choice, list, longFlag, number, type OptionValues, text, texts } from '../command.ts';
import { duration } from '../duration.ts';
import { monitorClient } from './monitor-client.ts';

const names = ['patroni', 'cnpg', 'pg-auto-failover', 'aurora', 'multi-az', 'sql'] as const;
type EngineName = (typeof names)[number];

/** Which engine, and how it is read. */
export const engineOptions = {
  engine: choice('-e, --engine <name>', 'the engine that decides', names),
  scope: text('--scope <name>', 'patroni: name of the cluster'),
  member: texts('--member <url,...>', "patroni: the members' REST interfaces, two or more; polled"),
  etcd: texts('--etcd <url,...>', 'patroni: the servers of its etcd; pushed'),
  objects: choice('--objects <kind>', 'patroni: its objects in Kubernetes; pushed', ['configmaps', 'endpoints']),
  cluster: list(
    '--cluster <name>',
    'cnpg: [namespace/]name of the Cluster; of a distributed topology member=[namespace/]name[@kubeconfig], repeated; pushed',
  ),
  engineNamespace: text(
    '--engine-namespace <name>',
    "patroni: namespace of its keys or objects; default: /service in etcd, else the Service's",
  ),
  monitor: text('--monitor <uri>', 'pg-auto-failover: the monitor; default: PG_AUTOCTL_MONITOR; pushed'),
  formation: text('--formation <name>', 'pg-auto-failover: the formation; default: default'),
  group: number('--group <number>', 'pg-auto-failover: the group in it; default: 0', { least: 0, whole: true }),
  instance: texts('--instance <host,...>', 'aurora, multi-az: endpoints of the instances, two or more; polled'),
  engineCa: text('--engine-ca <file>', 'certificates to trust for patroni, its etcd or the monitor, PEM', 'files'),
  engineCert: text('--engine-cert <file>', 'client certificate for patroni and its etcd, PEM', 'files'),
  engineKey: text('--engine-key <file>', 'key of that certificate, PEM', 'files'),
  poll: duration('--poll <time>', 'pause between two looks at the engine without a push; default: 500ms', {
    least: 20,
    most: 60_000,
  }),
  engineTimeout: duration('--engine-timeout <time>', 'longest time for one look at the engine; default: 2s', {
    least: 10,
    most: 60_000,
  }),
} as const;

type EngineChoice = OptionValues<typeof engineOptions>;

/** What an engine is made of, beside its own options. */
export interface EngineSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly kubeConfig: KubeConfigLike;
  readonly namespace: string | undefined;
  /** The external name of each member. */
  readonly targets: Readonly<Record<string, string>>;
  readonly client: (host: string) => PostgresClientLike;
}

/**
 * The engine that the command line names.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any request
 */
export async function engineOf(options: EngineChoice, surroundings: EngineSurroundings): Promise<HaEngine> {
  const { engine: name } = options;
  if (name === undefined)
    throw new InvalidArgumentError(
      '--engine',
      `must be given: the engine that decides who leads (${names.join(', ')})`,
    );
  for (const [key, engines] of Object.entries(readBy) as [keyof EngineChoice, readonly EngineName[]][]) {
    const given = options[key];
    if (engines.includes(name) || given === undefined || (Array.isArray(given) && given.length === 0)) continue;
    throw new InvalidArgumentError(
      longFlag(engineOptions[key].flags),
      `is for ${engines.join(' and ')}, not for ${name}`,
    );
  }
  const { environment, client, targets } = surroundings;
  const looks = { pollMillis: options.poll, requestTimeoutMillis: options.engineTimeout };
  switch (name) {
    case 'patroni':
      return patroni(options, surroundings, looks);
    case 'cnpg':
      return cnpgEngine({ ...cnpgClusters(options.cluster, surroundings), ...looks });
    case 'pg-auto-failover': {
      const monitor = await monitorClient(options.monitor, environment, await fileOf('engineCa', options));
      return pgAutoFailoverEngine({ monitor, formation: options.formation, group: options.group, ...looks });
    }
    case 'sql':
      return sqlEngine({ candidates: targets, client, ...looks });
    default:
      return auroraEngine({ instances: options.instance, client, kind: name, ...looks });
  }
}

async function patroni(
  options: EngineChoice,
  { environment, kubeConfig, namespace }: EngineSurroundings,
  looks: { readonly pollMillis: number | undefined; readonly requestTimeoutMillis: number | undefined },
): Promise<HaEngine> {
  const { scope, member, etcd, objects, engineNamespace } = options;
  if (scope === undefined) throw new InvalidArgumentError('--scope', "must be given: the name of Patroni's cluster");
  const ways = [member.length > 0, etcd.length > 0, objects !== undefined];
  if (ways.filter((isGiven) => isGiven).length !== 1) {
    throw new InvalidArgumentError(
      '--member',
      'must be given, or --etcd, or --objects, and only one of them: where Patroni is read',
    );
  }
  const [ca, cert, key] = await Promise.all(
    (['engineCa', 'engineCert', 'engineKey'] as const).map((each) => fileOf(each, options)),
  );
  const access: HttpAccess = { ca, cert, key };
  const account: HttpAccess = {
    username: environment['EXTERNALNAME_ENGINE_USER'] || undefined,
    password: environment['EXTERNALNAME_ENGINE_PASSWORD'] || undefined,
  };
  if (etcd.length > 0) {
    const store = { endpoints: etcd, namespace: engineNamespace, ...access, ...account };
    return patroniEngine({ scope, etcd: store, rest: access, ...looks });
  }
  const rest = { ...access, ...account };
  if (objects === undefined) return patroniEngine({ scope, members: member, rest, ...looks });
  const kubernetes = { objects, kubeConfig, namespace: engineNamespace ?? namespace };
  return patroniEngine({ scope, kubernetes, rest, ...looks });
}

/** One Cluster, or those of a distributed topology by their names in it. */
function cnpgClusters(
  given: readonly string[],
  surroundings: EngineSurroundings,
): { cluster: string; namespace?: string | undefined } | { clusters: Record<string, CnpgCluster> } {
  const [first] = given;
  if (first === undefined) throw new InvalidArgumentError('--cluster', 'must be given: the Cluster of CloudNativePG');
  if (given.length === 1 && !first.includes('=')) return cnpgCluster(first, surroundings);
  return {
    clusters: Object.fromEntries(
      given
        .map((each) => pairOf('--cluster', each))
        .map(([member, place]) => [member, cnpgCluster(place, surroundings)]),
    ),
  };
}

function cnpgCluster(written: string, { kubeConfig, namespace }: EngineSurroundings): CnpgCluster {
  const [, inNamespace, cluster = '', file] = /^(?:([^/@]*)\/)?([^/@]*)(?:@(.+))?$/.exec(written) ?? [];
  if (cluster === '' || inNamespace === '') {
    throw new InvalidArgumentError(
      '--cluster',
      `must be [namespace/]name[@kubeconfig], got ${JSON.stringify(written)}`,
    );
  }
  return { cluster, namespace: inNamespace ?? namespace, kubeConfig: file ?? kubeConfig };
}

/**
 * `db-1=primary-db.example.com`, in its two parts.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function pairOf(flag: string, written: string): readonly [member: string, value: string] {
  const at = written.indexOf('=');
  if (at > 0 && at < written.length - 1) return [written.slice(0, at), written.slice(at + 1)];
  throw new InvalidArgumentError(
    flag,
    `must name a member and what it is, as in db-1=..., got ${JSON.stringify(written)}`,
  );
}

/** The text of a PEM file; undefined if none was named. */
async function fileOf(
  key: 'engineCa' | 'engineCert' | 'engineKey',
  options: EngineChoice,
): Promise<string | undefined> {
  const file = options[key];
  if (file === undefined) return undefined;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidArgumentError(longFlag(engineOptions[key].flags), `must be a file in PEM: ${reason}`, { cause });
  }
}

/** Which engines read an option. The others refuse it. */
const readBy = {
  scope: ['patroni'],
  member: ['patroni'],
  etcd: ['patroni'],
  objects: ['patroni'],
  cluster: ['cnpg'],
  engineNamespace: ['patroni'],
  monitor: ['pg-auto-failover'],
  formation: ['pg-auto-failover'],
  group: ['pg-auto-failover'],
  instance: ['aurora', 'multi-az'],
  engineCa: ['patroni', 'pg-auto-failover'],
  engineCert: ['patroni'],
  engineKey: ['patroni'],
} as const satisfies Partial<Record<keyof EngineChoice, readonly EngineName[]>>;
