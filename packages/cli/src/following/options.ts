import { createLookup, createTargetPolicy, DnsResolver, InvalidArgumentError } from '@externalname/core';
import { canonicalName } from '@externalname/core/names';
import type { FollowEngineOptions, HaEngine } from '@externalname/engines';
import { chosenCluster, clusterOptions } from '../cluster.ts';
import { type CommandContext, choice, flag, list, text, texts } from '../command.ts';
import { clientFactory, databaseAccess, databaseOptions } from '../database.ts';
import { duration } from '../duration.ts';
import { allowedTargetsOf, allowedTargetsOption } from '../switching/allowed-targets.ts';
import { engineOf, engineOptions, pairOf } from './engine-options.ts';

/** The options of `follow`. */
export const followOptions = {
  target: list(
    '-t, --target <member=host>',
    "the external name of a member, by the engine's own name for it; repeatable",
  ),
  ...engineOptions,
  allowedTargets: allowedTargetsOption,
  dryRun: flag('--dry-run', 'tell what would be done, and do nothing; takes no Lease'),
  lease: text('--lease <name>', 'name of the Lease; default: the name of the Service and -follower'),
  identity: text('--identity <name>', 'name of this replica; default: the host name and a random part'),
  leaseDuration: duration('--lease-duration <time>', 'how long a replica that is gone holds it; default: 15s', {
    least: 3_000,
    most: 600_000,
  }),
  noLease: flag('--no-lease', 'there is only ever one replica'),
  health: text('--health <port>', 'serve /healthz, /readyz and /metrics at [address:]port; default: not served'),
  ...databaseOptions,
  writeStatement: text('--write-statement <sql>', 'a statement that must succeed at the new leader; default: none'),
  probeTimeout: duration('--probe-timeout <time>', 'longest time for a look at a server; default: 1s', {
    least: 10,
    most: 60_000,
  }),
  nameserver: texts(
    '-s, --nameserver <address>',
    'DNS server for the names of the databases, address[:port]; repeatable; default: as this machine finds them',
  ),
  dnsServer: texts(
    '--dns-server <address>',
    'DNS server of the cluster that must answer with the new name before the next decision; repeatable',
  ),
  ...clusterOptions,
  output: choice('-o, --output <format>', 'how it is written, json with one object a line', ['text', 'json']),
} as const;

/** What `followEngine()` takes, and what must be closed in the end. */
export interface Following extends AsyncDisposable {
  readonly engine: HaEngine;
  readonly options: FollowEngineOptions;
}

/**
 * Makes the engine and the options of a follower.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 * @throws TargetRefusedError `ERR_EXTERNALNAME_TARGET_REFUSED` for a target that the allow-list does not have
 */
export async function followingOf({
  arguments: [service = ''],
  options,
  environment,
  signal,
}: CommandContext<typeof followOptions>): Promise<Following> {
  const targets = targetsOf(options.target, options.allowedTargets, service, environment);
  const access = await databaseAccess(options, environment);
  if (access.user === undefined) {
    throw new InvalidArgumentError(
      '--user',
      'must be given, or PGUSER be set: a new leader is asked whether it takes writes',
    );
  }
  const { kubeConfig, namespace, clusterDomain } = await chosenCluster(options, environment);
  const resolver = options.nameserver.length === 0 ? undefined : new DnsResolver({ nameservers: options.nameserver });
  try {
    const client = await clientFactory(access, resolver && createLookup(resolver), options.probeTimeout ?? 1_000);
    const engine = await engineOf(options, { environment, kubeConfig, namespace, targets, client });
    return {
      engine,
      options: {
        engine,
        targets,
        service,
        namespace,
        clusterDomain,
        kubeConfig,
        client,
        writeStatement: options.writeStatement,
        lease: options.noLease
          ? false
          : { name: options.lease, identity: options.identity, durationMillis: options.leaseDuration },
        dryRun: options.dryRun,
        probeTimeoutMillis: options.probeTimeout,
        dnsServers: options.dnsServer.length === 0 ? false : options.dnsServer,
        signal,
      },
      [Symbol.asyncDispose]: async () => {
        await engine.close();
        await resolver?.close();
      },
    };
  } catch (error) {
    await resolver?.close();
    throw error;
  }
}

function targetsOf(
  given: readonly string[],
  allowed: readonly string[],
  service: string,
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const pairs = given.map((each) => pairOf('--target', each));
  const targets = Object.fromEntries(pairs);
  if (pairs.length === 0) {
    throw new InvalidArgumentError(
      '--target',
      'must be given for each member that may lead: --target db-1=primary-db.example.com',
    );
  }
  if (Object.keys(targets).length < pairs.length)
    throw new InvalidArgumentError('--target', 'must name each member once');
  const allowedTargets = allowedTargetsOf(allowed, environment, []);
  // Without a list of their own, the targets are the list.
  if (allowedTargets.length === 0) return targets;
  const policy = createTargetPolicy({ allowedTargets });
  for (const host of Object.values(targets)) policy.checkTarget({ externalName: canonicalName(host), via: [service] });
  return targets;
}
