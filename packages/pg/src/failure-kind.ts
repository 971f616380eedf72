/** What kind of failure it is, as far as the error can tell. */
export type FailureKind =
  /** The server ran the statement and it failed: a constraint, a syntax error, a cancel. Not the pool's concern. */
  | 'statement'
  /** 40001, 40P01: the transaction was rolled back, and a retry would probably succeed. */
  | 'conflict'
  /**
   * The state of the session is in the way, not the statement: a prepared statement (26000, 42P05, a stale cached plan), a cursor
   * or a temporary table (42P03, 42P07), a plan of PL/pgSQL. A new session does not have it.
   */
  | 'session-state'
  /** 25006: the server takes no writes (any more). */
  | 'read-only'
  /** 57P03: starting up, shutting down, or in recovery without hot standby. Also a pooler that has no server. */
  | 'not-accepting'
  /** 53300: no connection slot is free. */
  | 'overloaded'
  /** The server ended this one session and rolled back: idle in transaction, idle. */
  | 'session-ended'
  /** 25P04: the transaction took longer than `transaction_timeout` and was rolled back. A retry would take as long. */
  | 'transaction-timeout'
  /** The server shut down or crashed, or the network path broke. */
  | 'server-lost'
  /** The server itself has a fault (58xxx, F0xxx): definite for the statement, a warning about the server. */
  | 'server-fault'
  /** An internal error (XX000): definite, but the connection is not trusted any more. */
  | 'internal'
  /** The protocol got out of step (08P01) after the connection was ready, or the server refused a message of it. */
  | 'protocol'
  /** No server answers at that address. */
  | 'unreachable'
  /** DNS gave no usable answer. */
  | 'name'
  /** The target or its address is not on the allow-list. */
  | 'policy'
  /** TLS failed: another name, an unknown CA, no TLS at all. */
  | 'identity'
  /** The credentials were refused, or the server did not complete authentication. */
  | 'authentication'
  /** 3D000, 42501 while connecting: no such database, or no right to connect. After a switch: the wrong server? */
  | 'wrong-database'
  /** The server has another role than `targetSessionAttrs` asks for. */
  | 'wrong-role'
  /** This process is out of ports or file descriptors. */
  | 'local-resources'
  /** The statement never left the process: the client was already closed or broken. */
  | 'not-queryable'
  /** The application's own code failed while a value was written or an answer was read: the statement may have run. */
  | 'application'
  /** A deadline of ours or of the caller passed, or a signal fired. */
  | 'deadline'
  /** Nothing is known: it is treated with care. */
  | 'other';
