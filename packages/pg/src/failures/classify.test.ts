import { ClosedError, DeadlineError, ResolutionError } from '@externalname/core';
import { recordOutcome } from '@externalname/core/internal';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { ConnectError, ConnectTimeoutError, ServerRoleError, TargetRetiredError } from '../errors.ts';
import { classifyFailure, outcomeOf, type Phase } from './classify.ts';

const fromServer = (code: string, severity = 'ERROR') =>
  Object.assign(new pg.DatabaseError(`SQLSTATE ${code}`, 0, 'error'), { code, severity });
const fromPooler = (message: string, severity = 'FATAL') =>
  Object.assign(new pg.DatabaseError(message, 0, 'error'), { code: '08P01', severity });
const raisedIn = (code: string, routine: string) => Object.assign(fromServer(code), { routine });
const poolEnded = new Error('Cannot use a pool after calling end on the pool');
const fromNode = (code: string) => Object.assign(new Error(code), { code });
const fromConnect = (code: string) =>
  Object.assign(fromNode(code), { syscall: 'connect', address: '192.0.2.1', port: 5432 });

describe('what an error means for the statement that met it', () => {
  it.each<[string, unknown, Phase, string, string]>([
    ['a constraint', fromServer('23505'), 'connected', 'statement', 'not-executed'],
    ['a cancel', fromServer('57014'), 'connected', 'statement', 'not-executed'],
    ['a full disk', fromServer('53100'), 'connected', 'statement', 'not-executed'],
    ['a serialization failure', fromServer('40001'), 'connected', 'conflict', 'not-executed'],
    ['a deadlock', fromServer('40P01'), 'connected', 'conflict', 'not-executed'],
    ['a prepared statement that is lost', fromServer('26000'), 'connected', 'session-state', 'not-executed'],
    ['a prepared statement that is there', fromServer('42P05'), 'connected', 'session-state', 'not-executed'],
    ['a cursor that is there', fromServer('42P03'), 'connected', 'session-state', 'not-executed'],
    ["a table that may be the session's own", fromServer('42P07'), 'connected', 'session-state', 'not-executed'],
    [
      'a plan that does not fit',
      raisedIn('0A000', 'RevalidateCachedQuery'),
      'connected',
      'session-state',
      'not-executed',
    ],
    ['what is not supported', raisedIn('0A000', 'transformStmt'), 'connected', 'statement', 'not-executed'],
    [
      'a plan of PL/pgSQL that does not fit',
      raisedIn('42804', 'plpgsql_param_eval_recfield'),
      'connected',
      'session-state',
      'not-executed',
    ],
    ['a type that does not fit', raisedIn('42804', 'transformAssignedExpr'), 'connected', 'statement', 'not-executed'],
    ['a read-only server', fromServer('25006'), 'connected', 'read-only', 'not-executed'],
    ['a shutdown by the administrator', fromServer('57P01', 'FATAL'), 'connected', 'server-lost', 'unknown'],
    ['a crash', fromServer('57P02', 'FATAL'), 'connected', 'server-lost', 'unknown'],
    ['an unresolved completion', fromServer('40003', 'FATAL'), 'connected', 'server-lost', 'unknown'],
    ['an unresolved completion that SQL raised', fromServer('40003'), 'connected', 'other', 'unknown'],
    ['a transaction that timed out', fromServer('25P04', 'FATAL'), 'connected', 'transaction-timeout', 'not-executed'],
    ...['57P01', '57P02', '57P03', '57P04', '57P05', '53300', '25P03', '25P04', '3D000', '08006', '08001'].flatMap(
      (code): [string, unknown, Phase, string, string][] => [
        [`${code} that SQL raised`, fromServer(code), 'connected', 'statement', 'not-executed'],
        [`${code} that SQL raised, in German`, fromServer(code, 'FEHLER'), 'connected', 'statement', 'not-executed'],
      ],
    ),
    ['57P01 in a language that is not known', fromServer('57P01', 'VIGA'), 'connected', 'server-lost', 'unknown'],
    ['a broken protocol', fromServer('08P01', 'FATAL'), 'connected', 'protocol', 'unknown'],
    ['a message that the server refuses', fromServer('08P01'), 'connected', 'protocol', 'not-executed'],
    [
      'a message that the server refuses, in French',
      fromServer('08P01', 'ERREUR'),
      'connected',
      'protocol',
      'not-executed',
    ],
    ...[
      'server login has been failing, try again later (server_login_retry)',
      'server login has been failing, cached error: connect failed (server_login_retry)',
      'query_wait_timeout',
      'query_timeout',
      'server shutting down',
    ].map((text): [string, unknown, Phase, string, string] => [
      `a pooler without a server (${text})`,
      fromPooler(text),
      'connected',
      'not-accepting',
      'not-executed',
    ]),
    ...['client_idle_timeout', 'prepared statement did not exist', 'prepared statement name is already in use'].map(
      (text): [string, unknown, Phase, string, string] => [
        `a pooler that ends a session (${text})`,
        fromPooler(text),
        'connected',
        'session-ended',
        'not-executed',
      ],
    ),
    ['a pooler whose server broke', fromPooler('server conn crashed?'), 'connected', 'protocol', 'unknown'],
    ['a pooler whose server took too long', fromPooler('query timeout'), 'connected', 'protocol', 'unknown'],
    ['its words, raised by SQL', fromPooler('query_wait_timeout', 'ERROR'), 'connected', 'protocol', 'not-executed'],
    ['a pooler that may not log in', fromServer('28000', 'FATAL'), 'connected', 'authentication', 'not-executed'],
    ['a lost connection, by its code', fromServer('08006', 'FATAL'), 'connected', 'server-lost', 'unknown'],
    ['an idle session that timed out', fromServer('57P05', 'FATAL'), 'connected', 'session-ended', 'not-executed'],
    ['an idle transaction that timed out', fromServer('25P03', 'FATAL'), 'connected', 'session-ended', 'not-executed'],
    ['a corrupted file', fromServer('58030'), 'connected', 'server-fault', 'not-executed'],
    ['an internal error', fromServer('XX000'), 'connected', 'internal', 'not-executed'],
    ['a reset', fromNode('ECONNRESET'), 'connected', 'server-lost', 'unknown'],
    ['a broken pipe', fromNode('EPIPE'), 'connected', 'server-lost', 'unknown'],
    ['a keepalive that gave up', fromNode('ETIMEDOUT'), 'connected', 'server-lost', 'unknown'],
    ['an end without a word', new Error('Connection terminated unexpectedly'), 'connected', 'server-lost', 'unknown'],
    [
      'a client that broke before',
      new Error('Client has encountered a connection error and is not queryable'),
      'connected',
      'not-queryable',
      'not-executed',
    ],
    [
      'a client that was closed',
      new Error('Client was closed and is not queryable'),
      'connected',
      'not-queryable',
      'not-executed',
    ],
    ['a query timeout of pg', new Error('Query read timeout'), 'connected', 'deadline', 'unknown'],
    [
      'a retired target',
      new TargetRetiredError('a.example', 'not-executed'),
      'connected',
      'not-queryable',
      'not-executed',
    ],
    [
      'a drain time that ended',
      new TargetRetiredError('a.example', 'unknown'),
      'connected',
      'not-queryable',
      'unknown',
    ],
    [
      'an argument that pg refuses',
      new Error('Query values must be an array'),
      'connected',
      'statement',
      'not-executed',
    ],
    ['a pool that has ended', poolEnded, 'connected', 'statement', 'not-executed'],
    ['a panic, which may come after a commit', fromServer('XX000', 'PANIC'), 'connected', 'server-lost', 'unknown'],
    ['TLS that breaks', fromNode('ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC'), 'connected', 'server-lost', 'unknown'],
    ['a type parser that throws', new Error('cannot read this'), 'connected', 'application', 'unknown'],
    [
      'one that throws what looks like ours',
      new Error('queue is not queryable'),
      'connected',
      'application',
      'unknown',
    ],
    ['one that lacks descriptors', fromNode('EMFILE'), 'connected', 'application', 'unknown'],
    ['one that resolves names', fromNode('ENOTFOUND'), 'connected', 'application', 'unknown'],
    ['something thrown that is not an error', 'boom', 'connected', 'other', 'unknown'],
  ])('%s', (_, error, phase, kind, outcome) => {
    expect(classifyFailure(error, phase)).toMatchObject({ kind, outcome });
  });
});

