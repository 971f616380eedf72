import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  type Clock,
  ClosedError,
  ExternalNameError,
  InvalidArgumentError,
  systemClock,
  type Timer,
} from '@externalname/core';
import { anObjectWith, aText, checkNumber, checkOptions, optional, ownOptions } from '@externalname/core/internal';
import { randomLoopbackAddress, randomServerPort } from './loopback.ts';

/** Which way bytes go through a {@link FaultProxy}. */
export type FaultDirection = 'to-server' | 'to-client';

/** Which end of a connection. */
export type FaultSide = 'server' | 'client';

/** How a connection is cut. */
export type CutMethod =
  /** Both ends get a reset (RST). */
  | 'reset'
  /** Both ends are closed in order (FIN). */
  | 'end'
  /** Nobody is told: not a byte more goes through, and the sockets stay open. */
  | 'silence';

/** See {@link FaultProxy.cutAfter}. */
export interface CutOptions {
  /** Direction whose bytes are counted, from the start of each connection. @defaultValue `to-client` */
  direction?: FaultDirection | undefined;
  /** How it is cut. @defaultValue `reset` */
  by?: CutMethod | undefined;
}

/** Where a {@link FaultProxy} sends connections to. */
export interface ProxyTarget {
  /** Host name or address. */
  readonly host: string;
  /** The port of the server. */
  readonly port: number;
}

/** See {@link FaultProxy.start}. */
export interface FaultProxyOptions {
  /** Where connections are handed on to. */
  target: ProxyTarget;
  /** Address to listen on. @defaultValue a free one of 127.64.0.0/10; 127.0.0.1 where this machine has none of these */
  address?: string | undefined;
  /** The port to listen on. @defaultValue a free one from 15000 to 31999 */
  port?: number | undefined;
  /** Measures latency. @defaultValue the system's */
  clock?: Clock | undefined;
}

/** What went through. Bytes are counted when they are handed on. */
export interface ProxyCounts {
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Bytes handed on to the server. */
  readonly bytesToServer: number;
  /** Bytes handed on to clients. */
  readonly bytesToClient: number;
}

/** The proxy cannot listen where it should. Code `ERR_EXTERNALNAME_PROXY_LISTEN`. */
export class ProxyListenError extends ExternalNameError {
  constructor(address: string, port: number, cause: unknown) {
    super('ERR_EXTERNALNAME_PROXY_LISTEN', `cannot listen on ${address} port ${port}: choose another address or port`, {
      cause,
    });
  }
}

/** The faults that one connection, or all of them, can be given. */
interface Faults {
  /**
   * Hands nothing on any more; sockets stay open and the kernel goes on taking bytes until its buffers are full. What waits is
   * handed on after {@link FaultProxy.heal}, as TCP does when a network comes back.
   *
   * @param direction @defaultValue both
   */
  blackHole(direction?: FaultDirection): void;
  /** Hands every byte on this much later, in milliseconds. 0 ends it. @param direction @defaultValue both */
  latency(millis: number, direction?: FaultDirection): void;
  /**
   * Cuts a connection when exactly this many bytes have gone through in one direction since it was opened; at once where as
   * many have already, so 0 cuts every new connection when it is made.
   */
  cutAfter(bytes: number, options?: CutOptions): void;
  /** Resets what is open now (RST at both ends). */
  reset(): void;
  /**
   * Closes one end and does not tell the other, which goes on in the belief that it is connected; what it sends is swallowed.
   * @param side the end that is gone
   */
  halfOpen(side: FaultSide): void;
  /** Ends black hole, latency and cuts to come. A connection that is cut or half open stays so. */
  heal(): void | Promise<void>;
}

/**
 * A TCP proxy that puts faults between a client and a server. It knows nothing of the protocol.
 *
 * Faults of the proxy hold for the connections that are open and those to come; faults of one connection only for that.
 *
 * @example
 * ```ts
 * await using proxy = await FaultProxy.start({ target: { host: pair.primary.address, port: pair.port } });
 * proxy.blackHole();
 * ```
 */
