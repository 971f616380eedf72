import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatIssue } from './issue.ts';
import { serviceIssues, type ValidationOptions, validate } from './validate.ts';

interface Case {
  name: string;
  op?: 'create' | 'update';
  old?: object;
  input: object;
  valid: boolean;
  validLegacy?: boolean;
  field?: string;
  reasonType?: string;
  errors?: { field: string; reasonType: string }[];
  warnings?: string[];
  hint?: string;
  kubernetesVersion?: string;
}

function cases(file: string): Case[] {
  const read = JSON.parse(readFileSync(new URL(`./cases/${file}`, import.meta.url), 'utf8'), (_, value) => {
    // A long text stands in the tables as what it is made of.
    const repeat = value?.$repeat;
    return Array.isArray(repeat) ? String(repeat[0]).repeat(Number(repeat[1])) : value;
  });
  return read as Case[];
}

function causes(input: object, previous?: object, kubernetesVersion?: string) {
  return serviceIssues(input, previous, { kubernetesVersion })
    .filter(({ severity }) => severity === 'error')
    .map(({ path, reason }) => ({ field: path, reasonType: reason }));
}

describe.each(['externalname-validation.json', 'own-cases.json'])('the table %s', (file) => {
  it.each(cases(file).map((entry) => [entry.name, entry] as const))('%s', (_, entry) => {
    const found = causes(entry.input, entry.old, entry.kubernetesVersion);
    if (entry.valid) expect(found).toEqual([]);
    else if (entry.errors) expect(found).toEqual(expect.arrayContaining(entry.errors));
    else expect(found).toContainEqual({ field: entry.field, reasonType: entry.reasonType });
    if (entry.errors) expect(found).toHaveLength(entry.errors.length);
    const warnings = validate(entry.input, { previous: entry.old }).filter(({ severity }) => severity === 'warning');
    expect(warnings.map(({ path }) => path)).toEqual(expect.arrayContaining(entry.warnings ?? []));
    expect(warnings.map(({ code }) => code)).toEqual(expect.arrayContaining(entry.hint?.split(',') ?? []));
  });
});

describe('the table of Service names', () => {
  const spec = { type: 'ExternalName', externalName: 'db.example.com' };
  const named = cases('service-names.json').flatMap((entry) => [
    { entry, kubernetesVersion: '1.36', valid: entry.valid },
    { entry, kubernetesVersion: '1.35', valid: entry.validLegacy },
  ]);
  it.each(named.map((row) => [row.entry.name, row.kubernetesVersion, row] as const))(
    '%s, Kubernetes %s',
    (_, kubernetesVersion, { entry, valid }) => {
      const found = causes({ spec, ...entry.input }, undefined, kubernetesVersion);
      if (valid) expect(found).toEqual([]);
      else expect(found).toContainEqual({ field: entry.field, reasonType: entry.reasonType });
    },
  );
});

const warnings = (externalName: string, options: ValidationOptions = {}) =>
  validate({ metadata: { name: 'db', namespace: 'app' }, spec: { type: 'ExternalName', externalName } }, options)
    .filter(({ severity }) => severity === 'warning')
    .map(({ code }) => code);

