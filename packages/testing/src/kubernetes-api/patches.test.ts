import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import type { JsonObject } from './object.ts';
import { resourceOf } from './resources.ts';
import { schemaOf } from './schema.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';

describe('a JSON patch', () => {
  const object = { spec: { externalName: 'a.example' } };

  it('is done step by step, on a copy', () => {
    const operations = [
      { op: 'test', path: '/spec/externalName', value: 'a.example' },
      { op: 'add', path: '/metadata', value: {} },
      { op: 'copy', from: '/spec/externalName', path: '/metadata/note' },
      { op: 'replace', path: '/spec/externalName', value: 'b.example' },
    ];
    expect(applyJsonPatch(object, operations)).toEqual({
      spec: { externalName: 'b.example' },
      metadata: { note: 'a.example' },
    });
    expect(object).toEqual({ spec: { externalName: 'a.example' } });
  });

  it.each([
    ['a test that fails', [{ op: 'test', path: '/spec/externalName', value: 'x' }], 422],
    ['a removal of what is not there', [{ op: 'remove', path: '/spec/type' }], 422],
    ['a parent that is not there', [{ op: 'add', path: '/metadata/labels', value: {} }], 422],
    ['an operation that is none', [{ op: 'set', path: '/spec' }], 422],
    ['a path that is none', [{ op: 'add', path: 'spec', value: 1 }], 422],
    ['no list', { op: 'add' }, 400],
    ['too many operations', Array(10_001).fill({ op: 'test', path: '', value: 1 }), 413],
  ])('is refused for %s', (_what, operations, code) => {
    expect(() => applyJsonPatch(object, operations)).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code }) }),
    );
  });

  it('is refused if its copies double what it has, time after time', () => {
    const doubling = Array.from({ length: 30 }, (_, index) => ({ op: 'copy', from: '', path: `/copy${index}` }));
    expect(() => applyJsonPatch({ note: 'x'.repeat(100) }, doubling)).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code: 422 }) }),
    );
    expect(applyJsonPatch({ note: 'x' }, doubling.slice(0, 3))).toMatchObject({ copy2: { copy1: { copy0: {} } } });
  });

  it('is refused if it nests ever deeper', () => {
    const value = JSON.parse(`${'{"a":'.repeat(100)}{}${'}'.repeat(100)}`);
    const nesting = Array.from({ length: 100 }, (_, times) => ({
      op: 'add',
      path: '/a'.repeat(100 * times + 1),
      value,
    }));
    expect(() => applyJsonPatch({}, nesting)).toThrow(
      expect.objectContaining({ status: expect.objectContaining({ code: 400 }) }),
    );
  });

  it('is refused if it moves an object into itself', () => {
    expect(() => applyJsonPatch({ a: { b: {} } }, [{ op: 'move', from: '/a', path: '/a/b/c' }])).toThrow();
  });

  it('replaces what is not there, as the API server lets it', () => {
    expect(applyJsonPatch(object, [{ op: 'replace', path: '/spec/type', value: 'ExternalName' }])).toEqual({
      spec: { externalName: 'a.example', type: 'ExternalName' },
    });
  });
});

describe('a merge patch', () => {
  it('merges fields, replaces lists, and removes by null', () => {
    const merged = applyMergePatch({ a: { b: 1, c: [1, 2] }, d: 'x' }, { a: { c: [3], e: null }, d: null });
    expect(merged).toEqual({ a: { b: 1, c: [3] } });
  });

  it('applied twice is the same as once', () => {
    const object = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.jsonValue()) as fc.Arbitrary<JsonObject>;
    fc.assert(
      fc.property(object, object, (target, patch) => {
        const once = applyMergePatch(target, patch);
        expect(applyMergePatch(once, patch)).toEqual(once);
      }),
    );
  });
});

describe('a strategic merge patch', () => {
  const schema = schemaOf(resourceOf('Service'));
  const patch = (ports: object[], change: object) =>
    applyStrategicMergePatch({ spec: { ports } } as JsonObject, { spec: change } as JsonObject, schema)['spec'];
  const web = { port: 80, name: 'web' };

  it('merges ports by their number', () => {
    expect(
      patch([web], {
        ports: [
          { port: 80, targetPort: 8080 },
          { port: 443, name: 'tls' },
        ],
      }),
    ).toEqual({
      ports: [
        { port: 80, name: 'web', targetPort: 8080 },
        { port: 443, name: 'tls' },
      ],
    });
  });

  it('deletes an item, replaces the list, and orders it by directive', () => {
    expect(patch([web, { port: 81 }], { ports: [{ port: 80, $patch: 'delete' }] })).toEqual({ ports: [{ port: 81 }] });
    expect(patch([web], { ports: [{ $patch: 'replace' }, { port: 1 }] })).toEqual({ ports: [{ port: 1 }] });
    expect(patch([web, { port: 81 }], { '$setElementOrder/ports': [{ port: 81 }, { port: 80 }] })).toEqual({
      ports: [{ port: 81 }, web],
    });
  });

  it('removes single values of a list, and keeps only what it retains', () => {
    const finalizers = { metadata: { finalizers: ['a', 'b'] } };
    const removed = { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } };
    expect(applyStrategicMergePatch(finalizers, removed, schema)).toEqual({ metadata: { finalizers: ['b'] } });
    expect(patch([], { $retainKeys: ['type'], type: 'ExternalName' })).toEqual({ type: 'ExternalName' });
  });

  it('is refused if an item lacks the key', () => {
    expect(() => patch([web], { ports: [{ name: 'tls' }] })).toThrow('does not contain declared merge key: port');
  });

  it('replaces lists that have no key', () => {
    expect(patch([], { externalIPs: ['192.0.2.1'] })).toEqual({ ports: [], externalIPs: ['192.0.2.1'] });
  });
});
