import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { ManualClock } from '@externalname/core/internal-testing';
import { FaultProxy } from '@externalname/testing';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

describe('a fault proxy', () => {
  let server: EchoServer;
  let proxy: FaultProxy;
  const clients: Socket[] = [];
  beforeEach(async () => {
    server = await echoServer();
    proxy = await FaultProxy.start({ target: { host: '127.0.0.1', port: server.port } });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
    await server.close();
  });

  it('hands on both ways without a fault, and counts', async () => {
    const client = await open();
    client.write('hello');
    expect(await read(client, 5)).toBe('hello');
    expect(proxy.counts).toEqual({ connections: 1, open: 1, bytesToServer: 5, bytesToClient: 5 });
    client.end('bye');
    expect(await read(client, 3)).toBe('bye');
    await once(client, 'close');
    await expect.poll(() => proxy.counts).toEqual({ connections: 1, open: 0, bytesToServer: 8, bytesToClient: 8 });
  });

  it('hands on large amounts unchanged to a reader that is slow', async () => {
    const client = await open();
    const sent = Buffer.alloc(4_000_000, 'abcdefghij');
    client.write(sent);
    client.pause();
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.resume();
    const received = await readBytes(client, sent.length);
    expect(received.equals(sent)).toBe(true);
  });

  it('refuses new connections and keeps those that are open', async () => {
    const client = await open();
    proxy.refuse();
    expect(await attempt(proxy)).toBe('ECONNREFUSED');
    client.write('still here');
    expect(await read(client, 10)).toBe('still here');
    await proxy.heal();
    expect(await attempt(proxy)).toBe('connected');
  });

  it('resets what is open at both ends', async () => {
    const client = await open();
    const failure = once(client, 'error');
    const [atServer] = server.sockets;
    const serverFailure = once(atServer as Socket, 'error');
    proxy.reset();
    expect((await failure)[0]).toMatchObject({ code: 'ECONNRESET' });
    expect((await serverFailure)[0]).toMatchObject({ code: 'ECONNRESET' });
    expect(proxy.counts.open).toBe(0);
    expect(await attempt(proxy)).toBe('connected');
  });

  it('resets every new connection until it is healed', async () => {
    proxy.resetNew();
    const client = connect({ host: proxy.address, port: proxy.port });
    clients.push(client);
    const [error] = await once(client, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    expect(server.sockets.size).toBe(0);
    await proxy.heal();
    const second = await open();
    second.write('x');
    expect(await read(second, 1)).toBe('x');
  });

  it('is a black hole: connections stay open, new ones are made, nothing goes through until it is healed', async () => {
    const client = await open();
    proxy.blackHole();
    // The proxy still connects to the server: what is swallowed is what is sent.
    const late = await open();
    client.write('one');
    late.write('two');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(proxy.counts).toMatchObject({ open: 2, bytesToServer: 0, bytesToClient: 0 });
    expect([client.destroyed, late.destroyed]).toEqual([false, false]);
    await proxy.heal();
    expect(await read(client, 3)).toBe('one');
    expect(await read(late, 3)).toBe('two');
  });

  it('is a black hole in one direction only', async () => {
    const client = await open();
    proxy.blackHole('to-client');
    client.write('heard');
    await expect.poll(() => proxy.counts.bytesToServer).toBe(5);
    expect(proxy.counts.bytesToClient).toBe(0);
    await proxy.heal();
    expect(await read(client, 5)).toBe('heard');
  });

  it.each(['server', 'client'] as const)('leaves a connection half open whose %s end is gone', async (side) => {
    const client = await open();
    const [atServer] = [...server.sockets] as [Socket];
    const [gone, left] = side === 'server' ? [atServer, client] : [client, atServer];
    const closed = once(gone, 'close');
    proxy.halfOpen(side);
    await closed;
    left.write('into the void');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(left.destroyed).toBe(false);
    expect(left.writableLength).toBe(0);
  });

  it('gives a fault to one connection and leaves the others alone', async () => {
    const [first, second] = [await open(), await open()];
    const [faulty] = proxy.connections;
    expect(faulty?.clientPort).toBe((first.address() as AddressInfo).port);
    faulty?.blackHole();
    first.write('a');
    second.write('b');
    expect(await read(second, 1)).toBe('b');
    expect(faulty?.bytes('to-server')).toBe(0);
    const failure = once(first, 'error');
    faulty?.reset();
    expect((await failure)[0]).toMatchObject({ code: 'ECONNRESET' });
    expect(faulty?.isOpen()).toBe(false);
    expect(proxy.counts.open).toBe(1);
  });

  it('sends new connections to another server', async () => {
    const other = await echoServer('other:');
    const first = await open();
    proxy.retarget({ host: '127.0.0.1', port: other.port });
    const second = await open(proxy, other);
    first.write('x');
    second.write('x');
    expect(await read(first, 1)).toBe('x');
    expect(await read(second, 7)).toBe('other:x');
    await other.close();
  });

  it('resets its client if the server cannot be reached', async () => {
    await server.close();
    const client = connect({ host: proxy.address, port: proxy.port });
    clients.push(client);
    const [error] = await once(client, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    await expect.poll(() => proxy.counts.open).toBe(0);
  });

  it('hands bytes on later by the latency, in order, and at once when that is taken back', async () => {
    const clock = new ManualClock();
    const slow = await FaultProxy.start({ target: { host: '127.0.0.1', port: server.port } }, { clock });
    const client = await open(slow);
    slow.latency(100, 'to-server');
    client.write('1');
    await expect.poll(() => clock.pending).toBe(1);
    await clock.advance(99);
    expect(slow.counts.bytesToServer).toBe(0);
    await clock.advance(1);
    expect(await read(client, 1)).toBe('1');
    client.write('2');
    await expect.poll(() => clock.pending).toBe(1);
    await slow.heal();
    expect(await read(client, 1)).toBe('2');
    expect(clock.pending).toBe(0);
    await slow.close();
  });

  it('passes on no more bytes a second than it is throttled to, in order, and all at once when that ends', async () => {
    const clock = new ManualClock();
    const slow = await FaultProxy.start({ target: { host: '127.0.0.1', port: server.port } }, { clock });
    const client = await open(slow);
    const sent = Buffer.from(Array.from({ length: 5000 }, (_, index) => index % 251));
    slow.throttle(1000, 'to-server');
    client.write(sent);
    await expect.poll(() => clock.pending).toBe(1);
    await clock.advance(1000);
    expect(slow.counts.bytesToServer).toBeGreaterThanOrEqual(1000);
    expect(slow.counts.bytesToServer).toBeLessThanOrEqual(1040);
    await clock.advance(1000);
    expect(slow.counts.bytesToServer).toBeLessThanOrEqual(2040);
    await slow.heal();
    expect((await readBytes(client, sent.length)).equals(sent)).toBe(true);
    expect(clock.pending).toBe(0);
    await slow.close();
  });

  it('throttles one direction and one connection only, and then ends it with its last byte', async () => {
    const clock = new ManualClock();
    const slow = await FaultProxy.start({ target: { host: '127.0.0.1', port: server.port } }, { clock });
    const [first, second] = [await open(slow), await open(slow)];
    const [throttled] = slow.connections;
    throttled?.throttle(2000, 'to-client');
    first.end(Buffer.alloc(1000));
    second.write(Buffer.alloc(1000));
    await readBytes(second, 1000);
    await expect.poll(() => throttled?.bytes('to-server')).toBe(1000);
    await expect.poll(() => clock.pending).toBe(1);
    await clock.advance(400);
    expect(throttled?.bytes('to-client')).toBeLessThan(1000);
    const all = readBytes(first, 1000);
    const isOver = async () => {
      await clock.advance(20);
      return first.readableEnded;
    };
    await expect.poll(isOver).toBe(true);
    expect(await all).toHaveLength(1000);
    await slow.close();
  });

  it('cuts after exactly as many bytes as asked for, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 8 }),
        fc.constantFrom(0, 0.1, 0.5, 0.9, 1),
        fc.constantFrom('to-server' as const, 'to-client' as const),
        fc.constantFrom('end' as const, 'silence' as const, 'reset' as const),
        async (sizes, part, direction, by) => {
          const total = sizes.reduce((sum, size) => sum + size, 0);
          const cut = Math.floor(part * total);
          const cutting = await FaultProxy.start({ target: { host: '127.0.0.1', port: server.port } });
          cutting.cutAfter(cut, { direction, by });
          const client = connect({ host: cutting.address, port: cutting.port });
          clients.push(client);
          client.on('error', () => undefined);
          let received = 0;
          client.on('data', (data) => {
            received += data.length;
          });
          const over = new Promise((resolve) => client.once('close', resolve));
          for (const size of sizes) client.write(Buffer.alloc(size));
          const key = direction === 'to-server' ? 'bytesToServer' : 'bytesToClient';
          if (by === 'silence') await expect.poll(() => cutting.counts[key], { interval: 2 }).toBe(cut);
          else await over;
          expect(cutting.counts[key]).toBe(cut);
          if (direction === 'to-client') await expect.poll(() => received, { interval: 2 }).toBe(cut);
          expect(client.destroyed).toBe(by !== 'silence');
          await cutting.close();
        },
      ),
      { numRuns: 100 },
    );
  });

  it('leaves no socket behind when it is closed in the middle of everything', async () => {
    const open_ = await Promise.all(Array.from({ length: 20 }, () => open()));
    for (const [index, client] of open_.entries()) {
      client.on('error', () => undefined);
      client.write(Buffer.alloc(100_000));
      const connection = proxy.connections[index];
      if (index % 4 === 0) connection?.halfOpen('server');
      if (index % 4 === 1) connection?.blackHole();
      if (index % 4 === 2) connection?.latency(60_000);
    }
    const closed = open_.map((client) => new Promise((resolve) => client.once('close', resolve)));
    await proxy.close();
    await proxy.close();
    await Promise.all(closed);
    expect(proxy.counts.open).toBe(0);
    await expect.poll(() => server.sockets.size).toBe(0);
    expect(await attempt(proxy)).toBe('ECONNREFUSED');
    expect(() => proxy.refuse()).toThrowError(expect.objectContaining({ code: 'ERR_EXTERNALNAME_CLOSED' }));
  });

  it('is closed although a server never answers the end of a connection that was handed on', async () => {
    const sockets: Socket[] = [];
    const deaf = createServer({ allowHalfOpen: true }, (socket) => void sockets.push(socket.resume())).listen(
      0,
      '127.0.0.1',
    );
    await once(deaf, 'listening');
    proxy.retarget({ host: '127.0.0.1', port: (deaf.address() as AddressInfo).port });
    const client = connect({ host: proxy.address, port: proxy.port });
    clients.push(client);
    client.end('bye');
    await expect.poll(() => sockets[0]?.readableEnded).toBe(true);
    await proxy.close();
    for (const socket of sockets) socket.destroy();
    deaf.close();
  });

  it('refuses what it cannot do before it does anything', async () => {
    const invalid = { code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT' };
    await expect(FaultProxy.start({ target: { host: '', port: 1 } })).rejects.toMatchObject(invalid);
    await expect(FaultProxy.start({ target: { host: 'x', port: 0 } })).rejects.toMatchObject(invalid);
    expect(() => proxy.latency(-1)).toThrowError(expect.objectContaining(invalid));
    expect(() => proxy.throttle(0)).toThrowError(expect.objectContaining(invalid));
    expect(() => proxy.cutAfter(1.5)).toThrowError(expect.objectContaining(invalid));
    const taken = { target: { host: 'x', port: 1 }, address: proxy.address, port: proxy.port };
    await expect(FaultProxy.start(taken)).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_PROXY_LISTEN' });
  });

  async function open(through: FaultProxy = proxy, to: EchoServer = server): Promise<Socket> {
    const before = to.sockets.size;
    const client = connect({ host: through.address, port: through.port });
    clients.push(client);
    await once(client, 'connect');
    await expect.poll(() => to.sockets.size, { interval: 2 }).toBeGreaterThan(before);
    return client;
  }
});

interface EchoServer {
  readonly port: number;
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

async function echoServer(greeting = ''): Promise<EchoServer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    if (greeting !== '') socket.write(greeting);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function read(socket: Socket, bytes: number): Promise<string> {
  return (await readBytes(socket, bytes)).toString();
}

function readBytes(socket: Socket, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const take = (data: Buffer) => {
      chunks.push(data);
      length += data.length;
      if (length < bytes) return;
      socket.off('data', take);
      resolve(Buffer.concat(chunks));
    };
    socket.on('data', take);
    socket.once('error', reject);
  });
}

function attempt({ address, port }: FaultProxy): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port }, () => {
      socket.destroy();
      resolve('connected');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}