describe('what an error means while a connection is made', () => {
  it.each<[string, unknown, string, boolean]>([
    ['nobody listens', fromNode('ECONNREFUSED'), 'unreachable', true],
    ['no route', fromNode('EHOSTUNREACH'), 'unreachable', true],
    // ip-route(8): prohibit, blackhole; and a firewall on the way out (#11).
    ['a route that prohibits', fromConnect('EACCES'), 'unreachable', true],
    ['a firewall on the way out', fromConnect('EPERM'), 'unreachable', true],
    ['a route that swallows', fromConnect('EINVAL'), 'unreachable', true],
    ['a Unix-domain socket that may not be used', fromNode('EACCES'), 'other', false],
    ['a reset', fromNode('ECONNRESET'), 'unreachable', true],
    ['no answer in time', new ConnectTimeoutError('a.example', 5_000), 'unreachable', true],
    ['starting up', fromServer('57P03', 'FATAL'), 'not-accepting', true],
    ['shutting down', fromServer('57P01', 'FATAL'), 'server-lost', true],
    ['a pooler that cannot connect', fromServer('08P01', 'FATAL'), 'not-accepting', true],
    ['too many connections', fromServer('53300', 'FATAL'), 'overloaded', true],
    ['another role', new ServerRoleError('a.example', 'read-write', 'a standby'), 'wrong-role', true],
    ['no DNS server', new ResolutionError('unavailable', 'a.example'), 'name', true],
    ['a wrong password', fromServer('28P01', 'FATAL'), 'authentication', false],
    ['no pg_hba entry', fromServer('28000', 'FATAL'), 'authentication', false],
    ['no such database', fromServer('3D000', 'FATAL'), 'wrong-database', false],
    ['no right to connect', fromServer('42501', 'FATAL'), 'wrong-database', false],
    ['another certificate', fromNode('ERR_TLS_CERT_ALTNAME_INVALID'), 'identity', false],
    ['an unknown CA', fromNode('SELF_SIGNED_CERT_IN_CHAIN'), 'identity', false],
    ['an expired certificate', fromNode('CERT_HAS_EXPIRED'), 'identity', false],
    ['a TLS protocol error', fromNode('EPROTO'), 'identity', false],
    ['no TLS', new Error('The server does not support SSL connections'), 'identity', false],
    [
      'SCRAM that fails',
      new Error('SASL: SCRAM-SERVER-FINAL-MESSAGE: server signature does not match'),
      'authentication',
      false,
    ],
    ['no free port on this machine', fromNode('EADDRNOTAVAIL'), 'local-resources', true],
    ['no free descriptor', fromNode('EMFILE'), 'local-resources', true],
  ])('%s: nothing was executed', (_, error, kind, retryable) => {
    expect(classifyFailure(error, 'connecting')).toMatchObject({ kind, retryable, outcome: 'not-executed' });
  });

  it('a full server is neither condemned nor left: that would carry the storm to the next one', () => {
    expect(classifyFailure(fromServer('53300', 'FATAL'), 'connecting').condemnsServer).toBe(false);
  });

  it('of several addresses that are all down, another attempt may find one up', () => {
    const errors = [fromNode('ECONNREFUSED'), fromNode('ETIMEDOUT')];
    const error = new ConnectError('db.example.com', errors);
    expect(classifyFailure(error, 'connecting')).toMatchObject({ kind: 'unreachable', retryable: true });
    const wrong = new ConnectError('db.example.com', [...errors, fromNode('CERT_HAS_EXPIRED')]);
    expect(classifyFailure(wrong, 'connecting')).toMatchObject({ kind: 'identity', retryable: false });
  });

  it('of several addresses, one failure that must not be retried outweighs the others', () => {
    const errors = [fromNode('ECONNREFUSED'), fromNode('CERT_HAS_EXPIRED')];
    expect(classifyFailure(new AggregateError(errors), 'connecting')).toMatchObject({ kind: 'identity' });
    const refused = Object.assign(new AggregateError([fromNode('ECONNREFUSED')]), { code: 'ECONNREFUSED' });
    expect(classifyFailure(refused, 'connecting')).toMatchObject({ kind: 'unreachable' });
  });
});

