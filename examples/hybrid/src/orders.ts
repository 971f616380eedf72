import { Pool, type PoolOptions } from '@externalname/pg';
import { premises } from './premises.ts';

/**
 * The application's pool: what you would copy. Allow-list, host, database, password and the authority's certificate come from the
 * environment of the Deployment; the networks are checked for every address, right before it is dialled.
 */
export function ordersPool(overrides: PoolOptions = {}): Pool {
  return new Pool({ service: premises.service, allowedNetworks: premises.networks, ...overrides });
}

/** Stores an order. The id makes it safe to run twice, so a cut line costs a wait and not an error. Returns the server's address. */
export async function storeOrder(pool: Pool, id: number, worker: number): Promise<string> {
  const { rows } = await pool.query<{ address: string }>({
    text: `insert into orders (id, worker) values ($1, $2) on conflict (id) do update set worker = excluded.worker
      returning host(inet_server_addr()) as address`,
    values: [id, worker],
    idempotent: true,
  });
  return rows[0]?.address ?? 'unknown';
}
