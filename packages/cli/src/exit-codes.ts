import { isExternalNameError } from '@externalname/core';

/** What the command's exit status says. docs/guides/cli.md has the same table. */
export const exitCodes = {
  /** It was done, and nothing is wrong. */
  ok: 0,
  /** It was done, and something is wrong: a finding of `doctor`, an error of `lint`, a name without an address, a drill over its thresholds. */
  failed: 1,
  /** The command line cannot be used. Nothing was done. */
  usage: 2,
  /** Refused, because it is not safe: by the allow-list or a probe. Nothing was changed. */
  refused: 3,
  /** The Kubernetes API could not be asked: no configuration, no answer, not permitted. */
  noCluster: 4,
  /** A change began and did not reach its end. What was reached is in the output. */
  unfinished: 5,
  /** A defect of the command. */
  defect: 70,
  /** Ended by Ctrl-C. */
  interrupted: 130,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

/** The signals that end a command. */
export type InterruptingSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** The reason of the command's AbortSignal. */
export class Interrupted extends Error {
  /** 128 and the number of the signal, as shells count. */
  readonly exitCode: number;

  constructor(signal: InterruptingSignal) {
    super('interrupted');
    this.exitCode = { SIGHUP: 129, SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated }[signal];
  }
}

/** The exit status for what a command threw. Undefined for what no command should throw: a defect. */
export function exitCodeOf(error: unknown): number | undefined {
  if (error instanceof Interrupted) return error.exitCode;
  if (!isExternalNameError(error)) return undefined;
  return codes[error.code] ?? exitCodes.failed;
}

const codes: Readonly<Record<string, number>> = {
  ERR_EXTERNALNAME_INVALID_ARGUMENT: exitCodes.usage,
  ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED: exitCodes.usage,
  ERR_EXTERNALNAME_MANIFEST_INVALID: exitCodes.usage,
  ERR_EXTERNALNAME_MANIFEST_SYNTAX: exitCodes.usage,
  ERR_EXTERNALNAME_TARGET_REFUSED: exitCodes.refused,
  ERR_EXTERNALNAME_TARGET_IS_ADDRESS: exitCodes.refused,
  ERR_EXTERNALNAME_ADDRESS_REFUSED: exitCodes.refused,
  ERR_EXTERNALNAME_SWITCH_REFUSED: exitCodes.refused,
  ERR_EXTERNALNAME_NOT_EXTERNAL_NAME: exitCodes.refused,
  ERR_EXTERNALNAME_DRILL_NOT_CONFIRMED: exitCodes.refused,
  ERR_EXTERNALNAME_SWITCH_FAILED: exitCodes.unfinished,
  ERR_EXTERNALNAME_DRILL_UNFINISHED: exitCodes.unfinished,
  ERR_EXTERNALNAME_KUBERNETES_CONFIG: exitCodes.noCluster,
  ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE: exitCodes.noCluster,
  ERR_EXTERNALNAME_KUBERNETES_UNAUTHORIZED: exitCodes.noCluster,
  ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN: exitCodes.noCluster,
};
