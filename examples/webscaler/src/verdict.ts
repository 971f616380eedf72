import type { Ledger, WritesBegun } from './ledger.ts';
import type { FailureOutcome } from './writer-messages.ts';

/** The object that `--json` prints. `docs/guides/demo.md` documents it. */
export interface Verdict extends StageVerdict {
  /** The switch back on purpose. The top level is the crash, except `held`, which is for both. */
  readonly planned: StageVerdict;
  /** With `--plain-pg` only: the same for the plain pools. `held` does not include them. */
  readonly plainPg?: Readonly<Record<string, Verdict>>;
  /** With `--push` only: milliseconds from the patches until a DNS poll beside the workers saw them. */
  readonly polled?: Polled;
}

/** The result of one stage. */
export interface StageVerdict {
  readonly held: boolean;
  readonly writes: {
    /** Writes that a worker saw succeed. */
    readonly acknowledged: number;
    /** Of these, how many are not on the promoted server. */
    readonly lost: number;
    /** Ids that are on the promoted server more than once. */
    readonly duplicated: number;
    /** Writes that did not settle within 15 s. */
    readonly hung: number;
    /** Writes that a worker saw fail. */
    readonly failed: number;
  };
  /** From the patch to the first acknowledgement of the promoted server; `null` if there was none. */
  readonly patchToFirstWriteMillis: number | null;
  /** From the patch to when each worker had one. */
  readonly patchToAllWorkersMillis: number | null;
  /** From the last acknowledgement before to the first one of the promoted server. */
  readonly outageMillis: number | null;
}

/** A stage and more about it than JSON tells. */
export interface StageResult extends StageVerdict {
  readonly failures: readonly FailureCount[];
  /** Why the verdict does not hold. Empty if it does. */
  readonly objections: readonly string[];
}

/** Failed writes that look alike. */
export interface FailureCount {
  readonly code: string;
  readonly outcome: FailureOutcome;
  readonly count: number;
  /** How many of them are on the promoted server all the same. */
  readonly stored: number;
}

/** What is known of a stage when it is over. */
export interface StageFacts {
  readonly ledger: Ledger;
  readonly workers: number;
  /** The stage's writes began from `from` on and before `to`. */
  readonly from: number;
  readonly to: number;
  readonly patchedAt: number;
  /** Address of the promoted server. */
  readonly address: string;
  /** How often each id is on the promoted server. */
  readonly rows: ReadonlyMap<number, number>;
  /** Ids that were lost, or there twice, before the stage began: they are not its fault. */
  readonly earlier?: { readonly lost: ReadonlySet<number>; readonly duplicated: ReadonlySet<number> } | undefined;
  /** How many writes may fail, all with the outcome `unknown`. */
  readonly failuresAllowed: number;
}

/** Judges a stage by its facts. */
export function judgeStage(facts: StageFacts): StageResult {
  const { ledger, rows, address, patchedAt, workers } = facts;
  const begun = ledger.begunBetween(facts.from, facts.to);
  const lost = lostIds(facts).length;
  const duplicated = duplicatedIds(facts).length;
  const first = ledger.firstAt(address, patchedAt)?.settledAt;
  const all = ledger.allWorkersAt(address, patchedAt, workers);
  const last = first === undefined ? undefined : ledger.lastBefore(first);
  const failures = countFailures(begun, rows);
  const writes = {
    acknowledged: begun.acknowledged.length,
    lost,
    duplicated,
    hung: begun.hung.length,
    failed: begun.failed.length,
  };
  const wrongly = failures.filter(({ outcome }) => outcome !== 'unknown').reduce((sum, { count }) => sum + count, 0);
  const objections = [
    lost > 0 ? `${lost} acknowledged writes are not on the promoted server` : '',
    duplicated > 0 ? `${duplicated} ids are on it more than once` : '',
    writes.hung > 0 ? `${writes.hung} writes did not settle within 15 s` : '',
    writes.failed > facts.failuresAllowed
      ? `${writes.failed} writes failed, and no more than ${facts.failuresAllowed} may`
      : '',
    facts.failuresAllowed > 0 && wrongly > 0
      ? `${wrongly} writes failed that may not: they were not in flight when the server died`
      : '',
    ...failures
      .filter(({ outcome, stored }) => outcome === 'not-executed' && stored > 0)
      .map(({ stored, code }) => `${stored} writes that were said not to be executed (${code}) were`),
    all === undefined ? `not all of the ${workers} workers wrote to the promoted server` : '',
    writes.acknowledged === 0 ? 'no write was acknowledged' : '',
  ].filter((text) => text !== '');
  return {
    held: objections.length === 0,
    writes,
    patchToFirstWriteMillis: first === undefined ? null : round(first - patchedAt),
    patchToAllWorkersMillis: all === undefined ? null : round(all - patchedAt),
    outageMillis: first === undefined || last === undefined ? null : round(first - last),
    failures,
    objections,
  };
}

/** Ids whose acknowledgement was heard and that are not on the promoted server, ids of earlier stages included. */
export function lostIds({ ledger, to, rows, earlier }: StageFacts): readonly number[] {
  return ledger
    .begunBetween(Number.NEGATIVE_INFINITY, to)
    .acknowledged.map(({ id }) => id)
    .filter((id) => !rows.has(id) && earlier?.lost.has(id) !== true);
}

/** Ids that are on the promoted server more than once. */
export function duplicatedIds({ rows, earlier }: StageFacts): readonly number[] {
  return [...rows].filter(([id, count]) => count > 1 && earlier?.duplicated.has(id) !== true).map(([id]) => id);
}

/** What `--json` prints. */
export function verdict(
  ours: Stages,
  plain: readonly (Stages & { readonly settings: { readonly client: string } })[],
  polled?: Polled | undefined,
): Verdict {
  const plainPg = Object.fromEntries(plain.map((each) => [each.settings.client, both(each)]));
  return {
    ...both(ours),
    ...(plain.length > 0 ? { plainPg } : {}),
    ...(polled === undefined ? {} : { polled }),
  };
}

/** Milliseconds from the patch of each stage until a DNS poll saw it; `null` if it did not. */
export interface Polled {
  readonly crash: number | null;
  readonly planned: number | null;
}

interface Stages {
  readonly crash: StageVerdict;
  readonly planned: StageVerdict;
}

function both({ crash, planned }: Stages): Verdict {
  return { ...figures(crash), held: crash.held && planned.held, planned: figures(planned) };
}

function figures(stage: StageVerdict): StageVerdict {
  const { held, writes, patchToFirstWriteMillis, patchToAllWorkersMillis, outageMillis } = stage;
  return { held, writes, patchToFirstWriteMillis, patchToAllWorkersMillis, outageMillis };
}

function countFailures({ failed }: WritesBegun, rows: ReadonlyMap<number, number>): readonly FailureCount[] {
  const counts = new Map<string, { code: string; outcome: FailureOutcome; count: number; stored: number }>();
  for (const { id, failure } of failed) {
    const key = `${failure.code} ${failure.outcome}`;
    const count = counts.get(key) ?? { code: failure.code, outcome: failure.outcome, count: 0, stored: 0 };
    counts.set(key, count);
    count.count += 1;
    if (rows.has(id)) count.stored += 1;
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

function round(millis: number): number {
  return Math.round(millis);
}
