import { createHash } from 'node:crypto';

/**
 * What SCRAM-SHA-256-PLUS binds to: the digest of the server's certificate (`tls-server-end-point`, RFC 5929 section 4.1), by
 * the hash function of the certificate's own signature, or SHA-256 where that is MD5 or SHA-1.
 *
 * @param certificate DER
 * @throws Error in the words of `pg`, where the certificate does not say by which hash function it was signed
 */
export function tlsServerEndPoint(certificate: Uint8Array): Buffer {
  return createHash(hashOfSignature(certificate)).update(certificate).digest();
}

/** Whether a channel can be bound to that certificate. PostgreSQL itself cannot where the signature names no hash function. */
export function canBind(certificate: Uint8Array | undefined): boolean {
  if (certificate === undefined) return false;
  try {
    return tlsServerEndPoint(certificate).length > 0;
  } catch {
    return false;
  }
}

/** The hash function to bind by, as `node:crypto` calls it. */
export function hashOfSignature(certificate: Uint8Array): string {
  const reader = new DerReader(certificate);
  // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280 section 4.1)
  reader.enter(sequence);
  reader.skip();
  const end = reader.enter(sequence);
  const algorithm = reader.objectIdentifier();
  const hash = algorithm === rsaPss ? hashOfRsaPss(reader, end) : hashes[algorithm];
  if (hash === undefined) throw bindingError(`unknown OID ${algorithm}`, certificate);
  if (hash === unsupported) {
    throw bindingError('Ed25519 and Ed448 certificate channel binding is not supported by PostgreSQL', certificate);
  }
  return hash;
}

// RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] AlgorithmIdentifier DEFAULT sha1, ... } (RFC 4055 section 3.1)
function hashOfRsaPss(reader: DerReader, end: number): string | undefined {
  if (reader.at >= end) return 'sha256';
  const parametersEnd = reader.enter(sequence);
  if (reader.at >= parametersEnd || reader.tag !== firstContext) return 'sha256';
  reader.enter(firstContext);
  reader.enter(sequence);
  return digests[reader.objectIdentifier()];
}

/** Walks through DER (X.690), as much of it as lies before a certificate's signature. */
class DerReader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get tag(): number {
    return this.#byte(this.at);
  }

  /** Goes to the first byte of what an element holds, and says where it ends. */
  enter(tag: number): number {
    if (this.tag !== tag) throw bindingError(`unexpected data at byte ${this.at}`, this.#bytes);
    this.at += 1;
    const length = this.#length();
    return this.at + length;
  }

  skip(): void {
    this.at = this.enter(this.tag);
  }

  objectIdentifier(): string {
    const end = this.enter(objectIdentifierTag);
    const numbers: number[] = [];
    for (let value = 0; this.at < end; this.at += 1) {
      const byte = this.#byte(this.at);
      value = value * 128 + (byte & 0x7f);
      if (byte < 0x80) {
        numbers.push(value);
        value = 0;
      }
    }
    // The first two share one byte: 40 times the one, which is 0, 1 or 2, and the other.
    const [shared = 0, ...others] = numbers;
    const first = Math.min(2, Math.floor(shared / 40));
    return [first, shared - 40 * first, ...others].join('.');
  }

  #length(): number {
    const first = this.#byte(this.at);
    this.at += 1;
    if (first < 0x80) return first;
    const size = first & 0x7f;
    if (size > 4) throw bindingError('bad length', this.#bytes);
    let length = 0;
    for (let index = 0; index < size; index++) length = length * 256 + this.#byte(this.at + index);
    this.at += size;
    return length;
  }

  #byte(at: number): number {
    const byte = this.#bytes[at];
    if (byte === undefined) throw bindingError('it ends too early', this.#bytes);
    return byte;
  }
}

function bindingError(what: string, certificate: Uint8Array): Error {
  const text = Buffer.from(certificate).toString('base64');
  return new Error(`SASL channel binding: ${what} when parsing public certificate ${text}`);
}

const sequence = 0x30;
const objectIdentifierTag = 0x06;
const firstContext = 0xa0;

const unsupported = 'none';
const rsaPss = '1.2.840.113549.1.1.10';

const hashes: Readonly<Record<string, string | undefined>> = {
  '1.2.840.113549.1.1.4': 'sha256', // RSA with MD5
  '1.2.840.113549.1.1.5': 'sha256', // RSA with SHA-1
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.113549.1.1.14': 'sha224',
  '1.2.840.113549.1.1.15': 'sha512-224',
  '1.2.840.113549.1.1.16': 'sha512-256',
  '1.2.840.10045.4.1': 'sha256', // ECDSA with SHA-1
  '1.2.840.10045.4.3.1': 'sha224',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '2.16.840.1.101.3.4.3.9': 'sha3-224', // ECDSA with SHA-3
  '2.16.840.1.101.3.4.3.10': 'sha3-256',
  '2.16.840.1.101.3.4.3.11': 'sha3-384',
  '2.16.840.1.101.3.4.3.12': 'sha3-512',
  '2.16.840.1.101.3.4.3.13': 'sha3-224', // RSA with SHA-3
  '2.16.840.1.101.3.4.3.14': 'sha3-256',
  '2.16.840.1.101.3.4.3.15': 'sha3-384',
  '2.16.840.1.101.3.4.3.16': 'sha3-512',
  // Their signatures have no hash function of their own. pg takes SHA-512 for Ed25519, which no server does: it ends the session
  // with "could not find digest for NID UNDEF".
  '1.3.101.110': unsupported, // Ed25519
  '1.3.101.112': unsupported,
  '1.3.101.111': unsupported, // Ed448
  '1.3.101.113': unsupported,
};

const digests: Readonly<Record<string, string | undefined>> = {
  '1.2.840.113549.2.5': 'sha256', // MD5
  '1.3.14.3.2.26': 'sha256', // SHA-1
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
  '2.16.840.1.101.3.4.2.4': 'sha224',
  '2.16.840.1.101.3.4.2.7': 'sha3-224',
  '2.16.840.1.101.3.4.2.8': 'sha3-256',
  '2.16.840.1.101.3.4.2.9': 'sha3-384',
  '2.16.840.1.101.3.4.2.10': 'sha3-512',
};
