import { BalancedPool, type BalancedPoolOptions } from '@externalname/pg';
import { clouds, namespace } from './clouds.ts';

/** The pool that the application reads with: three quarters in the cloud that it runs in. */
export function catalogPool(options: Omit<BalancedPoolOptions, 'services' | 'namespace'>): BalancedPool {
  return new BalancedPool({
    ...options,
    namespace,
    name: 'catalog-reads',
    services: clouds.map(({ service, weight }) => ({ service, weight })),
    allowedTargets: clouds.map(({ hostName }) => hostName),
    targetSessionAttrs: 'any',
  });
}

/** Which server has answered. A read may run twice: it is marked, so that the pool retries it elsewhere. */
export async function readFrom(pool: BalancedPool): Promise<string> {
  const { rows } = await pool.query<{ address: string }>({
    text: 'select host(inet_server_addr()) as address',
    idempotent: true,
  });
  return rows[0]?.address ?? '';
}
