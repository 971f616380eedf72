import { Resolver } from 'node:dns';
import { Socket } from 'node:net';
import pg from 'pg';
import type { Assignment } from './writer-messages.ts';

/**
 * The pool that people have today: `pg.Pool` with the Service's name as its host.
 *
 * In a pod the operating system asks the cluster's DNS at each new connection. On this machine no `/etc/resolv.conf` names that DNS,
 * so the socket asks it: at each new connection, with nothing kept in between.
 */
export function plainPool({ client, connections, database, follow }: Assignment): pg.Pool {
  const { service, namespace, port, user, password, ca } = database;
  const pool = new pg.Pool({
    ...(follow.nameserver === undefined
      ? { host: service }
      : { host: `${service}.${namespace}.svc.cluster.local`, stream: socketsBy(follow.nameserver) }),
    port,
    user,
    password,
    database: database.database,
    ssl: client === 'plain-verified' ? { ca } : false,
    max: connections,
    application_name: client,
  });
  // Without these two, a plain pool ends the process when a server dies: one is for idle clients, the other for clients that a
  // transaction holds, which few applications handle.
  pool.on('error', () => undefined);
  pool.on('connect', (made) => made.on('error', () => undefined));
  return pool;
}

function socketsBy(nameserver: string): () => ClusterSocket {
  const resolver = new Resolver();
  resolver.setServers([nameserver]);
  return () => new ClusterSocket(resolver);
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
        this.#address(name, (error, address, family) => {
          if (error !== null) done(error, '', 4);
          else if (all) done(null, [{ address, family }]);
          else done(null, address, family);
        });
      },
    });
  }

  // IPv6 only if there is no IPv4, as with the addresses that macOS gives the demo.
  #address(name: string, done: (error: Error | null, address: string, family: 4 | 6) => void): void {
    this.#resolver.resolve4(name, (error, [first] = []) => {
      if (error === null && first !== undefined) return done(null, first, 4);
      return this.#resolver.resolve6(name, (_, [sixth] = []) => {
        if (sixth !== undefined) done(null, sixth, 6);
        else done(error ?? new Error(`${name} has no address`), '', 4);
      });
    });
  }
}
