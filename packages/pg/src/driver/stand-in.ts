import type net from 'node:net';

/** A socket that is connected already, for `pg`, which wants to connect it. */
export function standIn(socket: net.Socket): net.Socket {
  socket.connect = () => {
    process.nextTick(() => socket.emit('connect'));
    return socket;
  };
  return socket;
}
