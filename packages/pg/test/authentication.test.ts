import { createHash } from 'node:crypto';
import { createCertificateAuthority } from '@externalname/testing';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Pool, type PoolOptions } from '../src/index.ts';
import {
  authentication,
  authenticationOk,
  cleartextRequest,
  errorResponse,
  type FakeOptions,
  type FakePostgres,
  type FakeSession,
  md5Request,
  obliging,
  primaryParameters,
  readyForQuery,
  scramRequest,
  startFakePostgres,
} from './support/fake-postgres.ts';

const password = 'correct horse battery staple';

let tls: NonNullable<FakeOptions['tls']>;
let server: FakePostgres | undefined;

beforeAll(async () => {
  const authority = await createCertificateAuthority();
  const issued = await authority.issue({ hostNames: ['primary-db.example.com'] });
  tls = { ...issued, ca: authority.certificate };
});

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
  server = undefined;
});

const welcome = [authenticationOk, ...primaryParameters, readyForQuery()];

/** A server that asks, takes whatever answer it gets, and lets the client in. */
const asking =
  (...request: Buffer[]) =>
  async (session: FakeSession) => {
    session.send(...request);
    await session.receive();
    await obliging()(session);
  };

/** A server that goes through SCRAM as far as it can without knowing the password. */
const scramWithoutProof = async (session: FakeSession) => {
  session.send(scramRequest);
  const first = await session.receive();
  const nonce = /r=([^,]*)/.exec(first?.body.toString() ?? '')?.[1];
  const salt = Buffer.from('saltsaltsaltsalt').toString('base64');
  session.send(authentication(11, Buffer.from(`r=${nonce}server,s=${salt},i=4096`)));
  await session.receive();
  session.send(...welcome);
};

/** Tries to connect as the application would, and says how it ended and what the server got to see. */
async function meet(script: FakeOptions['script'], options: PoolOptions = {}, secure = false) {
  server = await startFakePostgres({ script, tls: secure ? tls : undefined });
  const pool = new Pool(server.options({ password, ...options }));
  const error: unknown = await pool.query('select 1').then(
    () => undefined,
    (reason: unknown) => reason,
  );
  await pool.end();
  return { error, received: server.received(), sessions: server.sessions.length };
}

function expectNothingOfThePassword(received: string) {
  expect(received).not.toContain(password);
  expect(received).not.toContain(createHash('md5').update(`${password}app`).digest('hex'));
  expect(received).not.toMatch(/md5[0-9a-f]{32}/);
}

const refused = expect.objectContaining({
  code: 'ERR_EXTERNALNAME_AUTHENTICATION_REFUSED',
  outcome: 'not-executed',
});

describe('a server that lets the client in without having asked for the password', () => {
  it.each([
    ['over a plain socket', false],
    ['over verified TLS', true],
  ])('is refused, %s', async (_, secure) => {
    const { error } = await meet(({ send }) => send(...welcome), {}, secure);
    expect(error).toEqual(refused);
  });

  it('is refused even if it does not say that the client is in', async () => {
    const { error } = await meet(({ send }) => send(...primaryParameters, readyForQuery()));
    expect(error).toEqual(refused);
  });

  it('is refused if the password comes from a function', async () => {
    const { error } = await meet(({ send }) => send(...welcome), { password: () => password });
    expect(error).toEqual(refused);
  });

  it('is accepted if requireAuth says so, and if there is no password', async () => {
    expect((await meet(obliging(), { requireAuth: 'none,scram-sha-256' })).error).toBeUndefined();
    expect((await meet(obliging(), { password: undefined })).error).toBeUndefined();
  });
});

describe('a server that asks for the password itself', () => {
  it('in clear text, over a plain socket: is refused and gets nothing', async () => {
    const { error, received } = await meet(asking(cleartextRequest));
    expect(error).toEqual(refused);
    expectNothingOfThePassword(received);
  });

  it('by MD5, over a plain socket: is refused and gets nothing', async () => {
    const { error, received } = await meet(asking(md5Request));
    expect(error).toEqual(refused);
    expectNothingOfThePassword(received);
  });

  it('in clear text, over TLS that names the host: gets it, as the host proved who it is', async () => {
    const { error, received } = await meet(asking(cleartextRequest), {}, true);
    expect(error).toBeUndefined();
    expect(received).toContain(password);
  });

  it('in clear text, over verified TLS, is refused if requireAuth asks for SCRAM', async () => {
    const { error, received } = await meet(asking(cleartextRequest), { requireAuth: 'scram-sha-256' }, true);
    expect(error).toEqual(refused);
    expectNothingOfThePassword(received);
  });

  it('after SCRAM was begun, over a plain socket: is refused and gets nothing', async () => {
    const { error, received } = await meet(asking(scramRequest, cleartextRequest));
    expect(error).toEqual(refused);
    expectNothingOfThePassword(received);
  });

  it('a password function is not even called', async () => {
    let asked = 0;
    const secret = () => {
      asked += 1;
      return password;
    };
    await meet(asking(cleartextRequest), { password: secret });
    expect(asked).toBe(0);
  });
});

