import type { CandidateFailure } from '@externalname/core/internal';
import { classifyFailure, type FailureKind } from '../failures/classify.ts';

/** What a failed attempt says about the target that the pool may move to. */
export function candidateFailure(error: unknown): CandidateFailure {
  const { kind } = classifyFailure(error, 'connecting');
  const verdict = unfit.has(kind) ? 'unfit' : kind === 'wrong-role' ? 'not-ready' : 'no-answer';
  return { kind, verdict, isLasting: verdict === 'unfit' && kind !== 'name' };
}

// A host that fails in one of these ways is not better than the one that has failed. A name may come to exist at any moment; the other
// failures need a person, and a server may lock out an account that is refused three times a second.
const unfit: ReadonlySet<FailureKind> = new Set(['identity', 'authentication', 'policy', 'name', 'wrong-database']);