describe('a connection goes back to the pool', () => {
  it.each([
    ['after an ordinary SQL error', '23505', true],
    ['after a deadlock', '40P01', true],
    ['not after a read-only answer', '25006', false],
    ['not after an internal error', 'XX000', false],
  ])('%s', (_, code, keepConnection) => {
    expect(classifyFailure(fromServer(code), 'connected')).toMatchObject({ keepConnection });
  });
});

describe('the outcome on an error', () => {
  it('is recorded if it is known, does not show, and is not overwritten', () => {
    const error = fromNode('ECONNRESET');
    const before = JSON.stringify(error);
    recordOutcome(error, 'not-executed');
    recordOutcome(error, 'unknown');
    expect(outcomeOf(error)).toBe('not-executed');
    expect(JSON.stringify(error)).toBe(before);
    expect(classifyFailure(error, 'connected').outcome).toBe('not-executed');
  });

  it('is there on our own errors, and never on a value that is not an error', () => {
    expect(outcomeOf(new ClosedError('it'))).toBe('not-executed');
    expect(outcomeOf(new DeadlineError('it', 1))).toBeUndefined();
    expect(outcomeOf(undefined)).toBeUndefined();
    expect(outcomeOf('text')).toBeUndefined();
    recordOutcome(Object.freeze(new Error('frozen')), 'unknown');
  });
});
