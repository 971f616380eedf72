import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { inspect } from 'node:util';
import { createCertificateAuthority, PostgresPair, type PostgresServer } from '@externalname/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answer } from './support/server-traces.ts';

describe('a PostgreSQL pair', () => {
  let pair: PostgresPair;
  beforeAll(async () => {
    pair = await PostgresPair.start();
    await asApplication(pair.primary, 'create table writes (id text)');
  });
  afterAll(() => pair?.close());

  it('is a primary and a standby with addresses of their own and one port', async () => {
    expect(await pair.primary.role()).toBe('primary');
    expect(await pair.standby.role()).toBe('standby');
    expect(pair.primary.address).not.toBe(pair.standby.address);
    expect(pair.primary.port).toBe(pair.standby.port);
    expect(pair.addresses).toEqual({
      'primary-db.example.com': pair.primary.address,
      'secondary-db.example.com': pair.standby.address,
    });
  });

  it('never runs as root', async () => {
    const { uid } = await stat(`/proc/${pair.primary.processId}`);
    expect(uid).not.toBe(0);
    if (process.getuid?.() !== 0) expect(uid).toBe(process.getuid?.());
  });

  it('acknowledges a commit when the standby has it', async () => {
    const [row] = await pair.primary.query('select sync_state, application_name from pg_stat_replication');
    expect(row).toEqual({ sync_state: 'sync', application_name: 'secondary-db.example.com' });
    await pair.standby.freeze();
    try {
      const commit = asApplication(pair.primary, `insert into writes values ('waits')`);
      const waiting = async () =>
        (await pair.primary.query(`select from pg_stat_activity where wait_event = 'SyncRep'`)).length;
      await expect.poll(waiting).toBe(1);
      await pair.standby.thaw();
      await commit;
    } finally {
      await pair.standby.thaw();
    }
    await pair.standby.waitForReplay(await pair.primary.position());
    expect(await asApplication(pair.standby, `select id from writes where id = 'waits'`)).toEqual([{ id: 'waits' }]);
  });

  it('says how far the standby is behind', async () => {
    await pair.standby.query('select pg_wal_replay_pause()');
    try {
      await asApplication(pair.primary, `insert into writes values ('behind')`);
      expect(await pair.replicationLag()).toBeGreaterThan(0);
    } finally {
      await pair.standby.query('select pg_wal_replay_resume()');
    }
    await pair.standby.waitForReplay(await pair.primary.position());
    expect(await pair.replicationLag()).toBe(0);
  });

  it('hides its secrets when it is printed', () => {
    const printed = inspect(pair, { depth: 10 }) + JSON.stringify(pair) + inspect({ connection: pair.connection() });
    expect(printed).not.toContain(pair.password);
    expect(printed).not.toContain('PRIVATE KEY');
  });

  it('does not write the password of the application into its log', async () => {
    expect(await pair.primary.log()).not.toContain(pair.password);
  });

  describe('over TCP', () => {
    it('presents a certificate that names its own external host only', async () => {
      const connection = pair.connection(pair.primary);
      for (const servername of [pair.standby.hostName, 'webscaler-db', 'localhost']) {
        await expect(select({ ...connection, ssl: { ca: pair.ca, servername } })).rejects.toMatchObject({
          code: 'ERR_TLS_CERT_ALTNAME_INVALID',
        });
      }
      expect(await select(connection)).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
    });

    it('is not trusted without its authority', async () => {
      const { ca } = { ca: (await createCertificateAuthority()).certificate };
      const connection = pair.connection(pair.primary);
      await expect(select({ ...connection, ssl: { ...connection.ssl, ca } })).rejects.toMatchObject({
        code: expect.stringMatching(/SIGNATURE|UNABLE_TO|SELF_SIGNED/),
      });
    });

    it('refuses a connection without TLS', async () => {
      await expect(select({ ...pair.connection(pair.primary), ssl: false })).rejects.toMatchObject({ code: '28000' });
    });

    it('refuses a wrong password', async () => {
      await expect(select({ ...pair.connection(pair.primary), password: 'wrong' })).rejects.toMatchObject({
        code: '28P01',
      });
    });

    it('refuses the superuser', async () => {
      await expect(select({ ...pair.connection(pair.primary), user: 'postgres' })).rejects.toMatchObject({
        code: '28000',
      });
    });

    it('presents another certificate once that is set, to new connections', async () => {
      const issued = await pair.authority.issue({ hostNames: ['stranger.example.com'] });
      await pair.standby.setCertificate(issued);
      await expect(select(pair.connection(pair.standby))).rejects.toMatchObject({
        code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      });
      await pair.standby.setCertificate(await pair.authority.issue({ hostNames: [pair.standby.hostName] }));
      expect(await select(pair.connection(pair.standby))).toHaveLength(1);
    });
  });

  it('finds a server by its name, and says what the names are', () => {
    expect(pair.server('secondary-db.example.com')).toBe(pair.servers[1]);
    expect(() => pair.server('webscaler-db')).toThrowError(/primary-db\.example\.com and secondary-db\.example\.com/);
  });

  async function asApplication(server: PostgresServer, sql: string): Promise<unknown[]> {
    const client = new pg.Client(pair.connection(server));
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
});

describe('two pairs at once', () => {
  it('do not get in each other’s way, and are gone when they are closed', async () => {
    const pairs = await Promise.all([PostgresPair.start({ synchronous: false }), PostgresPair.start()]);
    const servers = pairs.flatMap((pair) => [...pair.servers]);
    expect(new Set(servers.map((server) => server.address)).size).toBe(4);
    await Promise.all(pairs.map((pair) => pair.close()));
    for (const server of servers) {
      expect(existsSync(dirname(server.dataFolder))).toBe(false);
      expect(await answer(server)).toBe('ECONNREFUSED');
    }
  });
});

interface Connection {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  ssl: false | { ca: string; servername: string };
}

async function select(connection: Connection): Promise<unknown[]> {
  const client = new pg.Client(connection);
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query('select ssl, version from pg_stat_ssl where pid = pg_backend_pid()')).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}
