import { ResolutionError } from '../dns/index.ts';
import { isExternalNameError, type Outcome } from '../errors.ts';
import type { CandidateFailure } from './target-follower.ts';

/**
 * Records on an error of any kind whether the work was done. The first record stays, because it was made nearest to the socket. The
 * property is not enumerable, so the error prints and compares as before.
 *
 * @internal
 */
export function recordOutcome(error: unknown, outcome: Outcome): void {
  if (!(error instanceof Error) || !Object.isExtensible(error)) return;
  const recorded = (error as { outcome?: unknown }).outcome;
  if (recorded === 'not-executed' || recorded === 'unknown') return;
  Object.defineProperty(error, 'outcome', { value: outcome, enumerable: false, configurable: true, writable: true });
}

/**
 * Says what the failure to open a socket means for the target.
 *
 * @internal
 */
export function socketFailure(error: unknown): CandidateFailure {
  if (isExternalNameError(error) && error.cause instanceof AggregateError && error.code.endsWith('_NO_ENDPOINT')) {
    const failures = error.cause.errors.map(socketFailure);
    return failures.find(({ verdict }) => verdict !== 'unfit') ?? failures[0] ?? noAnswer;
  }
  if (error instanceof ResolutionError) return { kind: 'name', verdict: 'unfit', isLasting: false };
  const code = codeOf(error);
  if (refusals.has(code)) return { kind: 'policy', verdict: 'unfit', isLasting: true };
  if (isCertificateFailure(error)) return { kind: 'identity', verdict: 'unfit', isLasting: true };
  return noAnswer;
}

/**
 * Whether the server's certificate was refused.
 *
 * @internal
 */
export function isCertificateFailure(error: unknown): boolean {
  return /^(ERR_EXTERNALNAME_TLS_|CERT_|ERR_TLS_CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/.test(
    codeOf(error),
  );
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

const noAnswer: CandidateFailure = { kind: 'no-answer', verdict: 'no-answer', isLasting: false };

const refusals: ReadonlySet<string> = new Set([
  'ERR_EXTERNALNAME_TARGET_REFUSED',
  'ERR_EXTERNALNAME_TARGET_IS_ADDRESS',
  'ERR_EXTERNALNAME_ADDRESS_REFUSED',
  'ERR_EXTERNALNAME_INVALID_ARGUMENT',
]);
