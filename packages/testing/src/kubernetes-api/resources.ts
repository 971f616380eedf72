/** One type of object that this API server serves. */
export interface ResourceType {
  /** `` for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** As in paths: `services` */
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly subresources: readonly string[];
}

/** All types that are served, in the order in which discovery lists them. */
export const resourceTypes: readonly ResourceType[] = [
  stored('', 'v1', 'Event', { shortNames: ['ev'] }),
  stored('', 'v1', 'Namespace', { shortNames: ['ns'], namespaced: false, subresources: ['status'] }),
  stored('', 'v1', 'Pod', { shortNames: ['po'], categories: ['all'], subresources: ['status'] }),
  stored('', 'v1', 'ServiceAccount', { shortNames: ['sa'], subresources: ['token'] }),
  stored('', 'v1', 'Service', { shortNames: ['svc'], categories: ['all'], subresources: ['status'] }),
  stored('coordination.k8s.io', 'v1', 'Lease', {}),
  stored('discovery.k8s.io', 'v1', 'EndpointSlice', {}),
  stored('events.k8s.io', 'v1', 'Event', { shortNames: ['ev'] }),
  stored('rbac.authorization.k8s.io', 'v1', 'RoleBinding', {}),
  stored('rbac.authorization.k8s.io', 'v1', 'Role', {}),
  asked('authorization.k8s.io', 'v1', 'SelfSubjectAccessReview'),
  asked('authorization.k8s.io', 'v1', 'SelfSubjectRulesReview'),
];

/** The type by which the API server names the options of a request in its refusals: `PatchOptions` for instance. */
export function optionsType(kind: string): ResourceType {
  return { ...asked('meta.k8s.io', 'v1', kind), plural: kind.toLowerCase() };
}

/** Finds a type by its place in a path. */
export function findResource(group: string, version: string, plural: string): ResourceType | undefined {
  return resourceTypes.find((type) => type.group === group && type.version === version && type.plural === plural);
}

/** Finds a type by the `apiVersion` and `kind` of an object. */
export function findKind(apiVersion: string, kind: string): ResourceType | undefined {
  return resourceTypes.find((type) => apiVersionOf(type) === apiVersion && type.kind === kind);
}

/** The type of that kind. Throws if the kind is not served, which is a mistake in this package. */
export function resourceOf(kind: string, group = ''): ResourceType {
  const found = resourceTypes.find((type) => type.kind === kind && type.group === group);
  if (found === undefined) throw new Error(`no resource type for ${kind} of group ${JSON.stringify(group)}`);
  return found;
}

/** `v1`, or `discovery.k8s.io/v1`. */
export function apiVersionOf(type: Pick<ResourceType, 'group' | 'version'>): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** The type that an object names, as Go prints it: `/v1, Kind=Service`. */
export function groupKindText(object: { readonly apiVersion?: unknown; readonly kind?: unknown }): string {
  return `${String(object.apiVersion ?? '').replace(/^(?!.*\/)/, '/')}, Kind=${String(object.kind ?? '')}`;
}

/** Where the objects of a type are kept. The two faces of events share one place. */
export function storageKeyOf(type: ResourceType): string {
  return type.kind === 'Event' ? 'events' : `${type.group}/${type.plural}`;
}

function stored(
  group: string,
  version: string,
  kind: string,
  options: Partial<Pick<ResourceType, 'shortNames' | 'categories' | 'namespaced' | 'subresources'>>,
): ResourceType {
  return {
    group,
    version,
    kind,
    plural: `${kind.toLowerCase()}s`,
    singular: kind.toLowerCase(),
    shortNames: options.shortNames ?? [],
    categories: options.categories ?? [],
    namespaced: options.namespaced ?? true,
    verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
    subresources: options.subresources ?? [],
  };
}

function asked(group: string, version: string, kind: string): ResourceType {
  return { ...stored(group, version, kind, { namespaced: false }), verbs: ['create'] };
}
