import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  type Clock,
  ClosedError,
  type Dependencies,
  ExternalNameError,
  InvalidArgumentError,
} from '@externalname/core';
import {
  anything,
  aText,
  checkNumber,
  checkOptions,
  dependenciesOf,
  optional,
  ownOptions,
} from '@externalname/core/internal';
import { reset } from '../reset.ts';
import {
  checkSide,
  directions,
  type FaultDirection,
  type FaultSide,
  Faults,
  noFaults,
  type Plan,
} from './connection-faults.ts';
import { randomLoopbackAddress, randomServerPort } from './loopback.ts';
import { ProxiedConnection, type ProxyTarget } from './proxied-connection.ts';

/** See {@link FaultProxy.start}. */
export interface FaultProxyOptions {
  /** Where connections go. */
  target: ProxyTarget;
  /** Address to listen on. @defaultValue a free one of 127.64.0.0/10; 127.0.0.1 if this machine has none of these */
  address?: string | undefined;
  /** The port to listen on. @defaultValue a free one from 15000 to 31999 */
  port?: number | undefined;
}

/** The traffic so far. Bytes count when they are passed on. */
export interface ProxyCounts {
  /** Connections accepted so far. */
  readonly connections: number;
  /** Connections that are open now. */
  readonly open: number;
  /** Bytes passed on to the server. */
  readonly bytesToServer: number;
  /** Bytes passed on to clients. */
  readonly bytesToClient: number;
}

/** The proxy cannot listen on its address and port. Code `ERR_EXTERNALNAME_PROXY_LISTEN`. */
export class ProxyListenError extends ExternalNameError {
  constructor(address: string, port: number, cause: unknown) {
    super('ERR_EXTERNALNAME_PROXY_LISTEN', `cannot listen on ${address} port ${port}: choose another address or port`, {
      cause,
    });
  }
}

/**
 * A TCP proxy that puts faults between a client and a server, for any protocol.
 *
 * A fault of the proxy applies to all connections, open and new. A fault of one connection applies only to that.
 *
 * @example
 * ```ts
 * await using proxy = await FaultProxy.start({ target: { host: pair.primary.address, port: pair.port } });
 * proxy.blackHole();
 * ```
 */
export class FaultProxy extends Faults implements AsyncDisposable {
  /** The loopback address that clients connect to. */
  readonly address: string;
  /** The port that clients connect to. */
  readonly port: number;
  readonly #clock: Clock;
  readonly #open = new Set<ProxiedConnection>();
  /** Listeners and connections that have not ended yet. */
  readonly #ends = new Set<Promise<void>>();
  #target: ProxyTarget;
  #plan: Plan = noFaults();
  #server: Server | undefined;
  #accepted = 0;
  readonly #past = { 'to-server': 0, 'to-client': 0 };
  #closed = false;

  private constructor(server: Server, address: string, port: number, target: ProxyTarget, clock: Clock) {
    super();
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
  static async start(given: FaultProxyOptions, dependencies: Dependencies = {}): Promise<FaultProxy> {
    const options = ownOptions(given);
    checkOptions(options, { target: anything, address: optional(aText), port: anything });
    const { clock } = dependenciesOf(dependencies);
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

  /** The traffic so far. */
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

  /** Sends new connections to another server. Open connections stay where they are. */
  retarget(target: ProxyTarget): void {
    this.#target = checkTarget(target);
  }

  /** Stops listening, so that new connections are refused (ECONNREFUSED). Open connections stay. {@link heal} listens again. */
  refuse(): void {
    this.#assertOpen();
    this.#stopListening();
  }

  /** Resets every new connection as soon as it is made. */
  resetNew(): void {
    this.#plan = { ...this.#plan, resetNew: true };
  }

  /** Applies a change of the plan. @internal */
  override change(next: (plan: Plan) => Plan): void {
    this.#plan = next(this.#plan);
    this.#each((connection) => connection.change(next));
  }

  /** Resets both ends of every open connection. */
  override reset(): void {
    this.#each((connection) => connection.reset());
  }

  /** Ends the connection of one side without telling the other. */
  override halfOpen(side: FaultSide): void {
    checkSide(side);
    this.#each((connection) => connection.halfOpen(side));
  }

  /**
   * Ends every fault that can be ended, and listens again.
   *
   * @throws {@link ProxyListenError} (`ERR_EXTERNALNAME_PROXY_LISTEN`) if the port was taken meanwhile.
   */
  override async heal(): Promise<void> {
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
      reset(client);
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

  /** When this returns, no new connection is accepted. The `close` event waits for the open connections. */
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

function checkTarget(target: ProxyTarget): ProxyTarget {
  if (typeof target?.host !== 'string' || target.host === '') {
    throw new InvalidArgumentError('target.host', 'must be the host name or address of a server');
  }
  checkPort('target.port', target.port);
  return { host: target.host, port: target.port };
}

function checkPort(argument: string, port: number): void {
  checkNumber(argument, port, { least: 1, most: 65_535, whole: true });
}

async function listen(address: string, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  await once(server.listen({ host: address, port, exclusive: true }), 'listening');
  return server;
}

function ignore(): void {}

const listenAttempts = 20;
