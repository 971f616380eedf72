import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Whether a TCP server can listen there now.
 *
 * @returns what speaks against it: `EADDRINUSE`, `EADDRNOTAVAIL` (no address of this machine), `EACCES`; or `undefined`.
 */
export function bindProblem(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/**
 * A loopback address that hardly anybody else uses: 127.64.0.0 to 127.127.255.254. Linux answers on all of 127.0.0.0/8;
 * macOS only on 127.0.0.1 unless more are added to `lo0`.
 */
export function randomLoopbackAddress(): string {
  return `127.${64 + randomInt(64)}.${randomInt(256)}.${1 + randomInt(254)}`;
}

/** A port below the range from which systems take the local ports of outgoing connections, so that it stays free. */
export function randomServerPort(): number {
  return 15_000 + randomInt(17_000);
}
