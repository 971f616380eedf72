import { ExternalNameError } from '../errors.ts';
import { type Issue, type ValidationOptions, validate } from '../validation/index.ts';

/** A builder was given what makes no object that works. All problems at once, in `issues`. Code `ERR_EXTERNALNAME_MANIFEST_INVALID`. */
export class ManifestInvalidError extends ExternalNameError {
  override readonly outcome = 'not-executed';
  readonly issues: readonly Issue[];

  constructor(what: string, issues: readonly Issue[]) {
    const list = issues.map(({ path, message, hint }) => `${path}: ${message}. ${hint}`).join('\n');
    super('ERR_EXTERNALNAME_MANIFEST_INVALID', `no ${what} can be made of this:\n${list}`);
    this.issues = issues;
  }
}

/** What the builders check against, beside the rules of the API server. */
export type BuilderChecks = Pick<ValidationOptions, 'kubernetesVersion' | 'allowedTargets' | 'clusterDomain'>;

/**
 * Returns the manifests where the API server takes each of them and each can work.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID` with every issue of every manifest.
 */
export function checked<Manifests extends object | readonly object[]>(
  what: string,
  manifests: Manifests,
  checks: BuilderChecks = {},
): Manifests {
  const issues = validate(manifests, checks).filter(({ severity, code }) => severity === 'error' || hopeless.has(code));
  if (issues.length > 0) throw new ManifestInvalidError(what, issues);
  return manifests;
}

/** What the API server takes and what can never work: a builder does not make it. */
const hopeless = new Set(['ip-like', 'label-too-long', 'self-loop', 'target-not-allowed', 'in-cluster-partial']);
