import { createServer } from 'node:tls';
import { inspect } from 'node:util';
import { type CertificateAuthority, createCertificateAuthority } from '@externalname/testing';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client, Pool } from '../src/index.ts';
import {
  authenticationOk,
  backendKey,
  cleartextRequest,
  errorResponse,
  type FakePostgres,
  obliging,
  primaryParameters,
  readyForQuery,
  startFakePostgres,
} from './support/fake-postgres.ts';
import { rejectionOf } from './support/rejection.ts';

let authority: CertificateAuthority;
let server: FakePostgres | undefined;
const ending: (() => unknown)[] = [];

beforeAll(async () => {
  authority = await createCertificateAuthority({ name: 'trust' });
});

afterEach(async () => {
  for (const end of ending.splice(0)) await end();
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

const password = 'correct-horse';

describe('a server that says the password back', () => {
  it.each(['while it is connected to', 'in the answer to a statement'])('is not quoted %s', async (when) => {
    const echo = errorResponse('28P01', when.startsWith('while') ? 'FATAL' : 'ERROR', `no, ${password} is wrong`);
    server = await startFakePostgres({
      script: async (session) => {
        session.send(cleartextRequest);
        await session.receive();
        if (when.startsWith('while')) {
          session.send(echo);
          return void session.socket.end();
        }
        session.send(authenticationOk, ...primaryParameters, backendKey(1), readyForQuery());
        await session.receive();
        session.send(echo, readyForQuery());
      },
    });
    const pool = new Pool(
      server.options({ password, requireAuth: 'password', liveness: false, failoverTimeoutMillis: 1_000 }),
    );
    ending.push(() => pool.end());
    const error = await rejectionOf(pool.query('select 1'));
    expect(server.received()).toContain(password);
    const told = [error.message, error.stack, inspect(error, { depth: 20 }), JSON.stringify(pool.status())].join('\n');
    expect(told).toContain('no, [hidden] is wrong');
    expect(told).not.toContain(password);
  });
});

describe('a client that is printed', () => {
  it('shows neither the passphrase nor a key, at any depth', async () => {
    const { certificate, privateKey } = await authority.issue({ hostNames: ['primary-db.example.com'] });
    server = await startFakePostgres({
      tls: { certificate, privateKey, ca: authority.certificate },
      script: obliging(),
    });
    const ssl = { ca: authority.certificate, cert: certificate, key: privateKey, passphrase: 'hunter2-passphrase' };
    const options = server.options({ password, ssl, requireAuth: 'none', liveness: false });
    const [pool, client] = [new Pool(options), new Client(options)];
    client.on('error', () => undefined);
    ending.push(
      () => pool.end(),
      () => client.end(),
    );
    const [secretLine = ''] = privateKey.split('\n').slice(3);
    const check = (printed: object) => {
      const text = inspect(printed, { depth: 30 });
      for (const secret of ['hunter2', password, secretLine]) expect(text.includes(secret)).toBe(false);
    };
    check(client);
    const member = await pool.connect();
    await client.connect();
    const parts = member as unknown as Record<string, object>;
    for (const printed of [client, member, parts['connectionParameters'], parts['connection'], pool]) {
      check(printed as object);
    }
    for (const part of [member, parts['connectionParameters'], pool.options]) {
      expect(JSON.stringify(part)).not.toMatch(/hunter2|correct-horse|PRIVATE KEY/);
    }
    expect(inspect(member)).toContain("database: 'app'");
    member.release();
  });
});

describe('direct TLS', () => {
  it.each([
    [undefined, false],
    [['postgresql'], true],
  ])('with a server that names ALPN %j is taken for PostgreSQL: %s', async (ALPNProtocols, taken) => {
    const { certificate, privateKey } = await authority.issue({ hostNames: ['primary-db.example.com'] });
    const direct = createServer(
      { cert: certificate, key: privateKey, ...(ALPNProtocols && { ALPNProtocols }) },
      (socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.write(errorResponse('57P03', 'FATAL', 'this is PostgreSQL')));
      },
    );
    await new Promise<void>((resolve) => direct.listen(0, '127.0.0.1', resolve));
    ending.push(() => direct.close());
    server = await startFakePostgres({ script: obliging() });
    const pool = new Pool({
      ...server.options({ ssl: { ca: authority.certificate }, password, failoverTimeoutMillis: 0, liveness: false }),
      port: (direct.address() as { port: number }).port,
      sslnegotiation: 'direct',
    } as never);
    ending.push(() => pool.end());
    const error = await rejectionOf(pool.query('select 1'));
    if (taken) expect(inspect(error, { depth: 9 })).toContain('this is PostgreSQL');
    else expect(inspect(error, { depth: 9 })).toContain('without naming its protocol');
  });
});
