import { createHook } from 'node:async_hooks';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import {
  authentication,
  type FakePostgres,
  type FakeSession,
  obliging,
  scramRequest,
  startFakePostgres,
} from './support/fake-postgres.ts';
import { describeSince } from './support/postgres-version.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

/** How often this process has derived a key from a password, in any place. */
let derivations = 0;
const counting = createHook({
  init: (_, type) => {
    if (type === 'PBKDF2REQUEST') derivations += 1;
  },
});

beforeAll(() => void counting.enable());
afterAll(() => void counting.disable());
beforeEach(() => {
  derivations = 0;
});

/** As many connections as the pool may have, all asked for at once. */
async function fill(pool: pg.Pool, count: number) {
  const clients = await Promise.all(Array.from({ length: count }, () => pool.connect()));
  for (const client of clients) client.release();
}

// `scram_iterations` came with 16.
describeSince(16)('connections to real servers', () => {
  let webscaler: Webscaler;

  beforeAll(async () => {
    webscaler = await startSharedWebscaler();
    await makeRole('steady', 'steady password', 4_096);
    await makeRole('strong', 'strong password', 100_000);
    await makeRole('stronger', 'stronger password', 100_001);
  });

  afterEach(() => webscaler.endPools());
  afterAll(() => webscaler?.[Symbol.asyncDispose]());

  /** Makes a role, or gives it another password. */
  async function makeRole(name: string, password: string, iterations: number) {
    const [found] = await webscaler.pair.primary.query('select from pg_roles where rolname = $1', [name]);
    const verb = found === undefined ? 'create' : 'alter';
    await webscaler.pair.primary.query(
      `do $$ begin perform set_config('scram_iterations', '${iterations}', true); ${verb} role ${name} login password '${password}'; end $$`,
    );
  }

  const steady = { user: 'steady', password: 'steady password', reconnectSpreadMillis: 0 } satisfies PoolOptions;
  const strong = { ...steady, user: 'strong', password: 'strong password' } satisfies PoolOptions;

  it.each([
    ['4096 iterations', steady],
    ['100000 iterations', strong],
  ])('cost one derivation of the key for all of a pool (%s)', async (_, options) => {
    await fill(webscaler.pool({ ...options, max: 8 }), 8);
    expect(derivations).toBe(1);
  });

  it('cost no derivation after a switch, as the standby has the same salt', async () => {
    const { pair } = webscaler;
    const pool = webscaler.pool({ ...steady, max: 4, targetSessionAttrs: 'any' });
    await fill(pool, 4);
    await webscaler.point('secondary-db.example.com');
    try {
      await expect.poll(() => pool.status().target?.externalName, { timeout: 10_000 }).toBe('secondary-db.example.com');
      await pool.drained();
      await fill(pool, 4);
      const { rows } = await pool.query('select host(inet_server_addr()) as address');
      expect(rows).toEqual([{ address: pair.standby.address }]);
      expect(derivations).toBe(1);
    } finally {
      await webscaler.point('primary-db.example.com');
    }
  });

  it('are bound to the channel from kept keys, too', async () => {
    const pool = webscaler.pool({ ...steady, max: 3, channelBinding: 'require' });
    await fill(pool, 3);
    const { rows } = await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    expect(rows).toEqual([{ ssl: true }]);
    expect(derivations).toBe(1);
  });

  it('of clients that share what follows the Service share the keys as well', async () => {
    const clients = Array.from({ length: 4 }, () => new Client(webscaler.options(steady)));
    await Promise.all(clients.map((client) => client.connect()));
    await Promise.all(clients.map((client) => client.end()));
    expect(derivations).toBe(1);
  });

  it('of another pool start from nothing: keys die with their pool', async () => {
    await fill(webscaler.pool({ ...steady, max: 2 }), 2);
    await webscaler.endPools();
    await fill(webscaler.pool({ ...steady, max: 2 }), 2);
    expect(derivations).toBe(2);
  });

  it('to a plain host are left to pg, which derives for each', async () => {
    const { pair } = webscaler;
    const pool = new Pool({
      ...{ user: 'steady', password: 'steady password', database: pair.database, port: pair.port, max: 3 },
      ...{ host: pair.primary.address, ssl: { ca: pair.ca, servername: pair.primary.hostName } },
    });
    await fill(pool, 3);
    await pool.end();
    expect(derivations).toBe(3);
  });

  it('use the password that was given for this connection, and never the key of an old one', async () => {
    await makeRole('rotating', 'first', 4_096);
    let password = 'first';
    const pool = webscaler.pool({ user: 'rotating', password: () => password, max: 1 });
    const connectAnew = async () => (await pool.connect()).release(true);
    await connectAnew();
    await connectAnew();
    await makeRole('rotating', 'second', 4_096);
    await expect(connectAnew()).rejects.toMatchObject({ code: '28P01' });
    password = 'second';
    await connectAnew();
    // With the new salt, an old password and a new one are still two.
    password = 'first';
    await expect(connectAnew()).rejects.toMatchObject({ code: '28P01' });
    password = 'second';
    await connectAnew();
  });

  it('are refused for a wrong password as by pg, and made for the right one afterwards', async () => {
    const { pair } = webscaler;
    let password = 'wrong';
    const pool = webscaler.pool({ ...steady, password: async () => password });
    const ours: unknown = await pool.connect().catch((error: unknown) => error);
    const plain = new pg.Client({
      ...{ host: pair.primary.address, port: pair.port, user: 'steady', password: 'wrong', database: pair.database },
      ssl: { ca: pair.ca, servername: pair.primary.hostName },
    });
    const theirs = (await plain.connect().catch((error: unknown) => error)) as pg.DatabaseError;
    expect(ours).toMatchObject({ message: theirs.message, code: theirs.code, severity: theirs.severity });
    password = 'steady password';
    await expect(pool.query('select 1')).resolves.toBeDefined();
  });

  it('keep to scramMaxIterations, which is that of pg, and 0 lifts', async () => {
    const stronger = { ...steady, user: 'stronger', password: 'stronger password' };
    await expect(webscaler.pool(stronger).connect()).rejects.toThrow(
      'SASL: SCRAM-SERVER-FIRST-MESSAGE: iteration count 100001 exceeds scramMaxIterations of 100000',
    );
    expect(derivations).toBe(0);
    for (const scramMaxIterations of [100_001, 0]) {
      const pool = webscaler.pool({ ...stronger, scramMaxIterations } as PoolOptions);
      await expect(pool.query('select 1')).resolves.toBeDefined();
    }
  });

  it('keep nothing of a password or a key in what a pool shows', async () => {
    const pool = webscaler.pool({ ...steady, max: 2 });
    await fill(pool, 2);
    const shown = inspect(pool, { depth: 12, showHidden: false }) + inspect(pool.status(), { depth: 12 });
    expect(shown).not.toContain('steady password');
    expect(shown).not.toMatch(/clientKey|serverKey|saltedPassword/i);
  });
});

