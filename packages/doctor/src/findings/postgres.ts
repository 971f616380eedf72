import type { PostgresInspection } from '@externalname/kubernetes';
import { type EndpointFacts, type Facts, type Failed, targetOf } from '../facts/facts.ts';
import { type Rule, rule } from './finding.ts';
import { switching } from './tcp.ts';

/** The PostgreSQL server behind the target, if a login was tried. Codes are SQLSTATE (PostgreSQL documentation, Appendix A). */
export const postgresRules: readonly Rule[] = [
  ofFailure('postgres-starting', ['57P03'], {
    says: ({ message }, facts) => `PostgreSQL on ${targetOf(facts)} does not take connections yet: ${message}.`,
    means: 'It is starting, recovering after a crash, or shutting down.',
    users: '57P03 cannot_connect_now, "the database system is starting up".',
    mend: (_, facts) => ['Wait, and read the log of the server: recovery may take minutes.', ...switching(facts)],
  }),
  ofFailure('postgres-full', ['53300'], {
    says: ({ message }, facts) => `PostgreSQL on ${targetOf(facts)} has no connection left: ${message}.`,
    means:
      'All of max_connections are taken, often by pools that grew, or by clients that were left behind by a switch.',
    users: '53300, "sorry, too many clients already", "remaining connection slots are reserved".',
    mend: () => [
      'select usename, application_name, client_addr, state, count(*) from pg_stat_activity group by 1, 2, 3, 4 order by 5 desc',
      'Lower max of the pools, or put a pooler between.',
    ],
  }),
  ofFailure('postgres-password', ['28P01'], {
    says: ({ message }, facts) => `PostgreSQL on ${targetOf(facts)} refuses the login: ${message}.`,
    means:
      'The password is another one there, or the role does not exist. Both targets of a Service need the same roles and passwords.',
    users: '28P01, "password authentication failed".',
    mend: () => [
      '\\password <role>  # in psql, on the server',
      'Compare with the secret that the applications are given.',
    ],
  }),
  ofFailure('postgres-hba', ['28000'], {
    says: ({ message }, facts) => `PostgreSQL on ${targetOf(facts)} does not let this client in: ${message}.`,
    means:
      'No line of pg_hba.conf is for this address, role, database and TLS, or one rejects them. A standby has a file of its own.',
    users: '28000, "no pg_hba.conf entry for host".',
    mend: () => [
      'select * from pg_hba_file_rules',
      'Add a line to pg_hba.conf of that server, then: select pg_reload_conf()',
    ],
  }),
  ofFailure('postgres-database', ['3D000'], {
    says: ({ message }, facts) => `PostgreSQL on ${targetOf(facts)} has no such database: ${message}.`,
    means: 'The target is another server than the one that was meant, or the database was dropped.',
    users: '3D000, "database does not exist".',
    mend: () => ['psql -l', 'Compare the system identifiers: select system_identifier from pg_control_system()'],
  }),
  ofFailure('postgres-no-password', ['NO_PASSWORD'], {
    says: (_, facts) => `PostgreSQL on ${targetOf(facts)} asks for a password, and none was given.`,
    means: 'The login of this check has no password. Whether the applications have one is not known.',
    users: 'Nothing, if the applications have a password.',
    mend: (_, { asked }) => [`PGPASSWORD=... ${asked.program} doctor ${asked.written} --user <role>`],
  }),
  rule('postgres-silent', 'error', {
    find: (facts) => failed(facts, ({ code, message }) => isSilence(code, message)),
    says: (_, facts) => `PostgreSQL on ${targetOf(facts)} accepts the connection and then says nothing.`,
    means:
      'The machine or the process hangs: a full disk, frozen storage, a stopped process. TCP goes on, because the kernel answers.',
    users:
      'Statements hang without an error. Plain pg waits forever; @externalname/pg reports ERR_EXTERNALNAME_PEER_SILENT and moves.',
    mend: (_, facts) => ['Look at the machine: df, dmesg, the state of the process.', ...switching(facts)],
  }),
  rule('postgres-broken', 'error', {
    find: (facts) => failed(facts, ({ code, message }) => !named.has(code) && !isSilence(code, message)),
    says: ({ message, code }, facts) => `PostgreSQL on ${targetOf(facts)} cannot be used: ${message} (${code}).`,
    means: 'The port is open, and the login or the first statement fails.',
    users: 'The same error, on every new connection.',
    mend: (_, facts) => ['Read the log of the server.', ...switching(facts)],
  }),
  rule('postgres-standby', 'error', {
    find: (facts) => facts.asked.role === 'primary' && answered(facts, ({ state }) => state.inRecovery),
    says: (_, facts) => `${targetOf(facts)} is a standby: it refuses writes.`,
    means:
      'The Service was pointed to it before it was promoted, or the servers changed roles and the Service did not follow.',
    users: '25006, "cannot execute INSERT in a read-only transaction". Reads work.',
    mend: (_, facts) => [
      'select pg_promote()  # on that server, if the other one is down or fenced',
      ...switching(facts),
      `${facts.asked.program} doctor ${facts.asked.written} --role any  # if it is for reads`,
    ],
  }),
  rule('postgres-primary', 'error', {
    find: (facts) => facts.asked.role === 'standby' && answered(facts, ({ state }) => !state.inRecovery),
    says: (_, facts) => `${targetOf(facts)} is a primary, and a standby was expected.`,
    means: 'It was promoted, or the Service for reads points to the server for writes.',
    users: 'Reads burden the primary. If it was promoted beside a live primary, writes to it are lost to the other.',
    mend: (_, facts) => [...switching(facts), 'Compare timelines: select timeline_id from pg_control_checkpoint()'],
  }),
  rule('postgres-read-only', 'error', {
    find: (facts) =>
      facts.asked.role === 'primary' && answered(facts, ({ state }) => !state.inRecovery && state.readOnly),
    says: (_, facts) => `${targetOf(facts)} is a primary that refuses writes: default_transaction_read_only is on.`,
    means:
      'It was fenced for a switch that was not completed, or set so by hand, for the server, the database or the role.',
    users: '25006, "cannot execute INSERT in a read-only transaction".',
    mend: () => [
      'alter system set default_transaction_read_only = off; select pg_reload_conf()',
      'select * from pg_db_role_setting',
    ],
  }),
  rule('postgres-mixed', 'error', {
    find: ({ endpoints }) => {
      const states = endpoints.flatMap(({ postgres }) => (postgres?.kind === 'answered' ? [postgres.state] : []));
      const differ = new Set(states.map(({ systemIdentifier }) => systemIdentifier)).size > 1;
      const writable = states.filter(({ inRecovery, readOnly }) => !inRecovery && !readOnly).length;
      return (
        (differ || (writable > 0 && writable < states.length) || writable > 1) &&
        states.length > 1 && { differ, writable, count: states.length }
      );
    },
    says: ({ differ, writable, count }, facts) =>
      differ
        ? `The addresses of ${targetOf(facts)} are different databases: their system identifiers differ.`
        : `${writable} of the ${count} servers behind ${targetOf(facts)} take writes.`,
    means: 'One name stands for several servers that are not the same. Which one a connection gets is chance.',
    users: 'Some writes fail with 25006, or rows are missing on every second connection.',
    mend: () => ['Give each server a name of its own, and point the Service to one.'],
  }),
  rule('postgres-lag', 'warning', {
    find: (facts) =>
      answered(facts, ({ state }) => state.inRecovery && (state.replayDelaySeconds ?? 0) > longDelaySeconds),
    says: ({ state }, facts) =>
      `${targetOf(facts)} replays what was committed ${Math.round(state.replayDelaySeconds ?? 0)} s ago.`,
    means: 'The standby is behind, or the primary was idle for that long.',
    users:
      'Reads show an old state. A failover to it now would lose what it has not replayed, unless replication is synchronous.',
    mend: () => ['select * from pg_stat_wal_receiver', 'select pg_is_wal_replay_paused()'],
  }),
  rule('postgres-nearly-full', 'warning', {
    find: (facts) =>
      answered(
        facts,
        ({ connections, connectionLimit }) =>
          connections !== undefined && connectionLimit !== undefined && connections > connectionLimit * crowded,
      ),
    says: ({ connections = 0, connectionLimit = 0 }, facts) =>
      `${connections} of ${connectionLimit} connections of ${targetOf(facts)} are taken.`,
    means: 'During a switch pools hold old and new connections for a moment, and may need more than before.',
    users: 'Soon: 53300, "sorry, too many clients already".',
    mend: () => [
      'select usename, application_name, client_addr, state, count(*) from pg_stat_activity group by 1, 2, 3, 4 order by 5 desc',
    ],
  }),
  rule('postgres-authentication', 'warning', {
    find: (facts) => answered(facts, ({ authentication }) => weak.has(authentication ?? '')),
    says: ({ authentication }, facts) => `${targetOf(facts)} authenticated this login by ${authentication ?? ''}.`,
    means: ({ authentication }) =>
      authentication === 'trust'
        ? 'Everyone who reaches the port is let in, without a password.'
        : 'The server, or one in its place, can learn the password from the login. SCRAM does not tell it.',
    users: 'Nothing. Clients with requireAuth: scram-sha-256 are refused: ERR_EXTERNALNAME_AUTHENTICATION_REFUSED.',
    mend: () => [
      "alter system set password_encryption = 'scram-sha-256'",
      'Set the passwords again, then write scram-sha-256 into pg_hba.conf.',
    ],
  }),
];

