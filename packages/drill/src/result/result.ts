import type { FailureCount, WriteMeasures, WriteRates } from '@externalname/testing';
import type { DrillKind } from '../places/place.ts';
import type { Rehearsal, RehearsalSettings, RehearsedStage, StageName } from '../rehearsal/rehearsal.ts';
import type { DrillEvent } from '../rehearsal/telling.ts';
import { inWords } from './words.ts';

/** What a drill has found: what `-o json` of the command and `drill.json` hold. */
export interface DrillResult {
  /** Whether every check passed. */
  readonly passed: boolean;
  /** `namespace/name` of the Service. */
  readonly service: string;
  /** Where it was rehearsed. */
  readonly where: string;
  /** How the first server was left. */
  readonly kind: DrillKind;
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  /** From the start to the end of the writes. Milliseconds. */
  readonly durationMillis: number;
  /** How many wrote at the same time. */
  readonly workers: number;
  /** `max` of the pool. */
  readonly connections: number;
  /** TTL of the Service in DNS; 0 if the pool was told by the Kubernetes API. */
  readonly ttlSeconds: number;
  /** What the drill had to keep within. */
  readonly checks: readonly DrillCheck[];
  /** The two switches: there, and back. */
  readonly stages: readonly DrillStage[];
  /** All that happened, in seconds since the start. */
  readonly events: readonly DrillEvent[];
  /** The moments that plots mark, in seconds since the start. */
  readonly marks: readonly { readonly name: string; readonly at: number }[];
  /** Writes a second. */
  readonly plot: DrillPlot;
}

/** One switch of a drill. */
export interface DrillStage extends Pick<WriteMeasures, 'writes'> {
  /** Which of the two it is. */
  readonly name: StageName;
  /** The host that was left. */
  readonly from: string;
  /** The host that took over. */
  readonly to: string;
  /** From the patch to the first write there. Milliseconds; `null`: never. */
  readonly patchToFirstWriteMillis: number | null;
  /** From the patch until every worker wrote there. Milliseconds; `null`: never. */
  readonly patchToAllWorkersMillis: number | null;
  /** From the last write before to the first after. Milliseconds; `null`: never. */
  readonly outageMillis: number | null;
  /** The longest time without an acknowledgement; in seconds since the start. */
  readonly longestPause: { readonly millis: number; readonly from: number; readonly to: number } | null;
  /** What failed, by code and outcome. */
  readonly failures: readonly FailureCount[];
}

/** One threshold, and whether the drill kept within it. */
export interface DrillCheck {
  /** In which of the two switches. */
  readonly stage: StageName;
  /** What was looked at: `acknowledged writes lost` */
  readonly name: string;
  /** What was allowed: `at most 0` */
  readonly limit: string;
  /** What was found. */
  readonly found: string;
  /** Whether the one is within the other. */
  readonly passed: boolean;
}

/** Writes a second, for plots. */
export interface DrillPlot extends Pick<WriteRates, 'from' | 'seconds'> {
  /** Each server in turn, then the failures. */
  readonly series: readonly { readonly name: string; readonly rates: readonly number[] }[];
}

/** What a drill must keep within. Undefined: no limit. */
export interface Thresholds {
  readonly lost: number;
  readonly twice: number;
  readonly hung: number;
  /** Undefined: as many as were in flight when a server died, and none in a planned switch. */
  readonly failed: number | undefined;
  readonly pauseMillis: number | undefined;
  readonly firstWriteMillis: number | undefined;
  readonly allMovedMillis: number | undefined;
}

/** What surrounds a rehearsal. */
export interface ResultParts {
  readonly rehearsal: Rehearsal;
  readonly settings: RehearsalSettings;
  readonly thresholds: Thresholds;
  readonly place: { readonly service: string; readonly where: string; readonly ttlSeconds: number };
  readonly startedAt: Date;
  /** The moment at which the drill began, of the clock of the rehearsal. */
  readonly zero: number;
  readonly events: readonly DrillEvent[];
  readonly marks: DrillResult['marks'];
  readonly plot: DrillPlot;
}

/** Judges a rehearsal. Pure. */
export function resultOf(parts: ResultParts): DrillResult {
  const { rehearsal, settings, thresholds, place, startedAt, zero, events, marks, plot } = parts;
  const checks = rehearsal.stages.flatMap((stage) => checksOf(stage, thresholds));
  return {
    passed: checks.every(({ passed }) => passed),
    service: place.service,
    where: place.where,
    kind: settings.kind,
    startedAt: startedAt.toISOString(),
    durationMillis: Math.round(rehearsal.stoppedAt - zero),
    workers: settings.workers,
    connections: settings.connections,
    ttlSeconds: place.ttlSeconds,
    checks,
    stages: rehearsal.stages.map((stage) => stageOf(stage, zero)),
    events,
    marks,
    plot,
  };
}

/** What a drill must keep within, stage by stage. */
export function checksOf(stage: RehearsedStage, thresholds: Thresholds): readonly DrillCheck[] {
  const { name, measures, failuresExpected, move } = stage;
  const { writes, failures, patchToFirstWriteMillis, patchToAllWorkersMillis, longestPause } = measures;
  const check = (what: string, limit: string, found: string, passed: boolean): DrillCheck => ({
    stage: name,
    name: what,
    limit,
    found,
    passed,
  });
  const atMost = (what: string, limit: number, found: number) =>
    check(what, `at most ${limit}`, String(found), found <= limit);
  const within = (what: string, limit: number | undefined, found: number | null) => {
    const said = found === null ? 'never' : inWords(found);
    return check(
      what,
      limit === undefined ? 'any time' : `within ${inWords(limit)}`,
      said,
      found !== null && found <= (limit ?? Number.POSITIVE_INFINITY),
    );
  };
  const pauseMillis = longestPause === undefined ? 0 : longestPause.to - longestPause.from;
  const executed = failures
    .filter(({ outcome }) => outcome === 'not-executed')
    .reduce((sum, { stored }) => sum + stored, 0);
  return [
    check('writes acknowledged', 'at least 1', String(writes.acknowledged), writes.acknowledged > 0),
    atMost('acknowledged writes lost', thresholds.lost, writes.lost),
    atMost('writes done twice', thresholds.twice, writes.duplicated),
    atMost('writes that hung', thresholds.hung, writes.hung),
    atMost('writes that failed', thresholds.failed ?? failuresExpected, writes.failed),
    atMost('writes said not to be executed, and executed', 0, executed),
    within(`first write to ${move.to.host} after the patch`, thresholds.firstWriteMillis, patchToFirstWriteMillis),
    within(`every worker on ${move.to.host} after the patch`, thresholds.allMovedMillis, patchToAllWorkersMillis),
    ...(thresholds.pauseMillis === undefined
      ? []
      : [
          check(
            'longest pause without a write',
            `at most ${inWords(thresholds.pauseMillis)}`,
            inWords(pauseMillis),
            pauseMillis <= thresholds.pauseMillis,
          ),
        ]),
  ];
}

function stageOf({ name, move, measures }: RehearsedStage, zero: number): DrillStage {
  const { longestPause, ids: _, ...figures } = measures;
  const seconds = (at: number) => Math.round(at - zero) / 1_000;
  return {
    name,
    from: move.from.host,
    to: move.to.host,
    ...figures,
    longestPause:
      longestPause === undefined
        ? null
        : {
            millis: Math.round(longestPause.to - longestPause.from),
            from: seconds(longestPause.from),
            to: seconds(longestPause.to),
          },
  };
}
