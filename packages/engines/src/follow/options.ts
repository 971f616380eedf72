import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { createTargetPolicy, InvalidArgumentError, type WaitOptions } from '@externalname/core';
import {
  aFunction,
  aNumber,
  anObjectWith,
  aText,
  checkOptions,
  either,
  isPrintable,
  oneOf,
  optional,
  optionsOf,
  ownOptions,
  recordOf,
} from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import type { KubeConfigOption, PostgresClientLike } from '@externalname/kubernetes';
import { checkKubeConfig, switchShapes } from '@externalname/kubernetes/internal';
import type { HaEngine } from '../engine/engine.ts';

/** The Lease of a follower's replicas. */
export interface FollowerLeaseOptions {
  /** Name of the Lease, in the namespace of the Service. @defaultValue the Service's name and `-follower` */
  name?: string | undefined;
  /** Name of this replica; must differ from the others'. @defaultValue the host's name and a random part */
  identity?: string | undefined;
  /** How long a replica that is gone holds it. Milliseconds, 3000 to 600000. @defaultValue 15000 */
  durationMillis?: number | undefined;
}

/** See {@link followEngine}. */
export interface FollowEngineOptions extends WaitOptions {
  /** The engine that decides. It stays the caller's: closing the follower does not close it. */
  engine: HaEngine;
  /** The external name of each member. A leader without a name here is never switched to. */
  targets: Readonly<Record<string, string>>;
  /** The Service: `webscaler-db`, or with its namespace: `webscaler-db.default`. */
  service: string;
  /** Completes a short name. @defaultValue that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue the one in `service`, else that of resolv.conf, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl */
  kubeConfig?: KubeConfigOption | undefined;
  /** Makes a client for a target, not connected yet, to see that it takes writes. Give it TLS, credentials and a `connectionTimeoutMillis`. */
  client: (host: string) => PostgresClientLike;
  /** A statement that must succeed at the new leader, a write to a table of your own for instance. @defaultValue none: it must assign a transaction id */
  writeStatement?: string | undefined;
  /** The Lease that makes several replicas safe; `false` if there is only ever one. A dry run takes none, because it must not keep out one that switches. */
  lease?: FollowerLeaseOptions | false | undefined;
  /** Whether to only tell what would be done. @defaultValue false */
  dryRun?: boolean | undefined;
  /** Longest time for one request to the Kubernetes API. Milliseconds, 100 to 60000. @defaultValue 5000 */
  requestTimeoutMillis?: number | undefined;
  /** Longest time for one attempt to confirm a leader, and for the look at the old target. Milliseconds, 10 to 60000. @defaultValue 1000 */
  probeTimeoutMillis?: number | undefined;
  /** DNS servers that must show the new name before a switch counts as done; the next decision waits. @defaultValue false: none */
  dnsServers?: readonly string[] | false | undefined;
}

/** {@link FollowEngineOptions}, checked and complete. */
export type FollowSettings = ReturnType<typeof followSettings>;

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O */
export function followSettings(given: FollowEngineOptions) {
  const { service, namespace, clusterDomain, kubeConfig, dryRun, dnsServers, requestTimeoutMillis, signal } =
    switchShapes;
  const passedOn = { service, namespace, clusterDomain, kubeConfig, dryRun, dnsServers, requestTimeoutMillis, signal };
  checkOptions(given, {
    ...passedOn,
    engine: anEngine,
    targets: recordOf(aText),
    client: aFunction,
    writeStatement: optional(aText),
    lease: optional(
      either(
        oneOf(false),
        optionsOf<FollowerLeaseOptions>({
          name: optional(aText),
          identity: optional(aText),
          durationMillis: optional(aNumber({ least: 3_000, most: 600_000 })),
        }),
      ),
    ),
    probeTimeoutMillis: optional(aNumber({ least: 10, most: 60_000 })),
  });
  const options = ownOptions(given);
  checkKubeConfig(options.kubeConfig);
  const targets = targetsOf(options.targets);
  const { name, identity, durationMillis } = options.lease || {};
  if (identity !== undefined && (identity === '' || identity.length > 200 || !isPrintable(identity))) {
    throw new InvalidArgumentError('lease.identity', 'must be one line of 1 to 200 characters');
  }
  if (name !== undefined && !/^[a-z0-9]([-a-z0-9]{0,250}[a-z0-9])?$/.test(name)) {
    throw new InvalidArgumentError(
      'lease.name',
      'must be a name of Kubernetes: lower case letters, digits and hyphens',
    );
  }
  return {
    ...options,
    targets,
    allowedTargets: [...new Set(targets.values())],
    lease:
      options.lease === false || options.dryRun === true
        ? undefined
        : {
            name,
            identity: identity ?? `${hostname()}-${randomUUID().slice(0, 8)}`,
            durationMillis: durationMillis ?? 15_000,
          },
    dryRun: options.dryRun ?? false,
    requestTimeoutMillis: options.requestTimeoutMillis ?? 5_000,
    probeTimeoutMillis: options.probeTimeoutMillis ?? 1_000,
    dnsServers: options.dnsServers ?? false,
  };
}

/** The check of an engine that is given as an option. */
export const anEngine = anObjectWith('read', 'ask', 'subscribe', 'close');

/**
 * The external names by member, canonical.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if there is none, or one is not a host name
 */
export function targetsOf(given: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const entries = Object.entries(given).map(
    ([member, host]) => [member, parseHostName(host, `targets.${member}`)] as const,
  );
  if (entries.length === 0) throw new InvalidArgumentError('targets', 'must name the external name of each member');
  createTargetPolicy({ allowedTargets: entries.map(([, host]) => host) });
  return new Map(entries);
}
