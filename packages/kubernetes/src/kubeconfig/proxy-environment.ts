import { contains, isLoopback, parseAddress, parseApiNetwork } from '@externalname/core/internal';
import type { Environment } from './kubeconfig-files.ts';

/**
 * The proxy that the environment names for requests to `server`, by the rules of Go, as for kubectl: `HTTPS_PROXY` for https
 * and `HTTP_PROXY` for http, upper case before lower case. Localhost and loopback addresses never use it, nor does what
 * `NO_PROXY` lists: host names with the names below them, addresses and networks, each with or without a port, or `*`.
 *
 * Source: golang.org/x/net/http/httpproxy.
 */
export function proxyOfEnvironment(server: URL, environment: Environment): URL | undefined {
  const scheme = server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = parseProxy(eitherCase(environment, scheme));
  if (proxy === undefined || isExcepted(server, eitherCase(environment, 'NO_PROXY'))) return undefined;
  return proxy;
}

function eitherCase(environment: Environment, name: string): string {
  return environment[name] || environment[name.toLowerCase()] || '';
}

/** A URL, or `host[:port]` of an HTTP proxy. Anything else is ignored, as in Go. */
function parseProxy(text: string): URL | undefined {
  if (text === '') return undefined;
  try {
    const url = new URL(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`);
    decodeURIComponent(url.username + url.password);
    return url;
  } catch {
    return undefined;
  }
}

function isExcepted(server: URL, list: string): boolean {
  const host = server.hostname.toLowerCase().replace(/^\[|\]$/g, '');
  const port = server.port || (server.protocol === 'https:' ? '443' : '80');
  if (host === 'localhost' || isLoopback(host)) return true;
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== '' && isMatch(entry, host, port));
}

function isMatch(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const address = parseAddress(host);
  const network = parseApiNetwork(entry);
  if (network !== undefined) return address !== undefined && contains(network, address);
  const [name, entryPort] = splitPort(entry);
  if (name === '' || (entryPort !== '' && entryPort !== port)) return false;
  if (address !== undefined) return parseAddress(name)?.canonical === address.canonical;
  const below = name.startsWith('*.') ? name.slice(1) : name;
  return below.startsWith('.') ? host.endsWith(below) : host === below || host.endsWith(`.${below}`);
}

/** `host:port` and `[address]:port`; everything else is a host. */
function splitPort(entry: string): [host: string, port: string] {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(entry) ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? [entry, ''] : [host, port];
}
