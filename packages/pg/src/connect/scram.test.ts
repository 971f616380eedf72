import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveKeys, preparePassword, proveKeys, readChallenge } from './scram.ts';

describe('SCRAM-SHA-256', () => {
  it('says what the example of RFC 7677 says (section 3)', async () => {
    const challenge = readChallenge(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    );
    const keys = await deriveKeys('pencil', challenge);
    const clientFirst = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO';
    expect(proveKeys(keys, { clientFirst, challenge })).toEqual({
      message:
        'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      serverSignature: '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    });
  });

  it('binds the proof to the channel, if the first message says so (RFC 5802 section 6)', async () => {
    const challenge = readChallenge('r=clientserver,s=c2FsdA==,i=1');
    const keys = await deriveKeys('pencil', challenge);
    const channelBinding = Buffer.from('digest');
    const { message } = proveKeys(keys, {
      clientFirst: 'p=tls-server-end-point,,n=*,r=client',
      challenge,
      channelBinding,
    });
    const bound = /^c=([^,]*),r=clientserver,p=/.exec(message)?.[1] ?? '';
    expect(Buffer.from(bound, 'base64').toString()).toBe('p=tls-server-end-point,,digest');
  });

  it('can be repeated with the same keys', async () => {
    const challenge = readChallenge('r=clientserver,s=c2FsdA==,i=1');
    const keys = await deriveKeys('pencil', challenge);
    const exchange = { clientFirst: 'n,,n=*,r=client', challenge };
    expect(proveKeys(keys, exchange)).toEqual(proveKeys(keys, exchange));
  });

  it('leaves nothing of the keys in what is printed or written as JSON', async () => {
    const keys = await deriveKeys('pencil', { salt: 'c2FsdA==', iterations: 1 });
    const bytes = [keys.clientKey.export(), keys.serverKey.export()];
    const shown = inspect(keys, { depth: 10, showHidden: true }) + JSON.stringify(keys);
    for (const each of bytes) {
      expect(shown).not.toContain(each.toString('hex'));
      expect(shown).not.toContain(each.toString('base64'));
      expect(shown).not.toContain([...each].join(','));
    }
  });
});

describe('a challenge', () => {
  it.each([
    ['s=c2FsdA==,i=4096', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: nonce missing'],
    ['r=,s=c2FsdA==,i=4096', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: nonce missing'],
    ['r=a\tb,s=c2FsdA==,i=4096', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: nonce must only contain printable characters'],
    ['r=abc,i=4096', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: salt missing'],
    ['r=abc,s=c2FsdA=,i=4096', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: salt must be base64'],
    ['r=abc,s=c2FsdA==', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: iteration missing'],
    ['r=abc,s=c2FsdA==,i=0', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: invalid iteration count'],
    ['r=abc,s=c2FsdA==,i=1e9', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: invalid iteration count'],
    ['r=abc,s=c2FsdA==,i=-1', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: invalid iteration count'],
    ['hello', 'SASL: Invalid attribute pair entry'],
    ['', 'SASL: Invalid attribute pair entry'],
  ])('%j is refused: %s', (text, message) => {
    expect(() => readChallenge(text)).toThrow(new Error(message));
  });

  it('is read back as it was written, whatever the order of its attributes', () => {
    const nonces = fc.stringMatching(/^[\x21-\x2b\x2d-\x7e]{1,40}$/);
    const salts = fc.uint8Array({ minLength: 1, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64'));
    const counts = fc.integer({ min: 1, max: 2 ** 31 });
    fc.assert(
      fc.property(nonces, salts, counts, fc.boolean(), (nonce, salt, iterations, reversed) => {
        const attributes = [`r=${nonce}`, `s=${salt}`, `i=${iterations}`];
        const text = (reversed ? attributes.reverse() : attributes).join(',');
        expect(readChallenge(text)).toEqual({ nonce, salt, iterations });
      }),
    );
  });

  it('of any text is either refused by an error of SASL, or well formed', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.tuple(fc.constantFrom('r', 's', 'i', 'm', 'x'), fc.string()))
        .map((pairs) => pairs.map((pair) => pair.join('=')).join(',')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let challenge: ReturnType<typeof readChallenge>;
        try {
          challenge = readChallenge(text);
        } catch (error) {
          expect(String(error)).toMatch(/^Error: SASL: /);
          return;
        }
        expect(challenge.nonce).toMatch(/^[\x21-\x2b\x2d-\x7e]+$/);
        expect(Buffer.from(challenge.salt, 'base64').toString('base64').length).toBe(challenge.salt.length);
        expect(challenge.iterations).toBeGreaterThan(0);
      }),
    );
  });
});

describe('a password', () => {
  it.each([
    ['plain ASCII, as it is', 'correct horse: ~!@#', 'correct horse: ~!@#'],
    ['a space that is not ASCII, as a space', 'a\u00a0b\u3000c', 'a b c'],
    ['a soft hyphen and a zero-width joiner, not at all', 'a\u00adb\u200dc\ufeff', 'abc'],
    ['a ligature and a full-width letter, in their plain form', '\ufb01\uff21', 'fiA'],
    ['a letter and its accent, as one', 'e\u0301', '\u00e9'],
  ])('is prepared by SASLprep: %s', (_, given, prepared) => {
    expect(preparePassword(given)).toBe(prepared);
  });
});