export class FaultProxy implements Faults, AsyncDisposable {
  /** The loopback address that clients connect to. */
  readonly address: string;
  /** The port that clients connect to. */
  readonly port: number;
  readonly #clock: Clock;
  readonly #open = new Set<ProxiedConnection>();
  /** What is still to be over before nothing is left: listeners and connections. */
  readonly #ends = new Set<Promise<void>>();
  #target: ProxyTarget;
  #plan: Plan = noFaults();
  #server: Server | undefined;
  #accepted = 0;
  readonly #past = { 'to-server': 0, 'to-client': 0 };
  #closed = false;

  private constructor(server: Server, address: string, port: number, target: ProxyTarget, clock: Clock) {
    this.address = address;
    this.port = port;
    this.#target = target;
    this.#clock = clock;
    this.#serve(server);
  }

  /**
   * Starts to listen.
   *
   * @throws {@link InvalidArgumentError} (`ERR_EXTERNALNAME_INVALID_ARGUMENT`)
   * @throws {@link ProxyListenError} (`ERR_EXTERNALNAME_PROXY_LISTEN`)
   */
  static async start(given: FaultProxyOptions): Promise<FaultProxy> {
    const options = ownOptions(given);
    checkOptions(options, { address: optional(aText), clock: optional(anObjectWith('now', 'date', 'schedule')) });
    const { clock = systemClock } = options;
    const target = checkTarget(options.target);
    if (options.port !== undefined) checkPort('port', options.port);
    for (let attempt = 1; ; attempt++) {
      const fallback = attempt > listenAttempts / 2 ? '127.0.0.1' : randomLoopbackAddress();
      const address = options.address ?? fallback;
      const port = options.port ?? randomServerPort();
      try {
        return new FaultProxy(await listen(address, port), address, port, target, clock);
      } catch (error) {
        if ((options.address !== undefined && options.port !== undefined) || attempt === listenAttempts) {
          throw new ProxyListenError(address, port, error);
        }
      }
    }
  }

