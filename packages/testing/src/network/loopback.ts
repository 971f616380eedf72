import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Whether a TCP server can listen there now.
 *
 * @returns the reason if it cannot: `EADDRINUSE`, `EADDRNOTAVAIL` (the address does not belong to this machine), `EACCES`; else `undefined`.
 */
export function bindProblem(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/**
 * A loopback address that other programs hardly use: 127.64.0.1 to 127.127.255.254. Linux answers on all of 127.0.0.0/8;
 * macOS only on 127.0.0.1 unless more are added to `lo0`.
 */
export function randomLoopbackAddress(): string {
  return `127.${64 + randomInt(64)}.${randomInt(256)}.${1 + randomInt(254)}`;
}

/** A port below the range from which systems take the local ports of outgoing connections, so that it stays free. */
export function randomServerPort(): number {
  return 15_000 + randomInt(17_000);
}
