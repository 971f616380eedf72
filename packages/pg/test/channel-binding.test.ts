import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, Pool, type PoolOptions } from '../src/index.ts';
import { rejectionOf } from './support/rejection.ts';
import { authorityWith, type SignatureName } from './support/signed-certificates.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler({ synchronous: false });
});

afterAll(async () => {
  await webscaler[Symbol.asyncDispose]();
});

/** Gives the primary a certificate that is signed so, and says by which authority. */
async function present(name: SignatureName): Promise<string> {
  const authority = authorityWith(name);
  await webscaler.pair.primary.setCertificate(await authority.issue({ hostNames: ['primary-db.example.com'] }));
  return authority.certificate;
}

/** For a Service, and for the plain host behind it. */
function poolsOf(ca: string, channelBinding: 'prefer' | 'require'): readonly Pool[] {
  const { options, plainOptions } = webscaler;
  const plain: PoolOptions = plainOptions({ ssl: { ca, servername: 'primary-db.example.com' }, channelBinding });
  return [new Pool(options({ ssl: { ca }, channelBinding, failoverTimeoutMillis: 3_000 })), new Pool(plain)];
}

async function serves(pool: Pool): Promise<void> {
  const { rows } = await pool.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
  expect(rows).toEqual([{ ssl: true }]);
  await pool.end();
}

describe('SCRAM with a certificate that is signed by', () => {
  it.each([
    'RSA with SHA-224',
    'RSA with SHA-256',
    'RSA with SHA-384',
    'RSA with SHA-512',
    'RSA with SHA3-256',
    'RSA with SHA3-512',
    'ECDSA with SHA-224',
    'ECDSA with SHA-256',
    'ECDSA with SHA-384',
    'ECDSA with SHA-512',
    'RSA-PSS with SHA-224',
    'RSA-PSS with SHA-256',
    'RSA-PSS with SHA-512',
    'RSA-PSS with SHA3-256',
  ] as const)('%s is bound to the channel', async (name) => {
    const ca = await present(name);
    for (const pool of [...poolsOf(ca, 'prefer'), ...poolsOf(ca, 'require')]) await serves(pool);
  });

  it.each(['Ed25519', 'Ed448'] as const)('%s is not bound with prefer, and refused with require', async (name) => {
    const ca = await present(name);
    for (const pool of poolsOf(ca, 'prefer')) await serves(pool);
    const client = new Client(webscaler.options({ ssl: { ca } }));
    await client.connect();
    await client.end();
    for (const pool of poolsOf(ca, 'require')) {
      const error = await rejectionOf(pool.query('select 1'));
      expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED', outcome: 'not-executed' });
      expect(error.message).toMatch(/certificate .* channelBinding: require/s);
      await pool.end();
    }
  });
});
