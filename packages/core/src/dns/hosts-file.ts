import { isIP } from 'node:net';
import { canonicalName } from '../names/index.ts';

/** An address that the hosts file gives to a name. */
export interface HostsAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** Names and their addresses, in the order of the lines. Source: hosts(5). */
export type Hosts = ReadonlyMap<string, readonly HostsAddress[]>;

/** Reads a hosts file. Invalid lines are skipped. Never throws. */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, HostsAddress[]>();
  for (const line of text.split(/\r?\n/)) {
    const [address = '', ...names] = line
      .replace(/#.*/, '')
      .trim()
      .split(/[ \t]+/);
    const family = isIP(address);
    if (family !== 4 && family !== 6) continue;
    for (const name of names.map(canonicalName)) {
      const known = hosts.get(name) ?? [];
      if (!known.some((entry) => entry.address === address)) known.push({ address, family });
      hosts.set(name, known);
    }
  }
  return hosts;
}

/**
 * What the hosts file says about a name. `localhost` and names below it mean this machine even if the file does not
 * list them, and are never sent to a DNS server (RFC 6761 section 6.3).
 */
export function lookupHosts(hosts: Hosts, name: string): readonly HostsAddress[] | undefined {
  const canonical = canonicalName(name);
  return hosts.get(canonical) ?? (isLocalhost(canonical) ? loopback : undefined);
}

/** Whether a canonical name is `localhost` or below it. */
export function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/** The addresses of `localhost` if no file says otherwise. */
export const loopback: readonly HostsAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];
