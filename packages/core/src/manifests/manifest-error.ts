import { ExternalNameError } from '../errors.ts';
import { aText, either, listOf, oneOf, optional } from '../shape.ts';
import { type Issue, type ValidationOptions, validate, validationRules } from '../validation/index.ts';

/** The options of a builder do not make a working object. `issues` lists all problems at once. Code `ERR_EXTERNALNAME_MANIFEST_INVALID`. */
export class ManifestInvalidError extends ExternalNameError {
  /** It did not happen, so doing it again is safe. */
  override readonly outcome = 'not-executed';
  /** All problems, in the order of the manifest. */
  readonly issues: readonly Issue[];

  constructor(what: string, issues: readonly Issue[]) {
    const list = issues.map(({ path, message, hint }) => `${path}: ${message}. ${hint}`).join('\n');
    super('ERR_EXTERNALNAME_MANIFEST_INVALID', `cannot make this ${what}:\n${list}`);
    this.issues = issues;
  }
}

/** What the builders check against, besides the rules of the API server. */
export type BuilderChecks = Pick<ValidationOptions, 'kubernetesVersion' | 'allowedTargets' | 'clusterDomain'>;

/** For the options of a builder that checks against more than the rules of the API server. */
export const checkShapes = {
  kubernetesVersion: optional(aText),
  allowedTargets: optional(either(oneOf('any'), listOf(aText))),
  clusterDomain: optional(aText),
};

/** What is wrong with the options of a builder, gathered so that one error can list it all. */
export class OptionProblems {
  readonly #issues: Issue[] = [];

  get issues(): readonly Issue[] {
    return this.#issues;
  }

  add(path: string, message: string): void {
    const { hint, source } = validationRules['builder-option'];
    this.#issues.push({
      path,
      code: 'builder-option',
      severity: 'error',
      message,
      hint,
      reason: 'FieldValueInvalid',
      source,
    });
  }

  /** Returns what `parse` returns. If it throws, records the problem and returns an empty array. */
  attempt<T>(path: string, parse: () => T): T[] {
    try {
      return [parse()];
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.add(path, message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message);
      return [];
    }
  }
}

/**
 * Returns the manifests if the options are valid, the API server would accept every manifest, and every manifest can work.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` with every problem of the options and every issue of
 * every manifest.
 */
export function checked<Manifests extends object | readonly object[]>(
  what: string,
  manifests: Manifests,
  checks: BuilderChecks = {},
  options: OptionProblems = new OptionProblems(),
): Manifests {
  const { kubernetesVersion, allowedTargets, clusterDomain } = checks;
  const found = validate(manifests, { kubernetesVersion, allowedTargets, clusterDomain });
  const issues = [
    ...options.issues,
    ...found.filter(({ severity, code }) => severity === 'error' || hopeless.has(code)),
  ];
  if (issues.length > 0) throw new ManifestInvalidError(what, issues);
  return manifests;
}

/** What the API server accepts although it can never work: a builder refuses it. */
const hopeless = new Set(['ip-like', 'label-too-long', 'self-loop', 'target-not-allowed', 'in-cluster-partial']);
