import { describe, expect, it } from 'vitest';
import { proxyOfEnvironment } from './proxy-environment.ts';

// The rows for names and IPv4 are judged by kubectl, see test/contract/kubeconfig. These are what it cannot be asked on loopback.
describe('the proxy of the environment', () => {
  const proxyFor = (server: string, noProxy: string) =>
    proxyOfEnvironment(new URL(server), { HTTPS_PROXY: 'proxy.example.com:3128', NO_PROXY: noProxy })?.host;

  it.each([
    ['https://[2001:db8::1]:6443', '2001:db8::1'],
    ['https://[2001:db8::1]:6443', '2001:db8::/32'],
    ['https://[2001:db8::1]:6443', '[2001:db8::1]:6443'],
    ['https://[::1]:6443', ''],
    ['https://127.8.9.1', ''],
    ['https://localhost:6443', ''],
    ['https://LOCALHOST', ''],
    ['https://10.96.0.1', '10.96.0.1:443'],
    ['https://example.com', 'example.com'],
    ['https://example.com', 'EXAMPLE.com:443'],
  ])('is not used for %s with NO_PROXY=%s', (server, noProxy) => {
    expect(proxyFor(server, noProxy)).toBeUndefined();
  });

  it.each([
    ['https://[2001:db8::1]:6443', '2001:db8::2'],
    ['https://[2001:db8::1]:6443', '[2001:db8::1]:443'],
    ['https://[2001:db8::1]:6443', '[2001:db8::1]'],
    ['https://[2001:db8::1]:6443', 'fd00::/8, 2001:db8::/129'],
    ['https://localhost.example.com', 'localhost'],
    ['https://example.com', '.example.com'],
    ['https://example.com', '*.example.com'],
    ['https://10.96.0.1', '10.96.0.1:6443'],
    ['https://10.96.0.1', ':443'],
    ['https://10.96.0.1', '0.1'],
  ])('is used for %s with NO_PROXY=%s', (server, noProxy) => {
    expect(proxyFor(server, noProxy)).toBe('proxy.example.com:3128');
  });

  it('is none if the variable names nothing that could be one', () => {
    expect(proxyOfEnvironment(new URL('https://example.com'), { HTTPS_PROXY: 'http://[' })).toBeUndefined();
    expect(proxyOfEnvironment(new URL('https://example.com'), {})).toBeUndefined();
  });
});
