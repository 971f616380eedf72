import { describe, expect, it } from 'vitest';
import { refuseEnvironmentProxy } from './proxy-environment.ts';

const proxy = { HTTPS_PROXY: 'http://user:secret@proxy.example.com:3128' };

describe('the proxies of the environment', () => {
  it('mean nothing where Node.js was not told to use them', () => {
    expect(() => refuseEnvironmentProxy(proxy, [])).not.toThrow();
    expect(() => refuseEnvironmentProxy({ NODE_USE_ENV_PROXY: '1' }, [])).not.toThrow();
  });

  it.each([
    ['by the environment', { ...proxy, NODE_USE_ENV_PROXY: '1' }, []],
    ['by a flag', proxy, ['--use-env-proxy']],
    ['by NODE_OPTIONS', { ...proxy, NODE_OPTIONS: '--max-http-header-size=1 --use-env-proxy' }, []],
  ])('are refused where it was told so %s, without the password in the message', (_, environment, flags) => {
    const refuse = () => refuseEnvironmentProxy(environment, flags);
    expect(refuse).toThrow(expect.objectContaining({ argument: 'environmentProxy' }));
    expect(refuse).not.toThrow(/secret/);
  });
});