  /** Connections that are open now, oldest first. */
  get connections(): readonly ProxiedConnection[] {
    return [...this.#open];
  }

  /** What went through so far. */
  get counts(): ProxyCounts {
    const sum = (direction: FaultDirection) =>
      [...this.#open].reduce((bytes, connection) => bytes + connection.bytes(direction), this.#past[direction]);
    return {
      connections: this.#accepted,
      open: this.#open.size,
      bytesToServer: sum('to-server'),
      bytesToClient: sum('to-client'),
    };
  }

  /** Sends connections to another server from now on. Those that are open stay where they are. */
  retarget(target: ProxyTarget): void {
    this.#target = checkTarget(target);
  }

  /** Refuses new connections (ECONNREFUSED): stops listening. Those that are open stay. {@link heal} listens again. */
  refuse(): void {
    this.#assertOpen();
    this.#stopListening();
  }

  /** Resets every new connection as soon as it is made. */
  resetNew(): void {
    this.#plan = { ...this.#plan, resetNew: true };
  }

  /** Hands nothing on, in one direction or both; sockets stay open. What waits is handed on after `heal()`. */
  blackHole(direction?: FaultDirection): void {
    this.#plan = withBlackHole(this.#plan, direction);
    this.#each((connection) => connection.blackHole(direction));
  }

  /** Hands everything on later, in milliseconds. */
  latency(millis: number, direction?: FaultDirection): void {
    this.#plan = withLatency(this.#plan, millis, direction);
    this.#each((connection) => connection.latency(millis, direction));
  }

  /** Cuts each connection after so many bytes. */
  cutAfter(bytes: number, options: CutOptions = {}): void {
    this.#plan = withCut(this.#plan, bytes, options);
    this.#each((connection) => connection.cutAfter(bytes, options));
  }

  /** Resets both ends of every open connection. */
  reset(): void {
    this.#each((connection) => connection.reset());
  }

  /** Ends the connection of one side; the other one is told nothing. */
  halfOpen(side: FaultSide): void {
    this.#each((connection) => connection.halfOpen(side));
  }

  /**
   * Takes back every fault that can be, and listens again.
   *
   * @throws {@link ProxyListenError} (`ERR_EXTERNALNAME_PROXY_LISTEN`) where the port was taken meanwhile.
   */
  async heal(): Promise<void> {
    this.#assertOpen();
    this.#plan = noFaults();
    this.#each((connection) => connection.heal());
    if (this.#server !== undefined) return;
    try {
      this.#serve(await listen(this.address, this.port));
    } catch (error) {
      throw new ProxyListenError(this.address, this.port, error);
    }
  }

  /** Closes every connection and stops listening. Resolves when no socket is left. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#each((connection) => connection.destroy());
    this.#stopListening();
    await Promise.all(this.#ends);
  }

  /** Calls `close()`, at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #serve(server: Server): void {
    this.#server = server;
    const end: Promise<void> = new Promise<void>((resolve) => server.once('close', resolve)).then(() => {
      this.#ends.delete(end);
    });
    this.#ends.add(end);
    server.on('connection', (client) => this.#accept(client));
  }

  #accept(client: Socket): void {
    this.#accepted++;
    client.on('error', ignore);
    if (this.#plan.resetNew || this.#closed) {
      client.resetAndDestroy();
      return;
    }
    const connection: ProxiedConnection = new ProxiedConnection(client, this.#target, this.#clock, () => {
      this.#open.delete(connection);
      for (const direction of directions) this.#past[direction] += connection.bytes(direction);
    });
    this.#open.add(connection);
    this.#ends.add(connection.closed);
    connection.closed.finally(() => this.#ends.delete(connection.closed)).catch(ignore);
    connection.follow(this.#plan);
  }

  /** It takes no connection any more when this returns; its `close` event waits for those that are open. */
  #stopListening(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  #each(act: (connection: ProxiedConnection) => void): void {
    for (const connection of [...this.#open]) act(connection);
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('the fault proxy');
  }
}

/** One connection through a {@link FaultProxy}, with faults of its own. */
export class ProxiedConnection implements Faults {
  /** Port that the client connected from: tells connections apart. */
  readonly clientPort: number;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #lanes: { readonly [D in FaultDirection]: Lane };
  readonly #onClosed: () => void;
  #state: 'open' | 'half-open' | 'closed' = 'open';

  /** @internal */
  constructor(client: Socket, target: ProxyTarget, clock: Clock, onClosed: () => void) {
    this.#client = client;
    this.#onClosed = onClosed;
    this.clientPort = client.remotePort ?? 0;
    this.#server = connect({ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const cut = (by: CutMethod) => this.#cut(by);
    this.#lanes = {
      'to-server': new Lane(client, this.#server, clock, cut),
      'to-client': new Lane(this.#server, client, clock, cut),
    };
    const ends = [
      { socket: client, other: this.#server },
      { socket: this.#server, other: client },
    ];
    for (const { socket, other } of ends) {
      socket.on('error', () => {
        // A server that cannot be reached looks to the client like one that resets: it is connected to us already.
        if (this.#state === 'open') this.#settle(() => other.resetAndDestroy());
      });
    }
    const closed = ends.map(({ socket }) => new Promise<void>((resolve) => socket.once('close', () => resolve())));
    this.closed = Promise.all(closed).then(() => this.#settle(ignore));
  }

  /** Resolves when both sockets are gone. @internal */
  readonly closed: Promise<void>;

  /** Takes over what the proxy has planned. @internal */
  follow(plan: Plan): void {
    for (const direction of directions) this.#lanes[direction].follow(plan[direction]);
  }

  /** Bytes handed on in one direction so far. */
  bytes(direction: FaultDirection): number {
    return this.#lanes[direction].bytes;
  }

  /** Whether both ends are still open and joined. */
  isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Hands nothing on, in one direction or both; sockets stay open. What waits is handed on after `heal()`. */
  blackHole(direction?: FaultDirection): void {
    this.#change((plan) => withBlackHole(plan, direction));
  }

  /** Hands everything on later, in milliseconds. */
  latency(millis: number, direction?: FaultDirection): void {
    this.#change((plan) => withLatency(plan, millis, direction));
  }

  /** Cuts it after so many bytes. */
  cutAfter(bytes: number, options: CutOptions = {}): void {
    this.#change((plan) => withCut(plan, bytes, options));
  }

  /** Resets both ends. */
  reset(): void {
    this.#cut('reset');
  }

  /** Ends the connection of one side; the other one is told nothing. */
  halfOpen(side: FaultSide): void {
    if (this.#state !== 'open') return;
    this.#state = 'half-open';
    const [gone, left] = side === 'server' ? [this.#server, this.#client] : [this.#client, this.#server];
    for (const direction of directions) this.#lanes[direction].stop();
    gone.destroy();
    left.resume();
  }

  /** Ends its faults. What was cut stays cut. */
  heal(): void {
    this.#change(() => noFaults());
  }

  /** Ends both sides at once. @internal */
  destroy(): void {
    this.#settle(() => undefined);
    // An end that was handed on to a server that is frozen is never answered.
    for (const socket of [this.#client, this.#server]) socket.destroy();
  }

  #change(change: (plan: Plan) => Plan): void {
    const plan = change({
      resetNew: false,
      'to-server': this.#lanes['to-server'].faults,
      'to-client': this.#lanes['to-client'].faults,
    });
    this.follow(plan);
  }

  #cut(by: CutMethod): void {
    if (this.#state === 'closed') return;
    if (by === 'reset') {
      this.#settle(() => {
        for (const socket of [this.#client, this.#server]) socket.resetAndDestroy();
      });
      return;
    }
    this.#state = 'half-open';
    for (const direction of directions) this.#lanes[direction].stop();
    for (const socket of [this.#client, this.#server]) {
      if (by === 'end') socket.end();
      // What still comes is read and dropped: a socket that is closed over unread bytes sends a reset.
      socket.resume();
    }
  }

  #settle(end: () => void): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const direction of directions) this.#lanes[direction].stop();
    end();
    for (const socket of [this.#client, this.#server]) if (!socket.destroyed && !socket.writableEnded) socket.destroy();
    this.#onClosed();
  }
}

interface LaneFaults {
  readonly blackHole: boolean;
  readonly latencyMillis: number;
  readonly cut: { readonly afterBytes: number; readonly by: CutMethod } | undefined;
}

interface Plan {
  readonly resetNew: boolean;
  readonly 'to-server': LaneFaults;
  readonly 'to-client': LaneFaults;
}

/** One direction of a connection: takes from one socket, hands on to the other, in order. */
class Lane {
  bytes = 0;
  faults: LaneFaults = noLaneFaults;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #clock: Clock;
  readonly #cut: (by: CutMethod) => void;
  readonly #waiting: { readonly due: number; readonly data: Buffer | 'end' }[] = [];
  #waitingBytes = 0;
  #blocked = false;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(source: Socket, sink: Socket, clock: Clock, cut: (by: CutMethod) => void) {
    this.#source = source;
    this.#sink = sink;
    this.#clock = clock;
    this.#cut = cut;
    source.on('data', (data: Buffer) => this.#take(data));
    source.on('end', () => this.#take('end'));
    sink.on('drain', () => {
      this.#blocked = false;
      this.#handOn();
    });
  }

  follow(faults: LaneFaults): void {
    if (this.#stopped) return;
    this.faults = faults;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (faults.cut !== undefined && this.bytes >= faults.cut.afterBytes) {
      this.#cut(faults.cut.by);
    } else {
      this.#handOn();
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waiting.length = 0;
  }

  #take(data: Buffer | 'end'): void {
    // After a stop the bytes are read and dropped.
    if (this.#stopped) return;
    this.#waiting.push({ due: this.#clock.now() + this.faults.latencyMillis, data });
    if (data !== 'end') this.#waitingBytes += data.length;
    this.#handOn();
  }

  #handOn(): void {
    while (!this.#stopped && !this.faults.blackHole && !this.#blocked && this.#timer === undefined) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      // A latency that was taken back holds for nothing that still waits.
      const wait = this.faults.latencyMillis === 0 ? 0 : next.due - this.#clock.now();
      if (wait > 0) {
        this.#timer = this.#clock.schedule(() => {
          this.#timer = undefined;
          this.#handOn();
        }, wait);
        break;
      }
      this.#waiting.shift();
      if (next.data === 'end') {
        this.#sink.end();
      } else {
        this.#waitingBytes -= next.data.length;
        this.#write(next.data);
      }
    }
    if (this.#stopped) return;
    // A source that is not read fills its buffers, as it would with a network that takes nothing.
    if (this.faults.blackHole || this.#blocked || this.#waitingBytes > mostWaitingBytes) this.#source.pause();
    else this.#source.resume();
  }

  #write(data: Buffer): void {
    const { cut } = this.faults;
    const left = cut === undefined ? Number.POSITIVE_INFINITY : cut.afterBytes - this.bytes;
    if (cut === undefined || data.length < left) {
      this.bytes += data.length;
      this.#blocked = !this.#sink.write(data);
      return;
    }
    this.bytes += left;
    this.#stopped = true;
    // The last bytes must be out before a reset would overtake them.
    if (left === 0) this.#cut(cut.by);
    else this.#sink.write(data.subarray(0, left), () => this.#cut(cut.by));
  }
}

const directions = ['to-server', 'to-client'] as const;
const noLaneFaults: LaneFaults = { blackHole: false, latencyMillis: 0, cut: undefined };

function noFaults(): Plan {
  return { resetNew: false, 'to-server': noLaneFaults, 'to-client': noLaneFaults };
}

function withBlackHole(plan: Plan, direction: FaultDirection | undefined): Plan {
  return inLanes(plan, direction, (lane) => ({ ...lane, blackHole: true }));
}

function withLatency(plan: Plan, millis: number, direction: FaultDirection | undefined): Plan {
  if (!(Number.isFinite(millis) && millis >= 0)) {
    throw new InvalidArgumentError('millis', `${millis} is no latency: use 0 or more`);
  }
  return inLanes(plan, direction, (lane) => ({ ...lane, latencyMillis: millis }));
}

function withCut(plan: Plan, bytes: number, { direction = 'to-client', by = 'reset' }: CutOptions): Plan {
  if (!(Number.isSafeInteger(bytes) && bytes >= 0)) {
    throw new InvalidArgumentError('bytes', `${bytes} is no number of bytes: use 0 or more`);
  }
  return inLanes(plan, direction, (lane) => ({ ...lane, cut: { afterBytes: bytes, by } }));
}

function inLanes(plan: Plan, direction: FaultDirection | undefined, change: (lane: LaneFaults) => LaneFaults): Plan {
  const changed = { ...plan };
  for (const each of directions) {
    if (direction === undefined || direction === each) changed[each] = change(plan[each]);
  }
  return changed;
}

function checkTarget(target: ProxyTarget): ProxyTarget {
  if (typeof target?.host !== 'string' || target.host === '') {
    throw new InvalidArgumentError('target.host', 'name the server to send connections to');
  }
  checkPort('target.port', target.port);
  return { host: target.host, port: target.port };
}

function checkPort(argument: string, port: number): void {
  checkNumber(argument, port, { least: 1, most: 65_535, whole: true });
}

function listen(address: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

function ignore(): void {}

const listenAttempts = 20;
const mostWaitingBytes = 1024 * 1024;