/** Failures with a rule of their own. */
const named: ReadonlySet<string> = new Set(['57P03', '53300', '28P01', '28000', '3D000', 'NO_PASSWORD']);

function isSilence(code: string, message: string): boolean {
  return code === 'ERR_EXTERNALNAME_DEADLINE' || /timeout expired/i.test(message);
}

/** Methods that do not prove a password without showing it, or ask for none (PostgreSQL documentation, 20.3). */
const weak: ReadonlySet<string> = new Set(['trust', 'password', 'md5', 'ident']);
const longDelaySeconds = 60;
const crowded = 0.9;

function ofFailure(
  code: string,
  sqlStates: readonly string[],
  texts: {
    readonly says: (failed: Failed, facts: Facts) => string;
    readonly means: string;
    readonly users: string;
    readonly mend: (failed: Failed, facts: Facts) => readonly string[];
  },
): Rule {
  return rule(code, 'error', { find: (facts) => failed(facts, (found) => sqlStates.includes(found.code)), ...texts });
}

/** The first failed login that fits. */
function failed({ endpoints }: Facts, fits: (failed: Failed) => boolean): Failed | undefined {
  return endpoints.flatMap(({ postgres }) => (postgres?.kind === 'failed' && fits(postgres) ? [postgres] : []))[0];
}

function answered({ endpoints }: Facts, fits: (found: PostgresInspection) => boolean): PostgresInspection | undefined {
  const all = endpoints.flatMap(({ postgres }: EndpointFacts) => (postgres?.kind === 'answered' ? [postgres] : []));
  return all.find(fits);
}
