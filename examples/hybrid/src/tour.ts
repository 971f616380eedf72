import { setTimeout as pause } from 'node:timers/promises';
import { DnsResolver } from '@externalname/core';
import { externalNameService, switchJsonPatch } from '@externalname/core/manifests';
import { outcomeOf, type Pool, type PoolOptions, targetNotFollowed } from '@externalname/pg';
import { FaultProxy, LocalCluster, PostgresPair, WriteLedger, WriteLoad } from '@externalname/testing';
import { ordersPool, storeOrder } from './orders.ts';
import { premises } from './premises.ts';

const { service, namespace, hostName } = premises;

/** What happened to the orders while the line was cut. */
export interface Figures {
  readonly acknowledged: number;
  readonly failed: number;
  readonly lost: number;
  readonly duplicated: number;
  /** The longest wait of an order, in milliseconds. */
  readonly longestWaitMillis: number;
  /** From the moment when the line was back until the next order was stored, in milliseconds. */
  readonly backAfterMillis: number;
}

/** A database that is elsewhere: who reaches it, who is refused, and what a cut line does. */
export async function tour(print: (line: string) => void, { cutMillis }: { cutMillis: number }): Promise<Figures> {
  await using pair = await PostgresPair.start({
    hostNames: { primary: hostName, standby: 'orders-db-copy.dc1.example.com' },
    database: 'orders',
    user: 'orders',
  });
  // The premises' network is one address here, behind a proxy that stands for the line.
  await using line = await FaultProxy.start({ target: { host: pair.primary.address, port: pair.port } });
  await using cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [externalNameService({ name: service, namespace, externalName: hostName })],
    hosts: { [hostName]: [line.address], 'orders-db.example.org': ['203.0.113.7'] },
  });
  const { user, password, database, ca } = pair;
  const options: PoolOptions = {
    namespace,
    allowedTargets: [hostName],
    allowedNetworks: [`${line.address}/32`],
    dns: { nameservers: [cluster.nameserver] },
    port: line.port,
    user,
    password,
    database,
  };

  print(`${service}.${namespace} -> ${hostName} -> ${line.address}, which only the line reaches`);

  print('\n# Without the certificate of the private authority');
  print(`  ${await refusal(options, cluster.nameserver)}`);
  const trusted: PoolOptions = { ...options, ssl: { ca } };

  print('\n# With it');
  await using pool = ordersPool({ ...trusted, max: 4 });
  await pool.query('create table orders (id bigint primary key, worker int not null)');
  const { rows } = await pool.query<{ version: string }>("select split_part(version(), ' on ', 1) as version");
  print(`  ${rows[0]?.version}, verified as ${pool.status().target?.externalName}`);

  print('\n# A DNS that does not know the private zone answers with an address of another network');
  cluster.hosts.set(hostName, ['203.0.113.9']);
  print(`  ${await refusal(trusted, cluster.nameserver)}`);
  cluster.hosts.set(hostName, [line.address]);

  print('\n# Someone points the Service to another host');
  const noticed = refusedTarget();
  await cluster.services.patch(namespace, service, switchJsonPatch({ externalName: 'orders-db.example.org' }));
  print(`  a pod that starts now: ${await refusal(trusted, cluster.nameserver)}`);
  print(`  the pool that is connected does not follow to ${await noticed}`);
  await storeOrder(pool, 0, 0);
  print(`  it stays at ${pool.status().target?.externalName}, and serves`);
  await cluster.services.patch(namespace, service, switchJsonPatch({ externalName: hostName }));

  return await cut(print, { pool, pair, line, trusted, cutMillis });
}

interface Line {
  readonly pool: Pool;
  readonly pair: PostgresPair;
  readonly line: FaultProxy;
  readonly trusted: PoolOptions;
  readonly cutMillis: number;
}

