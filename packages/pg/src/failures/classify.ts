import { isExternalNameError, type Outcome, ResolutionError } from '@externalname/core';
import type { FailureKind } from '../failure-kind.ts';

export type { FailureKind } from '../failure-kind.ts';

/** When an error occurred: while a connection was being made, or on a connection that was ready and had work. */
export type Phase = 'connecting' | 'connected';

/** What an error means for the statement, the connection it came from, and the server behind it. */
export interface Failure {
  /** What kind of failure it is. */
  readonly kind: FailureKind;
  /** What is known about the statement. */
  readonly outcome: Outcome;
  /** Whether the connection may go back to the pool. */
  readonly keepConnection: boolean;
  /** Whether the other connections to this server must be checked before they are used again. */
  readonly condemnsServer: boolean;
  /** Whether a retry can help, if the outcome allows it. */
  readonly retryable: boolean;
  /** While connecting: whether another address of the same target may do better. */
  readonly tryNextAddress: boolean;
}

/**
 * Says what an error means. Code first, class second, message last: matching on messages alone is what
 * makes failover code miss 57P01 and ETIMEDOUT.
 *
 * Sources: PostgreSQL documentation, appendix A (error codes); `src/backend/replication/syncrep.c` for why 57P01 on a
 * write is unknown (a cancelled wait for the standby warns and ends the session after the local commit).
 */
export function classifyFailure(error: unknown, phase: Phase): Failure {
  const kind = kindOf(error, phase);
  const consequence = isLastingRole(error) ? evict : consequences[kind];
  return { kind, outcome: outcomeFor(error, kind, phase), ...consequence };
}

// A session that is read-only by its own setting is read-only on every server, and stays so.
function isLastingRole(error: unknown): boolean {
  return isExternalNameError(error) && (error as { isLasting?: unknown }).isLasting === true;
}

/** The outcome that was recorded on an error, ours or one that passed through the pool. */
export function outcomeOf(error: unknown): Outcome | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const outcome = (error as { outcome?: unknown }).outcome;
  return outcome === 'not-executed' || outcome === 'unknown' ? outcome : undefined;
}

/** Whether a client refused a statement because its connection was gone already. */
export function isNeverSent(error: unknown): boolean {
  return error instanceof Error && notQueryable.has(error.message);
}

type Consequence = Omit<Failure, 'kind' | 'outcome'>;

const keep: Consequence = { keepConnection: true, condemnsServer: false, retryable: false, tryNextAddress: false };
const evict: Consequence = { ...keep, keepConnection: false };

const consequences: Record<FailureKind, Consequence> = {
  statement: keep,
  conflict: keep,
  'session-state': evict,
  'read-only': { ...evict, condemnsServer: true, retryable: true },
  'not-accepting': { ...evict, condemnsServer: true, retryable: true, tryNextAddress: true },
  // Treating a full server as lost would only move the storm to the next one.
  overloaded: { ...evict, retryable: true, tryNextAddress: true },
  'session-ended': { ...evict, retryable: true },
  'transaction-timeout': evict,
  'server-lost': { ...evict, condemnsServer: true, retryable: true, tryNextAddress: true },
  'server-fault': { ...evict, condemnsServer: true },
  internal: evict,
  protocol: evict,
  unreachable: { ...evict, condemnsServer: true, retryable: true, tryNextAddress: true },
  name: { ...evict, retryable: true },
  policy: evict,
  identity: { ...evict, tryNextAddress: true },
  authentication: evict,
  'wrong-database': evict,
  'wrong-role': { ...evict, condemnsServer: true, retryable: true, tryNextAddress: true },
  'local-resources': { ...evict, retryable: true },
  'not-queryable': { ...evict, retryable: true },
  application: keep,
  deadline: evict,
  other: evict,
};

function outcomeFor(error: unknown, kind: FailureKind, phase: Phase): Outcome {
  const recorded = outcomeOf(error);
  if (recorded !== undefined) return recorded;
  if (phase === 'connecting') return 'not-executed';
  // The server refused a message with an ERROR, for example one with more than 65,535 parameters, and kept reading.
  if (kind === 'protocol') return isDatabaseError(error) && isErrorWord(error.severity) ? 'not-executed' : 'unknown';
  switch (kind) {
    case 'server-lost':
    case 'unreachable':
    case 'application':
    case 'deadline':
    case 'other':
      return 'unknown';
    default:
      return 'not-executed';
  }
}

