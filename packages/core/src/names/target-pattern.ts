import { InvalidArgumentError } from '../errors.ts';
import { checkText } from '../input.ts';
import { aText, listOf, objectOf, oneOf } from '../shape.ts';
import { canonicalName, hostNameProblem } from './dns-name.ts';

/**
 * One entry of an allow-list of targets: an exact name (`primary-db.example.com`), or `*.` and a domain
 * (`*.example.com`), which stands for exactly one label before that domain, as in certificates
 * (RFC 9525 section 6.3). `*.example.com` matches neither `example.com` nor `a.b.example.com`.
 */
export interface TargetPattern {
  /** `one-label` is `*.` and a domain. */
  readonly kind: 'exact' | 'one-label';
  /** The name, or the domain after `*.`; canonical. */
  readonly name: string;
}

/**
 * Reads an entry of an allow-list.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for anything that is not a pattern. A bare `*`, or `*.`
 * before a single label, is refused: it would allow a whole top-level domain by mistake.
 */
export function parseTargetPattern(text: string, argument = 'allowedTargets'): TargetPattern {
  checkText('argument', argument);
  checkText(argument || 'pattern', text);
  const wildcard = text.startsWith('*.');
  const name = wildcard ? text.slice(2) : text;
  if (hostNameProblem(name) !== undefined) {
    throw new InvalidArgumentError(
      argument || 'pattern',
      `${JSON.stringify(text.slice(0, 300))} is not a target: write an exact host name, or *.domain for exactly one label`,
    );
  }
  const canonical = canonicalName(name);
  if (wildcard && !canonical.includes('.')) {
    throw new InvalidArgumentError(
      argument || 'pattern',
      `${JSON.stringify(text)} would allow a whole top-level domain: write a longer one`,
    );
  }
  return { kind: wildcard ? 'one-label' : 'exact', name: canonical };
}

/** Whether any of the patterns allows `name`. Case and the trailing dot do not matter. */
export function matchesTargetPattern(name: string, patterns: readonly TargetPattern[]): boolean {
  listOf(aPattern)('patterns', patterns);
  const canonical = canonicalName(name);
  const dot = canonical.indexOf('.');
  const parent = dot > 0 ? canonical.slice(dot + 1) : undefined;
  return patterns.some((pattern) => pattern.name === (pattern.kind === 'exact' ? canonical : parent));
}

const aPattern = objectOf({ kind: oneOf('exact', 'one-label'), name: aText });
