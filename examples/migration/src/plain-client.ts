import type { IncomingMessage } from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';
import { createLookup, type DnsResolver } from '@externalname/core';
import { catalog } from './catalog.ts';

/**
 * A client that does not know of the change, as most are: it keeps the answer of DNS for its TTL, and makes a connection for each request.
 * It does not check whose certificate it is shown, or no request would be answered after the change.
 */
export function plainClient(
  resolver: DnsResolver,
  { port, ca }: { port: number; ca: string },
): (method: string) => Promise<string> {
  const lookup = createLookup(resolver);
  return async (method) => {
    const request = https.request({
      host: catalog.inside,
      port,
      method,
      ca,
      checkServerIdentity: () => undefined,
      lookup,
      agent: false,
      signal: AbortSignal.timeout(1_000),
    });
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve).on('error', reject).end();
    });
    return await text(response);
  };
}
