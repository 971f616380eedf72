/** One request as data. `{ns}` in a path or text is the namespace of the test, `{rv}` and `{uid}` are those of the last given object. */
export interface Request {
  readonly method: string;
  readonly path: string;
  /** A text is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  /** @defaultValue `application/json`, if there is a body */
  readonly type?: string;
  readonly accept?: string;
  /** Whose credentials. @defaultValue the administrator's */
  readonly as?: 'anonymous' | 'bad-token' | 'account';
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request with what must be there before it. */
export interface Case {
  readonly title: string;
  /** Done one after the other before the request; none may fail. */
  readonly given?: readonly Request[];
  readonly request: Request;
  /** For a watch: done once it is open, one after the other. */
  readonly during?: readonly Request[];
  /** For a watch: how many events are read before it is ended. @defaultValue until the server ends it */
  readonly events?: number;
}

type Fields = Readonly<Record<string, unknown>>;

const services = '/api/v1/namespaces/{ns}/services';
const service = (name: string, query = '') => `${services}/${name}${query}`;
const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}';
const leases = '/apis/coordination.k8s.io/v1/namespaces/{ns}/leases';
const slices = '/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices';
const accounts = '/api/v1/namespaces/{ns}/serviceaccounts';

const json = 'application/json-patch+json';
const merge = 'application/merge-patch+json';
const strategic = 'application/strategic-merge-patch+json';
const apply = 'application/apply-patch+yaml';
const yaml = 'application/yaml';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
const metadataOnly = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const metadataList = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';

const external = { type: 'ExternalName', externalName: 'primary-db.example.com' };
const cluster = { selector: { app: 'db' }, ports: [{ name: 'sql', port: 5432 }] };
const object = (name: string, spec: Fields = external, metadata: Fields = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, ...metadata },
  spec,
});
const made = (name: string, spec: Fields = external, metadata: Fields = {}): Request => ({
  method: 'POST',
  path: services,
  body: object(name, spec, metadata),
});
const post = (path: string, body: unknown, rest: Partial<Request> = {}): Request => ({
  method: 'POST',
  path,
  body,
  ...rest,
});
const patch = (name: string, type: string, body: unknown, query = ''): Request => ({
  method: 'PATCH',
  path: service(name, query),
  body,
  type,
});
const put = (name: string, body: unknown, query = ''): Request => ({
  method: 'PUT',
  path: service(name, query),
  body,
});
const get = (path: string, rest: Partial<Request> = {}): Request => ({ method: 'GET', path, ...rest });
const remove = (path: string, body?: unknown): Request => ({
  method: 'DELETE',
  path,
  ...(body === undefined ? {} : { body }),
});
const watch = (query: string, path = services): Request => get(`${path}?watch=true&${query}`);
const applied = (name: string, spec: Fields, query: string, rest: Fields = {}): Request =>
  patch(name, apply, { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec, ...rest }, query);

const three = [
  made('a', external, { labels: { app: 'db', tier: 'back' } }),
  made('b', external, { labels: { app: 'db', tier: 'front' } }),
  made('c', cluster, { labels: { app: 'web' } }),
];
const selected = (kind: 'labelSelector' | 'fieldSelector', selector: string, rest = '') => ({
  given: three,
  request: get(`${services}?${kind}=${encodeURIComponent(selector)}${rest}`),
});

const gets: readonly Case[] = [
  { title: 'a Service', given: [made('a')], request: get(service('a')) },
  { title: 'a ClusterIP Service', given: [made('a', cluster)], request: get(service('a')) },
  { title: 'a Service that is not there', request: get(service('missing')) },
  { title: 'a Lease that is not there', request: get(`${leases}/missing`) },
  {
    title: 'a Service in a namespace that is not there',
    request: get('/api/v1/namespaces/no-such-namespace/services/a'),
  },
  { title: 'a kind that is not served', request: get('/api/v1/namespaces/{ns}/gadgets/a') },
  { title: 'a group that is not served', request: get('/apis/example.com/v1/namespaces/{ns}/gadgets/a') },
  { title: 'a version that is not served', request: get('/apis/discovery.k8s.io/v7/namespaces/{ns}/endpointslices/a') },
  { title: 'a path that is not served', request: get('/nothing/here') },
  { title: 'a subresource that does not exist', given: [made('a')], request: get(service('a', '/gadget')) },
  { title: 'the status of a Service', given: [made('a')], request: get(service('a', '/status')) },
  { title: 'a Service as YAML', given: [made('a')], request: get(service('a'), { accept: yaml }) },
  { title: 'a Service as a table', given: [made('a')], request: get(service('a'), { accept: table }) },
  {
    title: 'a Service as a table without objects',
    given: [made('a')],
    request: get(service('a', '?includeObject=None'), { accept: table }),
  },
  {
    title: 'a Service as a table with whole objects',
    given: [made('a')],
    request: get(service('a', '?includeObject=Object'), { accept: table }),
  },
  {
    title: 'a Service as a table with an unknown includeObject',
    given: [made('a')],
    request: get(service('a', '?includeObject=Half'), { accept: table }),
  },
  { title: 'the metadata of a Service', given: [made('a')], request: get(service('a'), { accept: metadataOnly }) },
  { title: 'a Service as HTML', given: [made('a')], request: get(service('a'), { accept: 'text/html' }) },
  {
    title: 'a Service as HTML, or else anything',
    given: [made('a')],
    request: get(service('a'), { accept: 'text/html, */*' }),
  },
  { title: 'a Service at version 0', given: [made('a')], request: get(service('a', '?resourceVersion=0')) },
  {
    title: 'a Service at a version that is not a number',
    given: [made('a')],
    request: get(service('a', '?resourceVersion=abc')),
  },
  { title: 'a Service, indented', given: [made('a')], request: get(service('a', '?pretty=true')) },
  { title: 'the namespace', request: get('/api/v1/namespaces/{ns}') },
  { title: 'a namespace that is not there', request: get('/api/v1/namespaces/missing') },
  { title: 'a Service without credentials', given: [made('a')], request: get(service('a'), { as: 'anonymous' }) },
  {
    title: 'a Service with a token that was never issued',
    given: [made('a')],
    request: get(service('a'), { as: 'bad-token' }),
  },
  {
    title: 'a Service as an account without rights',
    given: [made('a')],
    request: get(service('a'), { as: 'account' }),
  },
  { title: 'a Lease as an account without rights', request: get(`${leases}/a`, { as: 'account' }) },
  { title: 'a path as an account without rights', request: get('/metrics', { as: 'account' }) },
  { title: 'the version without credentials', request: get('/healthz', { as: 'anonymous' }) },
];

