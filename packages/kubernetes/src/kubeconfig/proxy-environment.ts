import { BlockList, isIP } from 'node:net';
import type { Environment } from './kubeconfig-files.ts';

/**
 * The proxy that the environment names for requests to `server`, by the rules of Go, as for kubectl:
 * `HTTPS_PROXY` for https and `HTTP_PROXY` for http, upper case before lower case; never for localhost and loopback
 * addresses, and not for what `NO_PROXY` lists: host names with the names below them, addresses, networks, each with a port or
 * without, or `*`.
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
  if (host === 'localhost' || isWithin(host, loopback)) return true;
  return list
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry !== '' && isMatch(entry, host, port));
}

function isMatch(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const network = parseNetwork(entry);
  if (network !== undefined) return isWithin(host, network);
  const [name, entryPort] = splitPort(entry);
  if (name === '' || (entryPort !== '' && entryPort !== port)) return false;
  if (isIP(name) !== 0) return isWithin(host, networkOf(name));
  if (isIP(host) !== 0) return false;
  const below = name.startsWith('*.') ? name.slice(1) : name;
  return below.startsWith('.') ? host.endsWith(below) : host === below || host.endsWith(`.${below}`);
}

/** `10.0.0.0/8`, `fd00::/8` */
function parseNetwork(entry: string): BlockList | undefined {
  const [, address = '', length] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? [];
  const family = isIP(address);
  if (family === 0 || Number(length) > (family === 4 ? 32 : 128)) return undefined;
  const network = new BlockList();
  network.addSubnet(address, Number(length), family === 4 ? 'ipv4' : 'ipv6');
  return network;
}

function networkOf(address: string): BlockList {
  const network = new BlockList();
  // An IPv4 address in IPv6 notation is that IPv4 address.
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address;
  network.addAddress(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6');
  return network;
}

function isWithin(host: string, network: BlockList): boolean {
  const family = isIP(host);
  return family !== 0 && network.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/** `host:port` and `[address]:port`; everything else is a host. */
function splitPort(entry: string): [host: string, port: string] {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(entry) ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? [entry, ''] : [host, port];
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
