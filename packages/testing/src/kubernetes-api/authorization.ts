import { isJsonObject, type JsonObject, objectsIn, textOf } from './object.ts';
import { resourceOf } from './resources.ts';
import type { ObjectStorage } from './storage.ts';
import type { User } from './users.ts';

/** What a user wants to do. */
export type Attempt =
  | {
      readonly verb: string;
      readonly group: string;
      /** `services`, or `services/status` for a subresource. */
      readonly resource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly verb: string; readonly path: string };

/** One rule of a Role, and where it applies: in one namespace, or everywhere. */
export interface GrantedRule {
  readonly namespace: string | undefined;
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

/**
 * Role-based access control. A user may do what the Roles allow that RoleBindings give to the user, to the user's groups, or to
 * the ServiceAccount that the user is. `system:masters` may do everything.
 *
 * There are no ClusterRole objects. A RoleBinding may name the four that every cluster has for people: `view`, `edit`, `admin`
 * and `cluster-admin`.
 *
 * Source: Kubernetes documentation, "Using RBAC Authorization".
 */
export class Authorizer {
  readonly #storage: ObjectStorage;

  constructor(storage: ObjectStorage) {
    this.#storage = storage;
  }

  allows(user: User, attempt: Attempt): boolean {
    if (user.groups.includes('system:masters')) return true;
    const namespace = 'path' in attempt ? '' : attempt.namespace;
    return this.rulesFor(user, namespace).some((rule) => covers(rule, attempt));
  }

  /** All rules that apply to a user in a namespace. */
  rulesFor(user: User, namespace: string): GrantedRule[] {
    if (user.groups.includes('system:masters')) return [everything];
    const rules: GrantedRule[] = [...(user.groups.includes('system:authenticated') ? forAuthenticated : forEveryone)];
    if (namespace === '') return rules;
    for (const binding of this.#storage.list(resourceOf('RoleBinding', rbacGroup), namespace)) {
      const subjects = objectsIn(binding['subjects']);
      const mine = subjects.some((subject) => isSubject(subject, user, namespace));
      const role = isJsonObject(binding['roleRef']) ? binding['roleRef'] : {};
      if (mine) rules.push(...this.#rulesOf(role, namespace));
    }
    return rules;
  }

  #rulesOf(roleRef: JsonObject, namespace: string): GrantedRule[] {
    const name = textOf(roleRef['name']);
    if (roleRef['kind'] === 'ClusterRole') return builtIn[name]?.map((rule) => ({ ...rule, namespace })) ?? [];
    const role = this.#storage.get(resourceOf('Role', rbacGroup), namespace, name);
    return objectsIn(role?.['rules']).map((rule) => ({
      namespace,
      verbs: strings(rule['verbs']),
      apiGroups: strings(rule['apiGroups']),
      resources: strings(rule['resources']),
      resourceNames: strings(rule['resourceNames']),
      nonResourceURLs: [],
    }));
  }
}

/** The refusal in the words of the API server, without the object that it is about. */
export function refusalText(user: User, attempt: Attempt): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${attempt.verb}`;
  if ('path' in attempt) return `${who} path ${JSON.stringify(attempt.path)}`;
  const where =
    attempt.namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(attempt.namespace)}`;
  return `${who} resource ${JSON.stringify(attempt.resource)} in API group ${JSON.stringify(attempt.group)} ${where}`;
}

function covers(rule: GrantedRule, attempt: Attempt): boolean {
  if (!rule.verbs.includes('*') && !rule.verbs.includes(attempt.verb)) return false;
  if ('path' in attempt) {
    return rule.nonResourceURLs.some((url) =>
      url.endsWith('*') ? attempt.path.startsWith(url.slice(0, -1)) : attempt.path === url,
    );
  }
  if (rule.namespace !== undefined && rule.namespace !== attempt.namespace) return false;
  if (!rule.apiGroups.includes('*') && !rule.apiGroups.includes(attempt.group)) return false;
  const subresource = attempt.resource.split('/')[1];
  const resource = rule.resources.some(
    (name) => name === '*' || name === attempt.resource || (subresource !== undefined && name === `*/${subresource}`),
  );
  return resource && (rule.resourceNames.length === 0 || rule.resourceNames.includes(attempt.name));
}

function isSubject(subject: JsonObject, user: User, namespace: string): boolean {
  switch (subject['kind']) {
    case 'User':
      return subject['name'] === user.name;
    case 'Group':
      return user.groups.includes(textOf(subject['name']));
    case 'ServiceAccount':
      return (
        user.name === `system:serviceaccount:${textOf(subject['namespace']) || namespace}:${textOf(subject['name'])}`
      );
    default:
      return false;
  }
}

function rule(verbs: string[], apiGroups: string[], resources: string[]): GrantedRule {
  return { namespace: undefined, verbs, apiGroups, resources, resourceNames: [], nonResourceURLs: [] };
}

function paths(...nonResourceURLs: string[]): GrantedRule {
  return { namespace: undefined, verbs: ['get'], apiGroups: [], resources: [], resourceNames: [], nonResourceURLs };
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

const rbacGroup = 'rbac.authorization.k8s.io';

const everything: GrantedRule = { ...rule(['*'], ['*'], ['*']), nonResourceURLs: ['*'] };

/** `system:public-info-viewer`. */
const forEveryone: readonly GrantedRule[] = [paths('/healthz', '/livez', '/readyz', '/version', '/version/')];

/** `system:basic-user` and `system:discovery`. */
const forAuthenticated: readonly GrantedRule[] = [
  rule(['create'], ['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews']),
  ...forEveryone,
  paths(
    '/api',
    '/api/*',
    '/apis',
    '/apis/*',
    '/healthz',
    '/livez',
    '/openapi',
    '/openapi/*',
    '/readyz',
    '/version',
    '/version/',
  ),
];

const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];

const viewed = rule(
  read,
  [''],
  ['services', 'services/status', 'pods', 'pods/status', 'serviceaccounts', 'events', 'namespaces'],
);
const endpoints = rule(read, ['discovery.k8s.io'], ['endpointslices']);
const edit = [
  viewed,
  rule(write, [''], ['services', 'pods', 'serviceaccounts']),
  rule(['impersonate'], [''], ['serviceaccounts']),
  rule(['create'], [''], ['serviceaccounts/token']),
  endpoints,
  rule([...read, ...write], ['coordination.k8s.io'], ['leases']),
];

/** What the ClusterRoles for people grant on the served types. */
const builtIn: Record<string, readonly GrantedRule[]> = {
  view: [viewed, endpoints],
  edit,
  admin: [...edit, rule([...read, ...write], [rbacGroup], ['roles', 'rolebindings'])],
  'cluster-admin': [everything],
};
