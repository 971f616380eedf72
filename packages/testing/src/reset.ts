import type { Socket } from 'node:net';

/**
 * Closes a connection so that the other side sees a reset.
 *
 * While a socket sends its end, libuv refuses to reset it (EINVAL), and Node.js then never closes it, nor emits `close`. Such a socket is
 * closed in the usual way, because the other side has been told of the end.
 */
export function reset(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
