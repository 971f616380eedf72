import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOlder, readService, readServiceList, readWatchEvent } from './watch-event.ts';

const service = {
  metadata: { name: 'webscaler-db', resourceVersion: '7' },
  spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
};
const snapshot = {
  name: 'webscaler-db',
  resourceVersion: '7',
  type: 'ExternalName',
  externalName: 'primary-db.example.com',
};

describe('a line of a watch', () => {
  it.each([
    [
      { type: 'ADDED', object: service },
      { kind: 'changed', service: snapshot },
    ],
    [
      { type: 'MODIFIED', object: service },
      { kind: 'changed', service: snapshot },
    ],
    [
      { type: 'DELETED', object: service },
      { kind: 'deleted', service: snapshot },
    ],
    [
      { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } },
      { kind: 'bookmark', resourceVersion: '9' },
    ],
    [{ type: 'SOMETHING', object: service }, undefined],
    [{ type: 'ADDED' }, undefined],
    [{ type: 'ADDED', object: { metadata: {} } }, undefined],
    [[], undefined],
  ])('%j', (line, event) => {
    expect(readWatchEvent(JSON.stringify(line))).toEqual(event);
  });

  it('may be an error, with the status in it', () => {
    const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    expect(readWatchEvent(JSON.stringify({ type: 'ERROR', object }))).toMatchObject({
      kind: 'error',
      status: { status: 410, reason: 'Expired', message: 'too old resource version' },
    });
  });

  it('never raises, whatever it holds', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (line) => void readWatchEvent(line)));
    fc.assert(
      fc.property(fc.constantFrom('ADDED', 'ERROR', 'BOOKMARK', 'DELETED'), fc.jsonValue(), (type, object) => {
        readWatchEvent(JSON.stringify({ type, object }));
      }),
    );
  });
});

describe('a Service', () => {
  it('without a type is a ClusterIP Service, and an empty externalName is none', () => {
    expect(readService({ metadata: { name: 'a', resourceVersion: '1' }, spec: { externalName: '' } })).toEqual({
      name: 'a',
      resourceVersion: '1',
      type: 'ClusterIP',
      externalName: undefined,
    });
  });
});

describe('a list of Services', () => {
  it('may be empty, which the server writes as null', () => {
    expect(readServiceList({ metadata: { resourceVersion: '5' }, items: null }, 'webscaler-db')).toEqual({
      resourceVersion: '5',
      service: undefined,
    });
  });

  it('gives the one of that name only', () => {
    const other = { metadata: { name: 'other', resourceVersion: '3' }, spec: {} };
    const list = { metadata: { resourceVersion: '8' }, items: [other, service] };
    expect(readServiceList(list, 'webscaler-db')).toEqual({ resourceVersion: '8', service: snapshot });
  });

  it.each([null, 'text', {}, { items: [] }, { metadata: { resourceVersion: '1' }, items: 'x' }])(
    '%j is none',
    (answer) => {
      expect(readServiceList(answer, 'webscaler-db')).toBeUndefined();
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

  it('that is no number is not known to be older', () => {
    expect(isOlder('abc', '10')).toBe(false);
    expect(isOlder('1', '')).toBe(false);
  });
});