async function cut(print: (line: string) => void, { pool, pair, line, trusted, cutMillis }: Line): Promise<Figures> {
  const seconds = cutMillis / 1000;
  print(`\n# The line is cut for ${seconds} s: packets are dropped, and neither end is told`);
  const load = new WriteLoad({ workers: 8, outcomeOf, write: (id, worker) => storeOrder(pool, id, worker) });
  const ledger = new WriteLedger();
  const began = performance.now();
  load.start();
  await pause(500);
  line.blackHole();
  print(`  ${at(began)} the line is cut, while 8 workers store orders`);
  await pause(Math.max(0, cutMillis - 400));
  await silenceFound(pool);
  ledger.enter(load.report(), performance.now());
  const ready = pool.status().serving ? 'ready' : 'not ready';
  print(
    `  ${at(began)} a readiness probe would say "${ready}"; ${ledger.underWay.length} orders wait, ${ledger.failed.length} have failed`,
  );
  await using hasty = ordersPool({ ...trusted, failoverTimeoutMillis: 300 });
  const error = await errorOf(hasty);
  print(`  ${at(began)} a caller that waits 0.3 s only gets an error, with the outcome ${outcomeOf(error)}`);
  await pause(Math.max(0, cutMillis - (performance.now() - began - 500)));
  await line.heal();
  const healedAt = performance.now();
  print(`  ${at(began)} the line is back`);
  await firstOrderAfter(load, ledger, healedAt);
  const backAfterMillis = Math.round(performance.now() - healedAt);
  print(`  ${at(began)} the first order is stored, ${backAfterMillis} ms later`);
  await pause(300);
  await load.stop();
  ledger.enter(load.report(), performance.now());

  const stored = await pair.primary.query<{ id: string }>('select id from orders', [], { database: pair.database });
  const ids = stored.map(({ id }) => Number(id));
  const present = new Set(ids);
  const figures = {
    acknowledged: ledger.acknowledged.length,
    failed: ledger.failed.length,
    lost: ledger.acknowledged.filter(({ id }) => !present.has(id)).length,
    duplicated: ids.length - present.size,
    longestWaitMillis: Math.round(Math.max(...ledger.acknowledged.map((write) => write.settledAt - write.beganAt))),
    backAfterMillis,
  };
  print(
    `\n${figures.acknowledged} orders stored, ${figures.failed} failed, ${figures.lost} lost, ${figures.duplicated} stored twice. ` +
      `The longest wait was ${(figures.longestWaitMillis / 1000).toFixed(1)} s.`,
  );
  for (const { failure } of ledger.failed) print(`  failed: ${failure.code}, outcome ${failure.outcome}`);
  return figures;
}

/** Until the pool has found out that nothing answers. */
async function silenceFound(pool: Pool): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (pool.status().serving && performance.now() < deadline) await pause(20);
}

/** Polls what the workers were told, which is all that there is to ask. */
async function firstOrderAfter(load: WriteLoad, ledger: WriteLedger, moment: number): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    ledger.enter(load.report(), performance.now());
    if (ledger.acknowledged.some(({ settledAt }) => settledAt >= moment)) return;
    if (performance.now() > deadline) throw new Error('no order was stored within 20 s after the line was back');
    await pause(10);
  }
}

/** The error of a pod that starts now, with a DNS cache of its own and without a second attempt. */
async function refusal(options: PoolOptions, nameserver: string): Promise<string> {
  await using resolver = new DnsResolver({ nameservers: [nameserver] });
  await using pool = ordersPool({ ...options, dns: resolver, failoverTimeoutMillis: 0 });
  const { code, message } = await errorOf(pool);
  return `${code}: ${message}`;
}

async function errorOf(pool: Pool): Promise<Error & { readonly code?: unknown }> {
  try {
    await pool.query('select 1');
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('the query was expected to fail');
}

/** The host that a pool is told of and does not follow to. */
function refusedTarget(): Promise<string> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      stop();
      reject(new Error('the pool did not notice the switch within 10 s'));
    }, 10_000);
    const stop = targetNotFollowed.subscribe(({ target }) => {
      clearTimeout(late);
      stop();
      resolve(target);
    });
  });
}

function at(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1).padStart(5)} s`;
}
