import { EventEmitter } from 'node:events';
import Module, { createRequire } from 'node:module';
import { isExternalNameError } from '@externalname/core';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});

afterEach(async () => {
  await webscaler.endPools();
  await webscaler.point('primary-db.example.com');
});

afterAll(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

async function failureOf(overrides: PoolOptions): Promise<Error & { code?: string; outcome?: string }> {
  const pool = webscaler.pool(overrides);
  const error = await pool.query('select 1').then(
    () => expect.fail('it should have failed'),
    (reason: Error) => reason,
  );
  // The last attempt may be closing.
  await expect.poll(() => pool.totalCount).toBe(0);
  return error;
}

describe('one clear error for', () => {
  it('no allow-list, before anything is opened', () => {
    expect(() => new Pool({ service: 'webscaler-db' })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED' }),
    );
  });

  it('pg-native as Client for a Service, in the constructor, and a class that is derived from it', () => {
    const NativeClient = nativeClient();
    class Derived extends NativeClient {}
    for (const Client of [NativeClient, Derived]) {
      expect(() => webscaler.pool({ Client } as PoolOptions)).toThrow(
        expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'Client' }),
      );
      expect(new Pool({ host: 'localhost', Client } as PoolOptions).options).toMatchObject({ Client });
    }
    class JavaScriptClient extends pg.Client {
      isConnected() {
        return true;
      }
    }
    expect(webscaler.pool({ Client: JavaScriptClient } as PoolOptions)).toBeInstanceOf(Pool);
  });

  it.each([
    ['nothing', 'connect', class {}],
    ['events alone', 'connect', class extends EventEmitter {}],
    [
      'a query',
      'connectionParameters',
      class extends EventEmitter {
        async connect() {}
        async query() {}
        async end() {}
      },
    ],
  ])('a Client that is a stand-in with %s: what it lacks', async (_, missing, Client) => {
    const error = await failureOf({ Client } as unknown as PoolOptions);
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'Client' });
    expect(error.message).toBe(
      `Client: must be a subclass of pg.Client, and its instances have no \`${missing}\`: write \`class extends pg.Client\`, or leave Client out`,
    );
  });

  it('a target outside the allow-list, before a socket is opened', async () => {
    const error = await failureOf({ allowedTargets: ['other.example.com'] });
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_TARGET_REFUSED', outcome: 'not-executed' });
    expect(error.message).toContain('primary-db.example.com');
  });

  it('an address outside the allowed networks', async () => {
    const error = await failureOf({ allowedNetworks: ['203.0.113.0/24'] });
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_ADDRESS_REFUSED', outcome: 'not-executed' });
  });

  it('an IP address as the target', async () => {
    await webscaler.point('10.0.0.1');
    const error = await failureOf({});
    // CoreDNS answers NXDOMAIN for such a Service.
    expect(isExternalNameError(error)).toBe(true);
    expect(error.message).toContain('webscaler-db.default.svc.cluster.local');
  });

  it('a Service that does not exist', async () => {
    const error = await failureOf({ service: 'no-such-db' });
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND', outcome: 'not-executed' });
    expect(error.message).toBe(
      "no-such-db.default.svc.cluster.local: NXDOMAIN: the cluster's DNS does not know a Service no-such-db in namespace default. Look at " +
        'both names with "kubectl get service no-such-db --namespace default"; outside the cluster, no DNS server knows them',
    );
  });

  it.each([undefined, ''])('no password if the server asks for one: %j', async (password) => {
    const error = await failureOf({ password });
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_PASSWORD_REQUIRED', outcome: 'not-executed' });
    expect(error.message).toMatch(
      /^primary-db\.example\.com \(\S+\) asks for the password of user "app", but none was given: set the option password or PGPASSWORD, or add a line for webscaler-db to the password file$/,
    );
  });

  it('a target that does not resolve, with the whole chain', async () => {
    await webscaler.point('gone-db.example.com');
    const error = await failureOf({ allowedTargets: ['*.example.com'] });
    expect(error).toMatchObject({
      code: 'ERR_EXTERNALNAME_DNS_NOT_FOUND',
      message: 'webscaler-db.default.svc.cluster.local -> gone-db.example.com: NXDOMAIN',
    });
  });

  it('a certificate for another name', async () => {
    const { cluster, pair } = webscaler;
    cluster.hosts.set('gone-db.example.com', [pair.addresses['primary-db.example.com'] ?? '']);
    await webscaler.point('gone-db.example.com');
    const error = await failureOf({ allowedTargets: ['*.example.com'] });
    expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_TLS_IDENTITY', outcome: 'not-executed' });
    expect(error.message).toContain('gone-db.example.com');
    expect(error.message).toContain('primary-db.example.com');
    cluster.hosts.set('gone-db.example.com', []);
  });

  it('a CA that is not the one given', async () => {
    const error = await failureOf({ ssl: true });
    expect(error.code).toMatch(/SELF_SIGNED|UNABLE_TO/);
    expect(error.outcome).toBe('not-executed');
  });

  it('a wrong password, and the password is nowhere in it', async () => {
    const error = await failureOf({ password: 'open-sesame-7' });
    expect(error).toMatchObject({ code: '28P01', outcome: 'not-executed' });
    expect(JSON.stringify(error) + error.stack + error.message).not.toContain('open-sesame-7');
  });

  it('TLS that the server does not offer, or that is weaker than configured', () => {
    expect(() => webscaler.pool({ ssl: { rejectUnauthorized: false } })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument: 'ssl' }),
    );
  });

  it.each([
    [{ failoverTimeoutMillis: -1 }, 'failoverTimeoutMillis'],
    [{ drainTimeoutMillis: Number.NaN }, 'drainTimeoutMillis'],
    [{ targetSessionAttrs: 'writable' }, 'targetSessionAttrs'],
    [{ channelBinding: 'always' }, 'channelBinding'],
    [{ requireAuth: 'scram' }, 'requireAuth'],
    [{ requireAuth: 'md5,!password' }, 'requireAuth'],
    [{ ssl: false, channelBinding: 'require' }, 'channelBinding'],
    [{ allowedTargets: ['*'] }, 'allowedTargets[0]'],
  ])('an option that cannot be used: %j', (options, argument) => {
    expect(() => webscaler.pool(options as PoolOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument }),
    );
  });
});

