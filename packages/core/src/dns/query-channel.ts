import type { SocketOptions, Socket as UdpSocket } from 'node:dgram';
import { connect, type TcpNetConnectOpts, type Socket as TcpSocket } from 'node:net';
import type { ServerAddress } from './server-address.ts';

/** Sends one query to one server and passes on what comes back. See {@link OpenChannel}. */
export interface Channel {
  /** Frees the socket. Idempotent. No event comes after it. */
  close(): void;
  /** Resolves when the socket is really gone. Never rejects. */
  readonly closed: Promise<void>;
}

/** The events of a {@link Channel}. */
export interface ChannelEvents {
  /** The query is about to leave. */
  sending(): void;
  /** A message came from the server. */
  received(bytes: Uint8Array): void;
  /** There will be no answer. At most once, and the last event. */
  failed(error: Error): void;
}

/**
 * Opens a channel to a server.
 *
 * It never throws, and no event comes before it has returned, because the listener would not be complete yet. A missing route, an
 * address that cannot be bound and a lack of descriptors are all reported inside the call that opens a socket, and none of
 * them ever happens on loopback.
 */
export type OpenChannel = (server: ServerAddress, query: Buffer, events: ChannelEvents) => Channel;

/** Query and answer are one datagram each. */
export const udpChannel: OpenChannel = (server, query, events) => openUdpChannel(server, query, events);

/** @internal */
export function openUdpChannel(
  server: ServerAddress,
  query: Buffer,
  events: ChannelEvents,
  create: (options: SocketOptions) => UdpSocket = process.getBuiltinModule('node:dgram').createSocket,
): Channel {
  return openChannel(events, (told) => {
    const socket = create({
      type: server.family === 6 ? 'udp6' : 'udp4',
      // Node.js looks up even addresses: the server's, and before that the one that the socket is bound to, 0.0.0.0 or ::. Each
      // is its own answer. Answering with the server's address would bind the socket to it.
      lookup: (address, _options, callback) => callback(null, address, server.family),
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.unref();
    socket.on('error', told.failed);
    socket.on('message', told.received);
    // Calls back with an error if there is no route to the server. Sending the query anyway would throw an error that no one catches.
    const connected = (error?: Error): void => {
      if (told.isOver()) return;
      if (error !== undefined) {
        told.failed(error);
        return;
      }
      told.sending();
      socket.send(query, (failure) => {
        if (failure) told.failed(failure);
      });
    };
    try {
      socket.connect(server.port, server.address, connected);
    } catch (error) {
      told.failed(errorOf(error));
    }
    return { closed, close: () => socket.close() };
  });
}

/** Query and answer over one connection, each preceded by its length (RFC 1035 section 4.2.2). */
export const tcpChannel: OpenChannel = (server, query, events) => openTcpChannel(server, query, events);

/** @internal */
export function openTcpChannel(
  server: ServerAddress,
  query: Buffer,
  events: ChannelEvents,
  dial: (options: TcpNetConnectOpts) => TcpSocket = connect,
): Channel {
  return openChannel(events, (told) => {
    const socket = dial({ host: server.address, port: server.port, noDelay: true });
    let pending: Buffer = Buffer.alloc(0);
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.unref();
    socket.once('connect', () => {
      if (told.isOver()) return;
      told.sending();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    socket.on('data', (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const message = pending.subarray(2, end);
        pending = pending.subarray(end);
        told.received(message);
      }
    });
    socket.on('error', told.failed);
    socket.once('close', () => told.failed(new Error('the connection was closed before the answer')));
    return { closed, close: () => socket.destroy() };
  });
}

/**
 * Keeps the promises of {@link OpenChannel} for any socket: holds back events while the socket is being opened, turns an exception
 * into a failure, and sends no event after a failure or the close.
 */
function openChannel(events: ChannelEvents, open: (told: Told) => Channel): Channel {
  let state: 'opening' | 'open' | 'over' = 'opening';
  const tell = (event: () => void): void => {
    if (state === 'open') event();
    // In their order, and after the opener has its channel.
    else if (state === 'opening') process.nextTick(tell, event);
  };
  const told: Told = {
    isOver: () => state === 'over',
    sending: () => tell(() => events.sending()),
    received: (bytes) => tell(() => events.received(bytes)),
    failed: (error) =>
      tell(() => {
        state = 'over';
        events.failed(error);
      }),
  };
  let channel: Channel = { close: () => {}, closed: Promise.resolve() };
  try {
    channel = open(told);
  } catch (error) {
    told.failed(errorOf(error));
  }
  state = 'open';
  let closing = false;
  return {
    closed: channel.closed,
    close: () => {
      state = 'over';
      if (closing) return;
      closing = true;
      channel.close();
    },
  };
}

/** The events, as the code that opens a channel sees them. */
interface Told extends ChannelEvents {
  /** Whether the channel has failed or was closed, so that nothing may be sent. */
  isOver(): boolean;
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
