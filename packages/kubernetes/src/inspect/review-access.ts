import type { Dependencies } from '@externalname/core';
import { aText, checkOptions, listOf, optional, optionsOf, ownOptions, printable } from '@externalname/core/internal';
import { isText, record } from '../api/json.ts';
import { pendingReference } from '../api/reference.ts';
import { apiOf, type InspectOptions, inspectShapes } from './inspect-service.ts';

/** One thing to be allowed to do, in the words of RBAC. */
export interface Permission {
  /** `get`, `watch`, `patch`, ... */
  readonly verb: string;
  /** The API group. @defaultValue the core group, `''` */
  readonly group?: string | undefined;
  /** `services`, `events` */
  readonly resource: string;
  /** The only object that is meant. @defaultValue all of the namespace */
  readonly name?: string | undefined;
}

/** The API server's answer about a {@link Permission}. */
export interface ReviewedPermission extends Permission {
  /** Whether it would be allowed now. */
  readonly allowed: boolean;
  /** The API server's reason, if it gave one. */
  readonly reason: string;
}

/** See {@link reviewAccess}. */
export interface ReviewAccessOptions extends InspectOptions {
  /** What to ask about, in the namespace. */
  permissions: readonly Permission[];
}

/**
 * Asks the API server what the user of the kubeconfig may do, as `kubectl auth can-i` does: a SelfSubjectAccessReview for each
 * permission, in their order. Every user may ask that. Nothing is changed.
 *
 * @throws KubernetesUnavailableError `ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE`, and the other errors of the API
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const [patch] = await reviewAccess({ permissions: [{ verb: 'patch', resource: 'services', name: 'webscaler-db' }] });
 * console.log(patch?.allowed);
 * ```
 */
export async function reviewAccess(
  given: ReviewAccessOptions,
  dependencies: Dependencies = {},
): Promise<ReviewedPermission[]> {
  const options = ownOptions(given);
  checkOptions<object>(options, { ...inspectShapes, permissions: listOf(aPermission) });
  const { api, timeoutMillis, signal } = apiOf(options, dependencies);
  const { namespace } = await pendingReference({ ...options, service: 'any' }, () => api.namespace()).complete();
  return Promise.all(
    options.permissions.map(async (permission): Promise<ReviewedPermission> => {
      const { verb, group = '', resource, name } = permission;
      const answer = await api.json({
        attempt: { verb: 'create', group: 'authorization.k8s.io', resource: 'selfsubjectaccessreviews' },
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: { namespace, verb, group, resource, ...(name !== undefined && { name }) } },
        },
        timeoutMillis,
        signal,
      });
      const { allowed, reason } = record(record(answer)['status']);
      return {
        verb,
        group,
        resource,
        name,
        allowed: allowed === true,
        reason: isText(reason) ? printable(reason, 300) : '',
      };
    }),
  );
}

const aPermission = optionsOf<Permission>({
  verb: aText,
  group: optional(aText),
  resource: aText,
  name: optional(aText),
});