describe('a caller that cannot be served', () => {
  it('gets an error within failoverTimeoutMillis that says where, how long and why', async () => {
    // A standby takes no writes, and this pool wants to write.
    await webscaler.point('secondary-db.example.com');
    // The default outlasts the test.
    const error = await failureOf({ failoverTimeoutMillis: 3_000 });
    expect(error).toMatchObject({
      code: 'ERR_EXTERNALNAME_FAILOVER_TIMEOUT',
      outcome: 'not-executed',
      timeoutMillis: 3_000,
      cause: { code: 'ERR_EXTERNALNAME_SERVER_ROLE' },
    });
    expect(error.message).toContain('webscaler-db');
  });

  it('gets the words of pg if it set connectionTimeoutMillis itself', async () => {
    const pool = webscaler.pool({ max: 1, connectionTimeoutMillis: 4_000 });
    const client = await pool.connect();
    await expect(pool.connect()).rejects.toThrow('timeout exceeded when trying to connect');
    client.release();
  });
});

/** The client that is `pg.native.Client`, without the compiled part that it needs to connect. */
function nativeClient(): new () => object {
  const loader = Module as unknown as { _load(request: string, ...rest: unknown[]): unknown };
  const load = loader._load;
  loader._load = (request, ...rest) => (request === 'pg-native' ? class {} : load.call(Module, request, ...rest));
  try {
    return createRequire(import.meta.url)('pg/lib/native/index.js') as new () => object;
  } finally {
    loader._load = load;
  }
}
