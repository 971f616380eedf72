import { describe, expect, it } from 'vitest';
import { bearsMark } from './server-processes.ts';

describe('a process of a server', () => {
  const marks = { dataFolder: '/tmp/externalname-abc/server-1/data', clusterName: 'externalname-abc-1' };
  it.each([
    ['/var/cache/x/bin/postgres -D/tmp/externalname-abc/server-1/data', true],
    ['/var/cache/x/bin/postgres -D/tmp/externalname-abc/server-1/data ', true],
    ['postgres: externalname-abc-1: checkpointer ', true],
    ['postgres: externalname-abc-1: app app 127.0.0.1(5000) idle', true],
    ['/var/cache/x/bin/postgres -D/tmp/externalname-abc/server-1/data2', false],
    ['postgres: externalname-abc-11: checkpointer ', false],
    ['postgres: externalname-abc-2: app app [local] postgres: externalname-abc-1: idle', false],
    ['tail -f /tmp/externalname-abc/server-1/data/log', false],
    ['sh -c echo postgres: externalname-abc-1: x', false],
  ])('is known by its command line: %s (%s)', (line, expected) => {
    expect(bearsMark(line, marks)).toBe(expected);
  });
});
