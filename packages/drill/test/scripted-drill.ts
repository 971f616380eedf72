import * as testing from '@externalname/testing';
import type { DrillServer } from '../src/places/place.ts';
import type { Rehearsal, RehearsedStage } from '../src/rehearsal/rehearsal.ts';
import { type DrillStatus, statusOf } from '../src/rehearsal/status.ts';
import type { DrillEvent } from '../src/rehearsal/telling.ts';
import { type DrillReport, reportOf } from '../src/reports/report.ts';
import { plotOf } from '../src/result/plot.ts';
import { type DrillResult, resultOf } from '../src/result/result.ts';

/** How the script differs. */
export interface Script {
  /** So many acknowledged rows are not there in the end. */
  readonly lost?: number;
  /** The pool does not move: nothing is written after the crash. */
  readonly stuck?: boolean;
}

/** A drill that was not played: the same writes, figures and events each time, as a real one has them. */
export function scriptedResult({ lost = 0, stuck = false }: Script = {}): {
  readonly report: DrillReport;
  readonly result: DrillResult;
  /** How the workers do at a second of the drill. */
  readonly status: (seconds: number) => DrillStatus;
} {
  const ledger = new testing.WriteLedger();
  ledger.enter({ settled: writesOf(stuck), underWay: stuck ? hanging : [] }, 30_000);
  ledger.close();
  const rows = new Map(ledger.acknowledged.slice(lost).map(({ id }) => [id, 1]));
  const common = { ledger, workers: 20, rows };
  const crash = testing.measureWrites({
    ...common,
    from: 2_060,
    to: 13_500,
    patchedAt: 9_300,
    address: second.address,
  });
  const back = testing.measureWrites({
    ...common,
    from: 13_500,
    to: 18_300,
    patchedAt: 15_300,
    address: first.address,
    earlier: crash,
  });
  const stages: readonly RehearsedStage[] = [
    { name: 'crash', move: { from: first, to: second }, patchedAt: 9_300, failuresExpected: 10, measures: crash },
    { name: 'switch back', move: { from: second, to: first }, patchedAt: 15_300, failuresExpected: 0, measures: back },
  ];
  const rehearsal: Rehearsal = { ledger, stages, writingFrom: 2_060, stoppedAt: 18_300 };
  const told = { marks, seconds: (at: number) => at / 1_000 };
  const { plot, draw } = plotOf(rehearsal, { servers: scriptedServers }, told);
  const result = resultOf({
    rehearsal,
    settings: {
      kind: 'crash',
      workers: 20,
      connections: 10,
      pauseMillis: 20,
      settleMillis: 3_000,
      recoveryMillis: 20_000,
    },
    thresholds: {
      lost: 0,
      twice: 0,
      hung: 0,
      failed: undefined,
      pauseMillis: 30_000,
      firstWriteMillis: undefined,
      allMovedMillis: undefined,
    },
    place: { service: 'default/webscaler-db', where: 'this machine: LocalCluster and a PostgresPair', ttlSeconds: 5 },
    startedAt: new Date(Date.UTC(2026, 10, 29, 11, 20, 0)),
    zero: 0,
    events: scriptedEvents,
    marks,
    plot,
  });
  const status = (seconds: number) => statusOf(ledger, scriptedServers, seconds, seconds * 1_000);
  return { report: reportOf(result, draw), result, status };
}

const first: DrillServer = { host: 'primary-db.example.com', address: '127.64.0.1' };
const second: DrillServer = { host: 'secondary-db.example.com', address: '127.64.0.2' };
export const scriptedServers = [first, second] as const;

const marks = [
  { name: 'crash', at: 8 },
  { name: 'patch', at: 9.3 },
  { name: 'fence', at: 15 },
  { name: 'patch', at: 15.3 },
];

/** What is told of it. */
export const scriptedEvents: readonly DrillEvent[] = (
  [
    [0, 'operator', 'starting two PostgreSQL servers: a primary, and a standby that every commit waits for', 'strong'],
    [0.9, 'servers', 'primary: primary-db.example.com, 127.64.0.1 port 20432'],
    [0.9, 'servers', 'standby: secondary-db.example.com, 127.64.0.2 port 20432'],
    [0.9, 'cluster', 'DNS at 127.0.0.1:41053: webscaler-db is primary-db.example.com, TTL 5 s'],
    [2, 'workers', '20 workers write through default/webscaler-db, over 10 connections', 'part'],
    [2.06, 'workers', 'every worker writes to primary-db.example.com', 'good'],
    [8, 'operator', 'CRASH: kill -9 of every process of primary-db.example.com', 'part'],
    [9.1, 'operator', 'select pg_promote() on secondary-db.example.com'],
    [9.2, 'servers', 'secondary-db.example.com takes writes. No standby is there: commits do not wait for one'],
    [
      9.21,
      'operator',
      'SWITCH: default/webscaler-db from primary-db.example.com to secondary-db.example.com, guarded by probes',
      'strong',
    ],
    [9.54, 'workers', 'every worker writes to secondary-db.example.com, 238 ms after the patch', 'good'],
    [12.6, 'operator', 'REBUILD: primary-db.example.com becomes the standby of secondary-db.example.com', 'part'],
    [13.5, 'servers', 'primary-db.example.com is in step: commits on secondary-db.example.com wait for it'],
    [
      15,
      'operator',
      'PLANNED SWITCH: secondary-db.example.com is fenced, and primary-db.example.com promoted when it has replayed everything',
      'part',
    ],
    [15.2, 'servers', 'primary-db.example.com takes writes; secondary-db.example.com is still up, read only'],
    [15.68, 'workers', 'every worker writes to primary-db.example.com, 378 ms after the patch', 'good'],
    [18.3, 'operator', 'the workers stop; then the rows are counted', 'part'],
  ] as const
).map(([at, who, text, how]) => ({
  at,
  who,
  text,
  tone: how === 'part' ? 'strong' : (how ?? 'plain'),
  part: how === 'part',
}));

/** Each worker writes again and again to a server, in spans. */
function writesOf(stuck: boolean): readonly testing.SettledWrite[] {
  const spans = [
    { from: 2_030, to: 8_020, address: first.address },
    ...(stuck
      ? []
      : [
          { from: 9_500, to: 15_020, address: second.address },
          { from: 15_640, to: 18_300, address: first.address },
        ]),
  ];
  let id = 100;
  const writes: testing.SettledWrite[] = [];
  for (const { from, to, address } of spans) {
    for (let worker = 0; worker < 20; worker++) {
      for (let at = from + worker * 2; at < to; at += 43 + ((worker * 7 + writes.length) % 9)) {
        writes.push({ id: ++id, worker, beganAt: at - 5, settledAt: at, address });
      }
    }
  }
  const failure = { code: 'ECONNRESET', message: 'read ECONNRESET', outcome: 'unknown' as const };
  for (let worker = 0; worker < 10; worker++) {
    writes.push({ id: worker, worker, beganAt: 8_015, settledAt: 8_060 + worker, failure });
  }
  return writes.sort((a, b) => a.settledAt - b.settledAt);
}

const hanging: readonly testing.Write[] = Array.from({ length: 20 }, (_, worker) => ({
  id: 50 + worker,
  worker,
  beganAt: 8_100,
}));
