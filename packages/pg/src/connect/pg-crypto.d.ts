// `pg` exports this in all supported versions; `@types/pg` does not know it.
declare module 'pg/lib/crypto/cert-signatures.js' {
  /** `SHA-256` and so on. Throws for an unknown signature. */
  export function signatureAlgorithmHashFromCertificate(certificate: Buffer): string;
}
