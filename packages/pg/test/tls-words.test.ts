import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificateAuthority } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { testedMajor } from './support/postgres-version.ts';
import { collectWarnings } from './support/process-warnings.ts';
import { rejectionOf } from './support/rejection.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
let folder: string;
let otherCa: string;

beforeAll(async () => {
  webscaler = await startWebscaler({
    synchronous: false,
    // So that what is in cleartext is seen to be, and not refused by the server.
    accessRules: ['hostnossl all all all scram-sha-256'],
  });
  folder = await mkdtemp(join(tmpdir(), 'tls-words-'));
  await writeFile(join(folder, 'ca.pem'), webscaler.pair.ca);
  otherCa = (await createCertificateAuthority()).certificate;
});

afterEach(() => webscaler.endPools());

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Ssl = PoolOptions['ssl'];

function optionsWith(words: string, ssl: Ssl): PoolOptions {
  const { user, password, port, database } = webscaler.pair;
  const connectionString = `postgres://${user}:${password}@webscaler-db:${port}/${database}?${words.replace('FOLDER', folder)}`;
  const { ssl: _, ...options } = webscaler.options({ service: undefined, failoverTimeoutMillis: 20_000 });
  return { ...options, connectionString, ...(ssl !== undefined && { ssl }) };
}

async function usesTls(options: PoolOptions): Promise<boolean | undefined> {
  const text = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
  const pool = new Pool(options);
  const client = new Client(options);
  try {
    await client.connect();
    const [one, other] = await Promise.all([pool.query<{ ssl: boolean }>(text), client.query<{ ssl: boolean }>(text)]);
    expect(one.rows).toEqual(other.rows);
    return one.rows[0]?.ssl;
  } finally {
    await Promise.all([pool.end(), client.end()]);
  }
}

const given = (): Ssl => ({ ca: webscaler.pair.ca });

describe('words for TLS in the connection string, beside ssl', () => {
  it.each<[string, () => Ssl]>([
    ['sslmode=require', given],
    ['sslmode=prefer', given],
    ['sslmode=verify-ca', given],
    ['sslmode=verify-full', given],
    ['ssl=true', given],
    ['ssl=1', given],
    ['sslmode=verify-full&sslrootcert=FOLDER/ca.pem', () => true],
    ['sslrootcert=FOLDER/ca.pem', () => ({ minVersion: 'TLSv1.3' })],
    ['sslrootcert=FOLDER/ca.pem', () => undefined],
    ['sslmode=require&uselibpqcompat=true', given],
    ['sslmode=require&uselibpqcompat=true', () => undefined],
    ...(testedMajor >= 17 ? [['sslnegotiation=direct', given] as [string, () => Ssl]] : []),
    ['application_name=worker', given],
  ])('%s is added to it, and the connection is verified', async (words, ssl) => {
    expect(await usesTls(optionsWith(words, ssl()))).toBe(true);
  });

  it('what the connection string says outweighs the same of ssl, as in pg', async () => {
    expect(await usesTls(optionsWith('sslrootcert=FOLDER/ca.pem', { ca: otherCa }))).toBe(true);
  });

  it.each(['sslmode=require', 'sslmode=verify-full', 'sslmode=require&uselibpqcompat=true'])(
    '%s does not let another authority in',
    async (words) => {
      const pool = new Pool(optionsWith(words, { ca: otherCa }));
      expect(await rejectionOf(pool.query('select 1'))).toMatchObject({
        code: expect.stringMatching(/UNABLE|SELF_SIGNED/),
      });
      await pool.end();
    },
  );

  it.each<[string, () => Ssl]>([
    ['sslmode=disable', given],
    ['sslmode=disable', () => true],
    ['ssl=0', given],
    ['ssl=false', given],
    ['sslmode=require', () => false],
    ['sslmode=verify-full', () => false],
    ['ssl=true', () => false],
    ['sslrootcert=FOLDER/ca.pem', () => false],
    ['sslnegotiation=direct', () => false],
  ])('%s against it is refused, and neither wins', (words, ssl) => {
    for (const make of [() => new Pool(optionsWith(words, ssl())), () => new Client(optionsWith(words, ssl()))]) {
      expect(make).toThrow(
        expect.objectContaining({
          code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
          argument: 'ssl',
          message: expect.stringContaining(words.replace('FOLDER', folder).split('=', 1)[0] ?? ''),
        }),
      );
    }
  });

  it.each<[string, () => Ssl]>([
    ['sslmode=disable', () => undefined],
    ['sslmode=disable', () => false],
    ['ssl=0', () => false],
  ])('%s that agrees with it is taken: cleartext', async (words, ssl) => {
    expect(await usesTls(optionsWith(words, ssl()))).toBe(false);
  });

  it('a certificate file that is not there is an error of the connection string, without its password', () => {
    const options = optionsWith('sslrootcert=/nowhere/ca.pem', undefined);
    expect(() => new Pool(options)).toThrow(
      expect.objectContaining({
        argument: 'connectionString',
        message: expect.stringMatching(/^connectionString: ENOENT.*\/nowhere\/ca\.pem/),
      }),
    );
    expect(() => new Pool(options)).not.toThrow(webscaler.pair.password);
  });
});

