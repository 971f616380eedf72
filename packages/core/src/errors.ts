import { requireSupportedNode } from './supported-node.ts';

// Every entry point of every package comes by here.
requireSupportedNode(process.versions.node);

/**
 * What is known of the work that an error interrupted.
 *
 * - `not-executed`: nothing was sent, or the server said that it did not happen. Doing it again is safe.
 * - `unknown`: it was sent and no answer came. Doing it again may do it twice.
 */
export type Outcome = 'not-executed' | 'unknown';

/** Stable identifier of an error class. Match on it, never on the message. All of them are listed in `docs/errors.md`. */
export type ErrorCode = `ERR_EXTERNALNAME_${string}`;

/** What every {@link ExternalNameError} takes beside its code and message. */
export interface ExternalNameErrorOptions {
  /** The error that led to this one. Several failed attempts are an `AggregateError`, one entry an attempt. */
  cause?: unknown;
}

// Two copies of the package (ESM and CJS) may be loaded in one process: a registered symbol makes them agree.
const mark = Symbol.for('@externalname/core/error');

/**
 * Base of every error that these packages raise on purpose.
 *
 * `code` is stable; `message` says what to do; `cause` is the error underneath. No secret ever stands in either.
 *
 * @example
 * ```ts
 * if (isExternalNameError(error) && error.code === 'ERR_EXTERNALNAME_TARGET_REFUSED') page(error.message);
 * ```
 */
export class ExternalNameError extends Error {
  /** Stable: match on it, and never on the message. All codes are in `docs/errors.md`. */
  readonly code: ErrorCode;
  /** Whether the interrupted work may be repeated. Left out where the error interrupted no work. */
  readonly outcome?: Outcome;

  constructor(code: ErrorCode, message: string, options: ExternalNameErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.name = new.target.name;
    Object.defineProperty(this, mark, { value: true });
    Object.defineProperty(this, 'name', { enumerable: false });
  }
}

/** Tells one of our errors from any other, also when another copy of the package made it. */
export function isExternalNameError(error: unknown): error is ExternalNameError {
  return error instanceof Error && (error as { [mark]?: unknown })[mark] === true;
}

/** A value that the caller passed cannot be used. Raised before any I/O. Code `ERR_EXTERNALNAME_INVALID_ARGUMENT`. */
export class InvalidArgumentError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** The option or argument at fault, written as its path (`cache.maxTtlSeconds`). */
  readonly argument: string;

  constructor(argument: string, message: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_INVALID_ARGUMENT', `${argument}: ${message}`, options);
    this.argument = argument;
  }
}

/** A deadline passed before the work was done. Code `ERR_EXTERNALNAME_DEADLINE`. */
export class DeadlineError extends ExternalNameError {
  /** The time that was allowed, in milliseconds. */
  readonly timeoutMillis: number;

  constructor(what: string, timeoutMillis: number, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_DEADLINE', `${what} took longer than ${timeoutMillis} ms`, options);
    this.timeoutMillis = timeoutMillis;
  }
}

/** The object was closed. Code `ERR_EXTERNALNAME_CLOSED`. */
export class ClosedError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';

  constructor(what: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_CLOSED', `${what} is closed`, options);
  }
}