const lists: readonly Case[] = [
  { title: 'nothing', request: get(services) },
  { title: 'three Services', given: three, request: get(services) },
  { title: 'a namespace that is not there', request: get('/api/v1/namespaces/no-such-namespace/services') },
  { title: 'a kind that is not served', request: get('/api/v1/namespaces/{ns}/gadgets') },
  { title: 'as a table', given: three, request: get(services, { accept: table }) },
  { title: 'no Leases as a table', request: get(leases, { accept: table }) },
  { title: 'as metadata', given: three, request: get(services, { accept: metadataList }) },
  { title: 'as YAML', given: three, request: get(services, { accept: yaml }) },
  { title: 'by a label', ...selected('labelSelector', 'app=db') },
  { title: 'by a label with two equals signs', ...selected('labelSelector', 'app==db') },
  { title: 'by a label that differs', ...selected('labelSelector', 'tier!=back') },
  { title: 'by a set of values', ...selected('labelSelector', 'tier in (back, front)') },
  { title: 'by values that are not in a set', ...selected('labelSelector', 'tier notin (back)') },
  { title: 'by a label that is there', ...selected('labelSelector', 'tier') },
  { title: 'by a label that is not there', ...selected('labelSelector', '!tier') },
  { title: 'by two labels', ...selected('labelSelector', 'app=db,tier=front') },
  { title: 'by a label selector without end', ...selected('labelSelector', 'tier in (back') },
  { title: 'by a label selector that begins with an operator', ...selected('labelSelector', '=db') },
  { title: 'by a label selector with a key that is not one', ...selected('labelSelector', 'a b=c') },
  { title: 'by a label selector with a value that is not one', ...selected('labelSelector', 'app=-db-') },
  { title: 'by a label greater than a number', ...selected('labelSelector', 'app>1') },
  { title: 'by an empty label selector', ...selected('labelSelector', '') },
  { title: 'by a name', ...selected('fieldSelector', 'metadata.name=b') },
  { title: 'by a name that differs', ...selected('fieldSelector', 'metadata.name!=b') },
  { title: 'by a namespace', ...selected('fieldSelector', 'metadata.namespace=elsewhere') },
  { title: 'by a type', ...selected('fieldSelector', 'spec.type=ClusterIP') },
  { title: 'by a field that cannot be selected', ...selected('fieldSelector', 'spec.externalName=x') },
  { title: 'by a field selector without a value', ...selected('fieldSelector', 'metadata.name') },
  { title: 'by a label and a field', ...selected('fieldSelector', 'metadata.name!=a', '&labelSelector=app%3Ddb') },
  { title: 'two at most', given: three, request: get(`${services}?limit=2`) },
  { title: 'as many as there are', given: three, request: get(`${services}?limit=3`) },
  { title: 'one at most, by a label', ...selected('labelSelector', 'app=db', '&limit=1') },
  { title: 'a limit that is not a number', request: get(`${services}?limit=many`) },
  { title: 'a negative limit', given: three, request: get(`${services}?limit=-1`) },
  { title: 'a continue token that was never issued', request: get(`${services}?limit=1&continue=abc`) },
  { title: 'at version 0', given: three, request: get(`${services}?resourceVersion=0`) },
  { title: 'at a version that is not a number', request: get(`${services}?resourceVersion=abc`) },
  {
    title: 'at exactly a version',
    given: three,
    request: get(`${services}?resourceVersion={rv}&resourceVersionMatch=Exact`),
  },
  {
    title: 'not older than a version',
    given: three,
    request: get(`${services}?resourceVersion={rv}&resourceVersionMatch=NotOlderThan`),
  },
  { title: 'at exactly version 0', request: get(`${services}?resourceVersion=0&resourceVersionMatch=Exact`) },
  { title: 'at exactly no version', request: get(`${services}?resourceVersionMatch=Exact`) },
  {
    title: 'at a version by an unknown rule',
    given: three,
    request: get(`${services}?resourceVersion={rv}&resourceVersionMatch=About`),
  },
  { title: 'with sendInitialEvents', request: get(`${services}?sendInitialEvents=true`) },
  { title: 'with a timeout that is not a number', request: get(`${services}?timeoutSeconds=soon`) },
  {
    title: 'of all namespaces, by a name',
    given: three,
    request: get('/api/v1/services?fieldSelector=metadata.namespace%3D{ns}'),
  },
  { title: 'as an account without rights', request: get(services, { as: 'account' }) },
  { title: 'of all namespaces as an account without rights', request: get('/api/v1/services', { as: 'account' }) },
];

