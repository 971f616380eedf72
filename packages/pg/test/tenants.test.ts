import { type Resolver, StaticTargetSource } from '@externalname/core';
import { expect, it } from 'vitest';
import { Client } from '../src/index.ts';
import {
  authenticationOk,
  backendKey,
  errorResponse,
  obliging,
  primaryParameters,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';

const resolver: Resolver = {
  resolve: async (name) => ({
    name,
    chain: [],
    canonicalName: name,
    addresses: [{ address: name.startsWith('primary') ? '127.0.0.1' : '127.0.0.2', family: 4, ttlSeconds: 1 }],
    expiresAt: Number.POSITIVE_INFINITY,
    stale: false,
  }),
  close: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

it('a tenant that the new server refuses does not keep other tenants on the old one', async () => {
  await using old = await startFakePostgres({ script: obliging() });
  await using next = await startFakePostgres({
    address: '127.0.0.2',
    port: old.port,
    script: (session) => {
      const [tenant = ''] =
        next
          .received()
          .match(/user\0(\w+)\0(?![\s\S]*user\0)/)
          ?.slice(1) ?? [];
      if (tenant === 'first') session.send(errorResponse('28P01', 'FATAL', 'no such password'));
      else session.send(authenticationOk, ...primaryParameters, backendKey(1), readyForQuery());
    },
  });
  const source = new StaticTargetSource('primary-db.example.com');
  const open = async (user: string) => {
    const client = new Client(
      old.options({ user, source, dns: resolver, password: 'x', requireAuth: 'none', liveness: false }),
    );
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const [first, second] = [await open('first'), await open('second')];
  const moved = new Promise<void>((resolve) => second.once('end', () => resolve()));
  source.set('secondary-db.example.com');
  // A client of its own is ended when its Service points elsewhere, so that its application makes another one.
  await moved;
  const again = await open('second');
  expect(again.target?.externalName).toBe('secondary-db.example.com');
  expect(first.target?.externalName).toBe('primary-db.example.com');
  await Promise.all([first, second, again].map((client) => client.end()));
});