describe('a server that does not end SCRAM by its own proof', () => {
  it.each([
    ['over a plain socket', false],
    ['over verified TLS', true],
  ])('is refused, %s', async (_, secure) => {
    const { error, received } = await meet(scramWithoutProof, {}, secure);
    expect(error).toEqual(refused);
    expectNothingOfThePassword(received);
  });

  it('is refused if its proof is wrong', async () => {
    const { error } = await meet(async (session) => {
      const send = session.send;
      await scramWithoutProof({
        ...session,
        send: (...parts) =>
          parts[0] === authenticationOk
            ? send(authentication(12, Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`)), ...parts)
            : send(...parts),
      });
    });
    expect(error).toMatchObject({ message: expect.stringContaining('SASL'), outcome: 'not-executed' });
  });
});

describe('a server that asks for a method that pg cannot answer', () => {
  const mechanisms = (...names: string[]) => authentication(10, Buffer.from(`${names.join('\0')}\0\0`));
  const requests = [
    ['gss', authentication(7)],
    ['gss', authentication(8, Buffer.from('token'))],
    ['sspi', authentication(9)],
    ['krb5', authentication(2)],
    ['oauth', mechanisms('OAUTHBEARER')],
  ] as const;
  const plainHost = () => ({ host: '127.0.0.1', port: server?.port, user: 'app', database: 'app', password });

  it.each(requests)('%s, is refused with what to write, and gets nothing', async (method, request) => {
    for (const requireAuth of [undefined, 'scram-sha-256', `none,${method === 'krb5' ? 'gss' : method}`]) {
      for (const secure of [false, true]) {
        const { error, received } = await meet(asking(request), { requireAuth }, secure);
        expect(error).toEqual(refused);
        expect(String(error)).toContain(`asked for authentication method ${method}, which pg cannot answer: `);
        expectNothingOfThePassword(received);
        await server?.[Symbol.asyncDispose]();
      }
    }
  });

  it.each(requests)('%s, is refused by a pool for a plain host, too', async (_, request) => {
    server = await startFakePostgres({ script: asking(request) });
    const pool = new Pool(plainHost());
    await expect(pool.query('select 1')).rejects.toEqual(refused);
    await pool.end();
    expectNothingOfThePassword(server.received());
  });

  it('may offer it beside SCRAM, which is then taken', async () => {
    const { error, received } = await meet(async (session) => {
      session.send(mechanisms('OAUTHBEARER', 'SCRAM-SHA-256'));
      await session.receive();
      session.send(errorResponse('28P01', 'FATAL'));
    });
    expect(error).toMatchObject({ code: '28P01' });
    expect(received).toContain('SCRAM-SHA-256');
  });
});

describe('channelBinding: require', () => {
  it.each([
    ['no authentication at all', welcome],
    ['the password in clear text', [cleartextRequest]],
    ['MD5', [md5Request]],
    ['SCRAM without binding', [scramRequest]],
  ])('refuses a server that wants %s', async (_, request) => {
    const { error, received } = await meet(asking(...request), { channelBinding: 'require' }, true);
    expect(error).toEqual(refused);
    expectNothingOfThePassword(received);
  });
});

describe('a server that takes TLS away', () => {
  it('is left before a start-up message is sent', async () => {
    const { error, received } = await meet(asking(cleartextRequest), { ssl: { ca: tls.ca } });
    expect(error).toMatchObject({ message: 'The server does not support SSL connections', outcome: 'not-executed' });
    expect(received).toBe('');
  });
});

describe('a server that is out to break the process', () => {
  it('by an error right behind an early welcome: the caller gets the refusal', async () => {
    const { error } = await meet(({ send }) => send(...welcome, errorResponse('57P01', 'FATAL')));
    expect(error).toEqual(refused);
  });
});
