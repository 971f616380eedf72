import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createLookup, createTargetPolicy, DnsResolver, InvalidArgumentError } from '@externalname/core';
import { printable } from '@externalname/core/internal';
import {
  inspectService,
  type KubeConfigOption,
  kubernetesSource,
  loadKubeConfig,
  postgresClients,
  postgresServiceProbes,
  type SwitchOptions,
  switchTarget,
} from '@externalname/kubernetes';
import type { PoolOptions } from '@externalname/pg';
import { countWrites, createWriteTable } from '@externalname/testing';
import pg from 'pg';
import { DrillNotConfirmedError } from '../errors.ts';
import { Databases, type LookedAt } from './databases.ts';
import type { DrillKind, DrillServer, Move, Place, Telling } from './place.ts';

/** A canary Service of a real cluster, with databases of its own. */
export interface CanaryOptions {
  /** The Service: `canary-db`, or with its namespace: `canary-db.drill`. It is switched, and so is everything that uses it. */
  service: string;
  /** Completes a short name. @defaultValue that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's domain. @defaultValue the one in `service`, else that of the pod, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl */
  kubeConfig?: KubeConfigOption | undefined;
  /** The host that is switched to, and from which is switched back. */
  to: string;
  /** The hosts that the Service may point to: both of them. A drill logs in there. */
  allowedTargets: readonly string[] | 'any';
  /** Networks that the databases are in, or `any`. @defaultValue all but loopback, link-local and metadata addresses */
  allowedNetworks?: readonly string[] | 'any' | undefined;
  /** How the application logs in to both databases. */
  connection: CanaryConnection;
  /** Objections of the probes to ignore. @defaultValue none */
  accept?: SwitchOptions['accept'];
  /** DNS servers for the names of the databases, and for a pool that follows DNS. @defaultValue those of resolv.conf */
  nameservers?: readonly string[] | undefined;
  /** Shell command that crashes the server `$EXTERNALNAME_FROM`; its output goes to stderr. @defaultValue nothing is crashed */
  crashCommand?: string | undefined;
  /** Shell command that has `$EXTERNALNAME_TO` take over; its output goes to stderr. @defaultValue both take writes already */
  promoteCommand?: string | undefined;
  /** How long that may take. Milliseconds, 0 to 3600000. @defaultValue 60000 */
  waitForPromotionMillis?: number | undefined;
  /** Asked before anything is written, with what is to happen: `false` ends the drill. */
  confirm: (plan: CanaryPlan) => boolean | Promise<boolean>;
}

/** How an application logs in to PostgreSQL, over TLS. */
export interface CanaryConnection {
  /** 1 to 65535. @defaultValue 5432 */
  port?: number | undefined;
  /** The role. @defaultValue `PGUSER`, as `pg` reads it */
  user?: string | undefined;
  /** The database. @defaultValue `PGDATABASE`, as `pg` reads it */
  database?: string | undefined;
  /** Of the role. @defaultValue `PGPASSWORD`, else `~/.pgpass`, as `pg` reads them */
  password?: string | undefined;
  /** PEM certificates to trust. @defaultValue the ones that Node.js trusts */
  ca?: string | undefined;
}

/** What a drill in a cluster is going to do. */
export interface CanaryPlan {
  /** `namespace/name` */
  readonly service: string;
  /** Address of the API server, and the context. */
  readonly where: string;
  /** Where the Service points now. */
  readonly from: string;
  /** Where it will be switched to. */
  readonly to: string;
  /** The table that is made for the drill, and removed in the end. */
  readonly table: string;
}

/** See {@link canaryPlace}. */
export interface CanaryPlaceOptions extends CanaryOptions {
  /** The pool is told of a switch by a watch, and not by DNS. */
  readonly push: boolean;
  readonly ttlSeconds: number;
  readonly telling: Telling;
  readonly signal: AbortSignal | undefined;
}

/**
 * A canary Service of a real cluster, with its own databases. Only this Service is changed; it must be confirmed before, and points to where
 * it pointed in the end, however that comes.
 */
