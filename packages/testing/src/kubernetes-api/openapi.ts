import { apiVersionOf, type ResourceType, resourceTypes } from './resources.ts';
import { roomOf, type Schema, type StructSchema, schemaOf, structNamed, structNames } from './schema.ts';

/** `GET /openapi/v3`: where the documents of the groups are. */
export function openApiIndex(): object {
  const paths: Record<string, object> = {};
  for (const version of groupVersions()) {
    const path = pathOf(version);
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${documentHash}` };
  }
  return { paths };
}

/** `GET /openapi/v3/api/v1`, `/openapi/v3/apis/<group>/<version>`; undefined if the group is not served. */
export function openApiDocument(path: string): object | undefined {
  const version = groupVersions().find((candidate) => pathOf(candidate) === path);
  if (version === undefined) return undefined;
  const types = resourceTypes.filter((type) => apiVersionOf(type) === version);
  const schemas: Record<string, object> = {};
  const add = (struct: StructSchema) => {
    const name = fullName(struct.name);
    if (name in schemas) return;
    schemas[name] = {};
    schemas[name] = describeStruct(struct, '#/components/schemas/', add);
  };
  for (const type of types) {
    add(schemaOf(type));
    schemas[`${fullName(`${roomOf(type.group)}.${type.kind}`)}List`] = listSchema(type);
  }
  add(structNamed('meta.DeleteOptions'));
  add(structNamed('meta.Status'));
  add(structNamed('meta.ListMeta'));
  const paths: Record<string, object> = {};
  for (const type of types) Object.assign(paths, pathsOf(type));
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: kubernetesVersion },
    paths,
    components: { schemas },
  };
}

/** `GET /openapi/v2`, as JSON. */
export function openApiV2(): object {
  const definitions: Record<string, object> = {};
  for (const name of structNames()) {
    definitions[fullName(name)] = describeStruct(structNamed(name), '#/definitions/', () => {});
  }
  return { swagger: '2.0', info: { title: 'Kubernetes', version: kubernetesVersion }, paths: {}, definitions };
}

/** The version of Kubernetes that this API server behaves as. */
export const kubernetesVersion = 'v1.37.0';

function groupVersions(): string[] {
  return [...new Set(resourceTypes.map(apiVersionOf))];
}

function pathOf(version: string): string {
  return version.includes('/') ? `apis/${version}` : `api/${version}`;
}

function describeStruct(struct: StructSchema, prefix: string, add: (struct: StructSchema) => void): object {
  const required = [...struct.fields.values()].filter((field) => field.required).map((field) => field.name);
  const properties: Record<string, object> = {};
  for (const field of struct.fields.values()) {
    properties[field.name] = {
      ...describe(field.schema, prefix, add),
      ...(field.default === undefined ? {} : { default: field.default }),
    };
  }
  const type = resourceTypes.find((candidate) => `${roomOf(candidate.group)}.${candidate.kind}` === struct.name);
  return {
    type: 'object',
    ...(required.length === 0 ? {} : { required }),
    properties,
    ...(struct.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...(type === undefined ? {} : { 'x-kubernetes-group-version-kind': [kindOf(type)] }),
  };
}

function describe(schema: Schema, prefix: string, add: (struct: StructSchema) => void): object {
  switch (schema.kind) {
    case 'scalar':
      return scalars[schema.type] ?? { type: 'object' };
    case 'struct':
      add(structNamed(schema.name));
      return { allOf: [{ $ref: `${prefix}${fullName(schema.name)}` }], default: {} };
    case 'map':
      return {
        type: 'object',
        additionalProperties: describe(schema.values, prefix, add),
        ...(schema.atomic ? { 'x-kubernetes-map-type': 'atomic' } : {}),
      };
    case 'list':
      return {
        type: 'array',
        items: describe(schema.items, prefix, add),
        'x-kubernetes-list-type': schema.listType,
        ...(schema.keys.length === 0 ? {} : { 'x-kubernetes-list-map-keys': schema.keys }),
        ...(schema.mergeKey === undefined ? {} : { 'x-kubernetes-patch-strategy': 'merge' }),
        ...(schema.mergeKey ? { 'x-kubernetes-patch-merge-key': schema.mergeKey } : {}),
      };
  }
}

function listSchema(type: ResourceType): object {
  const name = fullName(`${roomOf(type.group)}.${type.kind}`);
  return {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { allOf: [{ $ref: `#/components/schemas/${fullName('meta.ListMeta')}` }] },
      items: { type: 'array', items: { allOf: [{ $ref: `#/components/schemas/${name}` }] } },
    },
    'x-kubernetes-group-version-kind': [{ ...kindOf(type), kind: `${type.kind}List` }],
  };
}

