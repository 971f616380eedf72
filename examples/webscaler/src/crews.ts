import type { CrewSettings } from './crew.ts';
import type { ClientKind } from './writer-messages.ts';

/** Who writes, ours first. */
export function crewsOf(plainPg: boolean): readonly CrewSettings[] {
  return plainPg ? [ourCrew, ...plainCrews] : [ourCrew];
}

const ourCrew: CrewSettings = {
  client: 'externalname',
  title: '@externalname/pg',
  tls: 'verified TLS',
  calls: 'pool.query()',
  workers: 20,
  connections: 10,
  pauseMillis: 20,
  table: 'writes',
};
const plainCrews: readonly CrewSettings[] = (
  [
    { client: 'plain-verified', title: 'pg, verified TLS', workers: 1, pauseMillis: 1_000 },
    { client: 'plain-query', title: 'pg, query()', workers: 20, pauseMillis: 40 },
    { client: 'plain-checkout', title: 'pg, connect()', workers: 20, pauseMillis: 40 },
  ] as const satisfies readonly { client: ClientKind; title: string; workers: number; pauseMillis: number }[]
).map((each) => ({
  ...each,
  tls: each.client === 'plain-verified' ? 'verified TLS' : 'no TLS',
  calls: each.client === 'plain-checkout' ? 'pool.connect()' : 'pool.query()',
  connections: 10,
  table: `writes_${each.client.replaceAll('-', '_')}`,
}));
