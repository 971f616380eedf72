import { createCertificateAuthority } from '@externalname/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { SharedSecureContext } from './secure-context.ts';

let ca: string;
let otherCa: string;
let certificate: { cert: string; key: string };

beforeAll(async () => {
  const [one, other] = await Promise.all([createCertificateAuthority(), createCertificateAuthority()]);
  const issued = await one.issue({ hostNames: ['client.example.com'] });
  ca = one.certificate;
  otherCa = other.certificate;
  certificate = { cert: issued.certificate, key: issued.privateKey };
});

describe('the secure context of connections', () => {
  it('is one if their options are the same, in another object too', () => {
    const shared = new SharedSecureContext();
    const context = shared.of({ ca, minVersion: 'TLSv1.3' });
    expect(context).toBeDefined();
    expect(shared.of({ ca, minVersion: 'TLSv1.3' })).toBe(context);
  });

  it.each<[string, () => object]>([
    ['another authority', () => ({ ca: otherCa })],
    ['another list of authorities', () => ({ ca: [ca, otherCa] })],
    ['another version of TLS', () => ({ ca, minVersion: 'TLSv1.3' })],
    ['a certificate of its own', () => ({ ca, ...certificate })],
    ['no authority', () => ({})],
  ])('is another one with %s', (_, options) => {
    const shared = new SharedSecureContext();
    const context = shared.of({ ca });
    const other = shared.of(options());
    expect(other).toBeDefined();
    expect(other).not.toBe(context);
  });

  it('is another one if the same object has changed, as by a rotation', () => {
    const shared = new SharedSecureContext();
    const authorities = [ca];
    const options: { ca: string | string[] } = { ca: authorities };
    const first = shared.of(options);
    authorities.push(otherCa);
    const second = shared.of(options);
    options.ca = otherCa;
    const third = shared.of(options);
    expect(new Set([first, second, third]).size).toBe(3);
  });

  it('is another one for another private key, although that is hidden', () => {
    const shared = new SharedSecureContext();
    const withKey = (key: string | Buffer) => Object.defineProperty({ cert: certificate.cert }, 'key', { value: key });
    const context = shared.of(withKey(certificate.key));
    expect(context).toBeDefined();
    expect(shared.of(withKey(certificate.key))).toBe(context);
    expect(shared.of(withKey(Buffer.from(certificate.key)))).not.toBe(context);
  });

  it('is left to the options if they bring one, and if none can be made of them', () => {
    const shared = new SharedSecureContext();
    expect(shared.of({ secureContext: {} })).toBeUndefined();
    expect(shared.of({ cert: 'no certificate' })).toBeUndefined();
  });
});
