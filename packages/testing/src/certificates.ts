import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { InvalidArgumentError } from '@externalname/core';
import { hostNameProblem } from '@externalname/core/names';
// tsyringe, inside @peculiar/x509, refuses to load before this polyfill.
import 'reflect-metadata';
import { aDate, aText, checkOptions, describeValue, listOf, optional } from '@externalname/core/internal';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { concealed } from './concealed.ts';

/** A certificate and the key that belongs to it, both as PEM text. */
export interface IssuedCertificate {
  /** The certificate alone, without its issuer. */
  readonly certificate: string;
  /** PKCS #8. A secret, so it is hidden when the object is printed. */
  readonly privateKey: string;
}

/** What a certificate should contain. See {@link CertificateAuthority.issue}. */
export interface CertificateRequest {
  /** DNS names that the certificate is valid for, wildcards (`*.example.com`) included. May be empty if `addresses` is not. */
  hostNames: readonly string[];
  /** IP addresses that the certificate is valid for. @defaultValue none */
  addresses?: readonly string[] | undefined;
  /** Start of validity. @defaultValue one hour ago, to allow for clock skew */
  notBefore?: Date | undefined;
  /** End of validity. A date in the past makes an expired certificate. @defaultValue in one year */
  notAfter?: Date | undefined;
}

/**
 * A certificate authority that lives as long as this object. No other program trusts it, and its key is never written to disk.
 *
 * @example
 * ```ts
 * const authority = await createCertificateAuthority();
 * const { certificate, privateKey } = await authority.issue({ hostNames: ['primary-db.example.com'] });
 * tls.createServer({ cert: certificate, key: privateKey });
 * tls.connect({ ca: authority.certificate, servername: 'primary-db.example.com', ... });
 * ```
 */
export interface CertificateAuthority {
  /** The authority's own certificate, PEM. Clients pass it as `ca`. */
  readonly certificate: string;
  /**
   * Issues a server certificate (EC P-256, SHA-256, usable for client authentication too).
   *
   * @throws {@link InvalidArgumentError} (`ERR_EXTERNALNAME_INVALID_ARGUMENT`) if a name or address is not valid, or none is given.
   */
  issue(request: CertificateRequest): Promise<IssuedCertificate>;
}

/** See {@link createCertificateAuthority}. */
export interface CertificateAuthorityOptions {
  /** Common name in the authority's certificate. @defaultValue `Throw-away CA` */
  name?: string | undefined;
}

/** Makes a new {@link CertificateAuthority} with a key of its own. Valid for ten years, for certificates one level down. */
export async function createCertificateAuthority(
  options: CertificateAuthorityOptions = {},
): Promise<CertificateAuthority> {
  checkOptions(options, { name: optional(aText) });
  const keys = await generateKeys();
  const name = [{ CN: [options.name ?? 'Throw-away CA'] }];
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name,
      notBefore: hoursFromNow(-1),
      notAfter: hoursFromNow(10 * hoursOfYear),
      signingAlgorithm,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  return {
    certificate: `${certificate.toString('pem')}\n`,
    async issue(request) {
      const { hostNames, addresses = [] } = checkRequest(request);
      const own = await generateKeys();
      const issued = await X509CertificateGenerator.create(
        {
          serialNumber: serialNumber(),
          issuer: certificate.subjectName,
          subject: [{ CN: [(hostNames[0] ?? addresses[0] ?? '').slice(0, longestCommonName)] }],
          notBefore: request.notBefore ?? hoursFromNow(-1),
          notAfter: request.notAfter ?? hoursFromNow(hoursOfYear),
          signingAlgorithm,
          publicKey: own.publicKey,
          signingKey: keys.privateKey,
          extensions: [
            new BasicConstraintsExtension(false, undefined, true),
            new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
            new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
            new SubjectAlternativeNameExtension([
              ...hostNames.map((value) => ({ type: 'dns' as const, value })),
              ...addresses.map((value) => ({ type: 'ip' as const, value })),
            ]),
            await SubjectKeyIdentifierExtension.create(own.publicKey),
            await AuthorityKeyIdentifierExtension.create(keys.publicKey),
          ],
        },
        webcrypto,
      );
      const privateKey = PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY');
      return concealed({ certificate: `${issued.toString('pem')}\n`, privateKey: `${privateKey}\n` }, 'privateKey');
    },
  };
}

function checkRequest(request: CertificateRequest): CertificateRequest {
  checkOptions(
    request,
    {
      hostNames: listOf(aText),
      addresses: optional(listOf(aText)),
      notBefore: optional(aDate),
      notAfter: optional(aDate),
    },
    'request',
  );
  const { hostNames, addresses = [] } = request;
  if (hostNames.length === 0 && addresses.length === 0) {
    throw new InvalidArgumentError('hostNames', 'must contain at least one name, unless addresses are given');
  }
  for (const [index, name] of hostNames.entries()) {
    const problem = hostNameProblem(name.startsWith('*.') ? name.slice(2) : name);
    if (problem !== undefined)
      throw new InvalidArgumentError(`hostNames[${index}]`, `must be a host name, got ${describeValue(name)}`);
  }
  for (const [index, address] of addresses.entries()) {
    if (isIP(address) === 0)
      throw new InvalidArgumentError(`addresses[${index}]`, `must be an IP address, got ${describeValue(address)}`);
  }
  return request;
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify']);
}

// RFC 5280, section 4.1.2.2: positive, at most 20 octets, unique for the issuer.
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

function hoursFromNow(hours: number): Date {
  return new Date(Date.now() + hours * 3_600_000);
}

const hoursOfYear = 365 * 24;
const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' };
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
// RFC 5280, appendix A.1: ub-common-name.
const longestCommonName = 64;
