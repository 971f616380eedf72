import { text, texts } from './command.ts';

/** The options that say which DNS servers are asked. */
export const nameserverOptions = {
  nameservers: texts(
    '-s, --nameserver <address>',
    'DNS server to ask, address[:port]; repeatable; default: those of resolv.conf',
  ),
  resolvConfPath: text('--resolv-conf <file>', 'file to read instead of /etc/resolv.conf', 'files'),
} as const;

/** The values of {@link nameserverOptions}, as functions take them. */
export function nameserversOf(given: {
  readonly nameservers: readonly string[];
  readonly resolvConfPath: string | undefined;
}) {
  const { nameservers, resolvConfPath } = given;
  return { nameservers: nameservers.length > 0 ? nameservers : undefined, resolvConfPath };
}
