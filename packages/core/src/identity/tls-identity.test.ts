import type { PeerCertificate } from 'node:tls';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tlsIdentity } from './tls-identity.ts';

const service = 'webscaler-db.default.svc.cluster.local';
const target = { externalName: 'primary-db.example.com', via: [service] };

/** As much of a certificate as Node looks at. */
function certificate(subjectaltname: string | undefined, commonName?: string | string[]): PeerCertificate {
  return { subject: { CN: commonName }, subjectaltname } as unknown as PeerCertificate;
}

function verdict(shown: PeerCertificate, of: { externalName: string; via: readonly string[] } = target) {
  return tlsIdentity(of).checkServerIdentity('webscaler-db', shown);
}

describe('the TLS identity of a target', () => {
  it('is its ExternalName: sent as SNI, and wanted in the certificate', () => {
    expect(tlsIdentity(target).servername).toBe('primary-db.example.com');
    expect(verdict(certificate('DNS:primary-db.example.com'))).toBeUndefined();
  });

  it('is never the name of the Service, nor the host that the connection was opened with', () => {
    const shown = certificate(`DNS:webscaler-db, DNS:${service}`);
    expect(verdict(shown)).toMatchObject({ code: 'ERR_EXTERNALNAME_TLS_IDENTITY' });
    expect(tlsIdentity(target).checkServerIdentity(service, shown)).toBeInstanceOf(Error);
  });

  it.each([
    ['its own name', 'DNS:primary-db.example.com', true],
    ['its own name in other case', 'DNS:Primary-DB.EXAMPLE.com', true],
    ['its own name among others', 'DNS:a.example.org, IP Address:203.0.113.1, DNS:primary-db.example.com', true],
    ['a wildcard for one label', 'DNS:*.example.com', true],
    ['a wildcard for two labels', 'DNS:*.com', false],
    ['a wildcard for the name itself', 'DNS:*.primary-db.example.com', false],
    ['a wildcard for the end of a label', 'DNS:prim*.example.com', false],
    ['a wildcard for the start of a label', 'DNS:*-db.example.com', false],
    ['a wildcard inside of a label', 'DNS:p*b.example.com', false],
    ['a partial wildcard and its own name', 'DNS:prim*.example.com, DNS:primary-db.example.com', true],
    ['a wildcard twice', 'DNS:*.*.com', false],
    ['another name', 'DNS:secondary-db.example.com', false],
    ['a name that ends the same', 'DNS:xprimary-db.example.com', false],
    ['a name that goes on', 'DNS:primary-db.example.com.evil.org', false],
    ['a name hidden in another one', 'DNS:"evil.org, DNS:primary-db.example.com"', false],
    ['a URI', 'URI:https://primary-db.example.com/', false],
    ['an e-mail address', 'email:primary-db.example.com', false],
    ['no name', undefined, false],
  ])('is proven by a certificate that has %s: %s -> %s', (_, subjectaltname, proven) => {
    expect(verdict(certificate(subjectaltname)) === undefined).toBe(proven);
  });

  it('is proven by the common name only where the certificate has no alternative names', () => {
    const commonName = 'primary-db.example.com';
    expect(verdict(certificate(undefined, commonName))).toBeUndefined();
    expect(verdict(certificate(undefined, ['other.example.com', commonName]))).toBeUndefined();
    expect(verdict(certificate(undefined, '*.example.com'))).toBeUndefined();
    expect(verdict(certificate(undefined, 'prim*.example.com'))).toBeInstanceOf(Error);
    expect(verdict(certificate(undefined, ['prim*.example.com', 'other.example.com']))).toBeInstanceOf(Error);
    expect(verdict(certificate('DNS:prim*.example.com', commonName))).toBeInstanceOf(Error);
    for (const alternative of ['DNS:other.example.com', 'IP Address:203.0.113.1', 'URI:spiffe://db', 'email:a@b.c']) {
      expect(verdict(certificate(alternative, commonName)), alternative).toMatchObject({
        code: 'ERR_EXTERNALNAME_TLS_IDENTITY',
      });
    }
  });

  it('is an IP address where the application named one: no SNI, and wanted among the addresses', () => {
    for (const [address, shown] of [
      ['203.0.113.1', 'IP Address:203.0.113.1'],
      ['2001:db8::1', 'IP Address:2001:DB8:0:0:0:0:0:1'],
    ] as const) {
      const host = { externalName: address, via: [] };
      expect(tlsIdentity(host).servername).toBe('');
      expect(verdict(certificate(shown), host)).toBeUndefined();
      expect(verdict(certificate(`DNS:${address}`, address), host)).toBeInstanceOf(Error);
    }
  });

  it('does not match an address inside another name (CVE-2021-44532)', () => {
    const host = { externalName: '2001:db8::1', via: [] };
    expect(verdict(certificate('DNS:"a, IP Address:2001:DB8::1"'), host)).toBeInstanceOf(Error);
    expect(verdict(certificate('DNS:a, IP Address:2001:DB8::2'), host)).toBeInstanceOf(Error);
  });

  it('is canonical', () => {
    const written = { externalName: 'Primary-DB.example.com.', via: [] };
    expect(tlsIdentity(written).servername).toBe('primary-db.example.com');
    expect(verdict(certificate('DNS:primary-db.example.com'), written)).toBeUndefined();
  });
});