const port = (fields: Fields) => object('a', { ports: [fields] });
const creates: readonly Case[] = [
  { title: 'an ExternalName Service', request: made('a') },
  { title: 'a ClusterIP Service', request: made('a', cluster) },
  { title: 'a headless Service', request: made('a', { ...cluster, clusterIP: 'None' }) },
  { title: 'a headless Service without a selector', request: made('a', { clusterIP: 'None' }) },
  { title: 'a NodePort Service', request: made('a', { ...cluster, type: 'NodePort' }) },
  { title: 'a LoadBalancer Service', request: made('a', { ...cluster, type: 'LoadBalancer' }) },
  { title: 'a Service with session affinity', request: made('a', { ...cluster, sessionAffinity: 'ClientIP' }) },
  { title: 'a Service without a name', request: post(services, { ...object('a'), metadata: {} }) },
  {
    title: 'a Service with a generated name',
    request: post(services, { ...object('a'), metadata: { generateName: 'db-' } }),
  },
  { title: 'a Service that is already there', given: [made('a')], request: made('a') },
  { title: 'a Service of another namespace', request: made('a', external, { namespace: 'elsewhere' }) },
  {
    title: 'a Service in a namespace that is not there',
    request: post('/api/v1/namespaces/no-such-namespace/services', object('a')),
  },
  { title: 'an object of another kind', request: post(services, { ...object('a'), kind: 'Pod' }) },
  { title: 'an object of an unknown kind', request: post(services, { ...object('a'), kind: 'Gadget' }) },
  { title: 'an object of another version', request: post(services, { ...object('a'), apiVersion: 'v2' }) },
  { title: 'an object without kind and version', request: post(services, { metadata: { name: 'a' }, spec: external }) },
  {
    title: 'an object without a kind',
    request: post(services, { apiVersion: 'v1', metadata: { name: 'a' }, spec: external }),
  },
  { title: 'nothing', request: { method: 'POST', path: services } },
  { title: 'an empty object', request: post(services, {}) },
  { title: 'a list instead of an object', request: post(services, [object('a')]) },
  { title: 'a text instead of an object', request: post(services, '"a"') },
  { title: 'null', request: post(services, 'null') },
  { title: 'JSON that ends too early', request: post(services, '{"kind": "Service", ') },
  { title: 'JSON with a trailing comma', request: post(services, '{"kind": "Service",}') },
  { title: 'text that is not JSON', request: post(services, 'hello') },
  { title: 'a body of an unknown content type', request: post(services, object('a'), { type: 'text/plain' }) },
  { title: 'a body of a content type of patches', request: post(services, object('a'), { type: merge }) },
  {
    title: 'YAML',
    request: post(
      services,
      'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: ExternalName, externalName: x.example.com}\n',
      { type: yaml },
    ),
  },
  { title: 'YAML that cannot be read', request: post(services, 'a: [b\n', { type: yaml }) },
  { title: 'an unknown field', request: post(services, object('a', { ...external, colour: 'red' })) },
  {
    title: 'two unknown fields, warned of',
    request: post(`${services}?fieldValidation=Warn`, { ...object('a', { ...external, colour: 'red' }), size: 3 }),
  },
  {
    title: 'an unknown field, strictly',
    request: post(`${services}?fieldValidation=Strict`, object('a', { ...external, colour: 'red' })),
  },
  {
    title: 'an unknown field, ignored',
    request: post(`${services}?fieldValidation=Ignore`, object('a', { ...external, colour: 'red' })),
  },
  {
    title: 'an unknown field in a list, strictly',
    request: post(`${services}?fieldValidation=Strict`, port({ port: 1, colour: 'red' })),
  },
  { title: 'an unknown fieldValidation', request: post(`${services}?fieldValidation=Maybe`, object('a')) },
  {
    title: 'a field twice',
    request: post(
      services,
      '{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"type":"ExternalName","externalName":"x.example.com","externalName":"y.example.com"}}',
    ),
  },
  {
    title: 'a field twice, strictly',
    request: post(
      `${services}?fieldValidation=Strict`,
      '{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"type":"ExternalName","externalName":"x.example.com","externalName":"y.example.com"}}',
    ),
  },
  { title: 'a port that is a text', request: post(services, port({ port: '5432' })) },
  { title: 'a port that is a fraction', request: post(services, port({ port: 1.5 })) },
  { title: 'a name that is a number', request: post(services, { ...object('a'), metadata: { name: 7 } }) },
  { title: 'ports that are an object', request: post(services, object('a', { ports: { port: 1 } })) },
  { title: 'a selector with a number', request: post(services, object('a', { selector: { app: 1 } })) },
  { title: 'a spec that is a text', request: post(services, { ...object('a'), spec: 'external' }) },
  { title: 'labels that are null', request: made('a', external, { labels: null }) },
  { title: 'a label that is null', request: made('a', external, { labels: { app: null } }) },
  { title: 'a dry run', request: post(`${services}?dryRun=All`, object('a')) },
  { title: 'a dry run of an unknown kind', request: post(`${services}?dryRun=Some`, object('a')) },
  { title: 'an object with a resource version', request: made('a', external, { resourceVersion: '7' }) },
  {
    title: 'an object with a UID and a time of its own',
    request: made('a', external, { uid: 'mine', creationTimestamp: '2020-01-01T00:00:00Z' }),
  },
  {
    title: 'an object with managed fields of its own',
    request: made('a', external, { managedFields: [{ manager: 'me', operation: 'Update' }] }),
  },
  { title: 'by a field manager', request: post(`${services}?fieldManager=operator`, object('a')) },
  {
    title: 'by a field manager with too long a name',
    request: post(`${services}?fieldManager=${'x'.repeat(129)}`, object('a')),
  },
  { title: 'by a field manager that cannot be printed', request: post(`${services}?fieldManager=a%07b`, object('a')) },
  { title: 'a name with capital letters', request: made('Primary-DB') },
  { title: 'a name that is too long', request: made('a'.repeat(64)) },
  { title: 'a label that is not one', request: made('a', external, { labels: { 'a b': '-' } }) },
  { title: 'an annotation that is not one', request: made('a', external, { annotations: { '': 'x' } }) },
  { title: 'a finalizer that is not qualified', request: made('a', external, { finalizers: ['mine'] }) },
  { title: 'an ExternalName Service without a name outside', request: made('a', { type: 'ExternalName' }) },
  {
    title: 'an external name with an underscore',
    request: made('a', { type: 'ExternalName', externalName: 'a_b.example.com' }),
  },
  {
    title: 'an external name that is an address',
    request: made('a', { type: 'ExternalName', externalName: '203.0.113.7' }),
  },
  {
    title: 'an external name with a port',
    request: made('a', { type: 'ExternalName', externalName: 'db.example.com:5432' }),
  },
  {
    title: 'an external name on a ClusterIP Service',
    request: made('a', { ...cluster, externalName: 'db.example.com' }),
  },
  { title: 'an unknown type of Service', request: made('a', { type: 'Elsewhere' }) },
  { title: 'port 0', request: post(services, port({ port: 0 })) },
  { title: 'port 65536', request: post(services, port({ port: 65_536 })) },
  { title: 'an unknown protocol', request: post(services, port({ port: 1, protocol: 'ICMP' })) },
  { title: 'two ports without names', request: made('a', { ports: [{ port: 1 }, { port: 2 }] }) },
  {
    title: 'two ports of one number',
    request: made('a', {
      ports: [
        { name: 'a', port: 1 },
        { name: 'b', port: 1 },
      ],
    }),
  },
  { title: 'a cluster address that is not one', request: made('a', { ...cluster, clusterIP: 'ten' }) },
  { title: 'a node port out of range', request: made('a', { type: 'NodePort', ports: [{ port: 1, nodePort: 80 }] }) },
  { title: 'a Service at the path of one', request: post(service('a'), object('a')) },
  { title: 'a Service as an account without rights', request: post(services, object('a'), { as: 'account' }) },
  { title: 'a ServiceAccount', request: post(accounts, { metadata: { name: 'a' } }) },
  {
    title: 'a Lease',
    request: post(leases, {
      metadata: { name: 'a' },
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-01-02T03:04:05.123456Z' },
    }),
  },
  {
    title: 'a Lease with a duration of 0',
    request: post(leases, { metadata: { name: 'a' }, spec: { leaseDurationSeconds: 0 } }),
  },
  {
    title: 'a Lease with a time that is not one',
    request: post(leases, { metadata: { name: 'a' }, spec: { renewTime: 'yesterday' } }),
  },
  {
    title: 'an EndpointSlice',
    request: post(slices, {
      metadata: { name: 'a', labels: { 'kubernetes.io/service-name': 'a' } },
      addressType: 'IPv4',
      ports: [{ port: 5432 }],
      endpoints: [{ addresses: ['203.0.113.7'] }],
    }),
  },
  {
    title: 'an EndpointSlice with an address of the other family',
    request: post(slices, {
      metadata: { name: 'a' },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['2001:db8::1'] }],
    }),
  },
  { title: 'an EndpointSlice without a type', request: post(slices, { metadata: { name: 'a' }, endpoints: [] }) },
  {
    title: 'a Role',
    request: post(`${rbac}/roles`, {
      metadata: { name: 'a' },
      rules: [{ apiGroups: [''], resources: ['services'], verbs: ['get'] }],
    }),
  },
  {
    title: 'a Role without verbs',
    request: post(`${rbac}/roles`, {
      metadata: { name: 'a' },
      rules: [{ apiGroups: [''], resources: ['services'], verbs: [] }],
    }),
  },
  {
    title: 'a RoleBinding',
    request: post(`${rbac}/rolebindings`, {
      metadata: { name: 'a' },
      roleRef: { kind: 'Role', name: 'a' },
      subjects: [{ kind: 'User', name: 'me' }],
    }),
  },
  {
    title: 'a RoleBinding without a role',
    request: post(`${rbac}/rolebindings`, { metadata: { name: 'a' }, subjects: [] }),
  },
  {
    title: 'an Event',
    request: post('/api/v1/namespaces/{ns}/events', {
      metadata: { name: 'a' },
      involvedObject: { kind: 'Service', name: 'a', namespace: '{ns}' },
      reason: 'Tested',
      message: 'all well',
      type: 'Normal',
    }),
  },
  {
    title: 'an Event about another namespace',
    request: post('/api/v1/namespaces/{ns}/events', {
      metadata: { name: 'a' },
      involvedObject: { kind: 'Service', name: 'a', namespace: 'elsewhere' },
    }),
  },
  {
    title: 'a Namespace with a name that is not one',
    request: post('/api/v1/namespaces', { metadata: { name: 'a.b' } }),
  },
  { title: 'a Namespace that is already there', request: post('/api/v1/namespaces', { metadata: { name: '{ns}' } }) },
  {
    title: 'a review of one’s own access',
    request: post(
      '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      { spec: { resourceAttributes: { namespace: '{ns}', verb: 'get', resource: 'services' } } },
      { as: 'account' },
    ),
  },
  {
    title: 'a review of access to nothing',
    request: post('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', { spec: {} }),
  },
  { title: 'a token for an account that is not there', request: post(`${accounts}/missing/token`, { spec: {} }) },
  {
    title: 'a token for too short a time',
    given: [post(accounts, { metadata: { name: 'a' } })],
    request: post(`${accounts}/a/token`, { spec: { expirationSeconds: 5 } }),
  },
];