export async function canaryPlace(given: CanaryPlaceOptions): Promise<Place> {
  const { service, namespace, clusterDomain, to, connection, nameservers = [], signal } = given;
  // Once, so that what was read is what is written, even if the current-context changes meanwhile.
  const kubeConfig =
    typeof given.kubeConfig === 'object' ? given.kubeConfig : await loadKubeConfig({ file: given.kubeConfig });
  const options = { ...given, kubeConfig };
  const resolver = nameservers.length === 0 ? undefined : new DnsResolver({ nameservers });
  try {
    const found = await inspectService({ service, namespace, clusterDomain, kubeConfig, signal });
    const { reference, target: from } = found;
    const name = `${reference.namespace}/${reference.name}`;
    if (from === undefined) throw new InvalidArgumentError('service', `${name} is not of type ExternalName`);
    if (from === to) throw new InvalidArgumentError('to', `must be the other target: ${name} points to ${to} already`);
    const policy = createTargetPolicy({ service, allowedTargets: options.allowedTargets });
    if (!policy.allows({ externalName: from, via: [service] })) {
      throw new InvalidArgumentError(
        'allowedTargets',
        `must have ${printable(from, 300)}, where ${name} points now: a drill logs in there. Find out first whether it should`,
      );
    }
    const where =
      found.cluster === undefined ? 'a cluster' : `${found.cluster.server} (context ${found.cluster.context})`;
    const table = `externalname_drill_${randomBytes(4).toString('hex')}`;
    if (!(await options.confirm({ service: name, where, from, to, table }))) throw new DrillNotConfirmedError(name);
    const lookup = resolver && createLookup(resolver);
    const { port = 5_432 } = connection;
    const databases = new Databases(postgresClients({ Client: pg.Client, ...connection, port, lookup }), signal);
    const [first, second] = [await databases.look(from), await databases.look(to)];
    const copies = first.system === undefined || second.system === undefined || first.system === second.system;
    return new CanaryPlace(options, { name, where, table, first, second, copies, databases, resolver });
  } catch (error) {
    await resolver?.close();
    throw error;
  }
}

interface Parts {
  readonly name: string;
  readonly where: string;
  readonly table: string;
  readonly first: LookedAt;
  readonly second: LookedAt;
  /** Whether one server has the rows of the other. */
  readonly copies: boolean;
  readonly databases: Databases;
  readonly resolver: DnsResolver | undefined;
}

class CanaryPlace implements Place {
  readonly service: string;
  readonly where: string;
  readonly table: string;
  readonly servers: readonly [DrillServer, DrillServer];
  readonly ttlSeconds: number;
  readonly poolOptions: PoolOptions;
  readonly #options: CanaryPlaceOptions;
  readonly #parts: Parts;
  readonly #source: ReturnType<typeof kubernetesSource> | undefined;
  #pointsTo: string;
  #madeTables: string[] = [];

  constructor(options: CanaryPlaceOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.service = parts.name;
    this.where = parts.where;
    this.table = parts.table;
    this.servers = [parts.first, parts.second];
    this.#pointsTo = parts.first.host;
    this.ttlSeconds = options.push ? 0 : options.ttlSeconds;
    const {
      service,
      clusterDomain,
      kubeConfig,
      nameservers = [],
      connection,
      allowedTargets,
      allowedNetworks,
    } = options;
    const namespace = parts.name.split('/')[0];
    this.#source = options.push ? kubernetesSource({ service, namespace, clusterDomain, kubeConfig }) : undefined;
    const { port = 5_432, user, password, database, ca } = connection;
    this.poolOptions = {
      service,
      namespace,
      clusterDomain,
      allowedTargets,
      ...(allowedNetworks !== undefined && { allowedNetworks }),
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
    const { telling } = this.#options;
    for (const { host } of copies ? [first] : [first, second]) {
      this.#madeTables.push(host);
      await createWriteTable((text) => databases.run(host, text), { table: this.table });
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
    const { telling, signal, waitForPromotionMillis = 60_000, accept } = this.#options;
    telling.event('operator', `SWITCH: ${this.service} from ${from.host} to ${to.host}, guarded by probes`, {
      tone: 'strong',
    });
    await switchTarget({
      ...this.#switching(),
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
    const { telling } = this.#options;
    try {
      if (this.#pointsTo !== first.host) {
        telling.event('operator', `${this.service} is switched back to ${first.host}`, { tone: 'warning', part: true });
        await switchTarget({
          ...this.#switching(),
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
    return countWrites((text) => this.#parts.databases.run(host, text), { table: this.table });
  }

  #switching() {
    const { service, clusterDomain, kubeConfig, allowedTargets, connection } = this.#options;
    const { port = 5_432, ca } = connection;
    const lookup = this.#parts.resolver && createLookup(this.#parts.resolver);
    return {
      service,
      namespace: this.service.split('/')[0],
      clusterDomain,
      kubeConfig,
      allowedTargets,
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

const closeMillis = 10_000;
