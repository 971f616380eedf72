import { setTimeout as pause } from 'node:timers/promises';
import type { BalancedPool } from '@externalname/pg';
import { LocalCluster, PostgresPair, type PostgresServer } from '@externalname/testing';
import { catalogPool, readFrom } from './catalog.ts';
import { clouds } from './clouds.ts';
import { manifests } from './manifests.ts';

/** The reads of one part of the tour. */
export interface Reads {
  /** How many each cloud has answered. */
  readonly byCloud: readonly [number, number];
  readonly failed: number;
  /** 99 of 100 reads took at most this, in milliseconds. */
  readonly p99Millis: number;
}

/** What each part has shown. */
export interface Figures {
  readonly shared: Reads;
  readonly killed: Reads;
  readonly frozen: Reads;
  readonly again: Reads;
}

/** Reads in two clouds, of which one fails in two ways and comes back. */
export async function tour(
  print: (line: string) => void,
  { outageMillis }: { outageMillis: number },
): Promise<Figures> {
  const [a, b] = clouds;
  // The replica of cloud B is a standby of the server in cloud A.
  await using pair = await PostgresPair.start({ hostNames: { primary: a.hostName, standby: b.hostName } });
  const [serverA, serverB] = pair.servers;
  await using cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: manifests(),
    hosts: { [a.hostName]: [serverA.address], [b.hostName]: [serverB.address] },
  });
  await using pool = catalogPool({
    allowedNetworks: ['127.0.0.0/8'],
    dns: { nameservers: [cluster.nameserver] },
    port: pair.port,
    user: pair.user,
    password: pair.password,
    database: pair.database,
    ssl: { ca: pair.ca },
    max: 8,
    slowStartMillis: 1_000,
    failbackAfterMillis: 2_000,
  });
  const places = [serverA.address, serverB.address];
  for (const { service } of clouds) await returned(pool, service);

  print(`# Reads go to both clouds, ${a.weight} : ${b.weight}`);
  const shared = await told(print, readWhile(pool, places, bothServe));

  print('\n# The server of cloud B is killed');
  const killed = await told(
    print,
    readWhile(pool, places, () =>
      outage(
        () => serverB.kill(),
        () => serverB.start(),
        outageMillis,
      ),
    ),
  );

  await returned(pool, b.service);
  print('\n# It is back. The server of cloud A stops to answer, and its connections stay open');
  const frozen = await told(
    print,
    readWhile(pool, places, () =>
      outage(
        () => serverA.freeze(),
        () => serverA.thaw(),
        outageMillis,
      ),
    ),
  );

  await returned(pool, a.service);
  print('\n# Both are back');
  const again = await told(print, readWhile(pool, places, bothServe));
  return { shared, killed, frozen, again };
}

async function outage(
  harm: () => ReturnType<PostgresServer['kill']>,
  mend: () => Promise<unknown>,
  millis: number,
): Promise<void> {
  await pause(300);
  await harm();
  await pause(millis);
  await mend();
}

/** A second, or until each cloud has answered. */
async function bothServe(byCloud: readonly number[]): Promise<void> {
  const began = performance.now();
  const passed = () => performance.now() - began;
  while (passed() < 1_000 || (byCloud.includes(0) && passed() < 30_000)) await pause(20);
}

/** Reads with eight workers while something happens. */
async function readWhile(
  pool: BalancedPool,
  places: readonly string[],
  event: (byCloud: readonly number[]) => Promise<unknown>,
): Promise<Reads> {
  const byCloud: [number, number] = [0, 0];
  const millis: number[] = [];
  let failed = 0;
  let isOver = false;
  const work = async () => {
    while (!isOver) {
      const startedAt = performance.now();
      try {
        byCloud[(await readFrom(pool)) === places[0] ? 0 : 1] += 1;
      } catch {
        failed += 1;
      }
      millis.push(performance.now() - startedAt);
      // An application does something with what it has read.
      await pause(2);
    }
  };
  const workers = Array.from({ length: 8 }, work);
  await event(byCloud);
  isOver = true;
  await Promise.all(workers);
  millis.sort((one, other) => one - other);
  return { byCloud, failed, p99Millis: Math.round(millis[Math.floor(millis.length * 0.99)] ?? 0) };
}

/** Reads now and then until a Service has its whole share. */
async function returned(pool: BalancedPool, service: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    await readFrom(pool);
    const status = pool.status().services.find(({ name }) => name === service);
    const weights = clouds.reduce((sum, { weight }) => sum + weight, 0);
    if (status !== undefined && status.share > (status.weight / weights) * 0.99) return;
    if (performance.now() > deadline) throw new Error(`${service} has not had its share within 30 s`);
    await pause(20);
  }
}

async function told(print: (line: string) => void, reading: Promise<Reads>): Promise<Reads> {
  const reads = await reading;
  const [inA, inB] = reads.byCloud;
  print(
    `  ${inA} reads in cloud A, ${inB} in cloud B, ${reads.failed} failed; 99 of 100 took at most ${reads.p99Millis} ms`,
  );
  return reads;
}