const secondary = { type: 'ExternalName', externalName: 'secondary-db.example.com' };
const updates: readonly Case[] = [
  { title: 'a Service', given: [made('a')], request: put('a', object('a', secondary)) },
  {
    title: 'a Service at its version',
    given: [made('a')],
    request: put('a', object('a', secondary, { resourceVersion: '{rv}' })),
  },
  {
    title: 'a Service at an older version',
    given: [made('a'), patch('a', merge, { spec: secondary })],
    request: put('a', object('a', external, { resourceVersion: '1' })),
  },
  {
    title: 'a Service at a version that is not a number',
    given: [made('a')],
    request: put('a', object('a', secondary, { resourceVersion: 'abc' })),
  },
  { title: 'a Service with what it is already', given: [made('a')], request: put('a', object('a')) },
  { title: 'a Service under another name', given: [made('a')], request: put('a', object('b')) },
  {
    title: 'a Service of another namespace',
    given: [made('a')],
    request: put('a', object('a', external, { namespace: 'elsewhere' })),
  },
  { title: 'a Service without a name', given: [made('a')], request: put('a', { ...object('a'), metadata: {} }) },
  { title: 'a Service that is not there', request: put('a', object('a')) },
  {
    title: 'a Lease that is not there',
    request: { method: 'PUT', path: `${leases}/a`, body: { metadata: { name: 'a' }, spec: {} } },
  },
  {
    title: 'a ServiceAccount that is not there',
    request: { method: 'PUT', path: `${accounts}/a`, body: { metadata: { name: 'a' } } },
  },
  {
    title: 'a Service with another UID',
    given: [made('a')],
    request: put('a', object('a', secondary, { uid: 'b37c2b2e-0000-4000-8000-000000000000' })),
  },
  {
    title: 'a cluster address',
    given: [made('a', cluster)],
    request: put('a', object('a', { ...cluster, clusterIP: '10.96.200.200' })),
  },
  {
    title: 'a ClusterIP Service to an ExternalName Service',
    given: [made('a', cluster)],
    request: put('a', object('a')),
  },
  {
    title: 'an ExternalName Service to a ClusterIP Service',
    given: [made('a')],
    request: put('a', object('a', cluster)),
  },
  {
    title: 'a Service to what is not valid',
    given: [made('a')],
    request: put('a', object('a', { type: 'ExternalName', externalName: '-' })),
  },
  {
    title: 'a Service, with an unknown field',
    given: [made('a')],
    request: put('a', object('a', { ...secondary, colour: 'red' })),
  },
  { title: 'a Service with nothing', given: [made('a')], request: { method: 'PUT', path: service('a') } },
  {
    title: 'a Service with an object of another kind',
    given: [made('a')],
    request: put('a', { ...object('a'), kind: 'Pod' }),
  },
  { title: 'all Services', request: { method: 'PUT', path: services, body: object('a') } },
  { title: 'a Service in a dry run', given: [made('a')], request: put('a', object('a', secondary), '?dryRun=All') },
  {
    title: 'a Service by another field manager',
    given: [made('a')],
    request: put('a', object('a', secondary), '?fieldManager=operator'),
  },
  {
    title: 'the status of a Service',
    given: [made('a', { ...cluster, type: 'LoadBalancer' })],
    request: put(
      'a',
      {
        ...object('a', { ...cluster, type: 'LoadBalancer' }),
        status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } },
      },
      '/status',
    ),
  },
  { title: 'the status of a Service that is not there', request: put('a', object('a'), '/status') },
  {
    title: 'the role of a RoleBinding',
    given: [post(`${rbac}/rolebindings`, { metadata: { name: 'a' }, roleRef: { kind: 'Role', name: 'a' } })],
    request: {
      method: 'PUT',
      path: `${rbac}/rolebindings/a`,
      body: { metadata: { name: 'a' }, roleRef: { kind: 'Role', name: 'b' } },
    },
  },
  {
    title: 'a Lease without a version',
    given: [post(leases, { metadata: { name: 'a' }, spec: {} })],
    request: { method: 'PUT', path: `${leases}/a`, body: { metadata: { name: 'a' }, spec: { holderIdentity: 'me' } } },
  },
  {
    title: 'a Service as an account without rights',
    given: [made('a')],
    request: { ...put('a', object('a')), as: 'account' },
  },
];

