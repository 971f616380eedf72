import { type FailureCount, measureWrites, type WriteFacts, type WriteMeasures } from '@externalname/testing';

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
  /** Of hung writes: within 15 s. */
  readonly writes: WriteMeasures['writes'];
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
  /** Which writes were lost or done twice. */
  readonly ids: WriteMeasures['ids'];
  /** Why the verdict does not hold. Empty if it does. */
  readonly objections: readonly string[];
}

/** What is known of a stage when it is over. */
export interface StageFacts extends WriteFacts {
  /** How many writes may fail, all with the outcome `unknown`. */
  readonly failuresAllowed: number;
}

/** Judges a stage by its facts. */
export function judgeStage({ failuresAllowed, ...facts }: StageFacts): StageResult {
  const { ledger, workers, from, to, patchedAt, address, rows, earlier } = facts;
  const measures = measureWrites({ ledger, workers, from, to, patchedAt, address, rows, earlier });
  const { writes, failures } = measures;
  const wrongly = failures.filter(({ outcome }) => outcome !== 'unknown').reduce((sum, { count }) => sum + count, 0);
  const objections = [
    writes.lost > 0 ? `${writes.lost} acknowledged writes are not on the promoted server` : '',
    writes.duplicated > 0 ? `${writes.duplicated} ids are on it more than once` : '',
    writes.hung > 0 ? `${writes.hung} writes did not settle within 15 s` : '',
    writes.failed > failuresAllowed ? `${writes.failed} writes failed, and no more than ${failuresAllowed} may` : '',
    failuresAllowed > 0 && wrongly > 0
      ? `${wrongly} writes failed that may not: they were not in flight when the server died`
      : '',
    ...failures
      .filter(({ outcome, stored }) => outcome === 'not-executed' && stored > 0)
      .map(({ stored, code }) => `${stored} writes that were said not to be executed (${code}) were`),
    measures.patchToAllWorkersMillis === null ? `not all of the ${workers} workers wrote to the promoted server` : '',
    writes.acknowledged === 0 ? 'no write was acknowledged' : '',
  ].filter((text) => text !== '');
  return { ...figures({ ...measures, held: objections.length === 0 }), failures, ids: measures.ids, objections };
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