function kindOf(error: unknown, phase: Phase): FailureKind {
  if (!(error instanceof Error)) return 'other';
  if (isExternalNameError(error)) return kindOfOurs(error, phase);
  const code = (error as { code?: unknown }).code;
  if (isDatabaseError(error)) return kindOfDatabaseError(error, phase);
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return 'deadline';
  if (typeof code === 'string') {
    const kind = kindOfNodeCode(error, code, phase);
    if (kind !== undefined) return kind;
  }
  if (error instanceof AggregateError) return worst(error.errors, phase);
  return kindOfMessage(error.message, phase);
}

function kindOfOurs(error: Error & { code: string }, phase: Phase): FailureKind {
  if (error instanceof ResolutionError || error.code.startsWith('ERR_EXTERNALNAME_DNS_')) return 'name';
  const kind = ours[error.code];
  if (kind !== undefined) return kind;
  // Several addresses were tried; the cause has one error for each.
  return error.cause instanceof AggregateError ? worst(error.cause.errors, phase) : 'other';
}

const ours: Record<string, FailureKind | undefined> = {
  ERR_EXTERNALNAME_TARGET_REFUSED: 'policy',
  ERR_EXTERNALNAME_TARGET_IS_ADDRESS: 'policy',
  ERR_EXTERNALNAME_ADDRESS_REFUSED: 'policy',
  ERR_EXTERNALNAME_TLS_IDENTITY: 'identity',
  ERR_EXTERNALNAME_AUTHENTICATION_REFUSED: 'authentication',
  ERR_EXTERNALNAME_PASSWORD_REQUIRED: 'authentication',
  ERR_EXTERNALNAME_CLEARTEXT_REFUSED: 'policy',
  ERR_EXTERNALNAME_PROTOCOL_VIOLATION: 'protocol',
  ERR_EXTERNALNAME_SERVER_ROLE: 'wrong-role',
  ERR_EXTERNALNAME_REPLICA_LAG: 'wrong-role',
  ERR_EXTERNALNAME_NOT_REPLAYED: 'deadline',
  ERR_EXTERNALNAME_TARGET_RETIRED: 'not-queryable',
  ERR_EXTERNALNAME_CONNECT_TIMEOUT: 'unreachable',
  ERR_EXTERNALNAME_CONNECTION_LOST: 'unreachable',
  ERR_EXTERNALNAME_PEER_SILENT: 'server-lost',
  ERR_EXTERNALNAME_FAILOVER_TIMEOUT: 'deadline',
  ERR_EXTERNALNAME_DEADLINE: 'deadline',
};

interface DatabaseErrorLike extends Error {
  readonly code: string;
  readonly severity: string | undefined;
  /** Where in its source the server raised the error, and inside which context. */
  readonly routine?: string | undefined;
  readonly where?: string | undefined;
}

/**
 * Whether a pooler refused a statement because it had no server for it: nothing ran, whatever the statement is. Goes by the words of
 * PgBouncer, which has one code (08P01, FATAL) for this and for a server that broke in the middle of a statement.
 *
 * Source: PgBouncer, `check_fast_fail()`, `pool_client_maint()` and `pause_client()`, which all concern clients without a
 * server; and `handle_bind_command()`, which looks up the statement before it sends anything.
 */
export function isPoolerRefusal(error: unknown): boolean {
  return isDatabaseError(error) && kindOfPoolerRefusal(error) !== undefined;
}

function kindOfPoolerRefusal({ code, severity, message }: DatabaseErrorLike): FailureKind | undefined {
  if (code !== '08P01' || severity !== 'FATAL') return undefined;
  // With or without the reason after a comma.
  if (message.startsWith('server login has been failing') || noServer.has(message)) return 'not-accepting';
  return sessionOver.has(message) ? 'session-ended' : undefined;
}

// "query timeout", with a space, refers to a statement that was sent.
const noServer: ReadonlySet<string> = new Set(['query_wait_timeout', 'query_timeout', 'server shutting down']);

// PgBouncer ends a client if it cannot find its named statements, for example after DEALLOCATE ALL.
const sessionOver: ReadonlySet<string> = new Set([
  'client_idle_timeout',
  'prepared statement did not exist',
  'prepared statement name is already in use',
]);

/**
 * Whether the process of a server that answers has said that it ends itself: it says nothing after that, and begins nothing. A pooler, which
 * may have passed statements on already, does not say where in its source it raised an error. Of severities in other languages it says no.
 */
export function isLastWordOfServer(error: unknown): boolean {
  return (
    isDatabaseError(error) && error.severity === 'FATAL' && typeof error.routine === 'string' && error.routine !== ''
  );
}

