import { describe, expect, it } from 'vitest';
import { sendableHeaders } from './sendable-headers.ts';

describe('headers', () => {
  it.each([
    ['none', undefined],
    ['null', null],
    ['an object', { accept: '*/*', 'content-length': '5', 'x-host': 'a' }],
    ['a list', ['accept', '*/*', 'Content-Length', '5']],
  ])('are handed on as they are, if there is nothing to change: %s', (_, headers) => {
    expect(sendableHeaders(headers, true)).toBe(headers);
  });

  it.each([
    ['an object', { HOST: 'a', accept: '*/*', hosts: 'b' }, { accept: '*/*', hosts: 'b' }],
    ['a list', ['Host', 'a', 'accept', '*/*', 'host', 'b'], ['accept', '*/*']],
    [
      'a Map',
      new Map([
        ['Host', 'a'],
        ['accept', '*/*'],
      ]),
      ['accept', '*/*'],
    ],
    ['with several values', { Host: 'a', 'x-more': ['1', '2'] }, { 'x-more': ['1', '2'] }],
  ])('lose Host: %s', (_, headers, without) => {
    expect(sendableHeaders(headers, true)).toEqual(without);
  });

  it('keep Host, if it is to be kept', () => {
    const headers = { host: 'a' };
    expect(sendableHeaders(headers, false)).toBe(headers);
  });

  it.each([
    ['an object', { 'Content-Length': '5, 5' }, { 'Content-Length': '5' }],
    ['a list', ['content-length', '5,5,5', 'host', 'a'], ['content-length', '5', 'host', 'a']],
  ])('have a repeated Content-Length once: %s', (_, headers, once) => {
    expect(sendableHeaders(headers, false)).toEqual(once);
  });

  it('keep two lengths that contradict each other, which undici refuses', () => {
    const headers = { 'content-length': '5, 6' };
    expect(sendableHeaders(headers, false)).toBe(headers);
  });
});
