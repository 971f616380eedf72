import type { RoleBindingManifest, RoleManifest } from '../objects/index.ts';
import { aText, checkOptions, listOf, optional, optionsOf } from '../shape.ts';
import { checked } from './manifest-error.ts';
import { type ManifestName, metadata, nameShapes } from './object-name.ts';

/** An account that a role is bound to. */
export type RoleSubject =
  | { kind: 'ServiceAccount'; name: string; namespace: string }
  | { kind: 'User' | 'Group'; name: string };

/** See {@link serviceReaderRole} and {@link serviceSwitcherRole}. */
export interface ServiceRoleOptions extends Omit<ManifestName, 'name' | 'namespace'> {
  /** The only Service that the role covers. */
  service: string;
  /** The namespace of the Service and of the role. */
  namespace: string;
  /** The accounts that are bound to the role. */
  subjects: readonly RoleSubject[];
  /** Name of Role and RoleBinding. @defaultValue `<service>-reader`, `<service>-switcher` */
  name?: string | undefined;
}

/**
 * Makes a Role and RoleBinding that let a workload read and watch one Service. They grant `list` and `watch` only for
 * requests with `fieldSelector=metadata.name=<service>`, because RBAC matches the name that way (kubernetes#63469).
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`
 */
export function serviceReaderRole(options: ServiceRoleOptions): [RoleManifest, RoleBindingManifest] {
  return serviceRole(options, 'reader', ['get', 'list', 'watch']);
}

/**
 * Makes a Role and RoleBinding that let an operator patch one Service. RBAC cannot limit fields: an account that may patch
 * `externalName` may also set `type`, `selector` and `externalIPs` (CVE-2020-8554). Add a {@link targetAdmissionPolicy}.
 *
 * @throws ManifestInvalidError `ERR_EXTERNALNAME_MANIFEST_INVALID`
 */
export function serviceSwitcherRole(options: ServiceRoleOptions): [RoleManifest, RoleBindingManifest] {
  return serviceRole(options, 'switcher', ['get', 'patch']);
}

function serviceRole(
  options: ServiceRoleOptions,
  suffix: string,
  verbs: string[],
): [RoleManifest, RoleBindingManifest] {
  checkOptions(options, {
    ...nameShapes,
    name: optional(aText),
    service: aText,
    namespace: aText,
    subjects: listOf(optionsOf<RoleSubject>({ kind: aText, name: aText, namespace: optional(aText) })),
  });
  const { service, subjects, name = `${service}-${suffix}` } = options;
  const named = metadata({ ...options, name });
  const role: RoleManifest = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: named,
    rules: [{ apiGroups: [''], resources: ['services'], resourceNames: [service], verbs }],
  };
  const binding: RoleBindingManifest = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { ...named },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: subjects.map((subject) => {
      return subject.kind === 'ServiceAccount' ? { ...subject } : { ...subject, apiGroup: 'rbac.authorization.k8s.io' };
    }),
  };
  checked('Role', [role, binding]);
  return [role, binding];
}
