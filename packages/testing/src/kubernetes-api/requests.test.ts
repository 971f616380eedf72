import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Authorizer } from './authorization.ts';
import { decodeObject, duplicateFields } from './decode.ts';
import { negotiate } from './media-types.ts';
import type { KubernetesObject } from './object.ts';
import { parseTarget } from './request-target.ts';
import { resourceOf } from './resources.ts';
import { schemaOf, structNamed, structNames } from './schema.ts';
import { parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { ObjectStorage } from './storage.ts';
import { shortDuration } from './table.ts';

const object = (metadata: object, spec: object = {}) =>
  ({ apiVersion: 'v1', kind: 'Service', metadata, spec }) as KubernetesObject;

describe('what a request is about', () => {
  it.each([
    ['GET', '/api/v1/services', { verb: 'list', namespace: '', name: '' }],
    ['GET', '/api/v1/namespaces/default/services?watch=true', { verb: 'watch', namespace: 'default' }],
    ['GET', '/api/v1/namespaces/default/services/db', { verb: 'get', name: 'db' }],
    ['PATCH', '/api/v1/namespaces/default/services/db/status', { verb: 'patch', subresource: 'status' }],
    ['GET', '/api/v1/namespaces/default', { verb: 'get', name: 'default', namespace: '' }],
    ['DELETE', '/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles', { verb: 'deletecollection' }],
  ])('%s %s', (method, url, expected) => {
    expect(parseTarget(method, url)).toMatchObject({ kind: 'resource', ...expected });
  });

  it.each([
    '/version',
    '/api/v1/nothing',
    '/api/v1/services/db',
    '/apis/apps/v1/deployments',
    '/api/v1/namespaces/a/services/b/c/d',
  ])('is not a resource: %s', (url) => expect(parseTarget('GET', url).kind).toBe('path'));

  it('of any URL throws nothing', () => {
    fc.assert(fc.property(fc.webPath(), (path) => void parseTarget('GET', `/api/v1${path}`)));
  });
});

describe('a selector', () => {
  it.each([
    ['app=db', { app: 'db' }, true],
    ['app==db,tier!=web', { app: 'db' }, true],
    ['app!=db', { app: 'db' }, false],
    ['app in (a, db),!old', { app: 'db' }, true],
    ['app notin (a,db)', {}, true],
    ['app', {}, false],
  ])('of labels %s over %j: %s', (text, labels, selected) => {
    expect(parseLabelSelector(text)(object({ labels }))).toBe(selected);
  });

  it('of fields knows those of the type, and refuses others', () => {
    const type = resourceOf('Service');
    const selector = parseFieldSelector('metadata.name=db,spec.type!=ClusterIP', type);
    expect(selector(object({ name: 'db' }, { type: 'ExternalName' }))).toBe(true);
    expect(selector(object({ name: 'db' }, { type: 'ClusterIP' }))).toBe(false);
    expect(() => parseFieldSelector('spec.externalName=a', type)).toThrow(
      'field label not supported: spec.externalName',
    );
  });
});

describe('decoding', () => {
  const type = resourceOf('Service');
  const decode = (spec: object, validation: 'Ignore' | 'Warn' | 'Strict' = 'Warn') =>
    decodeObject(type, { metadata: { name: 'db' }, spec }, { validation });

  it('leaves out what is empty, and takes apiVersion and kind from the path', () => {
    expect(
      decode({ externalName: 'a.b', clusterIP: '', ports: [], selector: {}, loadBalancerIP: null }).object,
    ).toEqual({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'db' },
      spec: { externalName: 'a.b' },
    });
  });

  it('drops fields that it does not know: silently, with a warning, or not at all', () => {
    expect(decode({ nothing: 1 }, 'Ignore').warnings).toEqual([]);
    expect(decode({ nothing: 1 }).warnings).toEqual(['unknown field "spec.nothing"']);
    expect(() => decode({ nothing: 1 }, 'Strict')).toThrow('strict decoding error: unknown field "spec.nothing"');
  });

  it.each([
    [{ externalName: 5 }, 'cannot unmarshal number into Go struct field ServiceSpec.spec.externalName of type string'],
    [{ ports: {} }, 'cannot unmarshal object into Go struct field ServiceSpec.spec.ports of type []v1.ServicePort'],
    [
      { ports: [{ port: '80' }] },
      'cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32',
    ],
  ])('refuses %j in the words of the API server', (spec, message) => {
    expect(() => decode(spec)).toThrow(message);
  });

  it('finds fields that stand twice', () => {
    expect(duplicateFields('{"a":{"b":1,"b":2},"c":[{"d":"x","d":"\\"d\\":"}]}')).toEqual([
      'duplicate field "a.b"',
      'duplicate field "c[0].d"',
    ]);
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(duplicateFields(JSON.stringify(value))).toEqual([]);
      }),
    );
  });

  it('of any JSON throws nothing but a status', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (spec) => {
        try {
          decodeObject(type, { spec }, { validation: 'Strict' });
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_EXTERNALNAME_API_STATUS' });
        }
      }),
    );
  });
});