describe('a certificate for another name', () => {
  it('is refused with the name that was wanted, how it came about, and the names that it has', () => {
    expect(
      verdict(certificate('DNS:secondary-db.example.com, DNS:*.db.example.com, IP Address:203.0.113.1')),
    ).toMatchObject({
      code: 'ERR_EXTERNALNAME_TLS_IDENTITY',
      outcome: 'not-executed',
      wanted: 'primary-db.example.com',
      via: [service],
      certificateNames: ['secondary-db.example.com', '*.db.example.com', '203.0.113.1'],
      message:
        'the server did not prove to be primary-db.example.com ' +
        '(webscaler-db.default.svc.cluster.local -> primary-db.example.com): ' +
        'its certificate is for secondary-db.example.com, *.db.example.com, 203.0.113.1. ' +
        'Give the server a certificate for that name, or point the Service to a name that its certificate has',
    });
  });

  it("keeps Node's own error for its cause", () => {
    expect(verdict(certificate('DNS:secondary-db.example.com'))).toMatchObject({
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID', host: 'primary-db.example.com' },
    });
  });

  it('is refused by its common name where it has no other', () => {
    expect(verdict(certificate(undefined, 'secondary-db.example.com'))).toMatchObject({
      certificateNames: ['secondary-db.example.com'],
    });
    expect(verdict(certificate(undefined))).toMatchObject({
      certificateNames: [],
      message: expect.stringContaining('its certificate is for no name at all'),
    });
  });

  it('shows a name with a comma in it as one name, in its quotes', () => {
    expect(verdict(certificate('DNS:"a, DNS:primary-db.example.com", DNS:b'))).toMatchObject({
      certificateNames: ['"a, DNS:primary-db.example.com"', 'b'],
    });
  });

  it('does not fill the log, however many names it has', () => {
    const many = Array.from({ length: 5000 }, (_, index) => `DNS:${'x'.repeat(200)}${index}.example.com`).join(', ');
    const error = verdict(certificate(many));
    expect(error).toMatchObject({ message: expect.stringContaining('and 4990 more') });
    expect(error?.message.length).toBeLessThan(3000);
  });

  it('is refused where Node cannot read its names, and no exception leaves the check', () => {
    expect(verdict(certificate('DNS:"primary-db.example.com'))).toMatchObject({
      code: 'ERR_EXTERNALNAME_TLS_IDENTITY',
      cause: { code: 'ERR_TLS_CERT_ALTNAME_FORMAT' },
    });
  });

  it('is refused, whatever is written in it', () => {
    const piece = fc.constantFrom(
      'DNS:',
      'IP Address:',
      'URI:',
      ', ',
      ',',
      '"',
      '\\',
      '\\"',
      ':',
      'a',
      '*.',
      '.',
      '\u0000',
    );
    const text = fc.array(piece, { maxLength: 200 }).map((pieces) => pieces.join(''));
    return fc.assert(
      fc.property(text, (subjectaltname) => {
        expect(verdict(certificate(subjectaltname))).toMatchObject({ code: 'ERR_EXTERNALNAME_TLS_IDENTITY' });
      }),
    );
  });
});
