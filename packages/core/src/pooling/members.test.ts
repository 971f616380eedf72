import { describe, expect, it } from 'vitest';
import { InvalidArgumentError } from '../errors.ts';
import { membersByName } from './members.ts';

interface Service {
  readonly name?: string;
  readonly host?: string;
}

/** Members that are hosts; one without a host, or with an empty one, cannot be made. */
function hosts(services: readonly Service[], closed: string[] = []) {
  return membersByName(services, {
    make: ({ host }) => {
      if (!host) throw new InvalidArgumentError('host', 'must be a host');
      return host;
    },
    nameOf: (host) => `of ${host}`,
    close: (host) => void closed.push(host),
  });
}

describe('the members for several Services', () => {
  it('are known by the name that is given, or by their own', () => {
    expect([...hosts([{ name: 'eu', host: 'a' }, { host: 'b' }])]).toEqual([
      ['eu', 'a'],
      ['of b', 'b'],
    ]);
  });

  it('are all closed if two have one name, also the one that was made last', () => {
    const closed: string[] = [];
    const services = [{ host: 'a' }, { name: 'eu', host: 'b' }, { name: 'eu', host: 'c' }];
    expect(() => hosts(services, closed)).toThrow(expect.objectContaining({ argument: 'services[2].name' }));
    expect(closed).toEqual(['a', 'b', 'c']);
  });

  it('are closed if one cannot be made, and the error names the place of the option, if the Service gives it', () => {
    const closed: string[] = [];
    expect(() => hosts([{ host: 'a' }, { host: '' }], closed)).toThrow(
      expect.objectContaining({ argument: 'services[1].host', message: 'services[1].host: must be a host' }),
    );
    expect(closed).toEqual(['a']);
    expect(() => hosts([{}])).toThrow(expect.objectContaining({ argument: 'host' }));
  });
});
