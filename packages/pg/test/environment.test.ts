import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificateAuthority } from '@externalname/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { rejectionOf } from './support/rejection.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'environment-'));
  // PostgreSQL may run as another user.
  await chmod(folder, 0o755);
  const authority = await createCertificateAuthority();
  const { certificate, privateKey } = await authority.issue({ hostNames: ['app'] });
  await writeFile(join(folder, 'ca.pem'), authority.certificate);
  await writeFile(join(folder, 'client.pem'), certificate);
  await writeFile(join(folder, 'client.key'), privateKey);
  await writeFile(join(folder, 'other.pem'), (await createCertificateAuthority()).certificate);
  webscaler = await startWebscaler({
    authority,
    synchronous: false,
    parameters: { ssl_ca_file: join(folder, 'ca.pem') },
  });
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await webscaler.endPools();
  await webscaler.point('primary-db.example.com');
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function set(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value.replace('FOLDER', folder));
}

/** Through the Service, without a word about TLS in the code. */
function silentOptions(overrides: PoolOptions = {}): PoolOptions {
  const { ssl: _, ...options } = webscaler.options({ failoverTimeoutMillis: 20_000 });
  return { ...options, ...overrides };
}

async function sessionOf(options: PoolOptions) {
  const text = `select client_dn, pg_is_in_recovery() as standby, ssl
    from pg_stat_ssl where pid = pg_backend_pid()`;
  const client = new Client(options);
  const pool = new Pool(options);
  try {
    await client.connect();
    const [one, other] = await Promise.all([client.query(text), pool.query(text)]);
    expect(one.rows).toEqual(other.rows);
    return one.rows[0];
  } finally {
    await Promise.all([client.end(), pool.end()]);
  }
}

const urlWith = (query: string) => {
  const { user, password, port, database } = webscaler.pair;
  return `postgres://${user}:${password}@webscaler-db:${port}/${database}?${query}`;
};

