import type net from 'node:net';

/** A connected socket, for `pg`, which wants to connect it itself. */
export function standIn(socket: net.Socket): net.Socket {
  socket.connect = sayConnected;
  return socket;
}

// The same for all sockets, because each keeps it.
function sayConnected(this: net.Socket): net.Socket {
  process.nextTick(() => this.emit('connect'));
  return this;
}
