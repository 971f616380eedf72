import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;
let folder: string;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
  folder = await mkdtemp(join(tmpdir(), 'password-file-'));
  vi.stubEnv('PGPASSFILE', join(folder, 'pgpass'));
  vi.stubEnv('PGPASSWORD', undefined);
});

afterEach(async () => {
  await webscaler.endPools();
  await webscaler.point('primary-db.example.com');
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await webscaler?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Writes lines for each host; `right` stands for the password that the server wants. */
async function writeFileFor(...lines: readonly (readonly [host: string, password: string])[]): Promise<void> {
  const { pair } = webscaler;
  const text = lines.map(
    ([host, password]) => `${host}:${pair.port}:*:${pair.user}:${password === 'right' ? pair.password : password}\n`,
  );
  await writeFile(join(folder, 'pgpass'), text.join(''), { mode: 0o600 });
}

function optionsWithoutPassword(overrides: PoolOptions = {}): PoolOptions {
  const { password: _, ...options } = webscaler.options({ failoverTimeoutMillis: 20_000 });
  return { ...options, ...overrides };
}

async function answerOf(overrides: PoolOptions = {}): Promise<unknown> {
  const pool = new Pool(optionsWithoutPassword(overrides));
  try {
    return (await pool.query('select 1 as one')).rows[0];
  } finally {
    await pool.end();
  }
}

const served = { one: 1 };

describe('the password file is searched', () => {
  it.each([
    ['the name that was written', [['webscaler-db', 'right']]],
    ['every host', [['*', 'right']]],
    ['the target, if there is no line for the name', [['primary-db.example.com', 'right']]],
    [
      'the name before the target',
      [
        ['primary-db.example.com', 'wrong'],
        ['webscaler-db', 'right'],
      ],
    ],
  ] as const)('for %s', async (_, lines) => {
    await writeFileFor(...lines);
    expect(await answerOf()).toEqual(served);
    const client = new Client(optionsWithoutPassword());
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([served]);
    await client.end();
  });

  it('for a host that is written as one, and in a connection string', async () => {
    await writeFileFor(['webscaler-db', 'right']);
    const { pair } = webscaler;
    expect(await answerOf({ service: undefined, host: 'webscaler-db' })).toEqual(served);
    const connectionString = `postgres://${pair.user}@webscaler-db:${pair.port}/${pair.database}`;
    expect(await answerOf({ service: undefined, connectionString })).toEqual(served);
  });

  it('for the same name after a switch', async () => {
    await writeFileFor(['webscaler-db', 'right']);
    const pool = new Pool(optionsWithoutPassword({ targetSessionAttrs: 'any' }));
    await pool.query('select 1');
    await webscaler.point('secondary-db.example.com');
    await expect.poll(() => pool.status().target?.externalName, { timeout: 10_000 }).toBe('secondary-db.example.com');
    const { rows } = await pool.query('select host(inet_server_addr()) as address');
    expect(rows).toEqual([{ address: webscaler.pair.standby.address }]);
    await pool.end();
  });
});

describe('the password file is not searched', () => {
  it('if a password is given', async () => {
    await writeFileFor(['*', 'wrong']);
    expect(await answerOf({ password: webscaler.pair.password })).toEqual(served);
  });

  it('for the address, nor for another host', async () => {
    await writeFileFor([webscaler.pair.primary.address, 'right'], ['secondary-db.example.com', 'right']);
    await expect(answerOf()).rejects.toThrow(/password/);
  });
});
