import { createHash, X509Certificate } from 'node:crypto';
import { createCertificateAuthority } from '@externalname/testing';
import fc from 'fast-check';
import { signatureAlgorithmHashFromCertificate as hashByPg } from 'pg/lib/crypto/cert-signatures.js';
import { describe, expect, it } from 'vitest';
import { hashOfSignature, tlsServerEndPoint } from './channel-binding.ts';

const element = (tag: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts);
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
};
const sequence = (...parts: Buffer[]) => element(0x30, ...parts);
const objectIdentifier = (text: string): Buffer => {
  const [first = 0, second = 0, ...others] = text.split('.').map(Number);
  const bytes = [40 * first + second, ...others].flatMap((number) => {
    const septets = [number & 0x7f];
    for (let rest = number >> 7; rest > 0; rest >>= 7) septets.unshift((rest & 0x7f) | 0x80);
    return septets;
  });
  return element(0x06, Buffer.from(bytes));
};

/** As much of a certificate as says how it was signed, behind contents of that size. */
const certificateWith = (algorithm: Buffer, size = 300): Buffer =>
  sequence(sequence(Buffer.alloc(size)), algorithm, element(0x03, Buffer.alloc(64)));

const signedBy = (identifier: string) => certificateWith(sequence(objectIdentifier(identifier)));
const signedByRsaPss = (...parameters: Buffer[]) =>
  certificateWith(sequence(objectIdentifier('1.2.840.113549.1.1.10'), ...parameters));
const pssHash = (identifier: string) => sequence(element(0xa0, sequence(objectIdentifier(identifier))));

