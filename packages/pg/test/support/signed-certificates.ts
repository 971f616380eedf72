import { constants, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import type { CertificateAuthority } from '@externalname/testing';

/** How an authority signs, as a certificate says it: an AlgorithmIdentifier in DER (RFC 5280 section 4.1.1.2), and the signature. */
interface Signature {
  readonly algorithm: Buffer;
  readonly privateKey: KeyObject;
  readonly sign: (data: Buffer) => Buffer;
}

/** Names of signatures that an authority can be made for. */
export type SignatureName = keyof typeof identifiers;

/**
 * An authority whose certificates are signed in a way that WebCrypto does not know. Written out by hand, as no library makes
 * all of them.
 */
export function authorityWith(name: SignatureName): CertificateAuthority {
  const signature = signatureNamed(name);
  const authorityName = 'Throw-away CA';
  const certificate = certificateOf(signature, {
    subject: authorityName,
    issuer: authorityName,
    publicKey: createPublicKey(signature.privateKey),
    // BasicConstraints, critical: an authority.
    extensions: [sequence(objectIdentifier('2.5.29.19'), yes, octets(sequence(yes)))],
  });
  return {
    certificate,
    issue: async ({ hostNames }) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names = hostNames.map((hostName) => element(0x82, Buffer.from(hostName)));
      return {
        certificate: certificateOf(signature, {
          subject: hostNames[0] ?? '',
          issuer: authorityName,
          publicKey,
          // SubjectAlternativeName.
          extensions: [sequence(objectIdentifier('2.5.29.17'), octets(sequence(...names)))],
        }),
        privateKey: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
      };
    },
  };
}

interface Contents {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

// Certificate and TBSCertificate (RFC 5280 section 4.1).
function certificateOf(signature: Signature, { subject, issuer, publicKey, extensions }: Contents): string {
  const hour = 3_600_000;
  const toBeSigned = sequence(
    element(0xa0, element(0x02, Buffer.of(2))),
    element(0x02, randomBytes(8).fill(1, 0, 1)),
    signature.algorithm,
    nameOf(issuer),
    sequence(...[-hour, 24 * hour].map((from) => timeOf(new Date(Date.now() + from)))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensions)),
  );
  const bits = element(0x03, Buffer.of(0), signature.sign(toBeSigned));
  const text = sequence(toBeSigned, signature.algorithm, bits)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n');
  return `-----BEGIN CERTIFICATE-----\n${text.trim()}\n-----END CERTIFICATE-----\n`;
}

function signatureNamed(name: SignatureName): Signature {
  const algorithm = sequence(objectIdentifier(identifiers[name]), ...(name.startsWith('RSA with') ? [nothing] : []));
  if (name === 'Ed25519' || name === 'Ed448') {
    const { privateKey } = name === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ed448');
    return { algorithm, privateKey, sign: (data) => sign(null, data, privateKey) };
  }
  // SHA-256 is sha256 for OpenSSL, and SHA3-256 is sha3-256.
  const hash = name.replace(/^.* with /, '').replace('SHA-', 'SHA');
  const { privateKey } = name.startsWith('ECDSA')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (!name.startsWith('RSA-PSS')) return { algorithm, privateKey, sign: (data) => sign(hash, data, privateKey) };
  const saltLength = Number(hash.slice(-3)) / 8;
  const digest = sequence(objectIdentifier(pssHashes[hash] ?? ''));
  // RSASSA-PSS-params (RFC 4055 section 3.1): hash, mask generation function, length of the salt.
  const parameters = sequence(
    element(0xa0, digest),
    element(0xa1, sequence(objectIdentifier('1.2.840.113549.1.1.8'), digest)),
    element(0xa2, element(0x02, Buffer.of(saltLength))),
  );
  return {
    algorithm: sequence(objectIdentifier(identifiers[name]), parameters),
    privateKey,
    sign: (data) => sign(hash, data, { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }),
  };
}

const identifiers = {
  'RSA with SHA-256': '1.2.840.113549.1.1.11',
  'RSA with SHA-384': '1.2.840.113549.1.1.12',
  'RSA with SHA-512': '1.2.840.113549.1.1.13',
  'RSA with SHA-224': '1.2.840.113549.1.1.14',
  'RSA with SHA3-256': '2.16.840.1.101.3.4.3.14',
  'RSA with SHA3-512': '2.16.840.1.101.3.4.3.16',
  'ECDSA with SHA-224': '1.2.840.10045.4.3.1',
  'ECDSA with SHA-256': '1.2.840.10045.4.3.2',
  'ECDSA with SHA-384': '1.2.840.10045.4.3.3',
  'ECDSA with SHA-512': '1.2.840.10045.4.3.4',
  'RSA-PSS with SHA-224': '1.2.840.113549.1.1.10',
  'RSA-PSS with SHA-256': '1.2.840.113549.1.1.10',
  'RSA-PSS with SHA-512': '1.2.840.113549.1.1.10',
  'RSA-PSS with SHA3-256': '1.2.840.113549.1.1.10',
  Ed25519: '1.3.101.112',
  Ed448: '1.3.101.113',
} as const;

const pssHashes: Readonly<Record<string, string>> = {
  SHA224: '2.16.840.1.101.3.4.2.4',
  SHA256: '2.16.840.1.101.3.4.2.1',
  SHA512: '2.16.840.1.101.3.4.2.3',
  'SHA3-256': '2.16.840.1.101.3.4.2.8',
};

function element(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function objectIdentifier(text: string): Buffer {
  const [first = 0, second = 0, ...others] = text.split('.').map(Number);
  const bytes = [40 * first + second, ...others].flatMap((number) => {
    const septets = [number & 0x7f];
    for (let rest = number >> 7; rest > 0; rest >>= 7) septets.unshift((rest & 0x7f) | 0x80);
    return septets;
  });
  return element(0x06, Buffer.from(bytes));
}

const sequence = (...parts: Buffer[]) => element(0x30, ...parts);
const octets = (...parts: Buffer[]) => element(0x04, ...parts);
const nothing = element(0x05);
const yes = element(0x01, Buffer.of(0xff));
const nameOf = (text: string) =>
  sequence(element(0x31, sequence(objectIdentifier('2.5.4.3'), element(0x0c, Buffer.from(text)))));
const timeOf = (date: Date) => element(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`));
