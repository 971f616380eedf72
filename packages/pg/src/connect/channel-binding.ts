import { createHash } from 'node:crypto';
import { signatureAlgorithmHashFromCertificate } from 'pg/lib/crypto/cert-signatures.js';

/**
 * What SCRAM-SHA-256-PLUS binds to: the digest of the server's certificate (`tls-server-end-point`, RFC 5929 section 4.1), by
 * the hash function of the certificate's own signature, or by SHA-256 if that is MD5 or SHA-1.
 *
 * @param certificate DER
 * @throws Error if no hash function is known for the signature
 */
export function tlsServerEndPoint(certificate: Buffer): Buffer {
  const hash = hashOfSignature(certificate);
  if (hash === undefined) throw new Error("SASL channel binding: the certificate's signature has no hash function");
  return createHash(hash).update(certificate).digest();
}

/**
 * The hash function to bind by, as `node:crypto` names it. `undefined` if there is none: then PostgreSQL cannot bind either.
 *
 * `pg` knows RSA and ECDSA. What it gets wrong or does not know is read here: Ed25519, for which it uses SHA-512 although
 * PostgreSQL ends the session ("could not find digest for NID UNDEF"), SHA-3, and the parameters of RSASSA-PSS.
 */
export function hashOfSignature(certificate: Buffer): string | undefined {
  try {
    // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280 section 4.1)
    const [, algorithm] = contentsOf(contentsOf(certificate)[0]);
    const [identifier, parameters] = contentsOf(algorithm);
    const name = identifier?.toString('hex') ?? '';
    if (name === rsaPss) return hashOfRsaPss(parameters);
    if (name.startsWith(edwards)) return undefined;
    return sha3Signatures[numberUnder(nistSignatures, name)] ?? byPg(certificate);
  } catch {
    return undefined;
  }
}

function byPg(certificate: Buffer): string {
  const name = signatureAlgorithmHashFromCertificate(certificate);
  return name === 'MD5' || name === 'SHA-1' ? 'sha256' : name.replace('SHA-', 'SHA').toLowerCase();
}

// RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] AlgorithmIdentifier DEFAULT sha1, ... } (RFC 4055 section 3.1)
function hashOfRsaPss(parameters: Buffer | undefined): string | undefined {
  if (parameters?.[0] !== 0xa0) return 'sha256';
  const [identifier] = contentsOf(contentsOf(contentsOf(parameters)[0])[0]);
  const name = identifier?.toString('hex') ?? '';
  return weakHashes.includes(name) ? 'sha256' : hashes[numberUnder(nistHashes, name)];
}

/** The contents of the elements of a DER value (X.690). */
function contentsOf(value: Buffer | undefined): Buffer[] {
  const contents: Buffer[] = [];
  for (let at = 0; value !== undefined && at < value.length; ) {
    const length = value.readUInt8(at + 1);
    const size = length < 0x80 ? 0 : length - 0x80;
    const start = at + 2 + size;
    const end = start + (size === 0 ? length : value.readUIntBE(at + 2, size));
    contents.push(value.subarray(start, end));
    at = end;
  }
  return contents;
}

/** The last number of an object identifier under that arc. */
function numberUnder(arc: string, identifier: string): number {
  return identifier.startsWith(arc) ? Number.parseInt(identifier.slice(arc.length), 16) : Number.NaN;
}

// Object identifiers as DER has them, in hexadecimal.
const rsaPss = '2a864886f70d01010a'; // 1.2.840.113549.1.1.10
const edwards = '2b65'; // 1.3.101: Ed25519 and Ed448
const weakHashes = ['2a864886f70d0205', '2b0e03021a']; // MD5 and SHA-1
// https://csrc.nist.gov/projects/computer-security-objects-register/algorithm-registration
const nistHashes = '6086480165030402'; // 2.16.840.1.101.3.4.2
const nistSignatures = '6086480165030403'; // 2.16.840.1.101.3.4.3
const sha3 = ['sha3-224', 'sha3-256', 'sha3-384', 'sha3-512'];
const hashes = [undefined, 'sha256', 'sha384', 'sha512', 'sha224', 'sha512-224', 'sha512-256', ...sha3];
// Below 9 is DSA; then come ECDSA and RSA.
const sha3Signatures = [...Array<undefined>(9), ...sha3, ...sha3];