/**
 * What is wrong with the prepared statement of that name, if the error is about it: its plan is `stale`, the session has `lost` it,
 * or the name is `taken`. In each case nothing ran.
 */
export function preparedStatementProblem(error: unknown, name: string): 'stale' | 'lost' | 'taken' | undefined {
  // From inside a function, it is about a statement that another caller prepared.
  if (!isDatabaseError(error) || error.where !== undefined) return undefined;
  if (isStalePlan(error)) return 'stale';
  // In every language the message contains the name, and not the name of another statement (EXECUTE).
  if (!error.message.includes(name)) return undefined;
  if (error.code === '26000') return 'lost';
  return error.code === '42P05' ? 'taken' : undefined;
}

/**
 * Whether an error that comes before a statement runs may be due to the types that its parameters had when it was prepared: it keeps them when
 * a column or a function gets others. Then a value is out of range, cannot be read, or fits no operator, or the type itself is gone ("cache lookup
 * failed").
 */
export function mayBeOfOldTypes(error: unknown): boolean {
  return isDatabaseError(error) && /^(?:22|42|XX)/.test(error.code);
}

// Many things are not supported (0A000), and messages are translated. The routine is the same in all versions and languages.
function isStalePlan({ code, routine }: DatabaseErrorLike): boolean {
  return code === '0A000' && routine === 'RevalidateCachedQuery';
}

/**
 * Whether an error repeats for as long as the session lasts, whatever caused it. Some of these codes can also be about an object that
 * all sessions share (42P07): then a connection is replaced for nothing, as `pg` does after every error.
 */
function isAboutSession(error: DatabaseErrorLike): boolean {
  if (['26000', '42P05', '42P03', '42P07'].includes(error.code) || isStalePlan(error)) return true;
  // "type of parameter 4 (text) does not match that when preparing the plan (integer)": PL/pgSQL keeps its plans in the session.
  return error.code === '42804' && error.routine?.startsWith('plpgsql_param_eval') === true;
}

/** Whether the server sent the error. Goes by shape, not by class: an application may have two copies of pg-protocol. */
export function isDatabaseError(error: unknown): error is DatabaseErrorLike {
  if (!(error instanceof Error)) return false;
  const { code, severity } = error as Partial<DatabaseErrorLike>;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && typeof severity === 'string';
}

function kindOfDatabaseError(error: DatabaseErrorLike, phase: Phase): FailureKind {
  const { code, severity } = error;
  // A server panics if it cannot undo what it did: what it had written of a commit counts when it is back.
  if (severity === 'PANIC' && phase === 'connected') return 'server-lost';
  // Any function may raise any of these codes as an ERROR. If they come from the server itself, they end the session.
  if (phase === 'connected' && isErrorWord(severity) && isServersOwn(code)) {
    // If the server says 40003 of itself, it is not known whether the statement was completed.
    return code === '40003' ? 'other' : 'statement';
  }
  if (phase === 'connected') {
    if (isAboutSession(error)) return 'session-state';
    const refused = kindOfPoolerRefusal(error);
    if (refused !== undefined) return refused;
    // A session that was let in earlier does not log in: the pooler's own login was refused.
    if (code.startsWith('28') && severity === 'FATAL') return 'authentication';
  }
  const exact = sqlStates[code];
  if (exact !== undefined) return exact;
  if (phase === 'connecting') {
    if (code.startsWith('28')) return 'authentication';
    if (code === '42501') return 'wrong-database';
    // PgBouncer says 08P01 for "cannot connect to the server behind me".
    if (code.startsWith('08') || code.startsWith('57P') || code.startsWith('53')) return 'not-accepting';
    return severity === 'FATAL' || severity === 'ERROR' ? 'wrong-database' : 'other';
  }
  if (code === '08P01') return 'protocol';
  if (code.startsWith('08') || code === '40003') return 'server-lost';
  if (code.startsWith('58') || code.startsWith('F0')) return 'server-fault';
  if (code.startsWith('XX')) return 'internal';
  return severity === 'FATAL' ? 'server-lost' : 'statement';
}

/** Whether a code is about the session or the server, if the server itself sends it. It also sends `08P01` about a message. */
function isServersOwn(code: string): boolean {
  if (code === '08P01') return false;
  return /^(?:57P|08)/.test(code) || ['25P03', '25P04', '40003', '53300', '3D000'].includes(code);
}

/**
 * ERROR in the languages of PostgreSQL (`src/backend/po`): `pg` passes on the translated severity, not the one for
 * programs. Any language that is missing here counts as FATAL, so that the outcome stays unknown.
 */
