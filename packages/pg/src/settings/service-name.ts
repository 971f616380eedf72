import { isIP } from 'node:net';
import { parseServiceReference } from '@externalname/core';

/**
 * Whether a host, as it is written for `pg`, can be the name of a Service: `webscaler-db`, `webscaler-db.default`, or a longer form
 * of the same. An address, a Unix socket, `localhost`, and a host with three or more labels cannot.
 */
export function mayBeService(host: string): boolean {
  if (isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost')) return false;
  try {
    parseServiceReference(host);
    return true;
  } catch {
    return false;
  }
}
