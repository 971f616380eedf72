import { createLookup, DnsResolver } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import { externalNameService } from '@externalname/core/manifests';
import { kubernetesSource, postgresClients, postgresServiceProbes, switchTarget } from '@externalname/kubernetes';
import type { PoolOptions } from '@externalname/pg';
import { countWrites, createWriteTable, LocalCluster, PostgresPair, type PostgresServer } from '@externalname/testing';
import pg from 'pg';
import type { DrillKind, DrillServer, Move, Place, Telling } from './place.ts';

/** See {@link localPlace}. */
export interface LocalPlaceOptions {
  readonly ttlSeconds: number;
  /** The pool is told of a switch by a watch, and not by DNS. */
  readonly push: boolean;
  /** From the crash until the standby is promoted: the time that an operator takes to decide. Milliseconds. */
  readonly decisionMillis: number;
  readonly telling: Telling;
  readonly signal: AbortSignal | undefined;
}

/** Two real PostgreSQL servers and a cluster, on this machine. Nothing of them is left when it is closed. */
export async function localPlace(options: LocalPlaceOptions): Promise<Place> {
  const { telling, signal, ttlSeconds } = options;
  telling.event('operator', 'starting two PostgreSQL servers: a primary, and a standby that every commit waits for', {
    tone: 'strong',
  });
  const pair = await PostgresPair.start({ signal });
  let cluster: LocalCluster | undefined;
  try {
    const [primary, standby] = pair.servers;
    cluster = await LocalCluster.start({
      ttlSeconds,
      services: [externalNameService({ name: service, namespace, externalName: primary.hostName })],
      hosts: pair.hosts,
    });
    for (const [role, server] of Object.entries({ primary, standby })) {
      telling.event('servers', `${role}: ${server.hostName}, ${server.address} port ${server.port}`);
    }
    telling.event('cluster', `DNS at ${cluster.nameserver}: ${service} is ${primary.hostName}, TTL ${ttlSeconds} s`);
    return new LocalPlace(options, pair, cluster, await cluster.writeKubeconfig());
  } catch (error) {
    await cluster?.close();
    await pair.close();
    throw error;
  }
}

class LocalPlace implements Place {
  readonly service = `${namespace}/${service}`;
  readonly where = 'this machine: LocalCluster and a PostgresPair';
  readonly table = 'drill_writes';
  readonly servers: readonly [DrillServer, DrillServer];
  readonly ttlSeconds: number;
  readonly poolOptions: PoolOptions;
  readonly #options: LocalPlaceOptions;
  readonly #pair: PostgresPair;
  readonly #cluster: LocalCluster;
  readonly #kubeConfig: string;
  readonly #resolver: DnsResolver;
  readonly #close: (() => Promise<void>)[] = [];

  constructor(options: LocalPlaceOptions, pair: PostgresPair, cluster: LocalCluster, kubeConfig: string) {
    this.#options = options;
    this.#pair = pair;
    this.#cluster = cluster;
    this.#kubeConfig = kubeConfig;
    this.#resolver = new DnsResolver({ nameservers: [cluster.nameserver], cache: false });
    const [first, second] = pair.servers;
    this.servers = [this.#shown(first), this.#shown(second)];
    this.ttlSeconds = options.push ? 0 : options.ttlSeconds;
    const { port, user, password, database, ca } = pair;
    this.poolOptions = {
      service,
      namespace,
      allowedTargets: this.servers.map(({ host }) => host),
      // These servers are on this machine. A pool refuses loopback addresses unless it is told so.
      allowedNetworks: ['127.0.0.0/8', '::1/128'],
      dns: { nameservers: [cluster.nameserver] },
      ...(options.push && { source: this.#pushed() }),
      port,
      user,
      password,
      database,
      ssl: { ca },
    };
  }

  async begin(): Promise<void> {
    const { primary, database, user } = this.#pair;
    await createWriteTable((text) => primary.query(text, [], { database }), { table: this.table, owner: user });
  }

  async takeOver(kind: DrillKind, { from, to }: Move): Promise<void> {
    const { telling, decisionMillis, signal } = this.#options;
    const [leaving, taking] = [this.#pair.server(from.host), this.#pair.server(to.host)];
    if (kind === 'crash') {
      telling.mark('crash');
      telling.event('operator', `CRASH: kill -9 of every process of ${from.host}`, { tone: 'strong', part: true });
      await leaving.kill();
      await sleep(decisionMillis, { signal });
      telling.event('operator', `select pg_promote() on ${to.host}`);
      await taking.promote({ signal });
      telling.event('servers', `${to.host} takes writes. No standby is there: commits do not wait for one`);
      return;
    }
    telling.mark('fence');
    telling.event(
      'operator',
      `PLANNED SWITCH: ${from.host} is fenced, and ${to.host} promoted when it has replayed everything`,
      {
        tone: 'strong',
        part: true,
      },
    );
    await this.#pair.switchover({ rejoin: false, signal });
    telling.event('servers', `${to.host} takes writes; ${from.host} is still up, read only`);
  }

  async patch({ from, to }: Move, sent: () => void): Promise<void> {
    const { telling, signal } = this.#options;
    telling.event('operator', `SWITCH: ${this.service} from ${from.host} to ${to.host}, guarded by probes`, {
      tone: 'strong',
    });
    const { port, user, password, database, ca } = this.#pair;
    const lookup = createLookup(this.#resolver);
    const client = postgresClients({ Client: pg.Client, port, user, password, database, ca, lookup });
    await switchTarget({
      service,
      namespace,
      clusterDomain: this.#cluster.clusterDomain,
      kubeConfig: this.#kubeConfig,
      allowedTargets: this.servers.map(({ host }) => host),
      expect: from.host,
      to: to.host,
      reason: 'externalname drill',
      probes: postgresServiceProbes({ port, ca, lookup, client }),
      dnsServers: false,
      onProgress: ({ step, state }) => {
        if (step === 'patch' && state === 'running') sent();
      },
      signal,
    });
  }

  async rebuild({ from, to }: Move): Promise<void> {
    const { telling, signal } = this.#options;
    telling.event('operator', `REBUILD: ${from.host} becomes the standby of ${to.host}`, {
      tone: 'strong',
      part: true,
    });
    await this.#pair.rejoin(this.#pair.server(from.host), { signal });
    telling.event('servers', `${from.host} is in step: commits on ${to.host} wait for it`);
  }

  async rows({ to }: Move): Promise<ReadonlyMap<number, number>> {
    const server = this.#pair.server(to.host);
    const { database } = this.#pair;
    return countWrites((text) => server.query(text, [], { database }), { table: this.table });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#close) await close();
    await this.#resolver.close();
    await this.#cluster.close();
    await this.#pair.close();
  }

  #pushed() {
    const { clusterDomain } = this.#cluster;
    const source = kubernetesSource({ service, namespace, clusterDomain, kubeConfig: this.#kubeConfig });
    this.#close.push(() => source.close());
    return source;
  }

  #shown({ hostName, address }: PostgresServer): DrillServer {
    return { host: hostName, address };
  }
}

const service = 'webscaler-db';
const namespace = 'default';