describe('for a Service, the environment of libpq says', () => {
  it('by which authority the server is verified: PGSSLROOTCERT', async () => {
    set({ PGSSLROOTCERT: 'FOLDER/ca.pem' });
    expect(await sessionOf(silentOptions())).toMatchObject({ ssl: true, client_dn: null });
    set({ PGSSLROOTCERT: 'FOLDER/other.pem' });
    expect(await rejectionOf(sessionOf(silentOptions()))).toMatchObject({
      code: expect.stringMatching(/UNABLE|SELF_SIGNED/),
    });
  });

  it('which certificate the client shows: PGSSLCERT and PGSSLKEY', async () => {
    set({ PGSSLROOTCERT: 'FOLDER/ca.pem', PGSSLCERT: 'FOLDER/client.pem', PGSSLKEY: 'FOLDER/client.key' });
    expect(await sessionOf(silentOptions())).toMatchObject({ client_dn: '/CN=app' });
  });

  it('less than the code and the connection string', async () => {
    set({ PGSSLROOTCERT: 'FOLDER/other.pem' });
    expect(await sessionOf(silentOptions({ ssl: { ca: webscaler.pair.ca } }))).toMatchObject({ ssl: true });
    const connectionString = urlWith(`sslrootcert=${folder}/ca.pem`);
    expect(await sessionOf(silentOptions({ connectionString }))).toMatchObject({ ssl: true });
  });

  it('that the system knows the authorities: sslrootcert=system', async () => {
    set({ PGSSLROOTCERT: 'system' });
    expect(await rejectionOf(sessionOf(silentOptions()))).toMatchObject({
      code: expect.stringMatching(/UNABLE|SELF_SIGNED/),
    });
  });

  it('which role a server must have: PGTARGETSESSIONATTRS, target_session_attrs', async () => {
    await webscaler.point('secondary-db.example.com');
    const trusted = { ssl: { ca: webscaler.pair.ca } };
    const connectionString = urlWith('target_session_attrs=standby');
    expect(await sessionOf(silentOptions({ ...trusted, connectionString }))).toMatchObject({ standby: true });
    set({ PGTARGETSESSIONATTRS: 'standby' });
    expect(await sessionOf(silentOptions(trusted))).toMatchObject({ standby: true });
    set({ PGTARGETSESSIONATTRS: 'primary' });
    expect(await rejectionOf(sessionOf(silentOptions({ ...trusted, failoverTimeoutMillis: 4_000 })))).toMatchObject({
      cause: { code: 'ERR_EXTERNALNAME_SERVER_ROLE' },
    });
    expect(await sessionOf(silentOptions({ ...trusted, targetSessionAttrs: 'any' }))).toMatchObject({ standby: true });
  });

  it.each([
    ['PGREQUIREAUTH', 'require_auth', 'md5', 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED'],
    ['PGREQUIREAUTH', 'require_auth', '!scram-sha-256', 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED'],
  ])('%s, %s=%s', async (variable, word, value, code) => {
    const trusted = { ssl: { ca: webscaler.pair.ca } };
    const connectionString = urlWith(`${word}=${encodeURIComponent(value)}`);
    expect(await rejectionOf(sessionOf(silentOptions({ ...trusted, connectionString })))).toMatchObject({ code });
    set({ [variable]: value });
    expect(await rejectionOf(sessionOf(silentOptions(trusted)))).toMatchObject({ code });
  });

  it('PGCHANNELBINDING, channel_binding: without TLS there is nothing to bind to', () => {
    const connectionString = urlWith('sslmode=disable&channel_binding=require');
    expect(() => new Pool(silentOptions({ connectionString }))).toThrow(/channel/);
    set({ PGCHANNELBINDING: 'require', PGSSLMODE: 'disable' });
    expect(() => new Pool(silentOptions())).toThrow(/channel/);
  });

  it('how long one address may take: PGCONNECT_TIMEOUT, connect_timeout, in seconds', async () => {
    // Takes connections and says nothing.
    const { createServer } = await import('node:net');
    const sockets = new Set<{ destroy(): void }>();
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, webscaler.pair.primary.address, resolve));
    const { port } = silent.address() as { port: number };
    const options = { port, failoverTimeoutMillis: 4_000, targetSessionAttrs: 'any' } as const;
    const inOneSecond = /did not complete a connection within 1000 ms/;
    set({ PGCONNECT_TIMEOUT: '1' });
    await expect(sessionOf(silentOptions(options))).rejects.toThrow(inOneSecond);
    vi.unstubAllEnvs();
    const connectionString = urlWith('connect_timeout=1').replace(`:${webscaler.pair.port}/`, `:${port}/`);
    await expect(sessionOf(silentOptions({ ...options, connectionString }))).rejects.toThrow(inOneSecond);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it.each([
    ['PGTARGETSESSIONATTRS', 'writable'],
    ['PGCHANNELBINDING', 'always'],
    ['PGREQUIREAUTH', 'kerberos'],
    ['PGCONNECT_TIMEOUT', 'abc'],
    ['PGSSLROOTCERT', '/nowhere/ca.pem'],
    ['PGPORT', 'abc'],
  ])('%s=%s is refused by its name', (variable, value) => {
    set({ [variable]: value });
    const { port: _, ...options } = silentOptions();
    expect(() => new Pool(options)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: variable }),
    );
  });

  it.each([
    ['target_session_attrs=any', { targetSessionAttrs: 'primary' }],
    ['channel_binding=disable', { channelBinding: 'require' }],
    ['require_auth=none', { requireAuth: ['scram-sha-256'] }],
    ['connect_timeout=10', { attemptTimeoutMillis: 5_000 }],
  ] as [string, PoolOptions][])('%s in the connection string against %j in the code is refused', (query, options) => {
    const [argument = ''] = Object.keys(options);
    expect(() => new Pool(silentOptions({ ...options, connectionString: urlWith(query) }))).toThrow(
      expect.objectContaining({ argument, message: expect.stringContaining(query) }),
    );
  });

  it.each([
    ['target_session_attrs=primary', { targetSessionAttrs: 'primary' }],
    ['require_auth=scram-sha-256,md5', { requireAuth: ['scram-sha-256', 'md5'] }],
    ['connect_timeout=5', { attemptTimeoutMillis: 5_000 }],
  ] as [string, PoolOptions][])('%s that agrees with %j is taken', (query, options) => {
    expect(webscaler.pool({ ...options, connectionString: urlWith(query) })).toBeInstanceOf(Pool);
  });
});

describe('for a plain host, only what pg reads is read', () => {
  it('no more and no less, so that the import can be swapped', async () => {
    const { pair } = webscaler;
    await writeFile(join(folder, 'services'), '[elsewhere]\nhost=nowhere.example.com\nport=1\n');
    set({
      PGHOST: pair.primary.address,
      PGPORT: String(pair.port),
      PGUSER: pair.user,
      PGPASSWORD: pair.password,
      PGDATABASE: pair.database,
      PGAPPNAME: 'swapped',
      PGOPTIONS: '-c work_mem=5MB',
      // pg reads none of these.
      PGSSLROOTCERT: '/nowhere/ca.pem',
      PGSSLCERT: '/nowhere/client.pem',
      PGTARGETSESSIONATTRS: 'standby',
      PGCHANNELBINDING: 'nonsense',
      PGREQUIREAUTH: 'md5',
      PGCONNECT_TIMEOUT: 'abc',
      PGSERVICE: 'elsewhere',
      PGSERVICEFILE: 'FOLDER/services',
    });
    const ssl = { ca: pair.ca, servername: 'primary-db.example.com' };
    const text = `select current_user, current_setting('application_name') as name, current_setting('work_mem') as memory`;
    const answers: unknown[] = [];
    for (const pool of [new pg.Pool({ ssl }), new Pool({ ssl })]) {
      answers.push((await pool.query(text)).rows);
      await pool.end();
    }
    expect(answers[0]).toEqual([{ current_user: 'app', name: 'swapped', memory: '5MB' }]);
    expect(answers[1]).toEqual(answers[0]);
  });
});
