import { type Endpoint, StaticTargetSource, systemClock } from '@externalname/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { controlClientOf } from '../src/client/pool-client.ts';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { poolSettings } from '../src/options.ts';
import { rejectionOf } from './support/rejection.ts';
import { nextSwitch, startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
const opened: pg.Client[] = [];

beforeAll(async () => {
  webscaler = await startWebscaler({ synchronous: false });
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((client) => client.end()));
  await webscaler?.endPools();
  await webscaler?.point('primary-db.example.com');
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

/** As libraries make one: the password of a pool's options is not enumerable. */
async function openClient(pool: Pool, overrides: PoolOptions = {}): Promise<pg.Client> {
  const client = new pool.Client({ ...pool.options, password: pool.options.password, ...overrides });
  opened.push(client);
  await client.connect();
  return client;
}

const pidOf = (client: pg.ClientBase): number => (client as unknown as { processID: number }).processID;

const endless = 'select pg_sleep(600)';

const untilBusy = async (pid: number, server = webscaler.pair.primary) => {
  const busy = "select pid from pg_stat_activity where pid = $1 and state = 'active'";
  await expect.poll(() => server.query(busy, [pid]), { timeout: 10_000 }).toHaveLength(1);
};

describe('pool.Client', () => {
  it('is the class that the pool was given, and for a plain host that of pg', async () => {
    class Own extends pg.Client {}
    const given = { Client: Own } as unknown as PoolOptions;
    expect(webscaler.pool(given).Client).toBe(Own);
    expect(new Pool(webscaler.plainOptions(given)).Client).toBe(Own);
    expect(new Pool(webscaler.plainOptions()).Client).toBe(pg.Client);
    await using pool = webscaler.pool(given);
    const client = await pool.connect();
    expect(client).toBeInstanceOf(Own);
    client.release();
  });

  it('for a Service makes clients that connect through it, but are not clients of the pool', async () => {
    const pool = webscaler.pool({ max: 1 });
    const client = await openClient(pool);
    expect(client).toBeInstanceOf(Client);
    expect(client).toBeInstanceOf(pg.Client);
    expect(pool.Client.name).toBe('Client');
    expect((client as Client).target?.externalName).toBe('primary-db.example.com');
    await expect(client.query('select 1 as one')).resolves.toMatchObject({ rows: [{ one: 1 }] });
    expect(pool.totalCount).toBe(0);
    // What the pool hands out is still a client of pg alone.
    const own = await pool.connect();
    expect(own).not.toBeInstanceOf(Client);
    own.release();
  });
});

describe('a statement of such a client that signals a process of the pool by its number', () => {
  const forms: [string, (client: pg.Client, pid: number) => Promise<pg.QueryResult>][] = [
    ['in the text', (client, pid) => client.query(`select pg_cancel_backend(${pid})`, [])],
    ['as a parameter', (client, pid) => client.query('select pg_cancel_backend($1)', [pid])],
    ['in a config', (client, pid) => client.query({ text: 'select pg_cancel_backend($1)', values: [pid] })],
    [
      'with a callback',
      (client, pid) =>
        new Promise((resolve, reject) =>
          client.query(`select pg_cancel_backend(${pid})`, (error: Error, result: pg.QueryResult) =>
            error ? reject(error) : resolve(result),
          ),
        ),
    ],
  ];

  it.each(forms)('%s, cancels what it runs', async (_, cancel) => {
    const pool = webscaler.pool();
    const client = await pool.connect();
    const failure = rejectionOf(client.query(endless));
    await untilBusy(pidOf(client));
    const control = await openClient(pool);
    await expect(cancel(control, pidOf(client))).resolves.toMatchObject({ rows: [{ pg_cancel_backend: true }] });
    expect(await failure).toMatchObject({ code: '57014' });
    client.release();
  });

  it.each(forms)('%s, reaches the server that has it, when the Service points elsewhere by then', async (_, cancel) => {
    const pool = webscaler.pool({ targetSessionAttrs: 'any', drainTimeoutMillis: 20_000 });
    const [old] = webscaler.pair.servers;
    const client = await pool.connect();
    const failure = rejectionOf(client.query(endless));
    await untilBusy(pidOf(client), old);
    const switched = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    await switched;
    const control = await openClient(pool);
    expect((control as Client).target?.externalName).toBe('secondary-db.example.com');
    await expect(cancel(control, pidOf(client))).resolves.toMatchObject({ rows: [{ pg_cancel_backend: true }] });
    expect(await failure).toMatchObject({ code: '57014' });
    client.release();
    // Where it is connected itself, it goes on as any client.
    const { rows } = await control.query('select host(inet_server_addr()) as address');
    expect(rows).toEqual([{ address: webscaler.pair.addresses['secondary-db.example.com'] }]);
  });

  it('ends its session, on a server that is not the current one', async () => {
    const pool = webscaler.pool({ targetSessionAttrs: 'any', drainTimeoutMillis: 20_000 });
    const client = await pool.connect();
    client.on('error', () => undefined);
    const failure = rejectionOf(client.query(endless));
    await untilBusy(pidOf(client), webscaler.pair.servers[0]);
    const switched = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    await switched;
    const control = await openClient(pool);
    await control.query(`select pg_terminate_backend(${pidOf(client)})`);
    expect(await failure).toMatchObject({ code: '57P01' });
    client.release();
  });

  it('does so before the client is connected, too', async () => {
    const pool = webscaler.pool();
    const client = await pool.connect();
    const failure = rejectionOf(client.query(endless));
    await untilBusy(pidOf(client));
    const control = new pool.Client({ ...pool.options, password: pool.options.password });
    opened.push(control);
    const connected = control.connect();
    await expect(control.query(`select pg_cancel_backend(${pidOf(client)})`)).resolves.toMatchObject({ rowCount: 1 });
    await connected;
    expect(await failure).toMatchObject({ code: '57014' });
    client.release();
  });

  it('is refused once the pool has no such process, and a stranger of that id goes on', async () => {
    const pool = webscaler.pool({ targetSessionAttrs: 'any' });
    await pool.query('select 1');
    const switched = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    await switched;
    const control = await openClient(pool);
    // Somebody else's on the new server: only by chance would it have the id of a process of the old one.
    const { pair } = webscaler;
    const stranger = new pg.Client({ ...pair.connection(pair.standby) });
    opened.push(stranger);
    await stranger.connect();
    const running = stranger.query('select pg_sleep(2), 1 as one');
    await untilBusy(pidOf(stranger), pair.standby);
    for (const text of ['pg_cancel_backend', 'pg_terminate_backend']) {
      await expect(control.query(`select ${text}(${pidOf(stranger)})`)).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_UNKNOWN_BACKEND',
        outcome: 'not-executed',
        processId: pidOf(stranger),
      });
    }
    await expect(
      new Promise((_, reject) =>
        control.query('select pg_cancel_backend($1)', [pidOf(stranger)], (error) => reject(error)),
      ),
    ).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_UNKNOWN_BACKEND' });
    await expect(running).resolves.toMatchObject({ rows: [{ one: 1 }] });
    await expect(control.query('select 1')).resolves.toBeDefined();
  });

  it('is sent as it is if the server finds the process itself', async () => {
    const pool = webscaler.pool();
    const stranger = new pg.Client(webscaler.plainOptions() as pg.ClientConfig);
    opened.push(stranger);
    await stranger.connect();
    const failure = rejectionOf(stranger.query(endless));
    await untilBusy(pidOf(stranger));
    const control = await openClient(pool);
    const text = `select pg_cancel_backend(pid) from pg_stat_activity where pid = ${pidOf(stranger)}`;
    await expect(control.query(text)).resolves.toMatchObject({ rows: [{ pg_cancel_backend: true }] });
    expect(await failure).toMatchObject({ code: '57014' });
  });

  it("is any client's where it was made for another database", async () => {
    const pool = webscaler.pool();
    const client = new pool.Client(webscaler.plainOptions() as pg.ClientConfig);
    opened.push(client);
    await client.connect();
    await expect(client.query('select pg_cancel_backend(999999999)')).resolves.toMatchObject({
      rows: [{ pg_cancel_backend: false }],
    });
  });

  it('fails with the words of pg after end()', async () => {
    const pool = webscaler.pool();
    const client = await pool.connect();
    const control = await openClient(pool);
    await control.end();
    await expect(control.query(`select pg_cancel_backend(${pidOf(client)})`)).rejects.toThrow('not queryable');
    client.release();
  });

  it('fails within attemptTimeoutMillis if that server is stopped', async () => {
    const pool = webscaler.pool({
      targetSessionAttrs: 'any',
      drainTimeoutMillis: 20_000,
      attemptTimeoutMillis: 1_500,
      liveness: false,
    });
    const client = await pool.connect();
    const switched = nextSwitch();
    const running = rejectionOf(client.query(endless));
    await webscaler.point('secondary-db.example.com');
    await switched;
    const [old] = webscaler.pair.servers;
    const control = await openClient(pool);
    await old.freeze();
    try {
      await expect(control.query(`select pg_cancel_backend(${pidOf(client)})`)).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_CONNECT_TIMEOUT',
      });
    } finally {
      await old.thaw();
    }
    await control.query(`select pg_cancel_backend(${pidOf(client)})`);
    expect(await running).toMatchObject({ code: '57014' });
    client.release();
  });
});

describe('if several servers gave the same id', () => {
  it('is refused, as either could be meant', async () => {
    const source = new StaticTargetSource('primary-db.example.com');
    const options: PoolOptions = { allowedTargets: ['primary-db.example.com'], source };
    const target = await source.current();
    const endpoints: Endpoint[] = ['127.0.0.1', '127.0.0.2'].map((address) => ({
      target,
      address,
      family: 4,
      port: 5432,
    }));
    const never = () => Promise.reject(new Error('nobody is to be asked'));
    const Control = controlClientOf({
      settings: poolSettings(options),
      clock: systemClock,
      endpointsOf: () => endpoints,
      connectMonitor: never,
    });
    await expect(new Control(options).query('select pg_cancel_backend(1)')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_UNKNOWN_BACKEND',
      message: expect.stringContaining('127.0.0.2'),
    });
  });
});
