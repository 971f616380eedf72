import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Pool } from '../src/index.ts';
import { startWebscaler, type Webscaler } from './support/webscaler.ts';

// The server asks each role in the way that it is named after: `by_md5`.
const methods = ['scram-sha-256', 'md5', 'password', 'none'] as const;
const password = 'hunter22';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startWebscaler({
    synchronous: false,
    accessRules: methods.map((method) => `hostssl all "by_${method}" all ${method === 'none' ? 'trust' : method}`),
  });
  const { primary } = webscaler.pair;
  for (const method of methods) {
    const encryption = method === 'md5' ? 'md5' : 'scram-sha-256';
    await primary.query(
      `set password_encryption = '${encryption}'; create role "by_${method}" login password '${password}'; reset password_encryption`,
    );
  }
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

describe('requireAuth', () => {
  it.each([
    ['scram-sha-256', ['scram-sha-256']],
    ['md5', ['md5']],
    ['password', ['password']],
    ['none', ['none']],
    ['scram-sha-256,md5', ['scram-sha-256', 'md5']],
    ['md5,password,none', ['md5', 'password', 'none']],
    ['scram-sha-256,gss,sspi,oauth', ['scram-sha-256']],
    ['!none', ['scram-sha-256', 'md5', 'password']],
    ['!md5,!password', ['scram-sha-256']],
    ['!gss,!sspi,!oauth', ['scram-sha-256', 'md5', 'password']],
  ])('%s lets in the servers that ask for %j', async (requireAuth, accepted) => {
    for (const method of methods) {
      const user = `by_${method}`;
      const pool = new Pool(webscaler.options({ user, password, requireAuth }));
      const outcome = await pool.query('select 1').then(
        () => 'let in',
        (error: { code?: string }) => error.code,
      );
      await pool.end();
      const expected = accepted.includes(method) ? 'let in' : 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED';
      expect([method, outcome]).toEqual([method, expected]);
    }
  });
});
