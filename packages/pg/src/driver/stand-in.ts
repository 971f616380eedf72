import type net from 'node:net';

/** A connected socket, for `pg`, which wants to connect it itself. */
export function standIn(socket: net.Socket): net.Socket {
  socket.connect = () => {
    process.nextTick(() => socket.emit('connect'));
    return socket;
  };
  return socket;
}
