import { ExternalNameError, type ExternalNameErrorOptions, type Outcome } from '@externalname/core';
import {
  FailoverTimeoutError as NoServerInTimeError,
  ConnectTimeoutError as SocketTimeoutError,
} from '@externalname/core/connect';
import type { RecentEvent } from './recent-events.ts';

export { TargetRetiredError } from '@externalname/core/connect';

/**
 * The pool found no usable server in time. The statement was not sent, or the server said that it did not run; `cause` is the
 * last failure. Code `ERR_EXTERNALNAME_FAILOVER_TIMEOUT`.
 */
export class FailoverTimeoutError extends NoServerInTimeError {
  /** What was tried, the latest last: up to 20 entries, without secrets. */
  readonly recentEvents: readonly RecentEvent[];

  constructor(
    where: string,
    timeoutMillis: number,
    options?: ExternalNameErrorOptions & { recentEvents?: readonly RecentEvent[] | undefined },
  ) {
    super(where, timeoutMillis, {
      cause: options?.cause,
      advice: 'check where the Service points, and that the server there has the role that targetSessionAttrs asks for',
    });
    this.recentEvents = options?.recentEvents ?? [];
  }
}

/** The server's role is not what `targetSessionAttrs` asks for. Code `ERR_EXTERNALNAME_SERVER_ROLE`. */
export class ServerRoleError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** Whether the session's own setting is the reason: neither another server nor time changes that. */
  readonly isLasting: boolean;

  constructor(
    where: string,
    wanted: string,
    found: string,
    options: ExternalNameErrorOptions & { isLasting?: boolean | undefined } = {},
  ) {
    super('ERR_EXTERNALNAME_SERVER_ROLE', `${where} is ${found}, but targetSessionAttrs asks for ${wanted}`, options);
    this.isLasting = options.isLasting ?? false;
  }
}

/** The server did not authenticate in an accepted way. Code `ERR_EXTERNALNAME_AUTHENTICATION_REFUSED`. */
export class AuthenticationRefusedError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, what: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_AUTHENTICATION_REFUSED', `${where} ${what}`, options);
  }
}

/**
 * TLS is off by default, and the plain host is an ExternalName Service that leads out of the cluster: nothing was sent. Code
 * `ERR_EXTERNALNAME_CLEARTEXT_REFUSED`.
 */
export class CleartextRefusedError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(name: string, target: string, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_CLEARTEXT_REFUSED',
      `${name} is an ExternalName Service that leads to ${target}, and TLS is off: the password and all data would leave the cluster ` +
        `in the clear. Add allowedTargets: ['${target}'], which turns on verified TLS, or write ssl: false to allow it`,
      options,
    );
  }
}

/** The server asks for a password, and none was given. Code `ERR_EXTERNALNAME_PASSWORD_REQUIRED`. */
export class PasswordRequiredError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, user: string, service: string, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_PASSWORD_REQUIRED',
      `${where} asks for the password of user ${JSON.stringify(user)}, but none was given: set the option password or PGPASSWORD, ` +
        `or add a line for ${service} to the password file`,
      options,
    );
  }
}

/** A connection attempt got no answer in time; another one may. Code `ERR_EXTERNALNAME_CONNECT_TIMEOUT`. */
export class ConnectTimeoutError extends SocketTimeoutError {
  /** What was tried before, if this error ended the wait for a connection. See {@link recentEventsOf}. */
  declare readonly recentEvents?: readonly RecentEvent[];
}

/** The server closed the connection before it was ready. Code `ERR_EXTERNALNAME_CONNECTION_LOST`. */
export class ConnectionLostError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, options?: ExternalNameErrorOptions) {
    super('ERR_EXTERNALNAME_CONNECTION_LOST', `${where} closed the connection before it was ready`, options);
  }
}

/** The server gave no sign of life, neither on the connection nor to a probe. Code `ERR_EXTERNALNAME_PEER_SILENT`. */
export class PeerSilentError extends ExternalNameError {
  /** What is known about the statement in flight. */
  override readonly outcome: Outcome;
  /** How long the server sent nothing, in milliseconds. */
  readonly silentMillis: number;

  constructor(where: string, silentMillis: number, outcome: Outcome) {
    super(
      'ERR_EXTERNALNAME_PEER_SILENT',
      `${where} gave no sign of life for ${Math.round(silentMillis)} ms` +
        (outcome === 'unknown' ? ': it is unknown whether the statement in flight ran' : ''),
    );
    this.silentMillis = silentMillis;
    this.outcome = outcome;
  }
}

/** No address of the target could be used; `cause` is an `AggregateError` with an entry for each. Code `ERR_EXTERNALNAME_CONNECT`. */
export class ConnectError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, errors: readonly unknown[]) {
    super('ERR_EXTERNALNAME_CONNECT', `cannot connect to ${where}: ${errors.map(reasonOf).join('; ')}`, {
      cause: new AggregateError(errors, `each address of ${where} failed`),
    });
  }
}

/**
 * A statement would signal a server process, but the pool knows no server for that id, or several: it could hit another
 * process with the same id. Code `ERR_EXTERNALNAME_UNKNOWN_BACKEND`.
 */
export class UnknownBackendError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** The id of the process. */
  readonly processId: number;

  constructor(processId: number, servers: readonly string[]) {
    const reason =
      servers.length === 0
        ? 'does not serve a connection of this pool (any more)'
        : `exists on several servers (${[...new Set(servers)].join(', ')})`;
    super(
      'ERR_EXTERNALNAME_UNKNOWN_BACKEND',
      `process ${processId} ${reason}, and the id may belong to an unrelated process: nothing was signalled. To signal a process ` +
        'outside this pool, let the server find it: select pg_cancel_backend(pid) from pg_stat_activity where ...',
    );
    this.processId = processId;
  }
}

