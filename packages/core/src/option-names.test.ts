import { describe, expect, it } from 'vitest';
import { checkNames, editDistance, nearestName } from './option-names.ts';

const known = { nameservers: 1, ndots: 1, timeoutMillis: 1, cache: 1 };

describe('the names of options', () => {
  it.each([
    [{ servers: [] }, 'servers: is not an option. Did you mean `nameservers`?'],
    [{ timeoutMilis: 5 }, 'timeoutMilis: is not an option. Did you mean `timeoutMillis`?'],
    [{ CACHE: false }, 'CACHE: is not an option. Did you mean `cache`?'],
    [{ port: 53 }, 'port: is not an option. The options are: nameservers, ndots, timeoutMillis, cache'],
    [{ '': 53 }, "'': is not an option. The options are: nameservers, ndots, timeoutMillis, cache"],
    [{ ['__proto__']: 1 }, '__proto__: is not an option. The options are: nameservers, ndots, timeoutMillis, cache'],
    [{ 'a\u001b[31m': 1 }, 'a\\u{1b}[31m: is not an option. The options are: nameservers, ndots, timeoutMillis, cache'],
  ])('%j: %s', (options, message) => {
    expect(() => checkNames(options, known)).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', message }),
    );
  });

  it('stand with their path where the options are within others', () => {
    expect(() => checkNames({ servers: [] }, known, 'dns.')).toThrow(
      'dns.servers: is not an option. Did you mean `dns.nameservers`?',
    );
  });

  it('are the nearest of those that a mistyped one contains', () => {
    expect(nearestName('namespacee', ['name', 'namespace'])).toBe('namespace');
  });

  it('may be any that are not set', () => {
    checkNames({ servers: undefined, cache: false }, known);
  });

  it('are compared in little time, however long they are', () => {
    expect(nearestName('x'.repeat(1_000_000), Object.keys(known))).toBeUndefined();
  });

  it.each([
    ['', 'cache', 5],
    ['cache', 'cache', 0],
    ['cahce', 'cache', 2],
    ['kitten', 'sitting', 3],
  ])('%j and %j are %i edits apart', (from, to, edits) => {
    expect([editDistance(from, to), editDistance(to, from)]).toEqual([edits, edits]);
  });
});
