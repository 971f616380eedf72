import { InvalidArgumentError } from '../errors.ts';
import { checkText } from '../input.ts';

/** Longest name in its textual form without the trailing dot (RFC 1035 section 2.3.4: 255 octets on the wire). */
export const longestName = 253;

/** Longest label (RFC 1035 section 2.3.4). */
export const longestLabel = 63;

/** Why a text is not a host name. */
export type HostNameProblem = 'empty' | 'too-long' | 'label-empty' | 'label-too-long' | 'label-syntax';

/**
 * The form in which names are compared: lower case, without the trailing dot.
 * DNS ignores case (RFC 4343), but only of ASCII letters. Other characters stay as they are.
 */
export function canonicalName(name: string): string {
  checkText('name', name);
  const lower = name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return lower.endsWith('.') && lower !== '.' ? lower.slice(0, -1) : lower;
}

/**
 * Checks the syntax of a host name: letters, digits and hyphens, no hyphen at the ends of a label
 * (RFC 952, RFC 1123 section 2.1), with the lengths of RFC 1035. One trailing dot is allowed. Underscores
 * are not: they name services and keys, never hosts.
 *
 * @returns the first problem, or `undefined` if there is none.
 */
export function hostNameProblem(name: string): HostNameProblem | undefined {
  checkText('name', name);
  const bare = name.endsWith('.') ? name.slice(0, -1) : name;
  if (bare === '') return 'empty';
  if (bare.length > longestName) return 'too-long';
  for (const label of bare.split('.')) {
    if (label === '') return 'label-empty';
    if (label.length > longestLabel) return 'label-too-long';
    if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(label)) return 'label-syntax';
  }
  return undefined;
}

/**
 * Returns the canonical form of a host name.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if `name` is not a host name.
 */
export function parseHostName(name: string, argument = 'name'): string {
  checkText('argument', argument);
  checkText(argument || 'name', name);
  const problem = hostNameProblem(name);
  if (problem !== undefined) {
    throw new InvalidArgumentError(
      argument || 'name',
      `${JSON.stringify(name.slice(0, 300))} is not a host name: ${explain[problem]}`,
    );
  }
  return canonicalName(name);
}

/** Whether `name` is `domain` or a name below it. Case and trailing dots do not matter. */
export function isWithin(name: string, domain: string): boolean {
  checkText('domain', domain);
  const inner = canonicalName(name);
  const outer = canonicalName(domain);
  return inner === outer || inner.endsWith(`.${outer}`);
}

const explain: Record<HostNameProblem, string> = {
  empty: 'it is empty',
  'too-long': `it has more than ${longestName} characters`,
  'label-empty': 'it has two dots in a row, or begins with one',
  'label-too-long': `a label has more than ${longestLabel} characters`,
  'label-syntax': 'labels consist of letters, digits and inner hyphens',
};
