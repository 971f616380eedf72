import { requireSupportedNode } from './supported-node.ts';

// Every entry point of every package loads this file.
requireSupportedNode(process.versions.node);

/**
 * What is known about the work that an error interrupted.
 *
 * - `not-executed`: nothing was sent, or the server said that the work did not happen. Repeating it is safe.
 * - `unknown`: the work was sent and no answer came. Repeating it may do it twice.
 */
export type Outcome = 'not-executed' | 'unknown';

/** Stable identifier of an error class. Match on it, never on the message. All of them are listed in `docs/errors.md`. */
export type ErrorCode = `ERR_EXTERNALNAME_${string}`;

/** What every {@link ExternalNameError} takes besides its code and message. */
export interface ExternalNameErrorOptions {
  /** The error that led to this one. Several failed attempts are an `AggregateError` with one entry per attempt. */
  cause?: unknown;
}

// Two copies of the package (ESM and CJS) may be loaded in one process: a registered symbol makes them agree.
const mark = Symbol.for('@externalname/core/error');

/**
 * Base of every error that these packages raise on purpose.
 *
 * `code` is stable, `message` says what to do, and `cause` is the underlying error. None of them contains a secret.
 *
 * @example
 * ```ts
 * if (isExternalNameError(error) && error.code === 'ERR_EXTERNALNAME_TARGET_REFUSED') page(error.message);
 * ```
 */
export class ExternalNameError extends Error {
  /** Stable: match on it, never on the message. All codes are in `docs/errors.md`. */
  readonly code: ErrorCode;
  /** Whether the interrupted work may be repeated. Missing if the error interrupted no work. */
  readonly outcome?: Outcome;

  constructor(code: ErrorCode, message: string, options: ExternalNameErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.name = new.target.name;
    Object.defineProperty(this, mark, { value: true });
    Object.defineProperty(this, 'name', { enumerable: false });
  }
}

/** Whether an error comes from these packages, including another copy of them. */
export function isExternalNameError(error: unknown): error is ExternalNameError {
  return error instanceof Error && (error as { [mark]?: unknown })[mark] === true;
}

/** The caller passed a value that cannot be used. Raised before any I/O. Code `ERR_EXTERNALNAME_INVALID_ARGUMENT`. */
export class InvalidArgumentError extends ExternalNameError {
  /** The work did not happen, so repeating it is safe. */
  override readonly outcome = 'not-executed';
  /** The invalid option or argument, as a path (`cache.maxTtlSeconds`). */
  readonly argument: string;

  constructor(argument: string, message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_INVALID_ARGUMENT', `${argument}: ${message}`, options);
    this.argument = argument;
  }
}

/** A deadline passed before the work was done. Code `ERR_EXTERNALNAME_DEADLINE`. */
export class DeadlineError extends ExternalNameError {
  /** The deadline, in milliseconds. */
  readonly timeoutMillis: number;

  constructor(what: string, timeoutMillis: number, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_DEADLINE', `${what} took longer than ${timeoutMillis} ms`, options);
    this.timeoutMillis = timeoutMillis;
  }
}

/** The object was closed. Code `ERR_EXTERNALNAME_CLOSED`. */
export class ClosedError extends ExternalNameError {
  /** The work did not happen, so repeating it is safe. */
  override readonly outcome = 'not-executed';

  constructor(what: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_CLOSED', `${what} is closed`, options);
  }
}
