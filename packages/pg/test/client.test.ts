import { Resolver } from 'node:dns/promises';
import { FaultProxy } from '@externalname/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { allShared } from '../src/failover/shared-connections.ts';
import { Client, type ClientOptions, connected, Pool, pgModule } from '../src/index.ts';
import { itSince } from './support/postgres-version.ts';
import { nextSwitch, startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
const clients: Client[] = [];

beforeAll(async () => {
  webscaler = await startWebscaler();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()));
  expect(allShared.size).toBe(0);
  await webscaler.point('primary-db.example.com');
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

const anyRole = { targetSessionAttrs: 'any' } as const;

function makeClient(overrides: ClientOptions = {}): Client {
  const client = new Client(webscaler.options(overrides));
  clients.push(client);
  return client;
}

// The form that answers before anything else of the process goes on.
function ask(client: Client, text: string, callback: (error: unknown) => void): void {
  (client.query as (text: string, callback: (error: unknown) => void) => void).call(client, text, callback);
}

const whereAmI = 'select host(inet_server_addr()) as address';

describe('a client for a Service', () => {
  it('connects to the external host over verified TLS, under its external name', async () => {
    const client = makeClient();
    expect(await client.connect()).toBe(client);
    const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    expect(rows).toEqual([{ ssl: true }]);
    expect(client).toBeInstanceOf(pg.Client);
    expect(client.host).toBe('primary-db.example.com');
    expect(client.target?.externalName).toBe('primary-db.example.com');
  });

  it('connects by the callback form, with the arguments and the event of pg', async () => {
    const client = makeClient();
    const events: string[] = [];
    client.on('connect', () => events.push('connect'));
    client.on('end', () => events.push('end'));
    const [error, result] = await new Promise<unknown[]>((resolve) =>
      client.connect((...args: unknown[]) => resolve(args)),
    );
    expect([error, result]).toEqual([null, client]);
    await new Promise<void>((resolve) => client.end(() => resolve()));
    await expect.poll(() => events).toEqual(['connect', 'end']);
  });

  it('sends what was asked before it was connected, in order and in every form', async () => {
    const client = makeClient();
    const order: number[] = [];
    const first = client.query('select 1 as n').then(({ rows }) => order.push(rows[0].n));
    const second = new Promise<void>((resolve) => {
      client.query('select $1::int as n', [2], (_, result) => {
        order.push(result.rows[0].n);
        resolve();
      });
    });
    const third = new Promise<void>((resolve) => {
      const query = new pg.Query('select 3 as n');
      query.on('row', (row) => order.push(row.n));
      query.on('end', () => resolve());
      expect(client.query(query)).toBe(query);
    });
    const connecting = client.connect();
    await Promise.all([first, second, third, connecting]);
    expect(order).toEqual([1, 2, 3]);
  });

  it('cannot be connected twice, as in pg', async () => {
    const client = makeClient();
    await client.connect();
    await expect(client.connect()).rejects.toThrow('Client has already been connected');
  });

  it('keeps listeners and type parsers of its user over several attempts', async () => {
    const { pair, cluster } = webscaler;
    await using broken = await FaultProxy.start({
      target: { host: pair.primary.address, port: pair.port },
      port: pair.port,
    });
    broken.cutAfter(200);
    cluster.hosts.set('primary-db.example.com', [broken.address, pair.primary.address]);
    const dns = new Resolver();
    dns.setServers([cluster.nameserver]);
    await expect.poll(() => dns.resolve4('primary-db.example.com'), { timeout: 5_000 }).toHaveLength(2);
    try {
      // Which address comes first is chance.
      for (let run = 0; run < 30 && broken.counts.connections === 0; run++) {
        const client = makeClient();
        const versions: string[] = [];
        const events: string[] = [];
        const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
        connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
          if (parameterName === 'server_version') versions.push(parameterValue);
        });
        for (const name of ['connect', 'end', 'error'] as const) client.on(name, () => events.push(name));
        client.setTypeParser(20, (value: string) => `big ${value}`);
        const early = client.query('select 7::int8 as n');
        await client.connect();
        expect((await early).rows).toEqual([{ n: 'big 7' }]);
        expect(versions).toHaveLength(1);
        expect(events).toEqual(['connect']);
        // The next one starts over, with another choice.
        await client.end();
      }
      expect(broken.counts.connections).toBeGreaterThan(0);
    } finally {
      cluster.hosts.set('primary-db.example.com', [pair.primary.address]);
    }
  });

  it('refuses a server in another role, and says so when its time is up', async () => {
    await webscaler.point('secondary-db.example.com');
    const client = makeClient({ failoverTimeoutMillis: 3_000 });
    const early = client.query('select 1').catch((error: unknown) => error);
    await expect(client.connect()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      outcome: 'not-executed',
      cause: { code: 'ERR_EXTERNALNAME_SERVER_ROLE' },
    });
    expect(await early).toMatchObject({ code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT' });
  });

  it('waits for a usable server, and finds it when the Service is patched', async () => {
    await webscaler.point('secondary-db.example.com');
    const client = makeClient();
    const refused = new Promise<void>((resolve) => {
      const stop = connected.subscribe(({ error }) => {
        if (error === undefined) return;
        stop();
        resolve();
      });
    });
    const connecting = client.connect();
    await refused;
    await webscaler.point('primary-db.example.com');
    await connecting;
    const { rows } = await client.query(whereAmI);
    expect(rows).toEqual([{ address: webscaler.pair.addresses['primary-db.example.com'] }]);
  });

  it('makes demands on authentication, as the pool does', async () => {
    const client = makeClient({ requireAuth: 'md5' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED' });
  });

  it('refuses a host outside the allow-list, and a Service without one', async () => {
    await expect(makeClient({ allowedTargets: ['other.example.com'] }).connect()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_TARGET_REFUSED',
    });
    await expect(makeClient({ allowedTargets: undefined }).connect()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED',
    });
    expect(() => new Client({ targetSessionAttrs: 'master' as 'any' })).toThrow('targetSessionAttrs');
  });

  it('reports a failure to the callback before the end event, as pg does', async () => {
    const client = makeClient({ requireAuth: 'md5' });
    const order: string[] = [];
    const ended = new Promise<void>((resolve) => {
      client.on('end', () => {
        order.push('end');
        resolve();
      });
    });
    client.connect((error: Error | null) => order.push(error === null ? 'connected' : 'error'));
    await ended;
    expect(order).toEqual(['error', 'end']);
  });

  it('ends while it connects', async () => {
    await webscaler.point('secondary-db.example.com');
    const client = makeClient();
    const connecting = client.connect().catch((error: unknown) => error);
    await client.end();
    expect(await connecting).toMatchObject({ message: 'Connection terminated' });
    await client.end();
  });

  it('shows no password when it is inspected', async () => {
    const client = makeClient();
    const { inspect } = await import('node:util');
    expect(inspect(client, { depth: 9, showHidden: false })).not.toContain(webscaler.pair.password);
  });
});

