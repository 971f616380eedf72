import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  connectionInfo,
  identifier,
  isLeftOutOfBackup,
  literal,
  pgHbaConf,
  postgresqlConf,
  quoted,
  type ServerFiles,
} from './settings.ts';

const files: ServerFiles = {
  majorVersion: 18,
  hostName: 'primary-db.example.com',
  address: '127.64.0.1',
  port: 15432,
  clusterName: 'externalname-abc-1',
  folder: '/tmp/externalname-abc/server-1',
  administrator: 'root',
  synchronousCommit: 'on',
  peer: { hostName: 'secondary-db.example.com', address: '127.64.0.2' },
  slotName: 'server_1',
  parameters: {},
  accessRules: [],
};

describe('postgresql.conf', () => {
  it('has the standby verify its primary in full, by the external name', () => {
    const conf = postgresqlConf(files);
    expect(conf).toMatch(/^listen_addresses = '127\.64\.0\.1'$/m);
    expect(conf).toMatch(/^primary_conninfo = '.*host=''secondary-db\.example\.com''.*sslmode=''verify-full''/m);
  });

  it('has each parameter once, the caller’s in place of its own', () => {
    const conf = postgresqlConf({ ...files, parameters: { fsync: 'on', work_mem: '8MB' } });
    const names = conf
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]);
    expect(new Set(names).size).toBe(names.length);
    expect(conf).toMatch(/^fsync = 'on'$/m);
    expect(conf).toMatch(/^work_mem = '8MB'$/m);
  });

  it('leaves out what an older server does not know', () => {
    expect(postgresqlConf(files)).toContain('io_method');
    expect(postgresqlConf({ ...files, majorVersion: 17 })).not.toContain('io_method');
  });
});

describe('pg_hba.conf', () => {
  it('refuses whatever is not TLS before it allows anything over TCP', () => {
    const lines = pgHbaConf(files)
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/));
    const overTcp = lines.filter(([type]) => type !== 'local');
    const plain = overTcp.findIndex(([type, , , , method]) => type === 'hostnossl' && method === 'reject');
    const allowed = overTcp.findIndex(([, , , , method]) => method !== 'reject');
    expect(plain).toBeGreaterThanOrEqual(0);
    expect(allowed).toBeGreaterThan(plain);
    for (const [, , , , method] of overTcp) expect(['reject', 'scram-sha-256']).toContain(method);
  });

  it('has the caller’s rules before its own', () => {
    const text = pgHbaConf({ ...files, accessRules: ['hostnossl all app all scram-sha-256'] });
    expect(text.indexOf('hostnossl all app')).toBeLessThan(text.indexOf('hostnossl  all'));
  });
});

describe('quoting', () => {
  it('keeps any value in its quotes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("'", '\\', 'a', ' ', '"', '=', '#') }), (value) => {
        // Read back by the rules of each language.
        const inConf = /^'((?:[^'\\]|''|\\.)*)'$/.exec(quoted(value))?.[1];
        expect(inConf?.replace(/''|\\(.)/g, (pair, escaped) => (pair === "''" ? "'" : escaped))).toBe(value);
        const info = /^key='((?:[^'\\]|\\.)*)'$/.exec(connectionInfo({ key: value }))?.[1];
        expect(info?.replace(/\\(.)/g, '$1')).toBe(value);
        const sql = /^(E?)'((?:[^']|'')*)'$/.exec(literal(value));
        const plain = sql?.[2]?.replaceAll("''", "'");
        expect(sql?.[1] === 'E' ? plain?.replaceAll('\\\\', '\\') : plain).toBe(value);
        const name = /^"((?:[^"]|"")*)"$/.exec(identifier(value))?.[1];
        expect(name?.replaceAll('""', '"')).toBe(value);
      }),
    );
  });
});

describe('a base backup', () => {
  it.each([
    ['postmaster.pid', true],
    ['pg_wal/000000010000000000000001', true],
    ['pg_replslot/server_2', true],
    ['base/5/pg_internal.init', true],
    ['base/pgsql_tmp/pgsql_tmp123.0', true],
    ['standby.signal', true],
    ['pg_wal', false],
    ['pg_replslot', false],
    ['base/5/1259', false],
    ['global/pg_control', false],
    ['postgresql.auto.conf', false],
    ['pg_xact/0000', false],
  ])('and %s: left out %s', (path, leftOut) => {
    expect(isLeftOutOfBackup(path)).toBe(leftOut);
  });
});