describe('certificates that files hold', () => {
  it('are read at each connection, so that one that is replaced is used', async () => {
    const file = join(folder, 'rotated.pem');
    await writeFile(file, webscaler.pair.ca);
    const pool = new Pool(optionsWith('sslrootcert=FOLDER/rotated.pem', { minVersion: 'TLSv1.3' }));
    const client = await pool.connect();
    await writeFile(file, otherCa);
    expect(await rejectionOf(pool.query('select 1'))).toMatchObject({
      code: expect.stringMatching(/UNABLE|SELF_SIGNED/),
    });
    await writeFile(file, webscaler.pair.ca);
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    client.release();
    await pool.end();
  });

  it('serve a client that is made of the options of the pool, whose words are then gone', async () => {
    const direct = testedMajor >= 17 ? ['sslnegotiation=direct'] : [];
    for (const words of ['sslrootcert=FOLDER/ca.pem', 'sslmode=require&uselibpqcompat=true', ...direct]) {
      const pool = new Pool(optionsWith(words, { ca: webscaler.pair.ca }));
      const client = new pool.Client(pool.options);
      await client.connect();
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
      await client.end();
      await pool.end();
    }
  });
});

describe('for a plain host, where pg throws ssl away', () => {
  it('that is done as by pg, and said once', async () => {
    const { pair } = webscaler;
    using collected = collectWarnings();
    const connectionString = `postgres://${pair.user}:${pair.password}@${pair.primary.address}:${pair.port}/${pair.database}?sslmode=disable`;
    for (let turn = 0; turn < 2; turn++) {
      const pool = new Pool({ connectionString, ssl: { ca: pair.ca } });
      const { rows } = await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: false }]);
      await pool.end();
    }
    const warnings = collected.warnings.filter(({ code }) => code === 'EXTERNALNAME_SSL_IGNORED');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain('sslmode=disable');
    expect(warnings[0]?.message).not.toContain(pair.password);
  });
});

describe('ssl.servername', () => {
  it('is refused for a Service, which has the name that is verified', () => {
    for (const servername of ['primary-db.example.com', '', 5]) {
      const ssl = { ca: webscaler.pair.ca, servername } as Ssl;
      for (const make of [() => webscaler.pool({ ssl }), () => new Client(webscaler.options({ ssl }))]) {
        expect(make).toThrow(expect.objectContaining({ argument: 'ssl.servername' }));
      }
    }
  });

  it('is used for a plain host that is an address, as in pg', async () => {
    const { pair } = webscaler;
    const pool = new Pool({
      ...webscaler.options(),
      ...{ service: undefined, allowedTargets: undefined, allowedNetworks: undefined, dns: undefined },
      host: pair.primary.address,
      ssl: { ca: pair.ca, servername: 'primary-db.example.com' },
    });
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});
