// Of `pg`, which exports it in all versions that are supported; `@types/pg` does not know it.
declare module 'pg/lib/crypto/cert-signatures.js' {
  /** `SHA-256` and the like. Throws for a signature that it does not know. */
  export function signatureAlgorithmHashFromCertificate(certificate: Buffer): string;
}
