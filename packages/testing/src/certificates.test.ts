import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createCertificateAuthority } from './certificates.ts';

describe('a certificate authority', () => {
  it('issues certificates that name exactly what was asked for, and that verify against it', async () => {
    const authority = await createCertificateAuthority();
    const issued = await authority.issue({
      hostNames: ['primary-db.example.com', '*.pool.example.com'],
      addresses: ['127.0.0.1', '::1'],
    });
    const certificate = new X509Certificate(issued.certificate);
    const issuer = new X509Certificate(authority.certificate);
    expect(certificate.subjectAltName).toBe(
      'DNS:primary-db.example.com, DNS:*.pool.example.com, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(certificate.verify(issuer.publicKey)).toBe(true);
    expect(certificate.checkIssued(issuer)).toBe(true);
    expect(issuer.ca).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkPrivateKey(createPrivateKey(issued.privateKey))).toBe(true);
    expect(createPublicKey(issued.privateKey).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
  });

  it('is not trusted for certificates of another authority with the same name', async () => {
    const [one, other] = [await createCertificateAuthority(), await createCertificateAuthority()];
    const { certificate } = await one.issue({ hostNames: ['a.example.com'] });
    expect(new X509Certificate(certificate).verify(new X509Certificate(other.certificate).publicKey)).toBe(false);
  });

  it('issues for a year unless told otherwise, also for a time that is over', async () => {
    const authority = await createCertificateAuthority();
    const usual = new X509Certificate((await authority.issue({ hostNames: ['a.example.com'] })).certificate);
    const days = (Date.parse(usual.validTo) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(365);
    expect(Date.parse(usual.validFrom)).toBeLessThan(Date.now());
    const notBefore = new Date('2020-01-01T00:00:00Z');
    const notAfter = new Date('2020-01-02T00:00:00Z');
    const over = await authority.issue({ hostNames: ['a.example.com'], notBefore, notAfter });
    expect(Date.parse(new X509Certificate(over.certificate).validTo)).toBe(notAfter.getTime());
  });

  it('gives each certificate a number and a key of its own', async () => {
    const authority = await createCertificateAuthority();
    const issued = await Promise.all([1, 2, 3].map(() => authority.issue({ hostNames: ['a.example.com'] })));
    expect(new Set(issued.map(({ certificate }) => new X509Certificate(certificate).serialNumber)).size).toBe(3);
    expect(new Set(issued.map(({ privateKey }) => privateKey)).size).toBe(3);
  });

  it('takes a name that is longer than a common name may be', async () => {
    const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.example.com`;
    const authority = await createCertificateAuthority({ name: 'Ours' });
    const certificate = new X509Certificate((await authority.issue({ hostNames: [long] })).certificate);
    expect(certificate.checkHost(long)).toBe(long);
    expect(certificate.issuer).toBe('CN=Ours');
  });

  it('does not show its key when it is printed, and keeps it in a copy', async () => {
    const issued = await (await createCertificateAuthority()).issue({ hostNames: ['a.example.com'] });
    expect(inspect({ issued }, { depth: 5 })).not.toContain('PRIVATE KEY');
    expect({ ...issued }.privateKey).toContain('BEGIN PRIVATE KEY');
  });

  it.each([
    ['hostNames', { hostNames: [] }],
    ['hostNames[1]', { hostNames: ['a.example.com', 'not a name'] }],
    ['hostNames[0]', { hostNames: ['*.*.example.com'] }],
    ['addresses[0]', { hostNames: [], addresses: ['localhost'] }],
  ])('refuses a request whose %s is at fault', async (argument, request) => {
    const authority = await createCertificateAuthority();
    await expect(authority.issue(request)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument,
    });
  });
});