const jsonPatches: readonly Case[] = [
  ['a field', [{ op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' }]],
  [
    'a field after a test',
    [
      { op: 'test', path: '/spec/externalName', value: 'primary-db.example.com' },
      { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
    ],
  ],
  [
    'nothing, as a test fails',
    [
      { op: 'test', path: '/spec/externalName', value: 'other.example.com' },
      { op: 'remove', path: '/spec/externalName' },
    ],
  ],
  ['nothing, as the test is of a path that is not there', [{ op: 'test', path: '/spec/nothing', value: 'x' }]],
  ['nothing, as what is removed is not there', [{ op: 'remove', path: '/spec/nothing' }]],
  ['nothing, as the parent is not there', [{ op: 'add', path: '/metadata/labels/app', value: 'db' }]],
  ['labels', [{ op: 'add', path: '/metadata/labels', value: { app: 'db' } }]],
  ['a field that is not there', [{ op: 'replace', path: '/metadata/labels', value: { app: 'db' } }]],
  ['a field by a copy', [{ op: 'copy', from: '/metadata/name', path: '/spec/externalName' }]],
  [
    'a field by a move',
    [
      { op: 'add', path: '/metadata/labels', value: { a: 'x', b: 'y' } },
      { op: 'move', from: '/metadata/labels/a', path: '/metadata/labels/c' },
    ],
  ],
  ['nothing, as the list is empty', []],
  ['nothing, as it is not a list', { op: 'remove', path: '/spec' }],
  ['nothing, as it is a text', '"abc"'],
  ['nothing, as it is not JSON', '[{'],
  ['nothing, as there is no such operation', [{ op: 'swap', path: '/spec' }]],
  ['nothing, as an operation names no path', [{ op: 'remove' }]],
  ['the name', [{ op: 'replace', path: '/metadata/name', value: 'b' }]],
  ['the kind', [{ op: 'replace', path: '/kind', value: 'Pod' }]],
  ['a field to what is not valid', [{ op: 'replace', path: '/spec/externalName', value: 'not valid' }]],
  ['a field to a wrong type', [{ op: 'replace', path: '/spec/ports', value: 'x' }]],
  ['an unknown field', [{ op: 'add', path: '/spec/colour', value: 'red' }]],
  ['the resource version to another one', [{ op: 'replace', path: '/metadata/resourceVersion', value: '1' }]],
].map(([title, body]) => ({ title: `${title}`, given: [made('a')], request: patch('a', json, body) }));

const mergePatches: readonly Case[] = [
  ['a field', { spec: { externalName: 'secondary-db.example.com' } }],
  ['labels', { metadata: { labels: { app: 'db' } } }],
  ['a field to null', { spec: { externalName: null } }],
  ['nothing', {}],
  ['nothing, as it is a list', [1]],
  ['nothing, as it is not JSON', '{"spec": '],
  ['nothing, as it is null', 'null'],
  ['an unknown field', { spec: { colour: 'red' } }],
  ['a field to a wrong type', { spec: { ports: 'x' } }],
  ['the version, which is not the object’s', { metadata: { resourceVersion: '1' }, spec: secondary }],
  ['the UID', { metadata: { uid: 'b37c2b2e-0000-4000-8000-000000000000' } }],
  ['a field to what is not valid', { spec: { externalName: 'not valid' } }],
  ['the managed fields away', { metadata: { managedFields: [{}] } }],
].map(([title, body]) => ({ title: `${title}`, given: [made('a')], request: patch('a', merge, body) }));

const twoPorts = {
  ports: [
    { name: 'sql', port: 5432 },
    { name: 'http', port: 80 },
  ],
};
const strategicPatches: readonly Case[] = [
  ['one port of two', { spec: { ports: [{ port: 80, name: 'web' }] } }],
  ['a third port', { spec: { ports: [{ port: 443, name: 'https' }] } }],
  ['a port away', { spec: { ports: [{ port: 80, $patch: 'delete' }] } }],
  ['all ports', { spec: { ports: [{ $patch: 'replace' }, { port: 1, name: 'one' }] } }],
  [
    'the order of ports',
    { spec: { '$setElementOrder/ports': [{ port: 80 }, { port: 5432 }], ports: [{ port: 80, name: 'web' }] } },
  ],
  ['nothing, as a port lacks its key', { spec: { ports: [{ name: 'x' }] } }],
  ['nothing, as there is no such directive', { spec: { $patch: 'twist' } }],
  ['the spec as a whole', { spec: { $patch: 'replace', type: 'ExternalName', externalName: 'x.example.com' } }],
  ['a label to null', { metadata: { labels: { app: null, tier: 'x' } } }],
  ['nothing, as it is not JSON', '{"spec": '],
  ['nothing, as it is a list', [1]],
  ['an unknown field', { spec: { colour: 'red' } }],
].map(([title, body]) => ({
  title: `${title}`,
  given: [made('a', twoPorts, { labels: { app: 'db' } })],
  request: patch('a', strategic, body),
}));

const otherPatches: readonly Case[] = [
  {
    title: 'a finalizer from its list',
    given: [made('a', external, { finalizers: ['example.com/a', 'example.com/b'] })],
    request: patch('a', strategic, { metadata: { '$deleteFromPrimitiveList/finalizers': ['example.com/a'] } }),
  },
  { title: 'a Service that is not there', request: patch('missing', merge, {}) },
  { title: 'all Services', request: { method: 'PATCH', path: services, body: {}, type: merge } },
  {
    title: 'with a content type that is not one of patches',
    given: [made('a')],
    request: patch('a', 'application/json', {}),
  },
  { title: 'with an unknown content type', given: [made('a')], request: patch('a', 'text/plain', {}) },
  {
    title: 'with a content type with parameters',
    given: [made('a')],
    request: patch('a', `${merge}; charset=utf-8`, { metadata: { labels: { a: 'b' } } }),
  },
  {
    title: 'an unknown field, strictly',
    given: [made('a')],
    request: patch('a', merge, { spec: { colour: 'red' } }, '?fieldValidation=Strict'),
  },
  { title: 'in a dry run', given: [made('a')], request: patch('a', merge, { spec: secondary }, '?dryRun=All') },
  { title: 'by force', given: [made('a')], request: patch('a', merge, { spec: secondary }, '?force=true') },
  {
    title: 'by a field manager',
    given: [made('a')],
    request: patch('a', merge, { spec: secondary }, '?fieldManager=operator'),
  },
  {
    title: 'the status',
    given: [made('a', { ...cluster, type: 'LoadBalancer' })],
    request: patch(
      'a',
      merge,
      { spec: { ports: null }, status: { loadBalancer: { ingress: [{ hostname: 'x.example.com' }] } } },
      '/status',
    ),
  },
  { title: 'as an account without rights', given: [made('a')], request: { ...patch('a', merge, {}), as: 'account' } },
];

const applies: readonly Case[] = [
  { title: 'a new Service', request: applied('a', external, '?fieldManager=one') },
  {
    title: 'the same twice',
    given: [applied('a', external, '?fieldManager=one')],
    request: applied('a', external, '?fieldManager=one'),
  },
  {
    title: 'another value',
    given: [applied('a', external, '?fieldManager=one')],
    request: applied('a', secondary, '?fieldManager=one'),
  },
  { title: 'without a field manager', request: applied('a', external, '') },
  {
    title: 'the field of another manager',
    given: [applied('a', external, '?fieldManager=one')],
    request: applied('a', secondary, '?fieldManager=two'),
  },
  {
    title: 'the field of another manager by force',
    given: [applied('a', external, '?fieldManager=one')],
    request: applied('a', secondary, '?fieldManager=two&force=true'),
  },
  {
    title: 'the same value as another manager',
    given: [applied('a', external, '?fieldManager=one')],
    request: applied('a', external, '?fieldManager=two'),
  },
  { title: 'what was created, not applied', given: [made('a')], request: applied('a', secondary, '?fieldManager=two') },
  {
    title: 'less than before',
    given: [applied('a', twoPorts, '?fieldManager=one')],
    request: applied('a', { ports: [{ name: 'sql', port: 5432 }] }, '?fieldManager=one'),
  },
  {
    title: 'one port beside another manager’s',
    given: [applied('a', twoPorts, '?fieldManager=one')],
    request: applied('a', { ports: [{ name: 'x', port: 7 }] }, '?fieldManager=two'),
  },
  { title: 'an unknown field', request: applied('a', { ...external, colour: 'red' }, '?fieldManager=one') },
  { title: 'a wrong type', request: applied('a', { ports: 'x' }, '?fieldManager=one') },
  {
    title: 'what is not valid',
    request: applied('a', { type: 'ExternalName', externalName: '-' }, '?fieldManager=one'),
  },
  {
    title: 'without kind and version',
    request: patch('a', apply, { metadata: { name: 'a' }, spec: external }, '?fieldManager=one'),
  },
  { title: 'under another name', request: patch('a', apply, object('b'), '?fieldManager=one') },
  {
    title: 'with managed fields',
    given: [made('a')],
    request: applied('a', external, '?fieldManager=one', {
      metadata: { name: 'a', managedFields: [{ manager: 'x' }] },
    }),
  },
  {
    title: 'at an older version',
    given: [made('a')],
    request: applied('a', secondary, '?fieldManager=one', { metadata: { name: 'a', resourceVersion: '1' } }),
  },
  {
    title: 'at a version to what is not there',
    request: applied('a', secondary, '?fieldManager=one', { metadata: { name: 'a', resourceVersion: '1' } }),
  },
  {
    title: 'YAML',
    request: patch(
      'a',
      apply,
      'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: ExternalName, externalName: x.example.com}\n',
      '?fieldManager=one',
    ),
  },
  { title: 'YAML that cannot be read', request: patch('a', apply, 'a: [b\n', '?fieldManager=one') },
  { title: 'a list', request: patch('a', apply, '[1]', '?fieldManager=one') },
  { title: 'nothing', request: { method: 'PATCH', path: service('a', '?fieldManager=one'), type: apply, body: '' } },
  { title: 'in a dry run', request: applied('a', external, '?fieldManager=one&dryRun=All') },
  {
    title: 'in a namespace that is not there',
    request: {
      ...applied('a', external, ''),
      path: '/api/v1/namespaces/no-such-namespace/services/a?fieldManager=one',
    },
  },
];

const deletes: readonly Case[] = [
  { title: 'a Service', given: [made('a')], request: remove(service('a')) },
  { title: 'a Service that is not there', request: remove(service('missing')) },
  { title: 'a Lease', given: [post(leases, { metadata: { name: 'a' }, spec: {} })], request: remove(`${leases}/a`) },
  {
    title: 'a Role',
    given: [post(`${rbac}/roles`, { metadata: { name: 'a' }, rules: [] })],
    request: remove(`${rbac}/roles/a`),
  },
  { title: 'a ServiceAccount', given: [post(accounts, { metadata: { name: 'a' } })], request: remove(`${accounts}/a`) },
  {
    title: 'a Service with its UID',
    given: [made('a')],
    request: remove(service('a'), { preconditions: { uid: '{uid}' } }),
  },
  {
    title: 'a Service with another UID',
    given: [made('a')],
    request: remove(service('a'), { preconditions: { uid: 'b37c2b2e-0000-4000-8000-000000000000' } }),
  },
  {
    title: 'a Service at its version',
    given: [made('a')],
    request: remove(service('a'), { preconditions: { resourceVersion: '{rv}' } }),
  },
  {
    title: 'a Service at another version',
    given: [made('a')],
    request: remove(service('a'), { preconditions: { resourceVersion: '1' } }),
  },
  { title: 'a Service in a dry run', given: [made('a')], request: remove(service('a', '?dryRun=All')) },
  {
    title: 'a Service in a dry run that the body asks for',
    given: [made('a')],
    request: remove(service('a'), { dryRun: ['All'] }),
  },
  {
    title: 'a Service by an unknown propagation policy',
    given: [made('a')],
    request: remove(service('a', '?propagationPolicy=Sideways')),
  },
  {
    title: 'a Service in the foreground',
    given: [made('a')],
    request: remove(service('a', '?propagationPolicy=Foreground')),
  },
  {
    title: 'a Service and orphan its dependents',
    given: [made('a')],
    request: remove(service('a', '?propagationPolicy=Orphan')),
  },
  { title: 'a Service after a while', given: [made('a')], request: remove(service('a', '?gracePeriodSeconds=30')) },
  {
    title: 'a Service after a negative while',
    given: [made('a')],
    request: remove(service('a', '?gracePeriodSeconds=-1')),
  },
  { title: 'a Service with a body that is not JSON', given: [made('a')], request: remove(service('a'), '{') },
  { title: 'a Service with a body of another kind', given: [made('a')], request: remove(service('a'), object('a')) },
  {
    title: 'a Service that a finalizer holds',
    given: [made('a', external, { finalizers: ['example.com/hold'] })],
    request: remove(service('a')),
  },
  {
    title: 'a Service that a finalizer holds, twice',
    given: [made('a', external, { finalizers: ['example.com/hold'] }), remove(service('a'))],
    request: remove(service('a')),
  },
  {
    title: 'the finalizer of a deleted Service',
    given: [made('a', external, { finalizers: ['example.com/hold'] }), remove(service('a'))],
    request: patch('a', merge, { metadata: { finalizers: null } }),
  },
  {
    title: 'all Leases',
    given: [post(leases, { metadata: { name: 'a' }, spec: {} }), post(leases, { metadata: { name: 'b' }, spec: {} })],
    request: remove(leases),
  },
  {
    title: 'Leases by a label',
    given: [
      post(leases, { metadata: { name: 'a', labels: { x: 'y' } }, spec: {} }),
      post(leases, { metadata: { name: 'b' }, spec: {} }),
    ],
    request: remove(`${leases}?labelSelector=x%3Dy`),
  },
  {
    title: 'all Leases in a dry run',
    given: [post(leases, { metadata: { name: 'a' }, spec: {} })],
    request: remove(`${leases}?dryRun=All`),
  },
  { title: 'no Leases', request: remove(leases) },
  { title: 'all Services', given: three, request: remove(services) },
  {
    title: 'a Service as an account without rights',
    given: [made('a')],
    request: { ...remove(service('a')), as: 'account' },
  },
];

const change = (name: string, host: string) => patch(name, merge, { spec: { externalName: host } });
const label = (name: string, value: string | null) => patch(name, merge, { metadata: { labels: { app: value } } });
const watches: readonly Case[] = [
  {
    title: 'what is there, and then its changes',
    given: [made('a')],
    request: watch('timeoutSeconds=30'),
    during: [change('a', 'x.example.com'), made('b'), remove(service('a'))],
    events: 4,
  },
  {
    title: 'from a version on',
    given: [made('a'), made('b')],
    request: watch('resourceVersion={rv}&timeoutSeconds=30'),
    during: [change('a', 'x.example.com'), remove(service('b'))],
    events: 2,
  },
  {
    title: 'from version 0 on',
    given: [made('a')],
    request: watch('resourceVersion=0&timeoutSeconds=30'),
    during: [change('a', 'x.example.com')],
    events: 2,
  },
  {
    title: 'one name',
    given: [made('a'), made('b')],
    request: watch('fieldSelector=metadata.name%3Da&timeoutSeconds=30'),
    during: [change('b', 'x.example.com'), change('a', 'y.example.com'), remove(service('b')), remove(service('a'))],
    events: 3,
  },
  {
    title: 'what comes into a selection, changes in it and leaves it',
    given: [made('a')],
    request: watch('labelSelector=app%3Ddb&timeoutSeconds=30'),
    during: [label('a', 'db'), change('a', 'x.example.com'), label('a', 'web'), label('a', 'db'), remove(service('a'))],
    events: 5,
  },
  {
    title: 'no change that changes nothing',
    given: [made('a')],
    request: watch('timeoutSeconds=30'),
    during: [change('a', 'primary-db.example.com'), change('a', 'x.example.com')],
    events: 2,
  },
  {
    title: 'the deletion of what a finalizer holds',
    given: [made('a', external, { finalizers: ['example.com/hold'] })],
    request: watch('timeoutSeconds=30'),
    during: [remove(service('a')), patch('a', merge, { metadata: { finalizers: null } })],
    events: 3,
  },
  {
    title: 'with initial events and their bookmark',
    given: [made('a'), made('b')],
    request: watch(
      'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=30',
    ),
    during: [change('a', 'x.example.com')],
    events: 4,
  },
  {
    title: 'without initial events',
    given: [made('a')],
    request: watch(
      'sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion={rv}&allowWatchBookmarks=true&timeoutSeconds=30',
    ),
    during: [change('a', 'x.example.com')],
    events: 1,
  },
  {
    title: 'with initial events but without bookmarks',
    given: [made('a')],
    request: watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=30'),
    during: [change('a', 'x.example.com')],
    events: 2,
  },
  { title: 'with initial events but without their rule', request: watch('sendInitialEvents=true&timeoutSeconds=1') },
  {
    title: 'with a rule but without initial events',
    request: watch('resourceVersionMatch=NotOlderThan&timeoutSeconds=1'),
  },
  {
    title: 'with the rule of exact versions',
    request: watch('sendInitialEvents=true&resourceVersionMatch=Exact&timeoutSeconds=1'),
  },
  { title: 'from a version that is not a number', request: watch('resourceVersion=abc&timeoutSeconds=1') },
  { title: 'by a label selector that cannot be read', request: watch('labelSelector=%3D&timeoutSeconds=1') },
  {
    title: 'by a field that cannot be selected',
    request: watch('fieldSelector=spec.externalName%3Dx&timeoutSeconds=1'),
  },
  {
    title: 'as a table',
    given: [made('a')],
    request: { ...watch('timeoutSeconds=30'), accept: table },
    during: [change('a', 'x.example.com'), remove(service('a'))],
    events: 3,
  },
  {
    title: 'as metadata',
    given: [made('a')],
    request: { ...watch('timeoutSeconds=30'), accept: metadataOnly },
    during: [change('a', 'x.example.com')],
    events: 2,
  },
  { title: 'as YAML', given: [made('a')], request: { ...watch('timeoutSeconds=1'), accept: yaml } },
  { title: 'one object by its path', given: [made('a')], request: get(service('a', '?watch=true&timeoutSeconds=1')) },
  { title: 'a kind that is not served', request: get('/api/v1/namespaces/{ns}/gadgets?watch=true') },
  { title: 'until the time is up', given: [made('a')], request: watch('timeoutSeconds=1') },
  {
    title: 'all namespaces, by one',
    given: [made('a')],
    request: watch('fieldSelector=metadata.namespace%3D{ns}&timeoutSeconds=30', '/api/v1/services'),
    during: [change('a', 'x.example.com')],
    events: 2,
  },
  { title: 'as an account without rights', request: { ...watch('timeoutSeconds=1'), as: 'account' } },
];

const others: readonly Case[] = [
  { title: 'a method that does not exist', request: { method: 'PROPFIND', path: service('a') } },
  { title: 'a POST to all namespaces', request: post('/api/v1/services', object('a')) },
  { title: 'a POST to a path that is not served', request: post('/api/v1/nothing', {}) },
  {
    title: 'a user who is impersonated and may do nothing',
    given: [made('a')],
    request: get(service('a'), { headers: { 'Impersonate-User': 'mallory' } }),
  },
  {
    title: 'an account that is impersonated and may do nothing',
    given: [made('a')],
    request: get(service('a'), { headers: { 'Impersonate-User': 'system:serviceaccount:{ns}:default' } }),
  },
  {
    title: 'a user who is impersonated by an account without rights',
    request: get(service('a'), { as: 'account', headers: { 'Impersonate-User': 'mallory' } }),
  },
  {
    title: 'a group that is impersonated without a user',
    request: get(service('a'), { headers: { 'Impersonate-Group': 'masters' } }),
  },
];

/** Every case, by what is done. */
export const cases: Readonly<Record<string, readonly Case[]>> = {
  get: gets,
  list: lists,
  create: creates,
  update: updates,
  'JSON patch': jsonPatches,
  'merge patch': mergePatches,
  'strategic merge patch': strategicPatches,
  patch: otherPatches,
  apply: applies,
  delete: deletes,
  watch: watches,
  'answer to': others,
};