describe('when the Service points elsewhere', () => {
  it('an idle client ends with an error event, and a new one leads to the new target', async () => {
    const client = makeClient(anyRole);
    await client.connect();
    const error = new Promise((resolve) => client.once('error', resolve));
    const ended = new Promise((resolve) => client.once('end', resolve));
    await webscaler.point('secondary-db.example.com');
    expect(await error).toMatchObject({
      code: 'ERR_EXTERNALNAME_TARGET_RETIRED',
      outcome: 'not-executed',
      target: 'primary-db.example.com',
    });
    await ended;
    await expect(client.query('select 1')).rejects.toThrow();
    const next = makeClient(anyRole);
    await next.connect();
    const { rows } = await next.query(whereAmI);
    expect(rows).toEqual([{ address: webscaler.pair.addresses['secondary-db.example.com'] }]);
  });

  it('a client without a listener still ends, and the process lives', async () => {
    const client = makeClient(anyRole);
    await client.connect();
    const ended = new Promise((resolve) => client.once('end', resolve));
    await webscaler.point('secondary-db.example.com');
    await ended;
  });

  it('a transaction may end first', async () => {
    const client = makeClient({ ...anyRole, drainTimeoutMillis: 10_000 });
    await client.connect();
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    await client.query('begin');
    const switched = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    await switched;
    await client.query('select 1');
    expect(errors).toEqual([]);
    await expect(client.query('commit')).resolves.toMatchObject({ command: 'COMMIT' });
    await expect.poll(() => errors).toMatchObject([{ code: 'ERR_EXTERNALNAME_TARGET_RETIRED' }]);
  });

  it('what the callback with the last answer asks for is not sent any more', async () => {
    const client = makeClient({ ...anyRole, drainTimeoutMillis: 10_000 });
    await client.connect();
    client.on('error', () => undefined);
    await client.query('begin');
    const switched = nextSwitch();
    await webscaler.point('secondary-db.example.com');
    await switched;
    const next = await new Promise<unknown>((resolve) => {
      ask(client, 'commit', () => ask(client, 'select 1', resolve));
    });
    expect(next).toMatchObject({ message: 'Client was closed and is not queryable', outcome: 'not-executed' });
  });

  it('a statement that takes longer than drainTimeoutMillis is interrupted, and its outcome is unknown', async () => {
    const client = makeClient({ ...anyRole, drainTimeoutMillis: 50 });
    await client.connect();
    const slow = client.query('select pg_sleep(20)');
    const outcome = expect(slow).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_RETIRED', outcome: 'unknown' });
    await webscaler.point('secondary-db.example.com');
    await outcome;
  });

  it('clients of the same options share one watcher, which ends with the last of them', async () => {
    const attempts: string[] = [];
    const stop = connected.subscribe(({ target }) => attempts.push(target));
    const asked = webscaler.cluster;
    const many = Array.from({ length: 20 }, () => makeClient(anyRole));
    await Promise.all(many.map((client) => client.connect()));
    expect(allShared.size).toBe(1);
    const errors = many.map((client) => new Promise((resolve) => client.once('error', resolve)));
    await asked.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
    ]);
    await Promise.all(errors);
    stop();
    expect(attempts.filter((target) => target === 'secondary-db.example.com')).toHaveLength(1);
    await Promise.all(many.map((client) => client.end()));
    expect(allShared.size).toBe(0);
  });
});

