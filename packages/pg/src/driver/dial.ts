import net from 'node:net';
import type { Endpoint } from '@externalname/core';
import { onAbort } from '@externalname/core/internal';

/** Opens a socket. */
export function dial(where: net.NetConnectOpts, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(where);
    // Between the connection and the client that takes it over, an error must not bring the process down.
    socket.on('error', () => {});
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

/** A socket that is connected already, for `pg`, which wants to connect it. */
export function standIn(socket: net.Socket): net.Socket {
  socket.connect = () => {
    process.nextTick(() => socket.emit('connect'));
    return socket;
  };
  return socket;
}

/** How an endpoint is called in messages. */
export function describeEndpoint(endpoint: Endpoint): string {
  return `${endpoint.target.externalName} (${addressOf(endpoint)})`;
}

/** As in a URL. */
export function addressOf({ address, port }: Pick<Endpoint, 'address' | 'port'>): string {
  return `${net.isIPv6(address) ? `[${address}]` : address}:${port}`;
}
