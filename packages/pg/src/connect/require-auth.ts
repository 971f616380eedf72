import { InvalidArgumentError } from '@externalname/core';
import { checkTexts, describeValue } from '@externalname/core/internal';

/**
 * How a server may ask a client to authenticate, in the words of libpq's `require_auth`. `pg` cannot answer `gss`, `sspi` and
 * `oauth`: a server that asks for one of them is always refused.
 */
export type AuthenticationMethod = 'scram-sha-256' | 'md5' | 'password' | 'none' | 'gss' | 'sspi' | 'oauth';

/** What `requireAuth` says: the methods that are accepted, or the methods that are taken out of the default. */
export interface RequiredMethods {
  readonly requireAuth: readonly AuthenticationMethod[] | undefined;
  readonly refusedAuth: readonly AuthenticationMethod[];
}

/**
 * Reads `require_auth` as libpq 18 does (PostgreSQL documentation, "Parameter Key Words").
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` also if no method is left that `pg` can answer
 */
export function requiredMethods(value: unknown, argument: string): RequiredMethods {
  if (value === undefined) return { requireAuth: undefined, refusedAuth: [] };
  if (typeof value !== 'string') checkTexts(argument, value);
  const refuse = (what: string) => new InvalidArgumentError(argument, `${what}, got ${describeValue(value)}`);
  const entries = (typeof value === 'string' ? value.split(',') : value).map((entry) => entry.trim());
  const negated = entries.filter((entry) => entry.startsWith('!'));
  if (negated.length > 0 && negated.length < entries.length)
    throw refuse('must have "!" before each method, or before none');
  const named = entries.map((entry) => {
    const method = allMethods.find((each) => each === entry.replace(/^!/, ''));
    if (method === undefined) throw refuse(`must name methods among ${allMethods.join(', ')}`);
    return method;
  });
  if (new Set(named).size < named.length) throw refuse('must name each method once');
  const isNegated = negated.length > 0;
  if (!answerable.some((method) => named.includes(method) !== isNegated)) {
    throw refuse(`must leave a method that pg can answer (${answerable.join(', ')})`);
  }
  // Negated methods are taken out of the default, and allow nothing that was not allowed before.
  return isNegated ? { requireAuth: undefined, refusedAuth: named } : { requireAuth: named, refusedAuth: [] };
}

/** The methods that `pg` can answer. */
export const answerable: readonly AuthenticationMethod[] = ['scram-sha-256', 'md5', 'password', 'none'];
const allMethods: readonly AuthenticationMethod[] = [...answerable, 'gss', 'sspi', 'oauth'];
