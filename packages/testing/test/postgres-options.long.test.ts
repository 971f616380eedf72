import { createServer } from 'node:net';
import { createCertificateAuthority, PostgresPair, type PostgresPairOptions } from '@externalname/testing';
import pg from 'pg';
import { describe, expect, it, vi } from 'vitest';

// Each starts servers several times, maybe on a machine that is busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe('the options of a PostgreSQL pair', () => {
  it('name hosts, addresses, port, role, password and database', async () => {
    const options = {
      hostNames: { primary: 'DB-A.example.net.', standby: 'db-b.example.net' },
      addresses: { primary: '127.9.8.7', standby: '127.9.8.6' },
      port: 15_432,
      user: 'Web "scaler"',
      password: `it's a \\ secret`,
      database: 'orders; drop table x',
    };
    await using pair = await PostgresPair.start(options);
    expect(pair.addresses).toEqual({ 'db-a.example.net': '127.9.8.7', 'db-b.example.net': '127.9.8.6' });
    const client = new pg.Client(pair.connection());
    await client.connect();
    const { rows } = await client.query(
      'select current_user, current_database(), inet_server_addr()::text as address, inet_server_port() as port',
    );
    expect(rows).toEqual([
      { current_user: options.user, current_database: options.database, address: '127.9.8.7/32', port: 15_432 },
    ]);
    await client.query('create table owned ()');
    await client.end();
  });

  it('let commits not wait, wait for the write-ahead log, or wait for the replay', async () => {
    for (const [synchronous, names, commit] of [
      [false, '', 'on'],
      ['on', '"secondary-db.example.com"', 'on'],
      ['remote_apply', '"secondary-db.example.com"', 'remote_apply'],
    ] as const) {
      await using pair = await PostgresPair.start({ synchronous });
      const [row] = await pair.primary.query(
        `select current_setting('synchronous_standby_names') as names, current_setting('synchronous_commit') as commit`,
      );
      expect(row).toEqual({ names, commit });
    }
  });

  it('add parameters and access rules, which win', async () => {
    await using pair = await PostgresPair.start({
      parameters: { max_connections: '33', 'pair.note': "it's" },
      accessRules: ['hostnossl all app all scram-sha-256'],
    });
    for (const server of pair.servers) {
      const client = new pg.Client({ ...pair.connection(server), ssl: false });
      await client.connect();
      const { rows } = await client.query(
        `select current_setting('max_connections') as max, current_setting('pair.note') as note`,
      );
      expect(rows).toEqual([{ max: '33', note: "it's" }]);
      await client.end();
    }
  });

  it('bring an authority of one’s own', async () => {
    const authority = await createCertificateAuthority({ name: 'Ours' });
    await using pair = await PostgresPair.start({ authority });
    expect(pair.ca).toBe(authority.certificate);
    const client = new pg.Client(pair.connection());
    await client.connect();
    await client.end();
  });

  it('take another place if the chosen one is taken meanwhile, but keep to what was given', async () => {
    const squatter = createServer();
    const addresses = { primary: '127.9.7.1', standby: '127.9.7.2' };
    await new Promise<void>((resolve) => squatter.listen(15_433, addresses.standby, resolve));
    try {
      await expect(PostgresPair.start({ addresses, port: 15_433 })).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE',
        message: expect.stringContaining('127.9.7.2 port 15433: EADDRINUSE'),
      });
      await using pair = await PostgresPair.start({ addresses });
      expect(pair.port).not.toBe(15_433);
    } finally {
      squatter.close();
    }
    await expect(
      PostgresPair.start({ addresses: { primary: '192.0.2.1', standby: '192.0.2.2' } }),
    ).rejects.toThrowError(/192\.0\.2\.1 port \d+: EADDRNOTAVAIL/);
  });

  it('say which parameter PostgreSQL does not take', async () => {
    await expect(PostgresPair.start({ parameters: { max_conections: '3' } })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_POSTGRES_SERVER',
      failure: 'ended',
      message: expect.stringContaining('unrecognized configuration parameter "max_conections"'),
    });
  });

  it.each<[string, PostgresPairOptions]>([
    ['hostNames.primary', { hostNames: { primary: 'not a name', standby: 'b.example.com' } }],
    ['hostNames.standby', { hostNames: { primary: 'a.example.com', standby: '' } }],
    ['hostNames', { hostNames: { primary: 'a.example.com', standby: 'A.example.com.' } }],
    ['addresses.primary', { addresses: { primary: 'localhost', standby: '127.0.0.2' } }],
    ['addresses', { addresses: { primary: '127.0.0.2', standby: '127.0.0.2' } }],
    ['port', { port: 0 }],
    ['port', { port: 65_536 }],
    ['synchronous', { synchronous: 'off' as 'on' }],
    ['user', { user: '' }],
    ['user', { user: 'postgres' }],
    ['user', { user: 'pg_monitor' }],
    ['database', { database: 'x'.repeat(64) }],
    ['database', { database: 'template1' }],
    ['parameters', { parameters: { 'a b': '1' } }],
    ['accessRules[0]', { accessRules: ['host all all all trust\nhost all all all trust'] }],
    ['password', { password: '' }],
  ])('are refused before anything is started: %s %j', async (argument, options) => {
    await expect(PostgresPair.start(options)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument,
    });
  });

  it('belong to their pair: a closed pair, or a server of another, is refused', async () => {
    const [first, second] = await Promise.all([PostgresPair.start(), PostgresPair.start()]);
    await expect(first.rejoin(second.standby)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT' });
    await Promise.all([first.close(), second.close()]);
    await expect(first.rejoin(first.standby)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await expect(first.switchover()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await expect(first.primary.start()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    await first.close();
  });
});