describe('the schemas', () => {
  it('can all be read', () => {
    for (const name of structNames()) expect(structNamed(name).fields.size).toBeGreaterThan(0);
  });

  it('know how ports are told apart', () => {
    const spec = schemaOf(resourceOf('Service')).fields.get('spec')?.schema;
    const ports = spec?.kind === 'struct' ? spec.fields.get('ports')?.schema : undefined;
    expect(ports).toMatchObject({ kind: 'list', listType: 'map', keys: ['port', 'protocol'], mergeKey: 'port' });
  });
});

describe('an Accept header', () => {
  it.each([
    [undefined, 'object'],
    ['application/json;as=Table;v=v1;g=meta.k8s.io,application/json', 'table'],
    ['application/vnd.kubernetes.protobuf,application/json', 'object'],
    ['application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1', 'metadata'],
    ['application/yaml', 'yaml'],
  ])('%s asks for %s', (accept, expected) => {
    expect(negotiate(accept)).toBe(expected);
  });

  it('that asks for nothing that there is, is refused', () => {
    expect(() => negotiate('text/html')).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code: 406 }) }),
    );
  });
});

describe('an age', () => {
  it.each([
    [5, '5s'],
    [119, '119s'],
    [192, '3m12s'],
    [600, '10m'],
    [3 * 3600, '3h'],
    [27 * 3600, '27h'],
    [99 * 3600, '4d3h'],
    [20 * 86_400, '20d'],
    [(365 * 2 + 35) * 86_400, '2y35d'],
  ])('of %d seconds is %s', (seconds, text) => expect(shortDuration(seconds * 1000)).toBe(text));
});

describe('the storage', () => {
  const type = resourceOf('Service');
  const db = (target: string) => object({ name: 'db', namespace: 'default' }, { externalName: target });

  it('knows what was there at an earlier resource version, until that is forgotten', () => {
    const storage = new ObjectStorage();
    storage.put(type, db('a'));
    const then = storage.resourceVersion;
    storage.put(type, db('b'));
    storage.remove(type, 'default', 'db');
    expect(storage.listAt(type, undefined, then)).toMatchObject([{ spec: { externalName: 'a' } }]);
    expect(storage.since(then).map((event) => event.type)).toEqual(['MODIFIED', 'DELETED']);
    storage.compact();
    expect(() => storage.since(then)).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code: 410, reason: 'Expired' }) }),
    );
  });

  it('gives copies: what a caller does with them changes nothing', () => {
    const storage = new ObjectStorage();
    const stored = storage.put(type, db('a'));
    stored.metadata.name = 'other';
    expect(storage.get(type, 'default', 'db')?.metadata.name).toBe('db');
  });
});

describe('what a user may do', () => {
  const rbac = 'rbac.authorization.k8s.io';
  const storage = new ObjectStorage();
  const metadata = { name: 'switch', namespace: 'default' };
  const rules = [{ apiGroups: [''], resources: ['services'], resourceNames: ['db'], verbs: ['get', 'patch'] }];
  storage.put(resourceOf('Role', rbac), { apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules });
  storage.put(resourceOf('RoleBinding', rbac), {
    apiVersion: `${rbac}/v1`,
    kind: 'RoleBinding',
    metadata,
    roleRef: { kind: 'Role', name: 'switch' },
    subjects: [{ kind: 'Group', name: 'operators' }],
  });
  const authorizer = new Authorizer(storage);
  const operator = { name: 'bob', groups: ['operators', 'system:authenticated'] };
  const attempt = { verb: 'patch', group: '', resource: 'services', namespace: 'default', name: 'db' };

  it.each([
    ['what the role says', {}, true],
    ['another verb', { verb: 'delete' }, false],
    ['another name', { name: 'other' }, false],
    ['another namespace', { namespace: 'shop' }, false],
    ['a subresource', { resource: 'services/status' }, false],
    ['all names', { verb: 'list', name: '' }, false],
  ])('%s', (_what, change, allowed) => {
    expect(authorizer.allows(operator, { ...attempt, ...change })).toBe(allowed);
  });

  it('without a binding is to ask, and nothing else', () => {
    const user = { name: 'eve', groups: ['system:authenticated'] };
    expect(authorizer.allows(user, attempt)).toBe(false);
    expect(authorizer.allows(user, { verb: 'get', path: '/apis' })).toBe(true);
    expect(authorizer.allows({ name: 'root', groups: ['system:masters'] }, attempt)).toBe(true);
  });
});
