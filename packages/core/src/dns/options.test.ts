import { expect, it } from 'vitest';
import { resolverSettings } from './options.ts';

it('the options of a resolver are those that were given, and none that stand on a prototype', () => {
  const polluted = Object.create({ nameservers: ['192.0.2.66'], hostsPath: '/tmp/hosts', cache: false });
  expect(resolverSettings(polluted)).toEqual(resolverSettings({}));
  const cache = Object.create({ maxTtlSeconds: 86_400 });
  expect(resolverSettings({ cache }).cache).toEqual(resolverSettings({}).cache);
});
