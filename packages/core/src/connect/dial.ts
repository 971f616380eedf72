import net from 'node:net';
import { onAbort } from '../deadline.ts';
import type { Endpoint } from '../targets/index.ts';

/**
 * Opens a socket.
 *
 * @internal
 */
export function dial(where: net.NetConnectOpts, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(where);
    // Until the caller listens for errors, an error must not end the process.
    socket.on('error', ignoreSocketError);
    const abort = () => {
      socket.destroy();
      reject(signal.reason);
    };
    if (signal.aborted) abort();
    const stopListening = onAbort(signal, abort);
    socket.once('connect', () => {
      stopListening();
      socket.removeListener('error', fail);
      resolve(socket);
    });
    const fail = (error: Error) => {
      stopListening();
      reject(error);
    };
    socket.once('error', fail);
  });
}

// Not a closure of the call: the socket keeps it, and with it would keep the signal.
function ignoreSocketError(): void {}

/**
 * Names an endpoint in messages.
 *
 * @internal
 */
export function describeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.target.externalName} (${addressOf(endpoint)})`;
}

/**
 * Writes address and port as in a URL.
 *
 * @internal
 */
export function addressOf({ address, port }: Pick<Endpoint, 'address' | 'port'>): string {
  return `${net.isIPv6(address) ? `[${address}]` : address}:${port}`;
}
