import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostOf, parametersOf, withoutParameters } from './connection-string.ts';

describe('the parameters of a connection string', () => {
  it.each<[string, object]>([
    ['postgres://app@webscaler-db/app', {}],
    ['postgres://app@webscaler-db/app?sslmode=require&ssl=1', { sslmode: 'require', ssl: '1' }],
    ['postgres://app@webscaler-db/app?sslmode=require&sslmode=disable', { sslmode: 'disable' }],
    ['postgres://app@webscaler-db/app?ssl%6dode=disable', { sslmode: 'disable' }],
    ['postgres://app@webscaler-db/app#?sslmode=disable', {}],
    ['postgres://app@webscaler-db/app?a=b?sslmode=disable', { a: 'b?sslmode=disable' }],
  ])('of %s', (connectionString, parameters) => {
    expect(parametersOf(connectionString)).toEqual(parameters);
  });

  it('are taken out by name, and nothing else of it is changed', () => {
    expect(withoutParameters('postgres://a:b%2f@c/d?x=%20&sslmode=require&y=1+2#e?sslmode=f', ['sslmode'])).toBe(
      'postgres://a:b%2f@c/d?x=%20&y=1+2#e?sslmode=f',
    );
    expect(withoutParameters('postgres://c/d?ssl%6dode=require', ['sslmode'])).toBe('postgres://c/d');
    expect(withoutParameters('postgres://c/d', ['sslmode'])).toBe('postgres://c/d');
    const text = fc.string({ unit: fc.constantFrom(...'ab%20?&=#+/ssl') });
    fc.assert(
      fc.property(text, text, (before, behind) => {
        const connectionString = `postgres://c/${before}${behind}`;
        const { a: _, ...others } = parametersOf(connectionString);
        expect(parametersOf(withoutParameters(connectionString, ['a']))).toEqual(others);
      }),
    );
  });
});

describe('the host of a connection string', () => {
  it.each<[string, string | undefined]>([
    ['postgres://app:secret@webscaler-db:5432/app', 'webscaler-db'],
    ['postgres://app@webscaler-db/app?host=other', 'other'],
    ['postgres:///app', ''],
    ['postgres://app@/app', undefined],
    ['/var/run/postgresql app', '/var/run/postgresql'],
    ['postgres://%2Fvar%2Frun/app', '/var/run'],
  ])('%s', (connectionString, host) => {
    expect(hostOf(connectionString)).toBe(host);
  });
});