describe('the digest that SCRAM is bound to', () => {
  it('is that of the certificate, by the hash function that it was signed with', async () => {
    const authority = await createCertificateAuthority();
    const { certificate } = await authority.issue({ hostNames: ['primary-db.example.com'] });
    const { raw } = new X509Certificate(certificate);
    expect(tlsServerEndPoint(raw)).toEqual(createHash('sha256').update(raw).digest());
  });

  it.each([
    ['RSA with MD5, for which SHA-256 stands in', '1.2.840.113549.1.1.4', 'sha256'],
    ['RSA with SHA-1, for which SHA-256 stands in', '1.2.840.113549.1.1.5', 'sha256'],
    ['RSA with SHA-256', '1.2.840.113549.1.1.11', 'sha256'],
    ['RSA with SHA-384', '1.2.840.113549.1.1.12', 'sha384'],
    ['RSA with SHA-512', '1.2.840.113549.1.1.13', 'sha512'],
    ['RSA with SHA-224', '1.2.840.113549.1.1.14', 'sha224'],
    ['ECDSA with SHA-1, for which SHA-256 stands in', '1.2.840.10045.4.1', 'sha256'],
    ['ECDSA with SHA-224', '1.2.840.10045.4.3.1', 'sha224'],
    ['ECDSA with SHA-256', '1.2.840.10045.4.3.2', 'sha256'],
    ['ECDSA with SHA-384', '1.2.840.10045.4.3.3', 'sha384'],
    ['ECDSA with SHA-512', '1.2.840.10045.4.3.4', 'sha512'],
  ])('follows the signature, as with pg: %s', (_, identifier, hash) => {
    const certificate = signedBy(identifier);
    expect(hashOfSignature(certificate)).toBe(hash);
    expect(inNodesWords(hashByPg(certificate))).toBe(hash);
  });

  it.each([
    ['MD5', '1.2.840.113549.2.5', 'sha256'],
    ['SHA-1', '1.3.14.3.2.26', 'sha256'],
    ['SHA-256', '2.16.840.1.101.3.4.2.1', 'sha256'],
    ['SHA-384', '2.16.840.1.101.3.4.2.2', 'sha384'],
    ['SHA-512', '2.16.840.1.101.3.4.2.3', 'sha512'],
  ])('follows the parameters of RSASSA-PSS, as with pg: %s', (_, identifier, hash) => {
    const certificate = signedByRsaPss(pssHash(identifier));
    expect(hashOfSignature(certificate)).toBe(hash);
    expect(inNodesWords(hashByPg(certificate))).toBe(hash);
  });

  it.each([
    ['RSA with SHA-512/224', '1.2.840.113549.1.1.15', 'sha512-224'],
    ['RSA with SHA3-224', '2.16.840.1.101.3.4.3.13', 'sha3-224'],
    ['RSA with SHA3-256', '2.16.840.1.101.3.4.3.14', 'sha3-256'],
    ['RSA with SHA3-512', '2.16.840.1.101.3.4.3.16', 'sha3-512'],
    ['ECDSA with SHA3-224', '2.16.840.1.101.3.4.3.9', 'sha3-224'],
    ['ECDSA with SHA3-384', '2.16.840.1.101.3.4.3.11', 'sha3-384'],
    ['ECDSA with SHA3-512', '2.16.840.1.101.3.4.3.12', 'sha3-512'],
  ])('follows the signature: %s', (_, identifier, hash) => {
    const certificate = signedBy(identifier);
    expect(hashOfSignature(certificate)).toBe(hash);
    expect(tlsServerEndPoint(certificate)).toEqual(createHash(hash).update(certificate).digest());
  });

  it.each([
    ['SHA-224', '2.16.840.1.101.3.4.2.4', 'sha224'],
    ['SHA-512/256', '2.16.840.1.101.3.4.2.6', 'sha512-256'],
    ['SHA3-256', '2.16.840.1.101.3.4.2.8', 'sha3-256'],
    ['SHA3-512', '2.16.840.1.101.3.4.2.10', 'sha3-512'],
  ])('is found if pg finds none: RSASSA-PSS with %s', (_, identifier, hash) => {
    const certificate = signedByRsaPss(pssHash(identifier));
    expect(hashOfSignature(certificate)).toBe(hash);
    expect(tlsServerEndPoint(certificate)).toEqual(createHash(hash).update(certificate).digest());
    expect(() => hashByPg(certificate)).toThrow();
  });

  it('is by SHA-256 if RSASSA-PSS names no hash function, which stands for SHA-1', () => {
    expect(hashOfSignature(signedByRsaPss())).toBe('sha256');
    expect(hashOfSignature(signedByRsaPss(element(0x05)))).toBe('sha256');
    expect(hashOfSignature(signedByRsaPss(sequence()))).toBe('sha256');
    expect(hashOfSignature(signedByRsaPss(sequence(element(0xa2, element(2, Buffer.from([32]))))))).toBe('sha256');
  });

  it.each([
    ['Ed25519', signedBy('1.3.101.112')],
    ['Ed448', signedBy('1.3.101.113')],
    ['DSA with SHA-224', signedBy('2.16.840.1.101.3.4.3.1')],
    ['ML-DSA-44', signedBy('2.16.840.1.101.3.4.3.17')],
    ['an unknown one', signedBy('1.2.3.4.5')],
    ['RSASSA-PSS with SHAKE128', signedByRsaPss(pssHash('2.16.840.1.101.3.4.2.11'))],
    [
      'RSASSA-PSS with a length that goes beyond the certificate',
      signedByRsaPss(Buffer.from('3006a004847fffffff', 'hex')),
    ],
  ])('does not exist for a signature by %s', (_, certificate) => {
    expect(hashOfSignature(certificate)).toBeUndefined();
    expect(() => tlsServerEndPoint(certificate)).toThrow(/^SASL channel binding: /);
  });

  it('is found or not, whatever the bytes are', () => {
    const whole = signedByRsaPss(pssHash('2.16.840.1.101.3.4.2.1'));
    const damaged = fc.tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length)).map(([at, byte, length]) => {
      const copy = Buffer.from(whole);
      copy[at] = byte;
      return copy.subarray(0, length);
    });
    const any = fc.uint8Array().map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(any, damaged), (bytes) => {
        expect(hashOfSignature(bytes) ?? 'sha').toMatch(/^sha/);
      }),
    );
  });
});

// `pg` puts SHA-256 in place of MD5 and SHA-1 by itself, where it uses the name.
function inNodesWords(name: string): string {
  return name === 'MD5' || name === 'SHA-1' ? 'sha256' : name.replace('-', '').toLowerCase();
}
