import { describe, expect, it } from 'vitest';
import type { JsonObject, KubernetesObject } from '../object.ts';
import { resourceOf } from '../resources.ts';
import { schemaOf } from '../schema.ts';
import { FieldSet } from './field-set.ts';
import { applyConfiguration, recordUpdate } from './managed-fields.ts';

const schema = schemaOf(resourceOf('Service'));
const by = (manager: string, force = false) => ({
  manager,
  apiVersion: 'v1',
  schema,
  time: '2026-01-01T00:00:00Z',
  force,
});
const service = (spec: object, metadata: object = {}): KubernetesObject =>
  ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'db', namespace: 'default', ...metadata },
    spec,
  }) as KubernetesObject;
const apply = (live: KubernetesObject, configuration: KubernetesObject, manager: string, force = false) =>
  applyConfiguration(live, configuration as unknown as JsonObject, by(manager, force)).object;
const nothing = { apiVersion: 'v1', kind: 'Service', metadata: {} } as KubernetesObject;
const owners = (object: KubernetesObject) =>
  Object.fromEntries((object.metadata.managedFields ?? []).map(({ manager, fieldsV1 }) => [manager, fieldsV1]));

describe('an update', () => {
  it('gives the fields that it changes to the writer, and takes them from their owner', () => {
    const made = recordUpdate(
      undefined,
      service({ type: 'ExternalName', externalName: 'a.example' }),
      by('kubectl-create'),
    );
    const next = { ...made, spec: { type: 'ExternalName', externalName: 'b.example' } };
    expect(owners(recordUpdate(made, next, by('switcher')))).toEqual({
      'kubectl-create': { 'f:spec': { 'f:type': {} } },
      switcher: { 'f:spec': { 'f:externalName': {} } },
    });
  });

  it('counts ports one by one, and labels one by one', () => {
    const made = recordUpdate(
      undefined,
      service({ ports: [{ port: 80, protocol: 'TCP' }] }, { labels: { a: 'b' } }),
      by('me'),
    );
    expect(owners(made)['me']).toEqual({
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': {
        'f:ports': { '.': {}, 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:port': {}, 'f:protocol': {} } },
      },
    });
  });

  it('may clear the record by an empty list', () => {
    const made = recordUpdate(undefined, service({ externalName: 'a.example' }), by('me'));
    const cleared = { ...made, metadata: { ...made.metadata, managedFields: [] } };
    expect(recordUpdate(made, cleared, by('me')).metadata.managedFields).toBeUndefined();
  });
});

describe('an apply', () => {
  const first = apply(nothing, service({ type: 'ExternalName', externalName: 'a.example' }), 'a');

  it('owns the fields that it sets', () => {
    expect(owners(first)).toEqual({ a: { 'f:spec': { 'f:externalName': {}, 'f:type': {} } } });
  });

  it('conflicts if another owner has another value, and says with whom and where', () => {
    expect(() => apply(first, service({ externalName: 'b.example' }), 'b')).toThrow(
      expect.objectContaining({
        message: 'Apply failed with 1 conflict: conflict with "a": .spec.externalName',
        status: expect.objectContaining({
          code: 409,
          reason: 'Conflict',
          details: {
            causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "a"', field: '.spec.externalName' }],
          },
        }),
      }),
    );
  });

  it('shares a field if the value is the same', () => {
    const shared = apply(first, service({ externalName: 'a.example' }), 'b');
    expect(owners(shared)).toMatchObject({
      a: { 'f:spec': { 'f:externalName': {} } },
      b: { 'f:spec': { 'f:externalName': {} } },
    });
  });

  it('takes a field over by force', () => {
    const forced = apply(first, service({ externalName: 'b.example' }), 'b', true);
    expect(forced['spec']).toEqual({ type: 'ExternalName', externalName: 'b.example' });
    expect(owners(forced)).toEqual({ a: { 'f:spec': { 'f:type': {} } }, b: { 'f:spec': { 'f:externalName': {} } } });
  });

  it('takes away what it leaves out, unless somebody else owns it', () => {
    const two = apply(first, service({}, { labels: { kept: 'x' } }), 'b');
    const both = apply(
      two,
      service({ type: 'ExternalName', externalName: 'a.example' }, { labels: { kept: 'x', gone: 'y' } }),
      'a',
    );
    const less = apply(both, service({ type: 'ExternalName', externalName: 'a.example' }), 'a');
    expect(less.metadata.labels).toEqual({ kept: 'x' });
    expect(less.metadata.name).toBe('db');
  });

  it('merges ports by port and protocol, with TCP if none is given', () => {
    const web = apply(nothing, service({ ports: [{ port: 80, name: 'web' }] }), 'a');
    const both = apply(
      web,
      service({
        ports: [
          { port: 443, name: 'tls' },
          { port: 80, protocol: 'UDP', name: 'quic' },
        ],
      }),
      'b',
    );
    expect((both['spec'] as { ports: { name: string }[] }).ports.map((port) => port.name)).toEqual([
      'web',
      'tls',
      'quic',
    ]);
    const one = apply(both, service({ ports: [{ port: 443, name: 'tls' }] }), 'b');
    expect((one['spec'] as { ports: { name: string }[] }).ports.map((port) => port.name)).toEqual(['web', 'tls']);
  });

  it('treats a selector as one value', () => {
    const mine = apply(nothing, service({ selector: { app: 'a' } }), 'a');
    expect(() => apply(mine, service({ selector: { tier: 'b' } }), 'b')).toThrow('.spec.selector');
  });

  it('that changes nothing says so', () => {
    const again = service({ type: 'ExternalName', externalName: 'a.example' });
    expect(applyConfiguration(first, again as unknown as JsonObject, by('a')).changed).toBe(false);
  });

  it('of an object without a record conflicts with its creator', () => {
    const unrecorded = service({ externalName: 'a.example' });
    expect(() => apply(unrecorded, service({ externalName: 'b.example' }), 'a')).toThrow(
      'conflict with "before-first-apply" using v1: .spec.externalName',
    );
  });
});

describe('a set of fields', () => {
  it('is written and read in the notation of fieldsV1', () => {
    const json = { 'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } }, 'f:spec': { 'f:type': {} } };
    expect(FieldSet.parse(json).toJson()).toEqual(json);
  });

  it('tells a place from what is below it', () => {
    const whole = FieldSet.of([['f:a'], ['f:a', 'f:b']]);
    expect(whole.difference(FieldSet.of([['f:a']])).paths()).toEqual([['f:a', 'f:b']]);
    expect(whole.without(FieldSet.of([['f:a']])).isEmpty()).toBe(true);
  });
});
