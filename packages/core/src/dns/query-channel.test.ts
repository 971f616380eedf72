import type { Socket as UdpSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import type { Socket as TcpSocket } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  type Channel,
  type ChannelEvents,
  openTcpChannel,
  openUdpChannel,
  tcpChannel,
  udpChannel,
} from './query-channel.ts';
import { parseServerAddress } from './server-address.ts';

const server = parseServerAddress('192.0.2.53');
const query = Buffer.from('a query');

/** A socket of either kind that does what a test lets it do. */
class ScriptedSocket extends EventEmitter {
  closings = 0;
  readonly sent: unknown[] = [];
  onConnect: (done: (error?: Error) => void) => void = () => {};
  onSend: (done: (error: Error | null) => void) => void = () => {};

  unref(): this {
    return this;
  }

  connect(_port: number, _address: string, done: (error?: Error) => void): void {
    this.onConnect(done);
  }

  send(bytes: unknown, done: (error: Error | null) => void): void {
    this.sent.push(bytes);
    this.onSend(done);
  }

  write(bytes: unknown): boolean {
    this.sent.push(bytes);
    return true;
  }

  close(): this {
    this.closings += 1;
    this.emit('close');
    return this;
  }

  destroy(): this {
    return this.close();
  }
}

type Open = (events: ChannelEvents, socket: () => ScriptedSocket) => Channel;

const kinds: { name: string; open: Open; connectFailure: (socket: ScriptedSocket, error: Error) => void }[] = [
  {
    name: 'a UDP channel',
    open: (events, socket) => openUdpChannel(server, query, events, () => socket() as unknown as UdpSocket),
    connectFailure: (socket, error) => {
      socket.onConnect = (done) => done(error);
    },
  },
  {
    name: 'a TCP channel',
    open: (events, socket) => openTcpChannel(server, query, events, () => socket() as unknown as TcpSocket),
    // Nothing of net.connect() can be listened to before it returns, so Node.js itself says this later.
    connectFailure: (socket, error) => void process.nextTick(() => socket.emit('error', error)),
  },
];

/** Opens a channel and records its events. `during` are those that came before it was there. */
function opened(open: Open, socket: () => ScriptedSocket) {
  const events: string[] = [];
  const channel = open(
    {
      sending: () => events.push('sending'),
      received: (bytes) => events.push(`received ${Buffer.from(bytes).toString()}`),
      failed: (error) => events.push(`failed: ${error.message}`),
    },
    socket,
  );
  return { channel, events, during: [...events] };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe.each(kinds)('$name', ({ open, connectFailure }) => {
  it('tells of a way that is missing after it was opened, and only then (#11)', async () => {
    const socket = new ScriptedSocket();
    connectFailure(socket, new Error('connect ENETUNREACH 192.0.2.53:53'));
    const { events, during, channel } = opened(open, () => socket);
    expect(during).toEqual([]);
    await turn();
    expect(events).toEqual(['failed: connect ENETUNREACH 192.0.2.53:53']);
    expect(socket.sent).toEqual([]);
    channel.close();
  });

  it('tells so of a socket that cannot be made', async () => {
    const { events, during, channel } = opened(open, () => {
      throw new Error('socket EMFILE');
    });
    expect(during).toEqual([]);
    await turn();
    expect(events).toEqual(['failed: socket EMFILE']);
    channel.close();
    await channel.closed;
  });

  it('tells one failure, and nothing after it', async () => {
    const socket = new ScriptedSocket();
    const { events, channel } = opened(open, () => socket);
    socket.emit('error', new Error('ECONNREFUSED'));
    socket.emit('error', new Error('again'));
    socket.emit('close');
    await turn();
    expect(events).toEqual(['failed: ECONNREFUSED']);
    channel.close();
  });

  it('tells nothing after it was closed, and closes its socket once', async () => {
    const socket = new ScriptedSocket();
    const { events, channel } = opened(open, () => socket);
    channel.close();
    channel.close();
    socket.emit('error', new Error('too late'));
    await channel.closed;
    await turn();
    expect(events).toEqual([]);
    expect(socket.closings).toBe(1);
  });

  it('tells nothing of what failed while it was opened, if it is closed at once', async () => {
    const socket = new ScriptedSocket();
    connectFailure(socket, new Error('no way'));
    const { events, channel } = opened(open, () => socket);
    channel.close();
    await turn();
    expect(events).toEqual([]);
  });
});

describe('a UDP channel', () => {
  const [{ open }] = kinds as [(typeof kinds)[0]];

  it.each<[string, (socket: ScriptedSocket) => void, string]>([
    [
      'emits an error inside the call, as for an address that is not its own',
      (socket) => {
        socket.onConnect = () => void socket.emit('error', new Error('bind EADDRNOTAVAIL'));
      },
      'failed: bind EADDRNOTAVAIL',
    ],
    [
      'throws inside the call',
      (socket) => {
        socket.onConnect = () => {
          throw new Error('ERR_SOCKET_BAD_PORT');
        };
      },
      'failed: ERR_SOCKET_BAD_PORT',
    ],
  ])('tells it later where the socket %s', async (_what, script, told) => {
    const socket = new ScriptedSocket();
    script(socket);
    const { events, during, channel } = opened(open, () => socket);
    expect(during).toEqual([]);
    await turn();
    expect(events).toEqual([told]);
    channel.close();
  });

  it('tells of a query that could not leave', async () => {
    const socket = new ScriptedSocket();
    socket.onConnect = (done) => done();
    socket.onSend = (done) => done(new Error('send EPERM'));
    const { events, channel } = opened(open, () => socket);
    await turn();
    expect(events).toEqual(['sending', 'failed: send EPERM']);
    channel.close();
  });

  it('is bound to no address of its server: the bind is asked about by name, too', () => {
    const asked: unknown[] = [];
    const create: Parameters<typeof openUdpChannel>[3] = ({ lookup }) => {
      for (const address of ['0.0.0.0', '192.0.2.53']) {
        lookup?.(address, {} as never, (_error, answer) => void asked.push(answer));
      }
      return new ScriptedSocket() as unknown as UdpSocket;
    };
    openUdpChannel(server, query, silent, create).close();
    expect(asked).toEqual(['0.0.0.0', '192.0.2.53']);
  });
});

const silent: ChannelEvents = { sending: () => {}, received: () => {}, failed: () => {} };

// A datagram to the broadcast address is refused by the system inside connect(), with no packet and no network.
describe.each([
  { name: 'UDP', open: udpChannel },
  { name: 'TCP', open: tcpChannel },
])('a real $name socket that has no way to its server', ({ open }) => {
  it('fails, and the process lives', async () => {
    const uncaught: unknown[] = [];
    const note = (error: unknown) => uncaught.push(error);
    process.on('uncaughtException', note);
    const failures: string[] = [];
    const told = new EventEmitter();
    const channel = open(parseServerAddress('255.255.255.255'), query, {
      ...silent,
      failed: (error) => {
        failures.push(error.message);
        told.emit('failed');
      },
    });
    await once(told, 'failed');
    await turn();
    channel.close();
    await channel.closed;
    process.off('uncaughtException', note);
    expect(uncaught).toEqual([]);
    expect(failures).toEqual([expect.stringContaining('255.255.255.255')]);
  });
});
