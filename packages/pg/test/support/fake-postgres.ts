import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { type Resolver, StaticTargetSource } from '@externalname/core';
import type { PoolOptions } from '../../src/index.ts';
import { sharingOfAll } from './sharing-of-all.ts';

/** One connection to a {@link FakePostgres}, as its script sees it. */
export interface FakeSession {
  readonly number: number;
  readonly socket: Socket;
  send(...messages: Buffer[]): void;
  /** The client's next message; `undefined` when it is gone. */
  receive(): Promise<FakeMessage | undefined>;
}

export interface FakeMessage {
  /** One letter; empty for the start-up message. */
  readonly type: string;
  readonly body: Buffer;
}

/**
 * A server that speaks as much of the protocol as a test wants it to, and says what no real server would. Real servers are
 * used wherever they can do what the test is about.
 */
export interface FakePostgres extends AsyncDisposable {
  readonly port: number;
  /** Everything that clients sent after the TLS handshake, where there was one. */
  received(): string;
  /** Options of a pool that is led here by a Service. */
  options(overrides?: PoolOptions): PoolOptions & { source: StaticTargetSource };
  readonly sessions: readonly FakeSession[];
}

export interface FakeOptions {
  /** Plain sockets without, and then SSLRequest is answered by `N`. */
  readonly tls?: { readonly certificate: string; readonly privateKey: string; readonly ca: string } | undefined;
  /** Called with each connection, after its start-up message. */
  readonly script: (session: FakeSession) => Promise<void> | void;
  /** Where it listens. @defaultValue 127.0.0.1 */
  readonly address?: string | undefined;
  /** @defaultValue one that is free */
  readonly port?: number | undefined;
}

export async function startFakePostgres(options: FakeOptions): Promise<FakePostgres> {
  const sockets = new Set<Socket>();
  const sessions: FakeSession[] = [];
  let received = '';
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', (first: Buffer) => {
      if (!first.equals(sslRequest)) {
        begin(socket, first);
      } else if (options.tls === undefined) {
        socket.write('N');
        socket.on('data', (chunk: Buffer) => {
          received += chunk.toString('latin1');
        });
      } else {
        socket.write('S');
        const { certificate, privateKey } = options.tls;
        const secureContext = createSecureContext({ cert: certificate, key: privateKey });
        const secured = new TLSSocket(socket, { isServer: true, secureContext });
        secured.on('error', () => undefined);
        begin(secured, Buffer.alloc(0));
      }
    });
  });
  const begin = (socket: Socket, first: Buffer) => {
    const messages = readMessages(socket, first, (text) => {
      received += text;
    });
    const session: FakeSession = {
      number: sessions.length,
      socket,
      send: (...parts) => void socket.write(Buffer.concat(parts)),
      receive: messages,
    };
    sessions.push(session);
    const run = async () => {
      if ((await session.receive()) !== undefined) await options.script(session);
    };
    run().catch(() => socket.destroy());
  };
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.address ?? '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    sessions,
    received: () => received,
    options: (overrides = {}) => ({
      ...sharingOfAll,
      allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
      allowedNetworks: ['127.0.0.0/8'],
      dns: everythingIsHere,
      port,
      user: 'app',
      database: 'app',
      ssl: options.tls === undefined ? false : { ca: options.tls.ca },
      failoverTimeoutMillis: 2_000,
      ...overrides,
      source: (overrides.source as StaticTargetSource | undefined) ?? new StaticTargetSource('primary-db.example.com'),
    }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A server that lets everybody in and answers each statement by what `answer` makes of it, or as an empty statement. */
export function obliging(
  answer: (
    text: string,
    session: FakeSession,
  ) => readonly Buffer[] | undefined | Promise<readonly Buffer[] | undefined> = () => undefined,
): FakeOptions['script'] {
  return async (session) => {
    session.send(authenticationOk, ...primaryParameters, backendKey(session.number + 1), readyForQuery());
    for (;;) {
      const message = await session.receive();
      if (message === undefined || message.type === 'X') return void session.socket.end();
      if (message.type !== 'Q') continue;
      const text = message.body.subarray(0, -1).toString();
      const messages = await answer(text, session);
      session.send(...(messages ?? [text === '' ? emptyQuery : commandComplete('SELECT 0'), readyForQuery()]));
    }
  };
}

export function message(type: string, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)));
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export const authentication = (code: number, payload: Buffer = Buffer.alloc(0)): Buffer =>
  message('R', int32(code), payload);
export const authenticationOk = authentication(0);
export const cleartextRequest = authentication(3);
export const md5Request = authentication(5, Buffer.from([1, 2, 3, 4]));
export const scramRequest = authentication(10, Buffer.from('SCRAM-SHA-256\0\0'));
export const readyForQuery = (status = 'I'): Buffer => message('Z', Buffer.from(status));
/** The id of the process that serves a session, and the secret for cancelling. */
export const backendKey = (processId: number, secret = 0): Buffer => message('K', int32(processId), int32(secret));
export const parameter = (name: string, value: string): Buffer => message('S', name, value);
export const primaryParameters = [
  parameter('in_hot_standby', 'off'),
  parameter('default_transaction_read_only', 'off'),
];
export const commandComplete = (tag: string): Buffer => message('C', tag);
export const emptyQuery = message('I');
export const errorResponse = (code: string, severity = 'ERROR', text = `SQLSTATE ${code}`): Buffer =>
  message('E', `S${severity}`, `V${severity}`, `C${code}`, `M${text}`, Buffer.from([0]));

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

// Cuts what arrives into messages. The first has no type.
function readMessages(socket: Socket, first: Buffer, onText: (text: string) => void) {
  let buffer = Buffer.alloc(0);
  let started = false;
  let gone = false;
  const ready: FakeMessage[] = [];
  const waiting: ((message: FakeMessage | undefined) => void)[] = [];
  const take = (chunk: Buffer) => {
    onText(chunk.toString('latin1'));
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      const head = started ? 1 : 0;
      if (buffer.length < head + 4) return;
      const length = head + buffer.readInt32BE(head);
      if (buffer.length < length) return;
      const next = { type: buffer.toString('latin1', 0, head), body: buffer.subarray(head + 4, length) };
      buffer = buffer.subarray(length);
      started = true;
      const waiter = waiting.shift();
      if (waiter === undefined) ready.push(next);
      else waiter(next);
    }
  };
  socket.on('data', take);
  socket.on('close', () => {
    gone = true;
    for (const waiter of waiting.splice(0)) waiter(undefined);
  });
  if (first.length > 0) take(first);
  return (): Promise<FakeMessage | undefined> => {
    const next = ready.shift();
    if (next !== undefined || gone) return Promise.resolve(next);
    return new Promise((resolve) => waiting.push(resolve));
  };
}

/** Leads every name to this machine. */
export const everythingIsHere: Resolver = {
  resolve: async (name) => ({
    name,
    chain: [],
    canonicalName: name,
    addresses: [{ address: '127.0.0.1', family: 4, ttlSeconds: 1 }],
    expiresAt: Number.POSITIVE_INFINITY,
    stale: false,
  }),
  close: async () => undefined,
  [Symbol.asyncDispose]: async () => undefined,
};

const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
