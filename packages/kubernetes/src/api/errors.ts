import { ExternalNameError, type ExternalNameErrorOptions, type Outcome } from '@externalname/core';

/** One request, in the words of RBAC. */
export interface AccessAttempt {
  /** The verb that a rule must name. */
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch';
  /** The API group; empty for the core group. */
  readonly group: string;
  /** `services`, `events` */
  readonly resource: string;
  /** Absent if the request is for the whole namespace, as for `create`. */
  readonly name?: string | undefined;
  /** Namespace of the Service; none for what belongs to the cluster. */
  readonly namespace?: string | undefined;
}

/** One entry of `details.causes` in the API server's answer. */
export interface StatusCause {
  /** `FieldValueInvalid`, `FieldValueRequired`, ... */
  readonly reason: string;
  /** Path of the field, `spec.externalName` for instance. */
  readonly field: string;
  /** What is wrong with it, in the API server's words. */
  readonly message: string;
}

/** The API server's `Status` object, as far as it is read here. */
export interface ApiStatus {
  /** HTTP status, or the code inside an `ERROR` event of a watch. */
  readonly status: number;
  /** `Forbidden`, `Invalid`, `Expired`, ...; empty if the server (or a proxy in front of it) gave none. */
  readonly reason: string;
  readonly message: string;
  readonly causes: readonly StatusCause[];
  readonly retryAfterSeconds: number | undefined;
}

/** Further options of the errors of the Kubernetes API. */
export interface KubernetesErrorOptions extends ExternalNameErrorOptions {
  /** The API, for the message. @defaultValue `the Kubernetes API` */
  api?: string | undefined;
}

/**
 * The Kubernetes API gave no answer, or said that it cannot serve now (429, 5xx).
 * Code `ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE`.
 */
export class KubernetesUnavailableError extends ExternalNameError {
  /** `unknown` if a request that changes something may have arrived. */
  override readonly outcome: Outcome;
  /** Undefined if no answer came. */
  readonly status: number | undefined;
  /** `Retry-After` of the server, in seconds. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, options: UnavailableOptions) {
    super('ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE', message, options);
    this.outcome = options.outcome;
    this.status = options.status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

interface UnavailableOptions extends ExternalNameErrorOptions {
  outcome: Outcome;
  status?: number | undefined;
  retryAfterSeconds?: number | undefined;
}

/**
 * The Kubernetes API did not accept the credentials (401): no token, a wrong one, or one that has expired.
 * Code `ERR_EXTERNALNAME_KUBERNETES_UNAUTHORIZED`.
 */
export class KubernetesUnauthorizedError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(attempt: AccessAttempt, options?: KubernetesErrorOptions) {
    super(
      'ERR_EXTERNALNAME_KUBERNETES_UNAUTHORIZED',
      `${apiOf(options)} does not accept the credentials (401) to ${describe(attempt)}: ` +
        'the token is missing, wrong or expired. In a pod, see that a service account token is mounted; ' +
        'elsewhere, log in again',
      options,
    );
  }
}

/**
 * The credentials are valid, but do not permit this request (403). The message prints the missing rule.
 * Code `ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN`.
 */
export class KubernetesForbiddenError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** What was not permitted. */
  readonly attempt: AccessAttempt;
  /** The rule to add to the Role, as YAML. */
  readonly missingRule: string;

  constructor(attempt: AccessAttempt, serverMessage: string, options?: KubernetesErrorOptions) {
    const missingRule = ruleFor(attempt);
    super(
      'ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN',
      `${apiOf(options)} does not allow this user to ${describe(attempt)} (${serverMessage}). ` +
        `Add this rule to a ${attempt.namespace === undefined ? 'ClusterRole' : 'Role'} of that user:\n${missingRule}`,
      options,
    );
    this.attempt = attempt;
    this.missingRule = missingRule;
  }
}

