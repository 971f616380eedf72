/** The scenario's two servers and its cluster DNS, and how each of the two pools gets there. For the benchmarks. */
import { promises as dns } from 'node:dns';
import net, { type LookupFunction } from 'node:net';
import { Pool, type PoolOptions } from '@externalname/pg';
import { FaultProxy, LocalCluster, PostgresPair, type PostgresServer } from '@externalname/testing';
import pg from 'pg';

export const primaryName = 'primary-db.example.com';
export const secondaryName = 'secondary-db.example.com';

/** A pair of servers behind `webscaler-db`. */
export class Scenario implements AsyncDisposable {
  readonly pair: PostgresPair;
  readonly cluster: LocalCluster;
  /** Between clients and each server, by the server's name; none if clients connect directly. */
  readonly #proxies: ReadonlyMap<string, FaultProxy>;

  private constructor(pair: PostgresPair, cluster: LocalCluster, proxies: ReadonlyMap<string, FaultProxy>) {
    this.pair = pair;
    this.cluster = cluster;
    this.#proxies = proxies;
  }

  /**
   * @param options.proxies whether clients go through a proxy that can put faults between them and a server
   * @param options.accessRules lines of `pg_hba.conf` before those of the pair
   */
  static async start(
    options: { proxies?: boolean; parameters?: Record<string, string>; accessRules?: readonly string[] } = {},
  ): Promise<Scenario> {
    const { parameters = {}, accessRules = [] } = options;
    const pair = await PostgresPair.start({ parameters, accessRules });
    const proxies = new Map<string, FaultProxy>();
    try {
      for (const server of options.proxies ? pair.servers : []) {
        const target = { host: server.address, port: pair.port };
        proxies.set(server.hostName, await FaultProxy.start({ target, port: pair.port }));
      }
      const addressOf = (server: PostgresServer) => proxies.get(server.hostName)?.address ?? server.address;
      const cluster = await LocalCluster.start({
        ttlSeconds: 1,
        services: [
          {
            metadata: { name: 'webscaler-db', namespace: 'default' },
            spec: { type: 'ExternalName', externalName: primaryName },
          },
        ],
        hosts: Object.fromEntries(pair.servers.map((server) => [server.hostName, [addressOf(server)]])),
      });
      return new Scenario(pair, cluster, proxies);
    } catch (error) {
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
      await pair.close();
      throw error;
    }
  }

  proxyOf(server: PostgresServer): FaultProxy {
    const proxy = this.#proxies.get(server.hostName);
    if (proxy === undefined) throw new Error('the scenario was started without proxies');
    return proxy;
  }

  /** The scenario's patch. */
  async point(server: PostgresServer): Promise<void> {
    await this.cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: server.hostName },
    ]);
  }

  /** What leads through the Service. */
  get service() {
    return {
      service: 'webscaler-db',
      allowedTargets: [primaryName, secondaryName],
      allowedNetworks: ['127.0.0.0/8'],
      dns: { nameservers: [this.cluster.nameserver] },
    };
  }

  /** @param make the class, if not that of the sources */
  ours(options: PoolOptions = {}, make: typeof Pool = Pool): Pool {
    const pool = new make({
      ...this.service,
      ...this.#credentials(),
      ssl: { ca: this.pair.ca },
      ...options,
    });
    pool.on('error', () => undefined);
    return pool;
  }

  /** Plain pg on the address of the first server, with the name to verify given by hand: the same TLS as ours. */
  plainToAddress(options: pg.PoolConfig = {}): pg.Pool {
    const { address, hostName } = this.pair.servers[0];
    return this.#plain({ host: address, ssl: { ca: this.pair.ca, servername: hostName }, ...options });
  }

  /**
   * Plain pg through the Service, as well as it can: it asks the cluster's DNS at each connect, past any cache, and takes
   * any certificate of the CA, because it knows no name to verify (`checkServerIdentity`; `ssl.servername` would be
   * overwritten by pg).
   */
  plainThroughService(options: pg.PoolConfig = {}): pg.Pool {
    const lookup = lookupAt(this.cluster.nameserver);
    return this.#plain({
      host: 'webscaler-db.default.svc.cluster.local',
      ssl: { ca: this.pair.ca, checkServerIdentity: () => undefined },
      stream: () => socketWith(lookup),
      ...options,
    });
  }

  #plain(options: pg.PoolConfig): pg.Pool {
    const pool = new pg.Pool({ ...this.#credentials(), ...options });
    // Without a listener the death of a server would be the death of the process.
    pool.on('error', () => undefined);
    return pool;
  }

  #credentials() {
    const { port, user, password, database } = this.pair;
    return { port, user, password, database };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
    await this.cluster.close();
    await this.pair.close();
  }
}

// getaddrinfo waits for 5 s and asks twice; it cannot be told a port, so c-ares stands in for it. A new one each time, for
// c-ares shortens its timeout to what it has seen of a server.
function lookupAt(nameserver: string): LookupFunction {
  return (hostname, options, callback) => {
    const resolver = new dns.Resolver({ timeout: 5_000, tries: 2 });
    resolver.setServers([nameserver]);
    resolver.resolve4(hostname).then(
      (addresses) => {
        const [first = ''] = addresses;
        if (options.all === true) callback(null, [{ address: first, family: 4 }]);
        else callback(null, first, 4);
      },
      (error: NodeJS.ErrnoException) => callback(error, '', 4),
    );
  };
}

// `pg` calls connect(port, host) and gives no way to pass a lookup.
function socketWith(lookup: LookupFunction): net.Socket {
  const socket = new net.Socket();
  const connect = socket.connect.bind(socket) as (options: net.TcpNetConnectOpts) => net.Socket;
  socket.connect = ((port: number, host: string) => connect({ port, host, lookup })) as typeof socket.connect;
  return socket;
}

/** The middle of some numbers; NaN if there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