describe('a warning about a target', () => {
  it.each([
    ['primary-db.example.com', []],
    ['primary-db.example.com.', []],
    ['orders.c1abcd2efghi.eu-west-1.rds.amazonaws.com', []],
    ['xn--mnchen-3ya.example.com', []],
    ['10.example.com', []],
    ['10.0.0.1', ['ip-like']],
    ['010.0.0.1', ['ip-like']],
    ['10.0.0.1.', ['ip-like']],
    ['0xa.1', ['ip-like']],
    ['999.999.999.999', ['ip-like']],
    ['fe80::1%eth0', ['ip-like', 'sensitive']],
    ['::ffff:127.0.0.1', ['ip-like', 'loopback']],
    ['0.0.0.0', ['ip-like', 'loopback']],
    ['10.0.0.0/8', ['ip-like']],
    ['localhost', ['single-label', 'loopback']],
    ['app.localtest.me', ['loopback']],
    ['instance-data.ec2.internal', ['sensitive']],
    ['kubernetes.default.svc.cluster.local', ['in-cluster', 'cross-namespace', 'sensitive']],
    ['pg.app.svc.cluster.local', ['in-cluster']],
    ['db.app.svc.cluster.local.', ['self-loop']],
    ['pg.data.svc', ['in-cluster-partial']],
    ['pg.data.svc.cluster', ['in-cluster-partial']],
    ['db.home.arpa', ['private-suffix']],
    ['db.onion', ['reserved-suffix']],
    ['https://db.example.com/', ['scheme-in-name', 'path-in-name']],
    ['10.0.0.1:5432', ['port-in-name', 'ip-like']],
    ['http://127.1/', ['scheme-in-name', 'path-in-name', 'ip-like', 'loopback']],
    ['[2001:db8::1]:5432', ['port-in-name', 'ip-like']],
    ['[::1]', ['ip-like', 'loopback']],
  ])('%s: %j', (externalName, codes) => {
    expect(warnings(externalName)).toEqual(codes);
  });

  it('goes by the domain of the cluster', () => {
    const options = { clusterDomain: 'k8s.internal' };
    expect(warnings('db.app.svc.k8s.internal', options)).toEqual(['self-loop']);
    expect(warnings('db.app.svc.cluster.local', options)).toEqual(['private-suffix']);
  });

  it('goes by the allow-list if one is given', () => {
    const allowedTargets = ['primary-db.example.com', '*.standby.example.com'];
    expect(warnings('PRIMARY-db.example.com.', { allowedTargets })).toEqual([]);
    expect(warnings('a.standby.example.com', { allowedTargets })).toEqual([]);
    expect(warnings('a.b.standby.example.com', { allowedTargets })).toEqual(['target-not-allowed']);
    expect(warnings('a.b.standby.example.com', { allowedTargets: 'any' })).toEqual([]);
    expect(warnings('primary-db.example.com', { allowedTargets: [] })).toEqual(['target-not-allowed']);
  });

  it('offers for an address what works, ready to paste', () => {
    const input = {
      metadata: { name: 'db', namespace: 'app' },
      spec: { type: 'ExternalName', externalName: '203.0.113.7', ports: [{ name: 'pg', port: 5432 }] },
    };
    const hint = validate(input).find(({ code }) => code === 'ip-like')?.hint ?? '';
    const manifests = hint.slice(hint.indexOf('apiVersion'));
    expect(validate(manifests).filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(manifests).toContain('addresses: ["203.0.113.7"]');
    expect(manifests).toContain('kubernetes.io/service-name: db');
  });

  it('offers nothing for an address that no EndpointSlice takes either', () => {
    const input = { metadata: { name: 'db' }, spec: { type: 'ExternalName', externalName: '127.0.0.1' } };
    expect(validate(input).find(({ code }) => code === 'ip-like')?.hint).not.toContain('apiVersion');
  });
});

describe('a text', () => {
  const text = `apiVersion: v1
kind: Service
metadata:
  name: db
  labels:
    app: db
    tier: no spaces
spec:
  type: ExternalName
  externalName: db_1.example.com
---
apiVersion: v1
kind: Service
metadata: { name: DB }
spec: { type: ExternalName, externalName: db.example.com }
`;

  it('has the line and the document of each issue', () => {
    expect(validate(text).map(({ path, line, document }) => [path, line, document])).toEqual([
      ['metadata.labels', 7, 0],
      ['spec.externalName', 10, 0],
      ['metadata.name', 14, 1],
    ]);
  });

  it('is reported in a line a person can read', () => {
    expect(validate(text).map(formatIssue)[2]).toMatch(
      /^line 14: error: metadata\.name: Invalid value: "DB": a lowercase RFC 1123 label must .* \[name-invalid\]$/,
    );
  });

  it('is looked at document by document, a List item by item', () => {
    const items = [
      { kind: 'Service', apiVersion: 'v1', metadata: { name: 'a' } },
      { kind: 'Service', apiVersion: 'v1', metadata: { name: 'B' } },
    ];
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
    expect(
      validate(list)
        .filter(({ document }) => document === 1)
        .map(({ path }) => path),
    ).toContain('metadata.name');
    expect(validate({ apiVersion: 'v1', kind: 'List', items })).toHaveLength(validate(list).length);
  });

  it('must have apiVersion and kind for kubectl, and a name for each object', () => {
    const issues = validate('metadata: { name: db }\nspec: { type: ExternalName, externalName: db.example.com }\n');
    expect(issues.map(({ path, code }) => [path, code])).toEqual([
      ['apiVersion', 'kind-missing'],
      ['kind', 'kind-missing'],
    ]);
  });

  it('is one refusal if it is not YAML, and says where', () => {
    expect(validate('spec: [1,\n  2\nx: 1')).toMatchObject([
      { code: 'yaml-syntax', severity: 'error', reason: 'BadRequest' },
    ]);
    expect(validate('')).toMatchObject([{ code: 'not-an-object', line: 1 }]);
  });

  it('is read as kubectl reads it: an unquoted no is a boolean, and no host', () => {
    const issues = validate(
      'apiVersion: v1\nkind: Service\nmetadata: { name: db }\nspec: { type: ExternalName, externalName: no }\n',
    );
    expect(issues).toMatchObject([{ path: 'spec.externalName', code: 'wrong-type', line: 4 }]);
  });

  it('is a list, of whatever kind, if it has items: each is checked on its line', () => {
    const text = `apiVersion: v1
kind: ServiceList
items:
  - metadata: { name: a }
    spec: { type: ExternalName, externalName: a_b.example.com }
  - metadata: { name: b }
    spec: { type: ExternalName, externalName: c_d.example.com }
`;
    expect(validate(text)).toMatchObject([
      { path: 'spec.externalName', severity: 'error', line: 5, document: 0 },
      { path: 'spec.externalName', severity: 'error', line: 7, document: 1 },
    ]);
  });

  it.each([
    ['a number', 'apiVersion: v1\nkind: List\nitems: 5\n', 3],
    ['a map', 'apiVersion: v1\nkind: List\nitems: {}\n', 3],
    ['a list of lists', 'apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: []\n', 6],
  ])('is refused if kubectl cannot read its items: %s', (_, text, line) => {
    expect(validate(text)).toMatchObject([{ path: 'items', code: 'wrong-type', severity: 'error', line }]);
  });

  it('is warned of a key that comes twice and of text that kubectl does not read, and is not refused', () => {
    const spec = (target: string) => `spec: { type: ExternalName, externalName: ${target} }\n`;
    const text = `apiVersion: v1\nkind: Service\nmetadata: { name: db }\n${spec('a.example.com')}${spec('b.example.com')}...\nmore\n`;
    const issues = validate(text, { allowedTargets: ['a.example.com'] });
    expect(issues).toMatchObject([
      { code: 'yaml-duplicate-key', severity: 'warning', path: 'spec', line: 5 },
      { code: 'yaml-not-read', severity: 'warning', line: 6 },
      { code: 'target-not-allowed', severity: 'warning', path: 'spec.externalName', line: 5 },
    ]);
  });

  it('is warned of if the same object appears twice', () => {
    const twice = [1, 2].map(
      () =>
        'apiVersion: v1\nkind: Service\nmetadata: { name: db }\nspec: { type: ExternalName, externalName: db.example.com }\n',
    );
    expect(validate(twice.join('---\n'))).toMatchObject([{ code: 'same-object-twice', document: 1, line: 8 }]);
  });

  it('may be what the object was before', () => {
    const before = 'metadata: { name: db }\nspec: { type: ExternalName, externalName: a.example.com }\n';
    const after = { metadata: { name: 'other' }, spec: { type: 'ExternalName', externalName: 'b.example.com' } };
    expect(validate(after, { previous: before })).toMatchObject([{ path: 'metadata.name', code: 'field-immutable' }]);
  });
});

describe('other kinds', () => {
  const slice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'db-1', namespace: 'app', labels: { 'kubernetes.io/service-name': 'db' } },
    addressType: 'IPv4',
  };
  const causes = (input: object, previous?: object) =>
    validate(input, { previous }).map(({ path, reason, code }) => [path, reason ?? code]);

  it.each([
    ['127.0.0.1', [['endpoints[0].addresses[0]', 'FieldValueInvalid']]],
    ['169.254.169.254', [['endpoints[0].addresses[0]', 'FieldValueInvalid']]],
    ['2001:db8::1', [['endpoints[0].addresses', 'FieldValueInvalid']]],
    ['db.example.com', [['endpoints[0].addresses[0]', 'FieldValueInvalid']]],
    ['203.0.113.7', []],
  ])('an EndpointSlice with %s', (address, expected) => {
    expect(causes({ ...slice, endpoints: [{ addresses: [address] }] })).toEqual(expected);
  });

  it('an EndpointSlice of names, of another family later, without a Service, without addresses', () => {
    expect(causes({ ...slice, addressType: 'FQDN' })).toEqual([['addressType', 'address-type-fqdn']]);
    expect(causes({ ...slice, addressType: 'IPv6' }, slice)).toEqual([['addressType', 'FieldValueInvalid']]);
    expect(causes({ ...slice, metadata: { name: 'db-1' } })).toEqual([['metadata.labels', 'service-label-missing']]);
    expect(causes({ ...slice, endpoints: [{ addresses: [] }] })).toEqual([
      ['endpoints[0].addresses', 'FieldValueRequired'],
    ]);
  });

  it('of which nothing is known get their metadata checked, and say so', () => {
    expect(causes({ apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 'a/b' } })).toEqual([
      ['metadata.name', 'FieldValueInvalid'],
      ['kind', 'kind-unchecked'],
    ]);
  });
});
