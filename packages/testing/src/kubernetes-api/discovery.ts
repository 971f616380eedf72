import { apiVersionOf, type ResourceType, resourceTypes } from './resources.ts';

/** `GET /api`. */
export function coreVersions(serverAddress: string): object {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** `GET /apis`. */
export function groupList(): object {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups().map(groupEntry) };
}

/** `GET /apis/<group>`; undefined if the group is not served. */
export function groupNamed(group: string): object | undefined {
  return groups().includes(group) ? { kind: 'APIGroup', apiVersion: 'v1', ...groupEntry(group) } : undefined;
}

/** `GET /api/v1`, `GET /apis/<group>/<version>`; undefined if the version is not served. */
export function resourceList(group: string, version: string): object | undefined {
  const types = resourceTypes.filter((type) => type.group === group && type.version === version);
  if (types.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: types.flatMap((type) => [
      {
        name: type.plural,
        singularName: type.singular,
        namespaced: type.namespaced,
        kind: type.kind,
        verbs: type.verbs,
        ...(type.shortNames.length === 0 ? {} : { shortNames: type.shortNames }),
        ...(type.categories.length === 0 ? {} : { categories: type.categories }),
      },
      ...type.subresources.map((subresource) => ({
        name: `${type.plural}/${subresource}`,
        singularName: '',
        namespaced: type.namespaced,
        ...(subresource === 'token' ? { group: 'authentication.k8s.io', version: 'v1' } : {}),
        kind: subresource === 'token' ? 'TokenRequest' : type.kind,
        verbs: subresourceVerbs(subresource),
      })),
    ]),
  };
}

/**
 * The same in one document, which new clients ask for (`as=APIGroupDiscoveryList`): of the core group for `/api`, of
 * all others for `/apis`.
 *
 * Source: Kubernetes documentation, "The Kubernetes API", aggregated discovery.
 */
export function aggregatedDiscovery(of: 'core' | 'groups', version: 'v2' | 'v2beta1'): object {
  const wanted = of === 'core' ? [''] : groups();
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: wanted.map((group) => ({
      metadata: group === '' ? {} : { name: group },
      versions: [
        {
          version: 'v1',
          resources: resourceTypes.filter((type) => type.group === group).map(aggregatedResource),
          freshness: 'Current',
        },
      ],
    })),
  };
}

function aggregatedResource(type: ResourceType): object {
  return {
    resource: type.plural,
    responseKind: { group: type.group, version: type.version, kind: type.kind },
    scope: type.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: type.singular,
    verbs: type.verbs,
    ...(type.shortNames.length === 0 ? {} : { shortNames: type.shortNames }),
    ...(type.categories.length === 0 ? {} : { categories: type.categories }),
    ...(type.subresources.length === 0
      ? {}
      : {
          subresources: type.subresources.map((subresource) => ({
            subresource,
            responseKind:
              subresource === 'token'
                ? { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' }
                : { group: type.group, version: type.version, kind: type.kind },
            verbs: subresourceVerbs(subresource),
          })),
        }),
  };
}

function subresourceVerbs(subresource: string): string[] {
  return subresource === 'token' ? ['create'] : ['get', 'patch', 'update'];
}

function groups(): string[] {
  return [...new Set(resourceTypes.map((type) => type.group))].filter((group) => group !== '');
}

function groupEntry(group: string): object {
  const versions = [...new Set(resourceTypes.filter((type) => type.group === group).map((type) => type.version))].map(
    (version) => ({ groupVersion: apiVersionOf({ group, version }), version }),
  );
  return { name: group, versions, preferredVersion: versions[0] };
}
