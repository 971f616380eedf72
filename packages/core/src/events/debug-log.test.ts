import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { isAsked, lineOf } from './debug-log.ts';

describe('DEBUG', () => {
  it.each([
    ['externalname:*', true],
    ['*', true],
    ['externalname:pg:*', true],
    ['externalname:pg:connect', true],
    ['express:*, externalname:*', true],
    ['express:* externalname:*', true],
    ['externalname:*,-externalname:pg:connect', false],
    ['externalname:*,-externalname:targets:*', true],
    ['-externalname:pg:connect', false],
    ['externalname:targets:*', false],
    ['externalname', false],
    ['externalname:pg:conn', false],
    ['', false],
    [undefined, false],
  ])('%s prints externalname:pg:connect: %s', (DEBUG, asked) => {
    expect(isAsked('externalname:pg:connect', { DEBUG })).toBe(asked);
  });
});

describe('a line', () => {
  const at = new Date('2026-11-29T01:00:00Z');
  const print = (payload: object) => lineOf('externalname:pg:connect', payload, at);

  it('has the time, the channel and the fields', () => {
    expect(print({ name: 'webscaler-db', durationMillis: 12.3456, address: undefined })).toBe(
      '2026-11-29T01:00:00.000Z externalname:pg:connect name=webscaler-db durationMillis=12.3',
    );
  });

  it('shows of an error its code and message, once', () => {
    expect(print({ error: Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }) })).toMatch(
      / error="connect ECONNREFUSED"$/,
    );
    expect(print({ error: Object.assign(new Error('no'), { code: '28P01' }) })).toMatch(/ error="28P01 no"$/);
  });

  it('stays one line, whatever a server wrote', () => {
    const line = print({ message: 'one\ntwo\u001b[31mred "quoted"', list: ['a', 'b'], long: 'x'.repeat(5_000) });
    expect(line).toMatch(/^[^\p{Cc}]+$/u);
    expect(line).toContain(' list=a,b ');
    expect(line.length).toBeLessThan(500);
  });
});

describe('a process', () => {
  const script = `
    const { EventChannel } = await import('./packages/core/src/events/channels.ts');
    new EventChannel('externalname:pg:connect').publish(() => ({ name: 'webscaler-db' }));
    new EventChannel('externalname:pg:connect').publish(() => ({ name: 'another' }));`;

  it.each([
    [{ NODE_DEBUG: 'externalname' }, 2],
    [{ DEBUG: 'externalname:*' }, 2],
    [{ NODE_DEBUG: 'externalname', DEBUG: 'externalname:*' }, 2],
    [{ NODE_DEBUG: 'net2', DEBUG: 'express:*' }, 0],
  ])('with %o prints each event once on stderr, and nothing on stdout', async (environment, lines) => {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { cwd: resolve(import.meta.dirname, '../../../..'), env: { PATH: process.env['PATH'], ...environment } },
    );
    expect(stdout).toBe('');
    const printed = stderr.split('\n').filter((line) => line.includes('externalname:pg:connect'));
    expect(printed).toHaveLength(lines);
    if (lines > 0) expect(printed[0]).toMatch(/^\d{4}-\S+Z externalname:pg:connect name=webscaler-db$/);
  });
});
