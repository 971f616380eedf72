import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import type * as pg from 'pg';
import { describe, expect, it } from 'vitest';
import { answerScramFrom } from './authentication.ts';
import { ScramKeyCache } from './scram-key-cache.ts';

const require = createRequire(import.meta.url);
const sasl = require(join(dirname(require.resolve('pg')), 'crypto/sasl.js')) as {
  continueSession(session: Session, password: unknown, data: unknown, stream: unknown): Promise<void>;
};

interface Session {
  mechanism: string;
  clientNonce: string;
  scramMaxIterations: number;
  message: string;
  response: string;
  serverSignature?: string;
}

interface Challenge {
  readonly session: Session;
  readonly password: unknown;
  readonly data: unknown;
  readonly stream: unknown;
}

const plainSession: Session = {
  mechanism: 'SCRAM-SHA-256',
  clientNonce: 'client',
  scramMaxIterations: 100,
  message: 'SASLInitialResponse',
  response: 'n,,n=*,r=client',
};

/** What `pg` answers: the session as it leaves it, or its error's message. */
async function answerOfPg({ session, password, data, stream }: Challenge): Promise<unknown> {
  const own = { ...session };
  try {
    await sasl.continueSession(own, password, data, stream);
    return own;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A client of `pg`'s make, as far as SCRAM has to do with it, that we answer for. */
function clientAnsweredFrom(cache: ScramKeyCache, { session, password, stream }: Challenge) {
  const sent: string[] = [];
  const errors: string[] = [];
  const connection = Object.assign(new EventEmitter(), {
    stream,
    sendSCRAMClientFinalMessage: (message: string) => void sent.push(message),
  });
  connection.on('error', (error: Error) => errors.push(error.message));
  const client = {
    connection,
    password,
    saslSession: { ...session } as Session | null,
    _handleAuthSASLContinue: async (_: { data: unknown }) => void sent.push('pg answered'),
  };
  answerScramFrom(client as unknown as pg.Client, cache);
  return { client, sent, errors };
}

async function answerOfOurs(cache: ScramKeyCache, challenge: Challenge): Promise<unknown> {
  const { client, sent, errors } = clientAnsweredFrom(cache, challenge);
  await client._handleAuthSASLContinue({ data: challenge.data });
  if (errors.length > 0) {
    expect(sent).toEqual([]);
    return errors[0];
  }
  expect(sent).toEqual([client.saslSession?.response]);
  return client.saslSession;
}

// As little of a certificate as can be: it was signed by ECDSA with SHA-256.
const certificate = Buffer.from('30103000300a06082a8648ce3d0403020300', 'hex');

const valid = { session: plainSession, password: 'pencil', data: 'r=clientserver,s=c2FsdA==,i=4', stream: false };

describe('the answer to a challenge of SCRAM', () => {
  it.each<[string, Partial<Challenge>]>([
    ['a good one', {}],
    [
      'over a channel that is not bound, although the client could',
      { stream: {}, session: { ...plainSession, response: 'y,,n=*,r=client' } },
    ],
    [
      'over a channel that is bound',
      {
        stream: { getPeerCertificate: () => ({ raw: certificate }) },
        session: {
          ...plainSession,
          mechanism: 'SCRAM-SHA-256-PLUS',
          response: 'p=tls-server-end-point,,n=*,r=client',
        },
      },
    ],
    ['a password that is none', { password: null }],
    ['a password that is not a string', { password: 7 }],
    ['an empty password', { password: '' }],
    ['no message', { data: undefined }],
    ['an empty message', { data: '' }],
    ['a nonce that is not ours', { data: 'r=another,s=c2FsdA==,i=4' }],
    ['a nonce to which the server added nothing', { data: 'r=client,s=c2FsdA==,i=4' }],
    ['as many iterations as are allowed', { data: 'r=clientserver,s=c2FsdA==,i=100' }],
    ['one iteration more than is allowed', { data: 'r=clientserver,s=c2FsdA==,i=101' }],
    [
      'any number of iterations, if that is allowed',
      { data: 'r=clientserver,s=c2FsdA==,i=101', session: { ...plainSession, scramMaxIterations: 0 } },
    ],
    ['iterations beyond counting', { data: `r=clientserver,s=c2FsdA==,i=1${'0'.repeat(40)}` }],
    ['a mechanism that was not begun', { session: { ...plainSession, message: 'SASLResponse' } }],
    ['an extension', { data: 'r=clientserver,s=c2FsdA==,i=4,x=more' }],
    ['a password beyond ASCII', { password: 'p\u00adaß\u00a0w\ufb01rd\u0301' }],
  ])('is that of pg, byte for byte and word for word: %s', async (_, part) => {
    const challenge = { ...valid, ...part };
    expect(await answerOfOurs(new ScramKeyCache(), challenge)).toEqual(await answerOfPg(challenge));
  });

  it('is that of pg for any message and password, whatever was answered before', async () => {
    const cache = new ScramKeyCache();
    const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }));
    const attribute = fc.oneof(
      text.map((value) => `r=client${value}`),
      fc.string().map((value) => `r=client${value.replace(/[^!-+\--~]/g, '')}`),
      fc.base64String({ minLength: 4 }).map((value) => `s=${value}`),
      fc.nat(120).map((value) => `i=${value}`),
      text.map((value) => `x=${value}`),
      text,
    );
    const wellFormed = fc.tuple(
      fc.stringMatching(/^[!-+\--~]{0,20}$/),
      fc.constantFrom('c2FsdA==', 'AAAA'),
      fc.nat(101),
    );
    const data = fc.oneof(
      wellFormed.map(([nonce, salt, iterations]) => `r=client${nonce},s=${salt},i=${iterations}`),
      fc.array(attribute, { maxLength: 5 }).map((attributes) => attributes.join(',')),
    );
    const password = fc.oneof(fc.constantFrom('pencil', 'crayon'), text);
    await fc.assert(
      fc.asyncProperty(data, password, async (message, secret) => {
        const challenge = { ...valid, data: message, password: secret };
        expect(await answerOfOurs(cache, challenge)).toEqual(await answerOfPg(challenge));
      }),
      { numRuns: 500 },
    );
  });

  it('is given once: a server gets no second proof in one exchange, be it quick', async () => {
    const { client, sent, errors } = clientAnsweredFrom(new ScramKeyCache(), valid);
    await Promise.all([
      client._handleAuthSASLContinue({ data: valid.data }),
      client._handleAuthSASLContinue({ data: 'r=clientserver,s=AAAA,i=1' }),
    ]);
    expect(sent).toHaveLength(1);
    expect(errors).toEqual(['SASL: Last message was not SASLInitialResponse']);
  });

  it('is not sent if the attempt is over by then', async () => {
    const { client, sent, errors } = clientAnsweredFrom(new ScramKeyCache(), valid);
    const answering = client._handleAuthSASLContinue({ data: valid.data });
    client.saslSession = null;
    await answering;
    expect([sent, errors]).toEqual([[], []]);
  });

  it('is left to pg if the session is not as pg 8.21 and later make it', async () => {
    const { scramMaxIterations: _, ...older } = plainSession;
    const { client, sent } = clientAnsweredFrom(new ScramKeyCache(), { ...valid, session: older as Session });
    await client._handleAuthSASLContinue({ data: valid.data });
    expect(sent).toEqual(['pg answered']);
  });
});