describe('connections to a server that keeps its own rules', () => {
  let server: FakePostgres | undefined;
  const pools: Pool[] = [];

  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
    await server?.[Symbol.asyncDispose]();
    server = undefined;
  });

  interface ScramRules {
    readonly salt?: string;
    readonly iterations?: number;
    /** What it signs with, where that is not what it should be. */
    readonly signature?: 'right' | 'wrong' | 'none';
  }

  /** Serves each session by its own rules, by number. */
  async function serve(rules: (session: number) => ScramRules, options: PoolOptions = {}) {
    server = await startFakePostgres({
      script: async (session) => {
        if (await authenticate(session, 'pencil', rules(session.number))) await obliging()(session);
      },
    });
    const pool = new Pool(server.options({ password: 'pencil', max: 1, ...options }));
    pools.push(pool);
    return { connectAnew: async () => (await pool.connect()).release(true) };
  }

  it('are made with a new key if the server shows a new salt', async () => {
    const { connectAnew } = await serve((number) => ({ salt: `salt${Math.min(number, 1)}` }));
    await connectAnew();
    await connectAnew();
    await connectAnew();
    expect(derivations).toBe(2);
  });

  it.each<[string, NonNullable<ScramRules['signature']>, object]>([
    ['gives a wrong signature', 'wrong', { message: expect.stringContaining('server signature does not match') }],
    ['gives none', 'none', { code: 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED' }],
  ])('are refused if it %s, even if the key is already kept', async (_, signature, error) => {
    const { connectAnew } = await serve((number) => ({ signature: number === 0 ? 'right' : signature }));
    await connectAnew();
    await expect(connectAnew()).rejects.toMatchObject({ ...error, outcome: 'not-executed' });
    expect(derivations).toBe(1);
  });

  it('are refused before a key is derived if it asks for more iterations than are allowed', async () => {
    const { connectAnew } = await serve(() => ({ iterations: 100_001 }));
    await expect(connectAnew()).rejects.toThrow('exceeds scramMaxIterations');
    expect(derivations).toBe(0);
  });
});

/** The server's side of SCRAM (RFC 5802), for somebody who knows the password. */
async function authenticate(
  session: FakeSession,
  password: string,
  {
    salt = 'salt',
    iterations = 4_096,
    signature = 'right',
  }: { salt?: string; iterations?: number; signature?: string },
): Promise<boolean> {
  session.send(scramRequest);
  const first = (await session.receive())?.body.toString() ?? '';
  const clientFirst = first.slice(first.indexOf('n=*'));
  const serverFirst = `r=${/r=([^,]*)/.exec(clientFirst)?.[1]}server,s=${Buffer.from(salt).toString('base64')},i=${iterations}`;
  session.send(authentication(11, Buffer.from(serverFirst)));
  const last = (await session.receive())?.body.toString();
  if (last === undefined) return false;
  const [withoutProof = '', proof = ''] = last.split(',p=');
  counting.disable(); // What the server does does not count.
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  counting.enable();
  const sign = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const authMessage = `${clientFirst},${serverFirst},${withoutProof}`;
  const storedKey = createHash('sha256').update(sign(salted, 'Client Key')).digest();
  const clientSignature = sign(storedKey, authMessage);
  const clientKey = Buffer.from(proof, 'base64').map((byte, index) => byte ^ (clientSignature[index] ?? 0));
  expect(createHash('sha256').update(clientKey).digest()).toEqual(storedKey);
  const signed = signature === 'wrong' ? Buffer.alloc(32) : sign(sign(salted, 'Server Key'), authMessage);
  if (signature !== 'none') session.send(authentication(12, Buffer.from(`v=${signed.toString('base64')}`)));
  return true;
}
