import { ExternalNameError } from '@externalname/core';

/**
 * Throws one clear sentence if `pg` is too old for this package, before a class that extends one of `pg`'s fails with an obscure
 * error. `Result` came with 8.15, and `pg` does not export its version.
 */
export function requireSupportedPg(pg: { readonly Result?: unknown }): void {
  if (pg.Result !== undefined) return;
  throw new ExternalNameError(
    'ERR_EXTERNALNAME_UNSUPPORTED_VERSION',
    '@externalname/pg needs pg 8.16 or newer, and an older one is installed: npm install pg@8',
  );
}