describe('when the server of a client changes or dies', () => {
  // Servers before 14 do not report that they take no writes any more.
  itSince(14)('the client ends with an error event once the server takes no writes any more', async () => {
    const { primary } = webscaler.pair;
    const client = makeClient();
    await client.connect();
    const error = new Promise((resolve) => client.once('error', resolve));
    await primary.fence();
    try {
      await client.query('select 1').catch(() => undefined);
      await client.query('select 1').catch(() => undefined);
      expect(await error).toMatchObject({ code: 'ERR_EXTERNALNAME_SERVER_ROLE' });
    } finally {
      await primary.unfence();
    }
  });

  itSince(14)('a statement that waits behind the answer which says so is not sent any more', async () => {
    const client = makeClient();
    await client.connect();
    client.on('error', () => undefined);
    const demoted = client.query('set default_transaction_read_only = on');
    const next = client.query('select 1').catch((error: unknown) => error);
    await demoted;
    expect(await next).toMatchObject({ code: 'ERR_EXTERNALNAME_SERVER_ROLE', outcome: 'not-executed' });
  });

  itSince(14)('nor is one that the callback with that answer asks for', async () => {
    const client = makeClient();
    await client.connect();
    client.on('error', () => undefined);
    const next = await new Promise<unknown>((resolve) => {
      ask(client, 'set default_transaction_read_only = on', () => ask(client, 'select 1', resolve));
    });
    expect(next).toMatchObject({ message: 'Client was closed and is not queryable', outcome: 'not-executed' });
  });

  it('a silent server is found, and the statement fails with outcome unknown', async () => {
    const { primary } = webscaler.pair;
    const client = makeClient({ liveness: { afterMillis: 200, intervalMillis: 200, failures: 2 } });
    await client.connect();
    client.on('error', () => undefined);
    await primary.freeze();
    try {
      await expect(client.query('select 1')).rejects.toMatchObject({
        code: 'ERR_EXTERNALNAME_PEER_SILENT',
        outcome: 'unknown',
      });
    } finally {
      await primary.thaw();
    }
  });
});

describe('a client for a plain host', () => {
  const plain = (): ClientOptions => {
    const { pair } = webscaler;
    return {
      ...pair.connection(),
      ssl: { ca: pair.ca, servername: 'primary-db.example.com', checkServerIdentity: () => undefined },
    };
  };

  it('is a pg.Client: options, connection string, events, and it watches nothing', async () => {
    const client = new Client(plain());
    clients.push(client);
    await client.connect();
    expect(allShared.size).toBe(0);
    expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
    expect(new Client('postgres://app@db.example.com:6543/app')).toMatchObject({ host: 'db.example.com', port: 6543 });
  });

  it('honours targetSessionAttrs', async () => {
    const client = new Client({ ...plain(), targetSessionAttrs: 'standby' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_SERVER_ROLE' });
  });

  it('raises the error of pg if there is no listener', async () => {
    const client = new Client({ host: '127.0.0.1', port: 1, ssl: false });
    await expect(client.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('the module for libraries', () => {
  it('is shaped like pg, with our Pool and Client and no way round them', () => {
    expect(pgModule.Pool).toBe(Pool);
    expect(pgModule.Client).toBe(Client);
    expect(pgModule.types).toBe(pg.types);
    expect(pgModule.defaults).toBe(pg.defaults);
    expect(pgModule).not.toHaveProperty('default');
    expect(pgModule.native).toBeNull();
  });

  it('is typed as pg is, for libraries that ask for the module', () => {
    const module: Omit<typeof pg, 'default'> = pgModule;
    expect(module).toBe(pgModule);
  });
});
