import type { PoolOptions } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';

/** The scenario's cluster and databases. */
export interface Webscaler extends AsyncDisposable {
  readonly pair: PostgresPair;
  readonly cluster: LocalCluster;
  /** Options of a pool or client for `webscaler-db`. */
  options(overrides?: PoolOptions): PoolOptions;
  /** The same for libraries that know no options but those of pg: the Service is the host, and the allow-list one of the options. */
  hostOptions(): PoolOptions & { readonly host: string; readonly port: number; readonly user: string };
  /** The crash: the primary is killed, the standby promoted, and the Service patched. The old primary stays dead. */
  failOver(): Promise<void>;
  /**
   * The planned switch: nothing is lost, the Service is patched, and the old primary becomes the standby. Without `rejoin` it
   * lives on as it is, takes no writes, and keeps its connections.
   */
  switchOver(options?: { readonly rejoin?: boolean }): Promise<void>;
  /** Runs one statement as superuser in the application's database, on the server that is the primary now. */
  query<Row>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
}

/**
 * Starts both, with answers that live for one second, so that a switch is seen soon. A commit waits for the standby: whatever
 * was acknowledged is there after a crash.
 *
 * The application's database has the table `writes`: `id`, and where each row was written (`server`, `backend`).
 */
export async function startWebscaler(): Promise<Webscaler> {
  const pair = await PostgresPair.start({ synchronous: true });
  const cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: pair.primary.hostName },
      },
    ],
    hosts: pair.hosts,
  }).catch(async (error: unknown) => {
    await pair.close();
    throw error;
  });
  const access = {
    allowedTargets: pair.servers.map((server) => server.hostName),
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    port: pair.port,
    user: pair.user,
    password: pair.password,
    database: pair.database,
    ssl: { ca: pair.ca },
    max: 4,
    // A machine that is busy must not make a statement end here that an idle one lets pass.
    drainTimeoutMillis: 10_000,
  };
  const point = async () => {
    await cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: pair.primary.hostName },
    ]);
  };
  const webscaler: Webscaler = {
    pair,
    cluster,
    options: (overrides = {}) => ({ service: 'webscaler-db', ...access, ...overrides }),
    hostOptions: () => ({ host: 'webscaler-db', ...access }),
    async failOver() {
      const { primary, standby } = pair;
      await primary.kill();
      await standby.promote();
      await point();
    },
    async switchOver({ rejoin = true } = {}) {
      await pair.switchover({ onPromoted: point, rejoin });
    },
    query: (sql, values = []) => pair.primary.query(sql, values, { database: pair.database }),
    async [Symbol.asyncDispose]() {
      await cluster.close();
      await pair.close();
    },
  };
  try {
    await webscaler.query(
      'create table writes (id text not null, server text not null default host(inet_server_addr()), ' +
        'backend integer not null default pg_backend_pid())',
    );
    await webscaler.query(`grant all on writes to ${pair.user}`);
  } catch (error) {
    await webscaler[Symbol.asyncDispose]();
    throw error;
  }
  return webscaler;
}

/** The two ways to another primary, for `it.each`. After the planned switch the old one lives on, with its connections. */
export const changes: readonly (readonly [name: string, change: (webscaler: Webscaler) => Promise<void>])[] = [
  ['a planned switch', (webscaler) => webscaler.switchOver({ rejoin: false })],
  ['a crash', (webscaler) => webscaler.failOver()],
];
