import { connect, type LookupFunction, type Socket } from 'node:net';
import { onAbort } from '@externalname/core/internal';

/** Opens a TCP connection. Errors after that are not reported: the caller waits for what it wants to read. */
export async function openSocket(
  host: string,
  { port, lookup }: { readonly port: number; readonly lookup?: LookupFunction | undefined },
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...(lookup && { lookup }) });
    const unlisten = onAbort(signal, () => {
      socket.destroy();
      reject(signal.reason);
    });
    socket.once('error', (error) => {
      unlisten();
      reject(error);
    });
    socket.once('connect', () => {
      unlisten();
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/**
 * Asks a PostgreSQL server for TLS. The documentation, "Frontend/Backend Protocol", SSLRequest: length 8, code 80877103; `S` is yes.
 */
export function askForTls(socket: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const unlisten = onAbort(signal, () => reject(signal.reason));
    const end = (error?: Error) => {
      unlisten();
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.once('close', () => end(new Error('the server closed the connection when it was asked for TLS')));
    socket.once('data', (answer) => {
      const agreed = answer.length === 1 && answer[0] === 'S'.charCodeAt(0);
      end(agreed ? undefined : Object.assign(new Error('the server does not speak TLS'), { code: 'NO_TLS' }));
    });
    socket.write(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]));
  });
}
