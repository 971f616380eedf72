import type { PostgresServer } from '@externalname/testing';
import { expect } from 'vitest';
import type { Written } from './pod-calls.ts';
import { expectNothingLost, type TestSite } from './site.ts';

/** How a pool of the scenario learns of a switch. */
export const ways = ['dns', 'watch'] as const;

/** What became of the writes of each way in one stage. */
export type StageWritten = Readonly<Record<(typeof ways)[number], Written>>;

/**
 * The webscaler disaster recovery with the application in a pod: two pools write, the one told by DNS and the other by a watch, while
 * the primary is killed and the standby promoted, and then while it is switched back on purpose. Counted as in the demo.
 */
export async function playScenario(site: Pick<TestSite, 'app' | 'pair' | 'point' | 'poolOptions'>): Promise<void> {
  const { pair, app } = site;
  for (const way of ways) await app.call('open', way, site.poolOptions({ watch: way === 'watch' }));
  for (const way of ways) expect(await servedBy(site, way)).toBe(pair.primary.address);

  const crash = await whileWriting(site, 1, async () => {
    await pair.primary.kill();
    await pause(500);
    await pair.standby.promote();
    await site.point(pair.primary.hostName);
  });
  await expectHeld(pair.primary, pair.database, crash);
  for (const { failures } of Object.values(crash)) {
    // What was in flight when the server died: at most one statement a connection.
    expect(failures.length).toBeLessThanOrEqual(10);
    expect(failures.filter(({ outcome }) => outcome !== 'unknown')).toEqual([]);
  }

  await pair.rejoin(pair.standby);
  const planned = await whileWriting(site, 1_000_000, () =>
    pair.switchover({ rejoin: false, onPromoted: ({ hostName }) => site.point(hostName) }),
  );
  await expectHeld(pair.primary, pair.database, planned);
  for (const { failures } of Object.values(planned)) expect(failures).toEqual([]);
}

async function whileWriting(
  site: Pick<TestSite, 'app' | 'pair'>,
  firstId: number,
  happens: () => Promise<void>,
): Promise<StageWritten> {
  const { app } = site;
  for (const [index, way] of ways.entries()) {
    await app.call('startWriting', way, { workers: 10, firstId: firstId + index * 100_000 });
  }
  await pause(1_000);
  await happens();
  for (const way of ways) {
    await expect.poll(() => servedBy(site, way), { timeout: 20_000 }).toBe(site.pair.primary.address);
  }
  await pause(500);
  const [dns, watch] = await Promise.all(ways.map((way) => app.call('stopWriting', way)));
  if (dns === undefined || watch === undefined) throw new TypeError('a pool wrote nothing');
  return { dns, watch };
}

async function expectHeld(server: PostgresServer, database: string, written: StageWritten): Promise<void> {
  for (const way of ways) await expectNothingLost(server, database, written[way]);
}

async function servedBy({ app }: Pick<TestSite, 'app'>, way: string): Promise<unknown> {
  const [row] = await app.call('query', way, 'select host(inet_server_addr()) as address');
  return row?.['address'];
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis));
}
