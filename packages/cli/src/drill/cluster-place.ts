import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createLookup, createTargetPolicy, DnsResolver, InvalidArgumentError } from '@externalname/core';
import { abortable, printable } from '@externalname/core/internal';
import {
  inspectService,
  kubernetesSource,
  type PostgresClientLike,
  postgresServiceProbes,
  type SwitchOptions,
  switchTarget,
} from '@externalname/kubernetes';
import type { PoolOptions } from '@externalname/pg';
import type { Cluster } from '../cluster.ts';
import { clientFactory, type DatabaseAccess } from '../database.ts';
import type { Testing } from '../testing-package.ts';
import type { DrillKind, DrillServer, Move, Place, Telling } from './place.ts';

/** See {@link clusterPlace}. */
export interface ClusterPlaceOptions {
  readonly service: string;
  readonly cluster: Cluster;
  /** The host that is switched to, and from which is switched back. */
  readonly to: string;
  readonly allowed: readonly string[] | 'any';
  /** Networks that the pool may connect to; empty for its own default. */
  readonly allowedNetworks: readonly string[];
  readonly accept: SwitchOptions['accept'];
  readonly access: DatabaseAccess;
  /** DNS servers for the names of the databases, and for the pool if it is not told by the API. */
  readonly nameservers: readonly string[];
  readonly push: boolean;
  readonly ttlSeconds: number;
  /** Shell commands that crash a server, and that have the other one take over. */
  readonly crashCommand: string | undefined;
  readonly promoteCommand: string | undefined;
  readonly waitForPromotionMillis: number;
  readonly telling: Telling;
  readonly testing: Testing;
  /** Asked before anything is written, with what is to happen. */
  readonly confirm: (plan: ClusterPlan) => Promise<boolean>;
  readonly signal: AbortSignal;
}

/** What a drill in a cluster is going to do. */
export interface ClusterPlan {
  /** `namespace/name` */
  readonly service: string;
  readonly where: string;
  readonly from: string;
  readonly to: string;
  readonly table: string;
}

/** The drill was not confirmed. Nothing was done. */
export class NotConfirmed extends Error {}

/**
 * A canary Service of a real cluster, with its own databases. Only this Service is changed; it must be confirmed before, and points to where
 * it pointed in the end, however that comes.
 */
export async function clusterPlace(options: ClusterPlaceOptions): Promise<Place> {
  const { service, cluster, to, access, nameservers, signal } = options;
  const resolver = nameservers.length === 0 ? undefined : new DnsResolver({ nameservers });
  try {
    const found = await inspectService({ service, ...cluster, signal });
    const { reference, target: from } = found;
    const name = `${reference.namespace}/${reference.name}`;
    if (from === undefined) throw new InvalidArgumentError('--service', `${name} is not of type ExternalName`);
    if (from === to)
      throw new InvalidArgumentError('--to', `must be the other target: ${name} points to ${to} already`);
    if (
      !createTargetPolicy({ service, allowedTargets: options.allowed }).allows({ externalName: from, via: [service] })
    ) {
      throw new InvalidArgumentError(
        '--allowed-targets',
        `must have ${printable(from, 300)}, where ${name} points now: a drill logs in there. Find out first whether it should`,
      );
    }
    const where =
      found.cluster === undefined ? 'a cluster' : `${found.cluster.server} (context ${found.cluster.context})`;
    const table = `externalname_drill_${randomBytes(4).toString('hex')}`;
    if (!(await options.confirm({ service: name, where, from, to, table }))) throw new NotConfirmed(name);
    const clients = await clientFactory(access, resolver && createLookup(resolver));
    const databases = new Databases(clients, signal);
    const [first, second] = [await databases.look(from), await databases.look(to)];
    const copies = first.system === undefined || second.system === undefined || first.system === second.system;
    return new ClusterPlace(options, { name, where, table, first, second, copies, databases, resolver });
  } catch (error) {
    await resolver?.close();
    throw error;
  }
}

