import { PostgresPair, type PostgresServer } from '@externalname/testing';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answer, processesIn } from './support/server-traces.ts';

// The tests stand in the order of a life: each leaves a pair in step behind, whose roles may have changed.
describe('a server of a PostgreSQL pair', () => {
  let pair: PostgresPair;
  const clients = new Set<pg.Client>();
  beforeAll(async () => {
    pair = await PostgresPair.start();
    await write(pair.primary, 'create table writes (id text)');
  });
  afterAll(() => pair?.close());
  beforeEach(async () => {
    await Promise.all([...clients].map((client) => client.end().catch(() => undefined)));
    clients.clear();
  });

  describe('that is killed', () => {
    it('breaks its connections, has no process left and refuses new ones', async () => {
      const server = pair.primary;
      const client = await open(server);
      const broken = new Promise<string>((resolve) => client.once('error', (error) => resolve(error.message)));
      await server.kill();
      expect(await broken).toMatch(/^Connection terminated unexpectedly$|ECONNRESET/);
      expect(server.isRunning()).toBe(false);
      expect(processesIn(server.dataFolder)).toEqual([]);
      expect(await answer(server)).toBe('ECONNREFUSED');
      await expect(server.role()).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_POSTGRES_SERVER',
        failure: 'not-running',
      });
      await server.kill();
    });

    it('comes back with what it had acknowledged when it is started again', async () => {
      await pair.primary.start();
      await write(pair.primary, `insert into writes values ('before the crash')`);
      await pair.primary.kill();
      await pair.primary.start();
      expect(await pair.primary.role()).toBe('primary');
      expect(await idsOn(pair.primary)).toEqual(['before the crash']);
    });

    it('is noticed when somebody else killed its postmaster', async () => {
      const server = pair.standby;
      process.kill(server.processId ?? 0, 'SIGKILL');
      await expect.poll(() => server.isRunning()).toBe(false);
      await server.start();
      expect(await server.role()).toBe('standby');
    });
  });

  describe('that is frozen', () => {
    it('keeps its connections and takes new ones, but does not answer until it is thawed', async () => {
      const server = pair.primary;
      const client = await open(server);
      await server.freeze();
      expect(server.isFrozen()).toBe(true);
      expect(await answer(server)).toBe('connected');
      const query = client.query('select 1 as one');
      expect(await Promise.race([query, silence(300)])).toBe('silence');
      await expect(server.query('select 1')).rejects.toMatchObject({ failure: 'frozen' });
      await server.thaw();
      expect((await query).rows).toEqual([{ one: 1 }]);
      expect(server.isFrozen()).toBe(false);
    });

    it('can be killed', async () => {
      const server = pair.standby;
      await server.freeze();
      await server.kill();
      expect(processesIn(server.dataFolder)).toEqual([]);
      await server.start();
      expect(server.isFrozen()).toBe(false);
    });

    it('can be stopped', async () => {
      await pair.standby.freeze();
      await pair.standby.stop('fast');
      expect(pair.standby.isRunning()).toBe(false);
      await pair.standby.start();
    });
  });

  describe('that is stopped', () => {
    it('waits for its clients in smart mode, and says when they took too long', async () => {
      const client = await open(pair.standby);
      await expect(pair.standby.stop('smart', { timeoutMillis: 300 })).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_DEADLINE',
        message: expect.stringContaining('secondary-db.example.com'),
      });
      await client.end();
      await pair.standby.stop('smart');
      expect(processesIn(pair.standby.dataFolder)).toEqual([]);
      await pair.standby.start();
    });

    it('tells its clients in fast mode', async () => {
      const client = await open(pair.standby);
      const told = new Promise<unknown>((resolve) => client.once('error', resolve));
      await pair.standby.stop('fast');
      expect(await told).toMatchObject({ code: '57P01' });
      await pair.standby.start();
    });

    it('is gone at once in immediate mode, and stopping it again does nothing', async () => {
      await open(pair.standby);
      await pair.standby.stop('immediate');
      expect(processesIn(pair.standby.dataFolder)).toEqual([]);
      await pair.standby.stop('immediate');
      await pair.standby.start();
      await pair.standby.start();
      expect(await pair.standby.role()).toBe('standby');
    });

    it('refuses a mode that does not exist', async () => {
      await expect(pair.standby.stop('gentle' as 'fast')).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      });
      expect(pair.standby.isRunning()).toBe(true);
    });
  });

  it('that does not start says what its log says', async () => {
    await pair.standby.stop();
    await pair.standby.writeOwn('data/postgresql.auto.conf', `shared_buffers = 'many'\n`);
    await expect(pair.standby.start()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_POSTGRES_SERVER',
      failure: 'ended',
      message: expect.stringMatching(/secondary-db\.example\.com.*invalid value for parameter "shared_buffers"/s),
    });
    await pair.rejoin(pair.standby);
  });

  it('takes parameters, which its next statement sees, and takes them back', async () => {
    const client = await open(pair.primary);
    const shown = async () => (await client.query('show work_mem')).rows[0].work_mem;
    await pair.primary.setParameters({ work_mem: '7MB', 'my.setting': `it's \\ "quoted"` });
    expect(await shown()).toBe('7MB');
    expect((await client.query('show my.setting')).rows[0]).toEqual({ 'my.setting': `it's \\ "quoted"` });
    await pair.primary.setParameters({ work_mem: null, 'my.setting': null });
    expect(await shown()).toBe('4MB');
    await expect(pair.primary.setParameters({ work_mem: 'plenty' })).rejects.toMatchObject({ failure: 'refused' });
  });

  describe('that is fenced', () => {
    it('refuses writes on connections that were open, and on new ones, until the fence is taken back', async () => {
      const client = await open(pair.primary);
      await client.query('select 1');
      await pair.primary.fence();
      await expect(client.query(`insert into writes values ('fenced')`)).rejects.toMatchObject({ code: '25006' });
      await expect(write(pair.primary, `insert into writes values ('fenced')`)).rejects.toMatchObject({
        code: '25006',
      });
      await pair.primary.unfence();
      await client.query(`insert into writes values ('free')`);
      expect(await idsOn(pair.primary)).not.toContain('fenced');
    });

    it('stays so over a restart', async () => {
      await pair.primary.fence();
      await pair.primary.kill();
      await pair.primary.start();
      await expect(write(pair.primary, `insert into writes values ('fenced')`)).rejects.toMatchObject({
        code: '25006',
      });
      await pair.primary.unfence();
    });
  });

  describe('that is demoted', () => {
    it('waits for the transactions that were open, and counts what they write', async () => {
      const client = await open(pair.primary);
      await client.query('begin');
      await client.query('select 1');
      let done = false;
      const demotion = pair.primary.demote().then((position) => {
        done = true;
        return position;
      });
      await expect(refusal(pair.primary)).resolves.toBe('25006');
      await client.query(`insert into writes values ('last')`);
      expect(done).toBe(false);
      await client.query('commit');
      await pair.standby.waitForReplay(await demotion);
      expect(await idsOn(pair.standby)).toContain('last');
      await pair.primary.unfence();
    });

    it('is not, if a transaction stays open for too long', async () => {
      const client = await open(pair.primary);
      await client.query('begin');
      await expect(pair.primary.demote({ timeoutMillis: 300 })).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_DEADLINE',
      });
      await client.query('commit');
      await client.query(`insert into writes values ('after all')`);
    });

    it('ends open transactions if that is asked for', async () => {
      const client = await open(pair.primary);
      await client.query('begin');
      const told = new Promise<unknown>((resolve) => client.once('error', resolve));
      await pair.primary.demote({ openTransactions: 'terminate' });
      expect(await told).toMatchObject({ code: '57P01' });
      await pair.primary.unfence();
    });
  });

  describe('that is promoted', () => {
    it('takes writes at once, though it inherited the name of a standby that is not there', async () => {
      const dead = pair.primary;
      const promoted = pair.standby;
      // The pitfall: a rebuilt server has its primary's whole configuration.
      await promoted.query(`alter system set synchronous_standby_names = '"primary-db.example.com"'`);
      await dead.kill();
      await promoted.promote();
      expect(await promoted.role()).toBe('primary');
      expect(pair.primary).toBe(promoted);
      expect(pair.standby).toBe(dead);
      await write(promoted, `insert into writes values ('promoted')`);
      await expect(promoted.promote()).rejects.toMatchObject({ failure: 'wrong-role' });
    });

    it('has a dead server rejoin as its standby, and then waits for it', async () => {
      await pair.rejoin(pair.standby);
      expect(await pair.standby.role()).toBe('standby');
      const [row] = await pair.primary.query('select application_name, sync_state from pg_stat_replication');
      expect(row).toEqual({ application_name: pair.standby.hostName, sync_state: 'sync' });
      await write(pair.primary, `insert into writes values ('rejoined')`);
      await pair.standby.waitForReplay(await pair.primary.position());
      expect(await idsOn(pair.standby)).toEqual(await idsOn(pair.primary));
    });

    it('waits for the inherited name if that is asked for', async () => {
      const dead = pair.primary;
      await pair.standby.query(`alter system set synchronous_standby_names = '"nobody.example.com"'`);
      await dead.kill();
      await pair.standby.promote({ synchronousStandbyNames: 'keep' });
      const commit = write(pair.primary, `insert into writes values ('waits')`);
      const waiting = async () => pair.primary.query(`select from pg_stat_activity where wait_event = 'SyncRep'`);
      await expect.poll(async () => (await waiting()).length).toBe(1);
      await pair.rejoin(dead);
      await commit;
    });
  });

  it('that has diverged rejoins, and forgets what only it knew', async () => {
    const [old, promoted] = [pair.primary, pair.standby];
    await promoted.promote();
    await old.setParameters({ synchronous_standby_names: '' });
    await write(old, `insert into writes values ('split brain')`);
    await pair.rejoin(old);
    expect(await old.role()).toBe('standby');
    expect(await idsOn(old)).toEqual(await idsOn(promoted));
    expect(await idsOn(old)).not.toContain('split brain');
  });

  it('catches up with whatever was written while it was away', async () => {
    await pair.standby.stop('immediate');
    await pair.primary.setParameters({ synchronous_standby_names: '' });
    for (let n = 0; n < 5; n++) {
      await pair.primary.query('select pg_switch_wal() from pg_logical_emit_message(true, $1, repeat($2, 4000000))', [
        'bulk',
        'x',
      ]);
      await pair.primary.query('checkpoint');
    }
    await write(pair.primary, `insert into writes values ('much later')`);
    await pair.standby.start();
    await pair.standby.waitForReplay(await pair.primary.position());
    expect(await idsOn(pair.standby)).toContain('much later');
  });

  it('does not become a standby of a standby', async () => {
    await expect(pair.rejoin(pair.primary)).rejects.toMatchObject({ failure: 'wrong-role' });
    expect(await pair.primary.role()).toBe('primary');
  });

  it('has waited for a position only when it got there', async () => {
    const position = await pair.primary.position();
    await pair.standby.waitForReplay(position);
    await expect(pair.standby.waitForReplay('FFFF/0', { timeoutMillis: 200 })).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_DEADLINE',
    });
    await expect(pair.standby.waitForReplay('near the end')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
    });
  });

  it('ends a statement whose caller has given up', async () => {
    const reason = new Error('given up');
    const controller = new AbortController();
    const query = pair.primary.query('select pg_sleep(60)', [], { signal: controller.signal });
    const sleepers = async () =>
      (
        await pair.primary.query(
          `select from pg_stat_activity where query like '%pg_sleep(60)' and pid <> pg_backend_pid()`,
        )
      ).length;
    await expect.poll(sleepers).toBe(1);
    controller.abort(reason);
    await expect(query).rejects.toBe(reason);
    await expect.poll(sleepers, { timeout: 10_000 }).toBe(0);
  });

  async function open(server: PostgresServer): Promise<pg.Client> {
    const client = new pg.Client(pair.connection(server));
    client.on('error', () => undefined);
    await client.connect();
    clients.add(client);
    return client;
  }

  async function write(server: PostgresServer, sql: string): Promise<void> {
    const client = await open(server);
    try {
      await client.query(sql);
    } finally {
      clients.delete(client);
      await client.end();
    }
  }

  async function refusal(server: PostgresServer): Promise<string> {
    for (;;) {
      const code = await write(server, 'create temporary table probe ()').then(
        () => undefined,
        (error: { code?: string }) => error.code,
      );
      if (code !== undefined) return code;
    }
  }

  async function idsOn(server: PostgresServer): Promise<string[]> {
    const rows = await server.query<{ id: string }>('select id from writes order by id', [], {
      database: pair.database,
    });
    return rows.map(({ id }) => id);
  }
});

function silence(millis: number): Promise<string> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('silence'), millis);
  });
}
