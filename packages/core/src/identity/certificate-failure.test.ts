import { describe, expect, it } from 'vitest';
import { explainCertificateFailure } from './certificate-failure.ts';

const target = { externalName: 'primary-db.example.com', via: ['webscaler-db.default.svc.cluster.local'] };
const date = new Date('2026-11-28T22:00:00Z');
const fromOpenSsl = (code: string, message: string) => Object.assign(new Error(message), { code });

describe('a certificate that TLS did not accept', () => {
  it.each([
    [
      'CERT_NOT_YET_VALID',
      'certificate is not yet valid',
      'is not valid yet. The clock of this machine says 2026-11-28T22:00:00.000Z',
    ],
    [
      'CERT_HAS_EXPIRED',
      'certificate has expired',
      'set the clock of this machine, which says 2026-11-28T22:00:00.000Z',
    ],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain', 'as ssl.ca'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', 'as ssl.ca'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate', 'as ssl.ca'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unable to get local issuer certificate', 'as ssl.ca'],
    ['CERT_REVOKED', 'certificate revoked', 'Give the server a new one'],
  ])('is named with its host, what to do and OpenSSL’s words: %s', (code, words, advice) => {
    const cause = fromOpenSsl(code, words);
    const error = explainCertificateFailure(target, cause, date);
    expect(error).toMatchObject({ code, cause });
    const { message } = error as Error;
    expect(message).toMatch(/^primary-db\.example\.com: the certificate of the server /);
    expect(message).toContain(advice);
    expect(message.endsWith(`(${words})`)).toBe(true);
  });

  it.each([
    fromOpenSsl('ECONNRESET', 'read ECONNRESET'),
    fromOpenSsl('toString', 'x'),
    new Error('no code'),
    'text',
    undefined,
  ])('is not what this is about: %s', (error) => {
    expect(explainCertificateFailure(target, error, date)).toBe(error);
  });
});
