import type { IdentityTarget } from './tls-identity.ts';

/**
 * Explains a certificate that TLS did not accept: whose it is and what to do. OpenSSL's own message ("certificate is not yet valid")
 * says neither.
 *
 * @param date the wall clock of this machine, which a certificate's validity is compared with
 * @param option how the caller's option for authorities is called
 * @returns an error with the same `code` (`CERT_HAS_EXPIRED`, `SELF_SIGNED_CERT_IN_CHAIN`, ...) and the given error as its
 * `cause`; or the given error itself if it is about something else
 *
 * @example
 * ```ts
 * socket.on('error', (error) => log(explainCertificateFailure(target, error).message));
 * ```
 */
export function explainCertificateFailure(
  target: IdentityTarget,
  error: unknown,
  date: Date = new Date(),
  option = 'ssl.ca',
): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  const hint = Object.hasOwn(hints, error.code) ? hints[error.code] : undefined;
  if (hint === undefined) return error;
  const message = `${target.externalName}: the certificate of the server ${hint(date.toISOString(), option)} (${error.message})`;
  return Object.assign(new Error(message, { cause: error }), { code: error.code });
}

const untrusted = (_now: string, option: string) =>
  `was issued by an authority that is not trusted here. Give the certificate of that authority as ${option}, with all intermediate ones`;
const selfSigned = (_now: string, option: string) =>
  `was signed by the server itself. Give that certificate as ${option}, or give the server one from an authority that is trusted here`;

// Codes: OpenSSL, X509_STORE_CTX_get_error(3), as Node.js names them.
const hints: Readonly<Record<string, (now: string, option: string) => string>> = {
  CERT_NOT_YET_VALID: (now) =>
    `is not valid yet. The clock of this machine says ${now}: set it if it is slow, or wait until the certificate is valid`,
  CERT_HAS_EXPIRED: (now) =>
    `has expired. Renew it; or, if it is still good, set the clock of this machine, which says ${now}`,
  CERT_REVOKED: () => 'was revoked by its authority. Give the server a new one',
  DEPTH_ZERO_SELF_SIGNED_CERT: selfSigned,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
};