interface Parts {
  readonly name: string;
  readonly where: string;
  readonly table: string;
  readonly first: Looked;
  readonly second: Looked;
  /** Whether one server has the rows of the other. */
  readonly copies: boolean;
  readonly databases: Databases;
  readonly resolver: DnsResolver | undefined;
}

class ClusterPlace implements Place {
  readonly service: string;
  readonly where: string;
  readonly table: string;
  readonly servers: readonly [DrillServer, DrillServer];
  readonly ttlSeconds: number;
  readonly poolOptions: PoolOptions;
  readonly #options: ClusterPlaceOptions;
  readonly #parts: Parts;
  readonly #source: ReturnType<typeof kubernetesSource> | undefined;
  #pointsTo: string;
  #madeTables: string[] = [];

  constructor(options: ClusterPlaceOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.service = parts.name;
    this.where = parts.where;
    this.table = parts.table;
    this.servers = [parts.first, parts.second];
    this.#pointsTo = parts.first.host;
    this.ttlSeconds = options.push ? 0 : options.ttlSeconds;
    const { service, cluster, nameservers, access, allowed, allowedNetworks } = options;
    const { clusterDomain, kubeConfig } = cluster;
    const namespace = parts.name.split('/')[0];
    this.#source = options.push ? kubernetesSource({ service, namespace, clusterDomain, kubeConfig }) : undefined;
    const { port, user, password, database, ca } = access;
    this.poolOptions = {
      service,
      namespace,
      clusterDomain,
      allowedTargets: allowed,
      ...(allowedNetworks.length > 0 && { allowedNetworks: allowedNetworks.includes('any') ? 'any' : allowedNetworks }),
      ...(nameservers.length > 0 && { dns: { nameservers } }),
      ...(this.#source !== undefined && { source: this.#source }),
      port,
      user,
      password,
      database,
      ssl: { ca },
    };
  }

  async begin(): Promise<void> {
    const { first, second, copies, databases } = this.#parts;
    const { testing, telling } = this.#options;
    for (const { host } of copies ? [first] : [first, second]) {
      this.#madeTables.push(host);
      await testing.createWriteTable((text) => databases.run(host, text), { table: this.table });
      telling.event('operator', `create table ${this.table} on ${host}`);
    }
  }

  async takeOver(kind: DrillKind, move: Move): Promise<void> {
    const { telling, crashCommand, promoteCommand } = this.#options;
    const [word, mark] = kind === 'crash' ? ['CRASH', 'crash'] : ['PLANNED SWITCH', 'begin'];
    telling.mark(mark ?? '');
    telling.event('operator', `${word}: from ${move.from.host} to ${move.to.host}`, { tone: 'strong', part: true });
    if (kind === 'crash' && crashCommand !== undefined) await this.#command(crashCommand, move);
    if (promoteCommand !== undefined) await this.#command(promoteCommand, move);
  }

  async patch({ from, to }: Move, sent: () => void): Promise<void> {
    const { telling, cluster, signal, waitForPromotionMillis, accept } = this.#options;
    telling.event('operator', `SWITCH: ${this.service} from ${from.host} to ${to.host}, guarded by probes`, {
      tone: 'strong',
    });
    await switchTarget({
      ...(await this.#switching(cluster)),
      expect: from.host,
      to: to.host,
      waitForPromotionMillis,
      accept,
      onProgress: ({ step, state }) => {
        if (step !== 'patch' || state !== 'running') return;
        this.#pointsTo = to.host;
        sent();
      },
      signal,
    });
  }

  async rebuild(): Promise<void> {
    // The way back is up to the command that promotes.
  }

  async rows({ to }: Move): Promise<ReadonlyMap<number, number>> {
    const { first, second, copies } = this.#parts;
    const counts = new Map<number, number>();
    for (const { host } of copies ? [to] : [first, second]) {
      for (const [id, times] of await this.#count(host)) counts.set(id, (counts.get(id) ?? 0) + times);
    }
    return counts;
  }

  /** Puts back what the drill changed, even after Ctrl-C: within a deadline of its own. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { first, databases, resolver } = this.#parts;
    const { telling, cluster } = this.#options;
    try {
      if (this.#pointsTo !== first.host) {
        telling.event('operator', `${this.service} is switched back to ${first.host}`, { tone: 'warning', part: true });
        await switchTarget({
          ...(await this.#switching(cluster)),
          probes: {},
          propagationTimeoutMillis: closeMillis,
          to: first.host,
          reason: 'externalname drill, put back',
        });
      }
      for (const host of this.#madeTables) {
        await databases
          .run(host, `drop table if exists ${this.table}`, AbortSignal.timeout(closeMillis))
          .catch((error: unknown) => {
            telling.event(
              'operator',
              `${this.table} is left on ${host}: ${error instanceof Error ? error.message : error}`,
              { tone: 'warning' },
            );
          });
      }
    } finally {
      await this.#source?.close();
      await resolver?.close();
    }
  }

  async #count(host: string): Promise<ReadonlyMap<number, number>> {
    const { testing } = this.#options;
    return testing.countWrites((text) => this.#parts.databases.run(host, text), { table: this.table });
  }

  async #switching({ kubeConfig, clusterDomain }: Cluster) {
    const { service, allowed, access } = this.#options;
    const { port, ca } = access;
    const lookup = this.#parts.resolver && createLookup(this.#parts.resolver);
    return {
      service,
      namespace: this.service.split('/')[0],
      clusterDomain,
      kubeConfig,
      allowedTargets: allowed,
      reason: 'externalname drill',
      probes: postgresServiceProbes({ port, ca, lookup, client: this.#parts.databases.client }),
      dnsServers: false,
    } as const;
  }

  async #command(command: string, { from, to }: Move): Promise<void> {
    const { telling, signal } = this.#options;
    telling.event('operator', `runs: ${command}`);
    const child = spawn('/bin/sh', ['-c', command], {
      // Its output belongs beside ours, and not into the result on stdout.
      stdio: ['ignore', 2, 2],
      env: {
        ...process.env,
        EXTERNALNAME_SERVICE: this.service,
        EXTERNALNAME_FROM: from.host,
        EXTERNALNAME_TO: to.host,
      },
      signal,
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    if (code !== 0)
      throw new InvalidArgumentError(
        'command',
        `must end with status 0, and ${JSON.stringify(command)} ended with ${code}`,
      );
  }
}

interface Looked extends DrillServer {
  /** PostgreSQL's system identifier: copies of each other have the same. */
  readonly system: string | undefined;
}

/** The two databases, as the application logs in to them. */
class Databases {
  readonly client: (host: string) => PostgresClientLike;
  readonly #signal: AbortSignal;

  constructor(client: (host: string) => PostgresClientLike, signal: AbortSignal) {
    this.client = client;
    this.#signal = signal;
  }

  /** Runs one statement in a connection of its own. */
  async run(host: string, text: string, signal: AbortSignal = this.#signal): Promise<Record<string, unknown>[]> {
    const client = this.client(host);
    client.on('error', () => undefined);
    try {
      await abortable(client.connect(), signal);
      return (await abortable(client.query(text), signal)).rows;
    } finally {
      client.end().catch(() => undefined);
    }
  }

  async look(host: string): Promise<Looked> {
    const [row] = await this.run(host, 'select host(inet_server_addr()) as address');
    const [system] = await this.run(host, 'select system_identifier::text as system from pg_control_system()').catch(
      () => [],
    );
    return {
      host,
      address: String(row?.['address']),
      system: system === undefined ? undefined : String(system['system']),
    };
  }
}

const closeMillis = 10_000;
