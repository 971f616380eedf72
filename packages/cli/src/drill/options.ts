import type { DrillThresholds } from '@externalname/drill';
import { objectionKinds } from '@externalname/kubernetes';
import { clusterOptions } from '../cluster.ts';
import { choice, flag, number, text, texts, words } from '../command.ts';
import { databaseOptions } from '../database.ts';
import { duration } from '../duration.ts';
import { allowedTargetsOption } from '../switching/allowed-targets.ts';

const count = { least: 0, most: 1_000_000_000, whole: true };
const aTime = { least: 0, most: 3_600_000 };

/** The options of `drill`. */
export const drillOptions = {
  kind: choice('--kind <kind>', 'how the first server is left; default: crash', ['crash', 'planned']),
  workers: number('--workers <n>', 'how many write at the same time; default: 20', {
    least: 1,
    most: 1_000,
    whole: true,
  }),
  connections: number('--connections <n>', 'max of the pool; default: 10', { least: 1, most: 1_000, whole: true }),
  pause: duration('--pause <time>', "each worker's pause between two writes; default: 20ms", aTime),
  follow: choice('--follow <source>', 'who tells the pool of a switch; default: dns, with --service kubernetes', [
    'dns',
    'kubernetes',
  ]),
  ttl: number('--ttl <seconds>', 'TTL of the Service in DNS; default: 5', { least: 0, most: 3_600, whole: true }),
  settle: duration('--settle <time>', 'how long all must be well before and after each switch; default: 3s', aTime),
  decision: duration('--decision <time>', 'from the crash to the promotion; default: 1s', aTime),
  recovery: duration('--recovery <time>', 'longest wait for all workers to move; default: 20s', aTime),
  maxLost: number('--max-lost <n>', 'acknowledged writes that may be lost; default: 0', count),
  maxTwice: number('--max-twice <n>', 'writes that may be done twice; default: 0', count),
  maxHung: number('--max-hung <n>', 'writes that may hang, longer than 15 s; default: 0', count),
  maxFailed: number(
    '--max-failed <n>',
    'writes that may fail in a switch; default: --connections in a crash, 0 if it was planned',
    count,
  ),
  maxPause: duration('--max-pause <time>', 'longest time without a write; default: 30s', aTime),
  maxFirstWrite: duration('--max-first-write <time>', 'from the patch to the first write; default: no limit', aTime),
  maxAllMoved: duration(
    '--max-all-moved <time>',
    'from the patch until all workers have moved; default: no limit',
    aTime,
  ),
  report: text('--report <folder>', 'write drill.html, drill.md, drill.json and drill.xml (JUnit) there', 'files'),
  textfile: text('--textfile <file>', 'write the result for the textfile collector of node_exporter', 'files'),
  service: text(
    '--service <name>',
    'rehearse with this canary Service of the cluster, and its own databases',
    'services',
  ),
  to: text('--to <host>', 'with --service: the host to switch to, and back from'),
  allowedTargets: allowedTargetsOption,
  allowedNetworks: texts('--allowed-networks <cidrs>', 'with --service: networks that the databases are in, or any'),
  accept: words('--accept <objection,...>', 'with --service: objections of the probes to ignore', objectionKinds),
  crashCommand: text('--crash-command <command>', 'with --service: what crashes EXTERNALNAME_FROM, run by sh'),
  promoteCommand: text('--promote-command <command>', 'with --service: what has EXTERNALNAME_TO take over, run by sh'),
  waitForPromotion: duration(
    '--wait-for-promotion <time>',
    'with --service: how long that may take; default: 60s',
    aTime,
  ),
  nameserver: texts(
    '-s, --nameserver <address>',
    'with --service: DNS server to ask, address[:port]; repeatable; default: those of resolv.conf',
  ),
  confirm: text(
    '--confirm <namespace/name>',
    'with --service: the same once more, where there is no terminal to ask at',
  ),
  quiet: flag('-q, --quiet', 'only the result, not what happens'),
  ...databaseOptions,
  ...clusterOptions,
  output: choice('-o, --output <format>', 'how the result is written', [
    'text',
    'json',
    'yaml',
    'markdown',
    'junit',
    'html',
  ]),
} as const;

/** What a drill must keep within, by its options. */
export function thresholdsOf(given: {
  readonly maxLost: number | undefined;
  readonly maxTwice: number | undefined;
  readonly maxHung: number | undefined;
  readonly maxFailed: number | undefined;
  readonly maxPause: number | undefined;
  readonly maxFirstWrite: number | undefined;
  readonly maxAllMoved: number | undefined;
}): DrillThresholds {
  return {
    lost: given.maxLost,
    twice: given.maxTwice,
    hung: given.maxHung,
    failed: given.maxFailed,
    pauseMillis: given.maxPause,
    firstWriteMillis: given.maxFirstWrite,
    allMovedMillis: given.maxAllMoved,
  };
}
