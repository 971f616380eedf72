/** Why TLS failed, in one of seven words: an error of a pool may have one cause for each address that was tried. */
export function tlsReason(error: unknown): string {
  for (const each of chainOf(error)) {
    const reason = byCode.get((each as { code?: unknown }).code);
    if (reason !== undefined) return reason;
    if (/does not support SSL|SSL connections/i.test(each.message)) return 'no-tls';
  }
  return 'other';
}

function* chainOf(error: unknown, depth = 0): Generator<Error> {
  if (!(error instanceof Error) || depth > 4) return;
  // The innermost knows best.
  yield* chainOf(error.cause, depth + 1);
  if (error instanceof AggregateError) for (const each of error.errors) yield* chainOf(each, depth + 1);
  yield error;
}

// Node.js documentation, "X509 certificate error codes".
const byCode: ReadonlyMap<unknown, string> = new Map(
  Object.entries({
    ERR_EXTERNALNAME_TLS_IDENTITY: 'name',
    ERR_TLS_CERT_ALTNAME_INVALID: 'name',
    CERT_HAS_EXPIRED: 'expired',
    CERT_NOT_YET_VALID: 'not-yet-valid',
    CERT_REVOKED: 'revoked',
    DEPTH_ZERO_SELF_SIGNED_CERT: 'untrusted',
    SELF_SIGNED_CERT_IN_CHAIN: 'untrusted',
    UNABLE_TO_GET_ISSUER_CERT: 'untrusted',
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'untrusted',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'untrusted',
    CERT_UNTRUSTED: 'untrusted',
    CERT_SIGNATURE_FAILURE: 'untrusted',
  }),
);

/** The SQLSTATE of an error of a server. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown };
  return typeof code === 'string' && typeof severity === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
