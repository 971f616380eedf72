import type { PoolOptions } from '@externalname/pg';
import type { PostgresPair, PostgresServer } from '@externalname/testing';
import { expect } from 'vitest';
import { Network, type PodOptions } from '../../../examples/webscaler/src/network/network.ts';
import {
  startWebscalerSite,
  type WebscalerSite,
  type WebscalerSiteOptions,
} from '../../../examples/webscaler/src/network/webscaler-site.ts';
import { countRows, makeTable } from '../../../examples/webscaler/src/rows.ts';
import type { PodCalls, Written } from './pod-calls.ts';
import { RemotePod } from './remote-pod.ts';

/** The site with an application in a pod. */
export interface TestSite extends WebscalerSite {
  readonly app: RemotePod;
  /** Options of a pool in the pod. It finds DNS, and the API, as every pod does. */
  poolOptions(overrides?: Partial<PoolOptions & { watch: boolean }>): Parameters<PodCalls['open']>[1];
}

/** Opens the network, starts the servers with a table `writes`, and an application in a pod. */
export async function openTestSite(
  options: WebscalerSiteOptions & { podOptions?: Partial<PodOptions> } = {},
): Promise<TestSite> {
  const network = await Network.open();
  try {
    const site = await startWebscalerSite(network, options);
    try {
      await makeTable(site.pair, 'writes');
      const app = await RemotePod.start(await site.pod(options.podOptions));
      return {
        ...site,
        app,
        poolOptions: poolOptionsFor(site.pair),
        [Symbol.asyncDispose]: async () => {
          await app[Symbol.asyncDispose]();
          await site[Symbol.asyncDispose]();
          await network[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await site[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    await network[Symbol.asyncDispose]();
    throw error;
  }
}

/** Makes {@link TestSite.poolOptions}. */
export function poolOptionsFor({ servers, port, user, password, database, ca }: PostgresPair): TestSite['poolOptions'] {
  const allowedTargets = servers.map(({ hostName }) => hostName);
  return (overrides = {}) => ({
    service: 'webscaler-db',
    allowedTargets,
    port,
    user,
    password,
    database,
    ssl: { ca },
    ...overrides,
  });
}

/**
 * Nothing that was acknowledged is missing, nothing is there twice, nothing hung, and what was called not executed was not.
 *
 * @param servers the server that was written to, or several that each have some of the writes
 */
export async function expectNothingLost(
  servers: PostgresServer | readonly PostgresServer[],
  database: string,
  written: Written,
): Promise<void> {
  const rows = new Map<number, number>();
  for (const server of [servers].flat()) {
    for (const [id, times] of await countRows(server, { database, table: 'writes' }))
      rows.set(id, (rows.get(id) ?? 0) + times);
  }
  expect({
    acknowledged: written.acknowledged.length > 0,
    lost: written.acknowledged.filter((id) => !rows.has(id)),
    twice: [...rows].filter(([, times]) => times > 1).map(([id]) => id),
    hung: written.hung,
    wronglyNotExecuted: written.failures.filter(({ id, outcome }) => outcome === 'not-executed' && rows.has(id)),
  }).toEqual({ acknowledged: true, lost: [], twice: [], hung: [], wronglyNotExecuted: [] });
}
