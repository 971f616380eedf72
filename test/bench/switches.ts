/**
 * Switches a pool under load between the two servers of a pair, many times in a row, and looks whether anything stays behind:
 * sockets, timers, listeners, server processes, memory. Prints a table of before and after.
 *
 *   pnpm bench:switches [--switches=200] [--json]
 *
 * Exit status 1 where something did. Memory may grow by what its own scatter explains: see `memoryAllowanceBytes`.
 */
import { createHook } from 'node:async_hooks';
import type { EventEmitter } from 'node:events';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { StaticTargetSource } from '@externalname/core';
import type { Pool } from '@externalname/pg';
import { median, primaryName, Scenario, secondaryName } from './compared-pools.ts';

const { values } = parseArgs({
  options: { switches: { type: 'string', default: '200' }, json: { type: 'boolean', default: false } },
});
const switches = Number(values.switches);
const workers = 16;
const max = 10;

/** What is looked at, while the pool is idle. */
interface Inventory {
  readonly [what: string]: number;
}

if (globalThis.gc === undefined) throw new Error('run it with node --expose-gc, as pnpm bench:switches does');
const collect = globalThis.gc;

// `getActiveResourcesInfo()` leaves out timers that do not keep the process; these are counted, too.
const backgroundTimers = new Set<number>();
createHook({
  init: (id, type) => {
    if (type === 'Timeout') backgroundTimers.add(id);
  },
  destroy: (id) => {
    backgroundTimers.delete(id);
  },
}).enable();

await using scenario = await Scenario.start();
await using source = new StaticTargetSource(primaryName);
const pool = scenario.ours({
  source,
  targetSessionAttrs: 'any',
  max,
  // All connections of one server stay until they are counted.
  idleTimeoutMillis: 0,
  reconnectSpreadMillis: 20,
});
const load = { done: 0, failed: 0, errors: new Map<string, number>() };
const millis: number[] = [];

try {
  // Some switches first: caches, code and the heap come to their size.
  await switchUnderLoad(Math.min(40, switches));
  const before = await inventory();
  load.done = 0;
  load.failed = 0;
  load.errors.clear();
  millis.length = 0;
  const startedAt = performance.now();
  await switchUnderLoad(switches);
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  const after = await inventory();
  const left = leftBehind(before, after);

  const { epoch } = pool.status();
  if (values.json) {
    console.log(JSON.stringify({ switches, epoch, seconds, before, after, left, ...load, errors: [...load.errors] }));
  } else {
    console.log(
      `${switches} switches in ${seconds} s, load ${loadavg()[0]?.toFixed(1)}: ${load.done} statements, ${load.failed} failed; ` +
        `from set() until nothing is left on the old server ${median(millis).toFixed(0)} ms (median), ${Math.max(...millis).toFixed(0)} ms at most`,
    );
    for (const [message, count] of load.errors) console.log(`  ${count} x ${message}`);
    console.table(
      Object.fromEntries(Object.keys(before).map((what) => [what, { before: before[what], after: after[what] }])),
    );
    for (const what of left) console.log(`Not back: ${what}`);
  }
  const missed = millis.length < switches ? 1 : 0;
  process.exitCode = left.length + load.failed + missed > 0 ? 1 : 0;
} finally {
  await pool.end();
}

async function switchUnderLoad(count: number): Promise<void> {
  let over = false;
  const work = Array.from({ length: workers }, async (_, worker) => {
    while (!over) {
      try {
        await statement(pool, worker);
        load.done += 1;
      } catch (error) {
        load.failed += 1;
        const message = error instanceof Error ? error.message : String(error);
        load.errors.set(message, (load.errors.get(message) ?? 0) + 1);
      }
    }
  });
  for (let number = 0; number < count; number++) {
    const target = pool.status().target?.externalName === secondaryName ? primaryName : secondaryName;
    const startedAt = performance.now();
    source.set(target);
    await arrivedAt(target);
    millis.push(performance.now() - startedAt);
    // A few statements on the new server before the next one.
    const until = load.done + workers;
    while (load.done < until) await sleep(2);
  }
  over = true;
  await Promise.all(work);
}

// Short enough to end within the drain time, and of both kinds: `query()`, and a client with a transaction.
async function statement(on: Pool, worker: number): Promise<void> {
  if (worker % 4 !== 0) {
    await on.query('select $1::integer', [worker]);
    return;
  }
  await on.transaction(async (tx) => {
    await tx.query('select $1::integer', [worker]);
  });
}

async function arrivedAt(target: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (pool.status().target?.externalName !== target) {
    if (performance.now() > end) throw new Error(`the pool did not move to ${target} within 10 s`);
    await sleep(1);
  }
  await pool.drained({ signal: AbortSignal.timeout(10_000) });
}

async function inventory(): Promise<Inventory> {
  // What waits for the event loop, or for a server to see that its client has left, is not left behind.
  await Promise.all(Array.from({ length: max }, () => pool.query('select pg_sleep(0.05)')));
  for (let round = 0; round < 5; round++) {
    await sleep(200);
    collect();
  }
  const active = process.getActiveResourcesInfo();
  const count = (...kinds: string[]) => active.filter((kind) => kinds.includes(kind)).length;
  const clients = (pool as unknown as { _clients: EventEmitter[] })._clients;
  const emitters = [
    process,
    pool,
    ...clients,
    ...clients.map((client) => (client as unknown as { connection: EventEmitter }).connection),
    ...clients.map((client) => (client as unknown as { connection: { stream: EventEmitter } }).connection.stream),
  ];
  const sessions = await Promise.all(
    scenario.pair.servers.map(async (server) => {
      const [row] = await server.query<{ count: number }>(
        'select count(*)::integer from pg_stat_activity where usename = $1',
        [scenario.pair.user],
      );
      return row?.count ?? 0;
    }),
  );
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return {
    'connections of the pool': pool.totalCount,
    'connections that drain': pool.status().draining,
    'callers waiting': pool.waitingCount,
    'TCP sockets': count('TCPSocketWrap', 'TCPWRAP', 'TLSWrap'),
    'connections being made': count('TCPConnectWrap', 'GetAddrInfoReqWrap', 'UDPWRAP'),
    timers: count('Timeout', 'Immediate'),
    'timers, those in the background included': backgroundTimers.size,
    'other resources':
      active.length -
      count(
        'TCPSocketWrap',
        'TCPWRAP',
        'TLSWrap',
        'TCPConnectWrap',
        'GetAddrInfoReqWrap',
        'UDPWRAP',
        'Timeout',
        'Immediate',
      ),
    listeners: emitters.reduce((sum, emitter) => sum + listenersOf(emitter), 0),
    'sessions on the servers': sessions.reduce((sum, each) => sum + each, 0),
    'heap, KiB': Math.round(heapUsed / 1024),
    'buffers, KiB': Math.round((external + arrayBuffers) / 1024),
  };
}

function listenersOf(emitter: EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
}

function leftBehind(before: Inventory, after: Inventory): string[] {
  return Object.keys(before).flatMap((what) => {
    const [was = 0, is = 0] = [before[what], after[what]];
    const allowance = what.endsWith('KiB') ? memoryAllowanceBytes / 1024 : 0;
    return is > was + allowance ? [`${what}: ${was} before, ${is} after`] : [];
  });
}

/**
 * A connection that stayed would hold some 100 KiB, so that 200 switches with ten connections each would leave 200 MiB; one
 * object a switch, 10 KiB in size, 2 MiB. The heap of an idle process scatters by less than this between collections.
 */
const memoryAllowanceBytes = 2 * 1024 * 1024;
