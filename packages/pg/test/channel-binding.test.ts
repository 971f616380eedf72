import { afterEach, describe, expect, it } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { rejectionOf } from './support/rejection.ts';
import { authorityWith, type SignatureName } from './support/signed-certificates.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler | undefined;

afterEach(async () => {
  await webscaler?.[Symbol.asyncDispose]();
  webscaler = undefined;
});

/** Servers whose certificates are signed so. */
async function startWith(name: SignatureName): Promise<Webscaler> {
  webscaler = await startWebscaler({
    authority: authorityWith(name),
    synchronous: false,
    // libpq cannot bind to all of them, and the standby connects by it.
    accessRules: ['hostssl replication replicator all trust'],
  });
  return webscaler;
}

/** For a Service, and for the plain host behind it. */
function poolsOf({ options, pair }: Webscaler, channelBinding: 'prefer' | 'require'): readonly Pool[] {
  const plain: PoolOptions = {
    host: pair.primary.address,
    port: pair.port,
    user: pair.user,
    password: pair.password,
    database: pair.database,
    ssl: { ca: pair.ca, servername: 'primary-db.example.com' },
    channelBinding,
  };
  return [new Pool(options({ channelBinding, failoverTimeoutMillis: 3_000 })), new Pool(plain)];
}

async function serves(pool: Pool): Promise<void> {
  const { rows } = await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
  expect(rows).toEqual([{ ssl: true }]);
  await pool.end();
}

describe('SCRAM with a certificate that is signed by', () => {
  it.each(['RSA with SHA-256', 'RSA with SHA3-256', 'RSA-PSS with SHA-224', 'RSA-PSS with SHA-256'] as const)(
    '%s is bound to the channel',
    async (name) => {
      const started = await startWith(name);
      for (const pool of [...poolsOf(started, 'prefer'), ...poolsOf(started, 'require')]) await serves(pool);
    },
  );

  it.each(['Ed25519', 'Ed448'] as const)('%s goes without, if it may', async (name) => {
    const started = await startWith(name);
    for (const pool of poolsOf(started, 'prefer')) await serves(pool);
    const client = new Client(started.options());
    await client.connect();
    await client.end();
    for (const pool of poolsOf(started, 'require')) {
      const error = await rejectionOf(pool.query('select 1'));
      expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED', outcome: 'not-executed' });
      expect(error.message).toMatch(/certificate .* channelBinding: require/s);
      await pool.end();
    }
  });
});
