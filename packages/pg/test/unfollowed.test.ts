import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dnsQueryChannel } from '@externalname/core/events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client, Pool, type PoolOptions, serviceNotFollowed } from '../src/index.ts';
import { collectWarnings } from './support/process-warnings.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
let resolvConf: string;
let folder: string;
const heard: { name: string; target: string }[] = [];
const collected = collectWarnings();
let asked = 0;
const stops = [serviceNotFollowed.subscribe((event) => heard.push(event)), dnsQueryChannel.subscribe(() => asked++)];

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
  folder = await mkdtemp(join(tmpdir(), 'externalname-unfollowed-'));
  resolvConf = join(folder, 'resolv.conf');
  await writeFile(resolvConf, 'search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n');
});
afterEach(() => {
  heard.length = 0;
  asked = 0;
  delete process.env['EXTERNALNAME_ALLOWED_TARGETS'];
});
afterAll(async () => {
  for (const stop of stops) stop();
  collected[Symbol.dispose]();
  await rm(folder, { recursive: true });
  await webscaler[Symbol.asyncDispose]();
});

/** As an application in a pod writes them that has swapped its import and nothing else. */
function swapped(host: string, overrides: PoolOptions = {}): PoolOptions {
  const { cluster, pair } = webscaler;
  const dns = { nameservers: [cluster.nameserver], resolvConfPath: resolvConf };
  return { host, port: 1, user: pair.user, password: pair.password, database: pair.database, dns, ...overrides };
}

async function failureOf(options: PoolOptions): Promise<Error & { code?: string }> {
  const pool = new Pool(options);
  const error = await pool.query('select 1').then(
    () => expect.unreachable(),
    (cause: Error) => cause,
  );
  await pool.end();
  return error;
}

describe('a plain host that is an ExternalName Service', () => {
  it.each(['webscaler-db', 'webscaler-db.default', 'webscaler-db.default.svc.cluster.local'])(
    'is refused if TLS is off by default: %s',
    async (host) => {
      expect(await failureOf(swapped(host))).toMatchObject({
        code: 'ERR_EXTERNALNAME_CLEARTEXT_REFUSED',
        outcome: 'not-executed',
        message:
          `${host} is an ExternalName Service that leads to primary-db.example.com, and TLS is off: the password and all data ` +
          "would leave the cluster in the clear. Add allowedTargets: ['primary-db.example.com'], which turns on verified TLS, or " +
          'write ssl: false to allow it',
      });
      expect(heard).toEqual([{ name: host, target: 'primary-db.example.com' }]);
    },
  );

  it('is refused for a Client, too', async () => {
    const client = new Client(swapped('webscaler-db'));
    await expect(client.connect()).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLEARTEXT_REFUSED' });
  });

  it.each([
    ['ssl: false', { ssl: false }],
    ['ssl: true', { ssl: true }],
    ['sslmode in the connection string', { connectionString: 'postgres://app@webscaler-db:1/app?sslmode=disable' }],
  ])('is left to pg if that is written, but warned about: %s', async (_, overrides) => {
    const error = await failureOf(swapped('webscaler-db', overrides));
    expect(error.code).not.toMatch(/^ERR_EXTERNALNAME/);
    await expect.poll(() => heard).toEqual([{ name: 'webscaler-db', target: 'primary-db.example.com' }]);
  });

  it('is warned of once in a process, with the line to add', () => {
    const ours = collected.warnings.filter(
      ({ code, message }) => code === 'EXTERNALNAME_NOT_FOLLOWED' && / webscaler-db /.test(` ${message}`),
    );
    expect(ours.map(({ message }) => message)).toEqual([
      'webscaler-db is an ExternalName Service that leads to primary-db.example.com, but this pool does not follow it: after a switch ' +
        "it stays where it is. Add allowedTargets: ['primary-db.example.com'] to its options, with every other host that the " +
        'Service may lead to, or set EXTERNALNAME_ALLOWED_TARGETS=primary-db.example.com',
    ]);
  });
});

describe('a plain host that is none', () => {
  it.each(['no-such-db', 'primary-db.example.com', 'localhost', '127.0.0.1', '/var/run/no-such-socket'])(
    'is left to pg: %s',
    async (host) => {
      const error = await failureOf(swapped(host));
      expect(error.code).not.toMatch(/^ERR_EXTERNALNAME/);
      expect(heard).toEqual([]);
      expect(asked > 0).toBe(host === 'no-such-db');
    },
  );

  it('is not asked about outside of a cluster', async () => {
    await writeFile(resolvConf, 'search example.org\n');
    expect((await failureOf(swapped('webscaler-db'))).code).not.toMatch(/^ERR_EXTERNALNAME/);
    expect(asked).toBe(0);
  });
});

describe('EXTERNALNAME_ALLOWED_TARGETS', () => {
  it.each(['localhost', '127.0.0.1', '::1', '/var/run/postgresql', 'db.eu-west-1.rds.amazonaws.com'])(
    'does not concern a pool for %s',
    async (host) => {
      process.env['EXTERNALNAME_ALLOWED_TARGETS'] = 'primary-db.example.com';
      const pool = new Pool({ host });
      expect(pool.options.keepAlive).toBeUndefined();
      expect(pool.status().name).toBe(host);
      await pool.end();
      const byUrl = new Pool({ connectionString: `postgres://app@${encodeURIComponent(host)}/app` });
      await byUrl.end();
    },
  );

  it('concerns a pool whose host can be a Service', async () => {
    process.env['EXTERNALNAME_ALLOWED_TARGETS'] = 'primary-db.example.com';
    const pool = new Pool(
      swapped('webscaler-db', {
        port: webscaler.pair.port,
        ssl: { ca: webscaler.pair.ca },
        allowedNetworks: ['127.0.0.0/8'],
      }),
    );
    await pool.ready();
    expect(pool.status().target?.externalName).toBe('primary-db.example.com');
    await pool.end();
  });
});
