import { isIP } from 'node:net';
import { InvalidArgumentError } from '../errors.ts';
import { checkText } from '../input.ts';

/** The address and port of a DNS server. */
export interface ServerAddress {
  readonly address: string;
  readonly family: 4 | 6;
  readonly port: number;
  /** `10.96.0.10:53`, `[::1]:53` */
  readonly text: string;
}

/**
 * Reads an address in the form of `dns.setServers()`: `10.96.0.10`, `127.0.0.1:5353`, `::1`, `[::1]`, `[::1]:5353`,
 * an IPv6 address with its zone (`fe80::1%eth0`) included.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for anything else, host names included.
 */
export function parseServerAddress(text: string, argument = 'nameservers'): ServerAddress {
  checkText(argument, text);
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const address = isIP(text) === 6 ? text : (match?.[1] ?? match?.[2] ?? '');
  const family = isIP(address);
  const port = isIP(text) === 6 || match?.[3] === undefined ? 53 : Number(match[3]);
  const bracketed = match?.[1] !== undefined;
  if ((family !== 4 && family !== 6) || (bracketed && family !== 6) || port < 1 || port > 65535) {
    throw new InvalidArgumentError(
      argument,
      `${JSON.stringify(text.slice(0, 100))} is not the address of a DNS server: write 10.96.0.10, 10.96.0.10:53, ::1 or [::1]:53`,
    );
  }
  return { address, family, port, text: family === 6 ? `[${address}]:${port}` : `${address}:${port}` };
}
