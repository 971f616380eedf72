import { Resolver } from 'node:dns';
import { Socket } from 'node:net';
import pg from 'pg';
import type { Assignment } from './writer-messages.ts';

/**
 * The pool that people have today: `pg.Pool` with the Service's name as its host.
 *
 * In a pod the operating system would ask the cluster's DNS at each new connection. Here no `/etc/resolv.conf` names that DNS, so
 * the socket asks it: at each new connection, with nothing kept in between.
 */
export function plainPool({ client, connections, database, follow }: Assignment): pg.Pool {
  const { service, namespace, port, user, password, ca } = database;
  const resolver = new Resolver();
  resolver.setServers([follow.nameserver]);
  const pool = new pg.Pool({
    host: `${service}.${namespace}.svc.cluster.local`,
    port,
    user,
    password,
    database: database.database,
    ssl: client === 'plain-verified' ? { ca } : false,
    max: connections,
    stream: () => new ClusterSocket(resolver),
  });
  // Without this, a plain pool ends the process when a server dies.
  pool.on('error', () => undefined);
  return pool;
}

/** A socket that looks its host up at a DNS server of its own. */
class ClusterSocket extends Socket {
  readonly #resolver: Resolver;

  constructor(resolver: Resolver) {
    super();
    this.#resolver = resolver;
  }

  // `pg` calls this form only.
  override connect(...[port, host]: unknown[]): this {
    return super.connect({
      port: Number(port),
      host: String(host),
      lookup: (name, { all }, done) => {
        this.#resolver.resolve4(name, (error, addresses) => {
          const [address] = addresses ?? [];
          if (error !== null || address === undefined) done(error ?? new Error(`${name} has no address`), '', 4);
          else if (all) done(null, [{ address, family: 4 }]);
          else done(null, address, 4);
        });
      },
    });
  }
}
