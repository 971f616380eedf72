import { InvalidArgumentError, type WaitOptions } from '@externalname/core';
import {
  aFunction,
  aNumber,
  anything,
  aSignal,
  aText,
  checkOptions,
  either,
  listOf,
  oneOf,
  optional,
  optionsOf,
  ownOptions,
} from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import { objectionKinds } from '@externalname/kubernetes';
import { checkKubeConfig } from '@externalname/kubernetes/internal';
import { Pool } from '@externalname/pg';
import type { CanaryConnection, CanaryOptions } from '../places/canary-place.ts';
import type { DrillKind, MakePool } from '../places/place.ts';
import type { DrillStatus } from '../rehearsal/status.ts';
import type { DrillEvent } from '../rehearsal/telling.ts';
import type { Thresholds } from '../result/result.ts';

/** See {@link runDrill}. */
export interface DrillOptions extends WaitOptions {
  /** How the first server is left: `crash` or `planned`. @defaultValue `crash` */
  kind?: DrillKind | undefined;
  /** A canary Service of a cluster. @defaultValue two PostgreSQL servers and a cluster on this machine, which end with the drill */
  canary?: CanaryOptions | undefined;
  /** How many write at the same time. 1 to 1000. @defaultValue 20 */
  workers?: number | undefined;
  /** `max` of the pool. 1 to 1000. @defaultValue 10 */
  connections?: number | undefined;
  /** Each worker's pause between two writes. Milliseconds, 0 to 3600000. @defaultValue 20 */
  pauseMillis?: number | undefined;
  /** How long all must be well before and after each switch. Milliseconds, 0 to 3600000. @defaultValue 3000 */
  settleMillis?: number | undefined;
  /** The longest wait for all workers to write to the new server. Milliseconds, 0 to 3600000. @defaultValue 20000 */
  recoveryMillis?: number | undefined;
  /** On this machine: from the crash to the promotion, which an operator takes to decide. Milliseconds, 0 to 3600000. @defaultValue 1000 */
  decisionMillis?: number | undefined;
  /** Who tells the pool of a switch: `dns` or `kubernetes`. @defaultValue `dns`, with a canary `kubernetes` */
  follow?: 'dns' | 'kubernetes' | undefined;
  /** TTL of the Service in DNS. Seconds, 0 to 3600. @defaultValue 5 */
  ttlSeconds?: number | undefined;
  /** What the drill must keep within. @defaultValue nothing lost, done twice or hung, and no pause longer than 30 s */
  thresholds?: DrillThresholds | undefined;
  /** Makes the pool that is rehearsed with. @defaultValue the `Pool` of `@externalname/pg` */
  makePool?: MakePool | undefined;
  /** Called with what happens, as it happens. */
  onEvent?: ((event: DrillEvent) => void) | undefined;
  /** Called a few times a second with how the workers do. */
  onStatus?: ((status: DrillStatus) => void) | undefined;
}

/** What a drill must keep within, in each of its switches. */
export interface DrillThresholds {
  /** Acknowledged writes that may be lost. @defaultValue 0 */
  lost?: number | undefined;
  /** Writes that may be done twice. @defaultValue 0 */
  twice?: number | undefined;
  /** Writes that may hang, longer than 15 s. @defaultValue 0 */
  hung?: number | undefined;
  /** Writes that may fail. @defaultValue as many as there are connections in a crash, 0 in a planned switch */
  failed?: number | undefined;
  /** Longest time without a write. Milliseconds. @defaultValue 30000 */
  pauseMillis?: number | undefined;
  /** From the patch to the first write. Milliseconds. @defaultValue any time */
  firstWriteMillis?: number | undefined;
  /** From the patch until every worker has moved. Milliseconds. @defaultValue any time within `recoveryMillis` */
  allMovedMillis?: number | undefined;
}

/** {@link DrillOptions}, checked and complete. */
export type DrillSettings = ReturnType<typeof drillSettings>;

/** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, before any I/O */
export function drillSettings(given: DrillOptions) {
  const options = ownOptions(given);
  checkOptions<DrillOptions>(options, {
    kind: optional(oneOf('crash', 'planned')),
    canary: optional(aCanary),
    workers: optional(aNumber({ least: 1, most: 1_000, whole: true })),
    connections: optional(aNumber({ least: 1, most: 1_000, whole: true })),
    pauseMillis: optional(aTime),
    settleMillis: optional(aTime),
    recoveryMillis: optional(aTime),
    decisionMillis: optional(aTime),
    follow: optional(oneOf('dns', 'kubernetes')),
    ttlSeconds: optional(aNumber({ least: 0, most: 3_600, whole: true })),
    thresholds: optional(
      optionsOf<DrillThresholds>({
        lost: optional(aCount),
        twice: optional(aCount),
        hung: optional(aCount),
        failed: optional(aCount),
        pauseMillis: optional(aTime),
        firstWriteMillis: optional(aTime),
        allMovedMillis: optional(aTime),
      }),
    ),
    makePool: optional(aFunction),
    onEvent: optional(aFunction),
    onStatus: optional(aFunction),
    signal: aSignal,
  });
  const { canary, thresholds = {} } = options;
  if (canary !== undefined) {
    checkKubeConfig(canary.kubeConfig);
    parseHostName(canary.to, 'canary.to');
    for (const name of ['crashCommand', 'promoteCommand'] as const) {
      if (canary[name]?.trim() === '')
        throw new InvalidArgumentError(`canary.${name}`, 'must be a command for sh: leave it out if there is none');
    }
  }
  return {
    canary,
    kind: options.kind ?? ('crash' as const),
    workers: options.workers ?? 20,
    connections: options.connections ?? 10,
    pauseMillis: options.pauseMillis ?? 20,
    settleMillis: options.settleMillis ?? 3_000,
    recoveryMillis: options.recoveryMillis ?? 20_000,
    decisionMillis: options.decisionMillis ?? 1_000,
    push: (options.follow ?? (canary === undefined ? 'dns' : 'kubernetes')) === 'kubernetes',
    ttlSeconds: options.ttlSeconds ?? 5,
    thresholds: {
      lost: thresholds.lost ?? 0,
      twice: thresholds.twice ?? 0,
      hung: thresholds.hung ?? 0,
      failed: thresholds.failed,
      pauseMillis: thresholds.pauseMillis ?? 30_000,
      firstWriteMillis: thresholds.firstWriteMillis,
      allMovedMillis: thresholds.allMovedMillis,
    } satisfies Thresholds,
    makePool: options.makePool ?? ((pool) => new Pool(pool)),
    onEvent: options.onEvent,
    onStatus: options.onStatus,
    signal: options.signal,
  };
}

const aTime = aNumber({ least: 0, most: 3_600_000 });
const aCount = aNumber({ least: 0, most: 1_000_000_000, whole: true });
const aCanary = optionsOf<CanaryOptions>({
  service: aText,
  namespace: optional(aText),
  clusterDomain: optional(aText),
  kubeConfig: anything,
  to: aText,
  allowedTargets: either(oneOf('any'), listOf(aText)),
  allowedNetworks: optional(either(oneOf('any'), listOf(aText))),
  connection: optionsOf<CanaryConnection>({
    port: optional(aNumber({ least: 1, most: 65_535, whole: true })),
    user: optional(aText),
    database: optional(aText),
    password: optional(aText),
    ca: optional(aText),
  }),
  accept: optional(listOf(oneOf(...objectionKinds))),
  nameservers: optional(listOf(aText)),
  crashCommand: optional(aText),
  promoteCommand: optional(aText),
  waitForPromotionMillis: optional(aTime),
  confirm: aFunction,
});
