import { parseServiceReference } from '@externalname/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readService } from '../api/services.ts';
import { isOlder, readObjectList, readWatchEvent } from './watch-event.ts';

const reference = parseServiceReference('webscaler-db.default');
const service = {
  kind: 'Service',
  metadata: { name: 'webscaler-db', namespace: 'default', resourceVersion: '7' },
  spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
};
const snapshot = {
  name: 'webscaler-db',
  namespace: 'default',
  resourceVersion: '7',
  type: 'ExternalName',
  externalName: 'primary-db.example.com',
};

describe('a line of a watch', () => {
  it.each([
    [
      { type: 'ADDED', object: service },
      { kind: 'changed', object: snapshot },
    ],
    [
      { type: 'MODIFIED', object: service },
      { kind: 'changed', object: snapshot },
    ],
    [
      { type: 'DELETED', object: service },
      { kind: 'deleted', object: snapshot },
    ],
    [
      { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } },
      { kind: 'bookmark', resourceVersion: '9' },
    ],
    [{ type: 'SOMETHING', object: service }, undefined],
    [{ type: 'ADDED' }, undefined],
    [{ type: 'ADDED', object: { metadata: {} } }, undefined],
    [{ type: 'ADDED', object: { ...service, kind: 'Secret' } }, undefined],
    [[], undefined],
  ])('%j', (line, event) => {
    expect(readWatchEvent(JSON.stringify(line), readService)).toEqual(event);
  });

  it('may be an error, with the status in it', () => {
    const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    expect(readWatchEvent(JSON.stringify({ type: 'ERROR', object }), readService)).toMatchObject({
      kind: 'error',
      status: { status: 410, reason: 'Expired', message: 'too old resource version' },
    });
  });

  it('never raises, whatever it holds', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void readWatchEvent(line, readService)));
    fc.assert(
      fc.property(fc.constantFrom('ADDED', 'ERROR', 'BOOKMARK', 'DELETED'), fc.jsonValue(), (type, object) => {
        readWatchEvent(JSON.stringify({ type, object }), readService);
      }),
    );
  });
});

describe('a Service', () => {
  it('without a type is a ClusterIP Service, and an empty externalName is none', () => {
    expect(readService({ metadata: { name: 'a', resourceVersion: '1' }, spec: { externalName: '' } })).toEqual({
      name: 'a',
      namespace: '',
      resourceVersion: '1',
      type: 'ClusterIP',
      externalName: undefined,
    });
  });
});

describe('a list of Services', () => {
  it('may be empty, which the server writes as null', () => {
    expect(readObjectList({ metadata: { resourceVersion: '5' }, items: null }, reference, readService)).toEqual({
      resourceVersion: '5',
      object: undefined,
    });
  });

  it('gives the one of that name and namespace only', () => {
    const other = { metadata: { name: 'other', namespace: 'default', resourceVersion: '3' }, spec: {} };
    const elsewhere = { ...service, metadata: { ...service.metadata, namespace: 'evil' } };
    const list = { metadata: { resourceVersion: '8' }, items: [other, elsewhere, service] };
    expect(readObjectList(list, reference, readService)).toEqual({ resourceVersion: '8', object: snapshot });
  });

  it.each([null, 'text', {}, { items: [] }, { metadata: { resourceVersion: '1' }, items: 'x' }])(
    '%j is none',
    (answer) => {
      expect(readObjectList(answer, reference, readService)).toBeUndefined();
    },
  );
});

describe('a version', () => {
  it('is older by number, not by text', () => {
    expect(isOlder('9', '10')).toBe(true);
    expect(isOlder('10', '9')).toBe(false);
    expect(isOlder('7', '7')).toBe(false);
    expect(isOlder('9007199254740993', '9007199254740994')).toBe(true);
  });

  it('compares as fast as it is long', () => {
    const begun = process.cpuUsage();
    expect(isOlder('9'.repeat(7_000_000), `1${'0'.repeat(7_000_000)}`)).toBe(true);
    expect(isOlder('0007', '8')).toBe(true);
    expect(isOlder('00010', '9')).toBe(false);
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(1_000);
  });

  it('of more digits than any server writes is none', () => {
    const metadata = { ...service.metadata, resourceVersion: '7'.repeat(129) };
    expect(readService({ ...service, metadata })).toBeUndefined();
    expect(readObjectList({ metadata, items: [] }, reference, readService)).toBeUndefined();
  });

  it('that is not a number is not known to be older', () => {
    expect(isOlder('abc', '10')).toBe(false);
    expect(isOlder('1', '')).toBe(false);
  });
});
