import { DnsResolver, DnsTargetSource, FirstAvailableTargetSource } from '@externalname/core';
import { kubernetesSource } from '@externalname/kubernetes';
import { Pool, type PoolOptions } from '@externalname/pg';
import type pg from 'pg';
import { plainPool } from './plain-pg.ts';
import type { Assignment, DatabaseAccess, FollowHere, FollowInPod } from './writer-messages.ts';

/** A pool, and how a row is written through it. */
export interface RowWriter {
  readonly pool: pg.Pool;
  /** Writes one row and returns the address of the server that did. */
  write(id: number, worker: number): Promise<string>;
}

/** Makes the pool of an assignment. */
export function rowWriter(assignment: Assignment): RowWriter {
  const text = `insert into ${assignment.table} (id, worker) values ($1, $2) returning host(inet_server_addr()) as address`;
  const pool = assignment.client === 'externalname' ? externalNamePool(assignment) : plainPool(assignment);
  if (assignment.client !== 'plain-checkout') {
    return { pool, write: async (id, worker) => addressOf(await pool.query<Written>(text, [id, worker])) };
  }
  return {
    pool,
    // The form that the documentation of `pg` shows for a transaction.
    async write(id, worker) {
      const client = await pool.connect();
      try {
        await client.query('begin');
        const result = await client.query<Written>(text, [id, worker]);
        await client.query('commit');
        return addressOf(result);
      } catch (error) {
        await client.query('rollback');
        throw error;
      } finally {
        client.release();
      }
    },
  };
}

/** All that an application writes to follow the Service. */
function externalNamePool({ client, connections, database, follow }: Assignment): Pool {
  const { service, namespace, allowedTargets, port, user, password, ca } = database;
  return new Pool({
    service,
    namespace,
    allowedTargets,
    ...(follow.nameserver === undefined ? inPod(database, follow) : here(database, follow)),
    port,
    user,
    password,
    database: database.database,
    ssl: { ca },
    max: connections,
    application_name: client,
  });
}

// In a pod there is nothing to say about DNS, nor about where the API is.
function inPod(database: DatabaseAccess, { push }: FollowInPod): PoolOptions {
  return push ? pushed(database, new DnsResolver()) : {};
}

function here(database: DatabaseAccess, { nameserver, kubeConfig }: FollowHere): PoolOptions {
  const dns = { nameservers: [nameserver] };
  return {
    // These servers are on this machine. A pool refuses loopback addresses unless it is told so.
    allowedNetworks: ['127.0.0.0/8', '::1/128'],
    ...(kubeConfig === undefined ? { dns } : pushed(database, new DnsResolver(dns), kubeConfig)),
  };
}

// The API tells of a switch; while it is away, DNS does.
function pushed({ service, namespace }: DatabaseAccess, dns: DnsResolver, kubeConfig?: string): PoolOptions {
  const source = new FirstAvailableTargetSource([
    kubernetesSource({ service, namespace, kubeConfig }),
    new DnsTargetSource({ service, namespace, resolver: dns }),
  ]);
  return { dns, source };
}

interface Written {
  readonly address: string;
}

function addressOf({ rows: [row] }: pg.QueryResult<Written>): string {
  if (row === undefined) throw new Error('the server wrote no row');
  return row.address;
}