/**
 * The Kubernetes API understood the request and refused it: validation, an admission policy, a conflict, a `test` of a
 * JSON Patch that failed. Code `ERR_EXTERNALNAME_KUBERNETES_REFUSED`.
 */
export class KubernetesRefusedError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** HTTP status code. */
  readonly status: number;
  /** The API server's own reason, `Invalid` for instance. */
  readonly reason: string;
  /** What the API server says about single fields. */
  readonly causes: readonly StatusCause[];

  constructor(attempt: AccessAttempt, status: ApiStatus, options?: KubernetesErrorOptions) {
    super(
      'ERR_EXTERNALNAME_KUBERNETES_REFUSED',
      `${apiOf(options)} refused to ${describe(attempt)}: ${status.message || `HTTP ${status.status}`}`,
      options,
    );
    this.status = status.status;
    this.reason = status.reason;
    this.causes = status.causes;
  }
}

/** The Service does not exist. Code `ERR_EXTERNALNAME_SERVICE_NOT_FOUND`. */
export class ServiceNotFoundError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';

  constructor(name: string, namespace: string, options?: KubernetesErrorOptions) {
    super(
      'ERR_EXTERNALNAME_SERVICE_NOT_FOUND',
      `there is no Service ${name} in namespace ${namespace}${options?.api === undefined ? '' : ` of ${options.api}`}: create it, or correct the name`,
      options,
    );
  }
}

/** Turns an answer other than 2xx into the error that says what to do. */
export function errorForStatus(
  attempt: AccessAttempt,
  status: ApiStatus,
  { outcome, api }: { outcome: Outcome; api?: string | undefined },
): ExternalNameError {
  const cause = new Error(`HTTP ${status.status}${status.reason && ` ${status.reason}`}: ${status.message}`);
  if (status.status === 401) return new KubernetesUnauthorizedError(attempt, { cause, api });
  // An admission plugin may say 403 as well; only the authorizer names the resource it guards.
  if (status.status === 403 && /cannot \w+ resource/.test(status.message)) {
    return new KubernetesForbiddenError(attempt, status.message, { cause, api });
  }
  if (status.status === 404 && attempt.resource === 'services' && attempt.name && attempt.namespace) {
    return new ServiceNotFoundError(attempt.name, attempt.namespace, { cause, api });
  }
  if (status.status === 429 || status.status >= 500) {
    return new KubernetesUnavailableError(
      `${apiOf({ api })} cannot ${describe(attempt)} now: HTTP ${status.status} ${status.message}`.trim(),
      // A 429 comes before anything is done; after a 5xx the write may still have happened.
      {
        cause,
        status: status.status,
        outcome: status.status === 429 ? 'not-executed' : outcome,
        retryAfterSeconds: status.retryAfterSeconds,
      },
    );
  }
  if (status.status === 403 && status.reason === '' && status.message === '') {
    return new KubernetesForbiddenError(attempt, 'HTTP 403', { cause, api });
  }
  return new KubernetesRefusedError(attempt, status, { cause, api });
}

function apiOf(options: KubernetesErrorOptions | undefined): string {
  return options?.api ?? 'the Kubernetes API';
}

function describe(attempt: AccessAttempt): string {
  const where = attempt.namespace === undefined ? '' : ` in namespace ${attempt.namespace}`;
  return `${attempt.verb} ${attempt.resource}${attempt.name === undefined ? '' : ` ${attempt.name}`}${where}`;
}

// Names cannot limit `create` (Kubernetes documentation, "Using RBAC Authorization", "Referring to resources").
function ruleFor(attempt: AccessAttempt): string {
  const lines = [`- apiGroups: ["${attempt.group}"]`, `  resources: ["${attempt.resource}"]`];
  if (attempt.name !== undefined && attempt.verb !== 'create') lines.push(`  resourceNames: ["${attempt.name}"]`);
  lines.push(`  verbs: ["${attempt.verb}"]`);
  return lines.join('\n');
}
