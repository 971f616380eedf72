import { createHash, createHmac, createSecretKey, type KeyObject, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

/** The server's first message, parsed: RFC 5802 section 7, `server-first-message`. */
export interface ScramChallenge {
  readonly nonce: string;
  /** In base64, as received. */
  readonly salt: string;
  readonly iterations: number;
}

/**
 * What a client needs of a password to answer any challenge with the same salt and iterations (RFC 5802 section 3). Only
 * guessing leads back to the password, and SaltedPassword, from which both keys are made, is not kept.
 */
export interface ScramKeys {
  readonly clientKey: KeyObject;
  readonly serverKey: KeyObject;
}

/** What was exchanged before the client gives its proof. */
export interface ScramExchange {
  /** The client's first message, whole: `n,,n=*,r=...` */
  readonly clientFirst: string;
  readonly challenge: ScramChallenge;
  /** What the channel is bound to (RFC 5929), if `clientFirst` says so. */
  readonly channelBinding?: Uint8Array | undefined;
}

/** The client's last message, and the signature by which only a server with the same keys can answer it. */
export interface ScramProof {
  readonly message: string;
  /** In base64. */
  readonly serverSignature: string;
}

/**
 * Parses a challenge, strictly.
 *
 * @throws Error in the words of `pg`
 */
export function readChallenge(text: string): ScramChallenge {
  const attributes = readAttributes(text);
  const nonce = attributes.get('r');
  if (!nonce) throw challengeError('nonce missing');
  if (!printable.test(nonce)) throw challengeError('nonce must only contain printable characters');
  const salt = attributes.get('s');
  if (!salt) throw challengeError('salt missing');
  if (!base64.test(salt)) throw challengeError('salt must be base64');
  const iterations = attributes.get('i');
  if (!iterations) throw challengeError('iteration missing');
  if (!positiveInteger.test(iterations)) throw challengeError('invalid iteration count');
  return { nonce, salt, iterations: Number.parseInt(iterations, 10) };
}

/** Derives the keys: one PBKDF2, the whole cost of SCRAM. Off the event loop. */
export async function deriveKeys(
  password: string,
  { salt, iterations }: Pick<ScramChallenge, 'salt' | 'iterations'>,
): Promise<ScramKeys> {
  const saltedPassword = await deriveBits(preparePassword(password), Buffer.from(salt, 'base64'), iterations);
  const keys = {
    clientKey: createSecretKey(hmac(saltedPassword, 'Client Key')),
    serverKey: createSecretKey(hmac(saltedPassword, 'Server Key')),
  };
  saltedPassword.fill(0);
  return keys;
}

/** Answers a challenge. */
export function proveKeys(keys: ScramKeys, { clientFirst, challenge, channelBinding }: ScramExchange): ScramProof {
  const headerEnd = clientFirst.indexOf(',', clientFirst.indexOf(',') + 1) + 1;
  const header = Buffer.from(clientFirst.slice(0, headerEnd));
  const bound = channelBinding === undefined ? header : Buffer.concat([header, channelBinding]);
  const { nonce, salt, iterations } = challenge;
  const withoutProof = `c=${bound.toString('base64')},r=${nonce}`;
  // Of these three attributes only, as in `pg`: a server that sent more is not understood, and refuses the proof.
  const serverFirst = `r=${nonce},s=${salt},i=${iterations}`;
  const authMessage = `${clientFirst.slice(headerEnd)},${serverFirst},${withoutProof}`;
  const clientKey = keys.clientKey.export();
  const clientSignature = hmac(createHash('sha256').update(clientKey).digest(), authMessage);
  const proof = clientKey.map((byte, index) => byte ^ (clientSignature[index] ?? 0));
  clientKey.fill(0);
  return {
    message: `${withoutProof},p=${Buffer.from(proof).toString('base64')}`,
    serverSignature: hmac(keys.serverKey, authMessage).toString('base64'),
  };
}

/**
 * SASLprep (RFC 4013) as far as it changes bytes, as in `pg`: what RFC 3454 maps to a space (C.1.2) or to
 * nothing (B.1), then NFKC. Prohibited characters are let through, because old roles may have them in their passwords.
 */
export function preparePassword(password: string): string {
  return password.replace(otherSpaces, ' ').replace(mappedToNothing, '').normalize('NFKC');
}

function readAttributes(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split(',').map((attribute) => {
      if (!/^.=/.test(attribute)) throw new Error('SASL: Invalid attribute pair entry');
      return [attribute.slice(0, 1), attribute.slice(2)];
    }),
  );
}

function challengeError(what: string): Error {
  return new Error(`SASL: SCRAM-SERVER-FIRST-MESSAGE: ${what}`);
}

const deriveBits = (password: string, salt: Buffer, iterations: number): Promise<Buffer> =>
  promisify(pbkdf2)(password, salt, iterations, 32, 'sha256');

function hmac(key: Uint8Array | KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

const printable = /^[\x21-\x2b\x2d-\x7e]*$/;
const base64 = /^(?:[\da-z+/]{4})*(?:[\da-z+/]{2}(?:==|[\da-z+/]=))?$/i;
const positiveInteger = /^[1-9]\d*$/;

const otherSpaces = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
// As alternatives: in a class, some of them would combine with their neighbours.
const mappedToNothing = /\u00ad|\u034f|\u1806|\u180b|\u180c|\u180d|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g;