/** `maxWaiting` callers are already waiting for a connection. Code `ERR_EXTERNALNAME_TOO_MANY_WAITING`. */
export class TooManyWaitingError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(maxWaiting: number) {
    super(
      'ERR_EXTERNALNAME_TOO_MANY_WAITING',
      `${maxWaiting} callers are already waiting for a connection: try again later, or raise maxWaiting`,
    );
  }
}

/**
 * A standby lags behind its primary by more than the option `reader` allows, and gets no reads. Code `ERR_EXTERNALNAME_REPLICA_LAG`.
 */
export class ReplicaLagError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(
    where: string,
    lagBytes: number,
    lagMillis: number,
    { maxLagBytes, maxLagMillis }: { readonly maxLagBytes: number; readonly maxLagMillis: number },
  ) {
    const limits = [
      ...(Number.isFinite(maxLagBytes) ? [`${maxLagBytes} bytes`] : []),
      ...(Number.isFinite(maxLagMillis) ? [`${maxLagMillis} ms`] : []),
    ];
    super(
      'ERR_EXTERNALNAME_REPLICA_LAG',
      `${where} lags ${lagBytes} bytes and ${Math.round(lagMillis)} ms behind its primary, but reader allows ${limits.join(' and ')}`,
    );
  }
}

/** No server has replayed the token of a read in time. Code `ERR_EXTERNALNAME_NOT_REPLAYED`. */
export class NotReplayedError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(where: string, timeoutMillis: number) {
    super(
      'ERR_EXTERNALNAME_NOT_REPLAYED',
      `${where}: no server has replayed the token of this read within ${Math.round(timeoutMillis)} ms. Read without the token if older ` +
        'rows will do, or let the primary serve it (reader.fallback)',
    );
  }
}

/**
 * `pool.pause()` gave up: work in progress took too long, or `pool.resume()` was called. Callers are served again. Code
 * `ERR_EXTERNALNAME_PAUSE_ENDED`.
 */
export class PauseEndedError extends ExternalNameError {
  constructor(where: string, reason: string) {
    super('ERR_EXTERNALNAME_PAUSE_ENDED', `${where}: the pause ended because ${reason}, and callers are served again`);
  }
}

/**
 * The server broke the protocol: a message was cut off, too long, of an unknown type, or out of order. The connection was closed,
 * and the message was not used. Code `ERR_EXTERNALNAME_PROTOCOL_VIOLATION`.
 */
export class ProtocolViolationError extends ExternalNameError {
  /** What is known about the statement in flight. */
  override readonly outcome: Outcome;

  constructor(where: string, what: string, outcome: Outcome, options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_PROTOCOL_VIOLATION',
      `${where} ${what}: check that it is a PostgreSQL server, and what is between it and the client`,
      options,
    );
    this.outcome = outcome;
  }
}

/**
 * COMMIT was sent but not answered, and it could not be proven whether the transaction was committed. Code
 * `ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN`.
 */
export class CommitOutcomeUnknownError extends ExternalNameError {
  /** It may have been committed: check before you retry. */
  override readonly outcome = 'unknown';
  /** The server's number for the transaction (`pg_current_xact_id()`), if it was asked for. */
  readonly transactionId: string | undefined;
  /** The id of the row that the transaction wrote to the marker table, if there is one. */
  readonly marker: string | undefined;

  constructor(
    where: string,
    trace: { readonly transactionId: string | undefined; readonly marker: string | undefined },
    options?: ExternalNameErrorOptions,
  ) {
    const advice =
      trace.marker === undefined
        ? 'Check for its effects before you retry it; with commitMarker, the outcome can be proven after a switch too'
        : `Look for marker ${trace.marker} on the current server: if it is there, the transaction was committed`;
    super(
      'ERR_EXTERNALNAME_COMMIT_OUTCOME_UNKNOWN',
      `${where}: COMMIT was sent but not answered (${reasonOf(options?.cause)}), so it is unknown whether the transaction was ` +
        `committed. ${advice}`,
      options,
    );
    this.transactionId = trace.transactionId;
    this.marker = trace.marker;
  }
}

/**
 * The transaction was rolled back, although the work did not throw: one of its statements had failed and the error was swallowed,
 * or the connection was lost. Code `ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK`.
 */
export class TransactionRolledBackError extends ExternalNameError {
  /** Nothing ran, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(options?: ExternalNameErrorOptions) {
    const reason = options?.cause === undefined ? '' : ` (${reasonOf(options.cause)})`;
    super(
      'ERR_EXTERNALNAME_TRANSACTION_ROLLED_BACK',
      `the transaction was rolled back, so none of it took effect${reason}: retry it as a whole if that can help`,
      options,
    );
  }
}

/**
 * The work ended its transaction with its own COMMIT or ROLLBACK. Code `ERR_EXTERNALNAME_TRANSACTION_ENDED_EARLY`.
 */
export class TransactionEndedEarlyError extends ExternalNameError {
  /** It may have been committed: check before you retry. */
  override readonly outcome = 'unknown';

  constructor(options?: ExternalNameErrorOptions) {
    super(
      'ERR_EXTERNALNAME_TRANSACTION_ENDED_EARLY',
      'the work sent its own COMMIT or ROLLBACK: return from it to commit, throw from it to roll back',
      options,
    );
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : 'no attempt was made';
}
