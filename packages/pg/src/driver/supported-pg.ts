import { ExternalNameError } from '@externalname/core';

/**
 * Throws one sentence where `pg` is older than this package supports, before a class that extends one of `pg`'s fails in words of its
 * own. `Result` came with 8.15, and `pg` does not tell its version.
 */
export function requireSupportedPg(pg: { readonly Result?: unknown }): void {
  if (pg.Result !== undefined) return;
  throw new ExternalNameError(
    'ERR_EXTERNALNAME_UNSUPPORTED_VERSION',
    '@externalname/pg needs pg 8.16 or newer, and an older one is installed: npm install pg@8',
  );
}