const errorSeverities: ReadonlySet<string> = new Set([
  ...['ERROR', 'FEHLER', 'ERREUR', 'ERRORE', 'ERRO', 'ОШИБКА', 'BŁĄD', 'CHYBA', 'HATA', 'FEL', 'ПОМИЛКА', 'შეცდომა'],
  ...['오류', '错误', '錯誤', 'エラー'],
]);

function isErrorWord(severity: string | undefined): boolean {
  return errorSeverities.has(severity ?? '');
}

const sqlStates: Record<string, FailureKind | undefined> = {
  '25006': 'read-only',
  '25P03': 'session-ended', // idle_in_transaction_session_timeout
  '25P04': 'transaction-timeout',
  '40001': 'conflict',
  '40P01': 'conflict',
  '57P01': 'server-lost', // admin_shutdown, also pg_terminate_backend
  '57P02': 'server-lost', // crash_shutdown
  '57P03': 'not-accepting',
  '57P04': 'wrong-database', // database_dropped
  '57P05': 'session-ended', // idle_session_timeout
  '53300': 'overloaded',
  '3D000': 'wrong-database',
};

function kindOfNodeCode(error: Error, code: string, phase: Phase): FailureKind | undefined {
  const kind = isForbiddenRoute(error, code) ? 'unreachable' : kindOfConnectCode(code, phase);
  if (phase === 'connecting' || kind === undefined || kind === 'unreachable' || kind === 'server-lost') return kind;
  // TLS can break at any time. Names and descriptors are needed only before there is a connection, so later an error about
  // them comes from the application.
  return kind === 'identity' ? 'server-lost' : undefined;
}

// Linux answers with these for a route of type `prohibit` or `blackhole` (ip-route(8)), and for a firewall on the way out. A CNI plugin
// adds and removes such routes. On a Unix-domain socket the same codes are a mistake to report.
function isForbiddenRoute(error: Error, code: string): boolean {
  const { syscall, port } = error as NodeJS.ErrnoException & { port?: unknown };
  return syscall === 'connect' && port !== undefined && forbiddenRoute.has(code);
}

const forbiddenRoute: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EINVAL']);

function kindOfConnectCode(code: string, phase: Phase): FailureKind | undefined {
  switch (code) {
    case 'ECONNREFUSED':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
    case 'ENETDOWN':
    case 'ECONNABORTED':
    case 'ENOENT': // a Unix-domain socket that is not there
      return 'unreachable';
    case 'ETIMEDOUT':
    case 'ECONNRESET':
    case 'EPIPE':
      return phase === 'connecting' ? 'unreachable' : 'server-lost';
    case 'EADDRNOTAVAIL':
    case 'EMFILE':
    case 'ENFILE':
      return 'local-resources';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'ESERVFAIL':
      return 'name';
    case 'EPROTO':
      return 'identity';
    default:
      return /^(CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/.test(code)
        ? 'identity'
        : undefined;
  }
}

function kindOfMessage(message: string, phase: Phase): FailureKind {
  if (message.startsWith('Connection terminated')) return phase === 'connecting' ? 'unreachable' : 'server-lost';
  if (notQueryable.has(message)) return 'not-queryable';
  if (message === 'timeout expired') return 'unreachable';
  if (message === 'timeout exceeded when trying to connect' || message === 'Query read timeout') return 'deadline';
  if (phase === 'connected') return neverSent.test(message) ? 'statement' : 'application';
  if (message.startsWith('SASL')) return 'authentication';
  if (message === 'The server does not support SSL connections') return 'identity';
  // The server answered SSLRequest with an error: it is out of processes or shutting down.
  if (message === 'There was an error establishing an SSL connection') return 'not-accepting';
  return 'other';
}

// The words of pg and pg-pool. Only exact matches count: an application's own error may sound alike.
const notQueryable: ReadonlySet<string> = new Set([
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
]);
const neverSent =
  /^(Query values must be an array|A query must have either text or a name\b|Prepared statements must be unique\b|Client was passed a null or undefined query|Passing a function as the first parameter to pool\.query is not supported|Cannot use a pool after calling end on the pool|(Custom query classes|The `rows` option) .* not supported in pipeline mode)/;

// A failure that must not be retried outweighs those that may be.
function worst(errors: readonly unknown[], phase: Phase): FailureKind {
  const kinds = errors.map((error) => kindOf(error, phase));
  return kinds.find((kind) => !consequences[kind].retryable) ?? kinds[0] ?? 'other';
}