/** The operations of a type. kubectl looks in them for the kind, and for the parameters that a patch takes. */
function pathsOf(type: ResourceType): Record<string, object> {
  const base = `/${pathOf(apiVersionOf(type))}/${type.namespaced ? 'namespaces/{namespace}/' : ''}${type.plural}`;
  const ref = `#/components/schemas/${fullName(`${roomOf(type.group)}.${type.kind}`)}`;
  const body = { content: { '*/*': { schema: { $ref: ref } } } };
  const response = (schema: string) => ({
    responses: { '200': { description: 'OK', content: { 'application/json': { schema: { $ref: schema } } } } },
  });
  const operation = (action: string, ...parameters: string[]) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kindOf(type),
    parameters: parameters.map((name) => ({
      name,
      in: 'query',
      schema: { type: name === 'force' ? 'boolean' : 'string' },
    })),
  });
  const writes = ['dryRun', 'fieldManager', 'fieldValidation', 'pretty'];
  const reads = [
    'labelSelector',
    'fieldSelector',
    'limit',
    'continue',
    'resourceVersion',
    'resourceVersionMatch',
    'watch',
  ];
  const inPath = ['name', ...(type.namespaced ? ['namespace'] : [])].map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  if (!type.verbs.includes('get')) {
    return { [base]: { post: { ...operation('post', ...writes), requestBody: body, ...response(ref) } } };
  }
  const patchBody = {
    content: Object.fromEntries(
      [
        'application/apply-patch+yaml',
        'application/json-patch+json',
        'application/merge-patch+json',
        'application/strategic-merge-patch+json',
      ].map((mediaType) => [mediaType, { schema: { type: 'object' } }]),
    ),
  };
  return {
    [base]: {
      get: { ...operation('list', ...reads), ...response(`${ref}List`) },
      post: { ...operation('post', ...writes), requestBody: body, ...response(ref) },
      delete: {
        ...operation('deletecollection', ...reads, 'dryRun'),
        ...response(`#/components/schemas/${fullName('meta.Status')}`),
      },
      parameters: inPath.slice(1),
    },
    [`${base}/{name}`]: {
      get: { ...operation('get'), ...response(ref) },
      put: { ...operation('put', ...writes), requestBody: body, ...response(ref) },
      patch: { ...operation('patch', ...writes, 'force'), requestBody: patchBody, ...response(ref) },
      delete: { ...operation('delete', 'dryRun'), ...response(`#/components/schemas/${fullName('meta.Status')}`) },
      parameters: inPath,
    },
  };
}

function kindOf(type: ResourceType): { group: string; version: string; kind: string } {
  return { group: type.group, version: type.version, kind: type.kind };
}

function fullName(name: string): string {
  const [room = '', kind = ''] = name.split('.');
  return room === 'meta' ? `io.k8s.apimachinery.pkg.apis.meta.v1.${kind}` : `io.k8s.api.${room}.v1.${kind}`;
}

const scalars: Record<string, object> = {
  string: { type: 'string' },
  int: { type: 'integer', format: 'int32' },
  long: { type: 'integer', format: 'int64' },
  number: { type: 'number', format: 'double' },
  bool: { type: 'boolean' },
  time: { type: 'string', format: 'date-time' },
  microtime: { type: 'string', format: 'date-time' },
  quantity: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  'int-or-string': { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' },
  bytes: { type: 'string', format: 'byte' },
};

// The documents never change while the process runs, so clients may cache them by this.
const documentHash = 'B6D1C0A5E9F34728';
