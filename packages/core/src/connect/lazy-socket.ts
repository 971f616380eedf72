import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { checkObject } from '../input.ts';
import { connect, connectTls } from './connect.ts';
import { type ConnectOptions, type ConnectTlsOptions, connectSettings } from './options.ts';

/**
 * Returns a stream at once and connects it later, for drivers whose `stream` option is a function that must return one (mysql2). What
 * is written in the meantime is sent when the socket is connected. The stream emits `connect`, or `error` with what {@link connect}
 * throws.
 *
 * `tls: false` is for protocols that begin in plain text and start TLS by themselves.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 *
 * @example
 * ```ts
 * const stream = () => lazySocket({ service: 'webscaler-mysql', port: 3306, tls: false, allowedTargets: ['mysql-a.example.com'] });
 * ```
 */
export function lazySocket(options: LazySocketOptions): LazySocket {
  checkObject('options', options);
  const { tls, ...others } = options;
  const connectOptions = tls === false || tls === undefined ? others : { ...others, tls };
  connectSettings(connectOptions, tls !== false);
  const open = tls === false ? connect : connectTls;
  return new Lazy((signal) => open({ ...connectOptions, signal: signalOf(signal, options.signal) }));
}

/** Options of {@link lazySocket}. */
export interface LazySocketOptions extends ConnectOptions {
  /** TLS options; `false` for a plain socket. @defaultValue verified TLS */
  tls?: ConnectTlsOptions['tls'] | false;
}

/** What {@link lazySocket} returns: a Duplex with the socket methods that drivers call. Settings made before it is connected apply afterwards. */
export interface LazySocket extends Duplex {
  /** As of `net.Socket`. */
  setNoDelay(noDelay?: boolean): this;
  /** As of `net.Socket`. */
  setKeepAlive(enable?: boolean, initialDelay?: number): this;
  /** As of `net.Socket`. */
  setTimeout(timeoutMillis: number, listener?: () => void): this;
  /** As of `net.Socket`. */
  ref(): this;
  /** As of `net.Socket`. */
  unref(): this;
}

class Lazy extends Duplex implements LazySocket {
  readonly #opening = new AbortController();
  readonly #open: (signal: AbortSignal) => Promise<Socket>;
  #socket: Socket | undefined;
  #waiting: ((socket: Socket) => void)[] = [];

  constructor(open: (signal: AbortSignal) => Promise<Socket>) {
    super({ allowHalfOpen: true });
    this.#open = open;
    // In a later turn, when the fields are initialized and the driver listens.
    setImmediate(() => this.#begin());
  }

  setNoDelay(noDelay?: boolean): this {
    return this.#later((socket) => socket.setNoDelay(noDelay));
  }

  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    return this.#later((socket) => socket.setKeepAlive(enable, initialDelay));
  }

  setTimeout(timeoutMillis: number, listener?: () => void): this {
    if (listener !== undefined) this.once('timeout', listener);
    return this.#later((socket) => socket.setTimeout(timeoutMillis));
  }

  ref(): this {
    return this.#later((socket) => socket.ref());
  }

  unref(): this {
    return this.#later((socket) => socket.unref());
  }

  override _read(): void {
    this.#socket?.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#later((socket) => socket.write(chunk, encoding, callback));
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#later((socket) => socket.end(() => callback()));
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#opening.abort(error ?? undefined);
    this.#waiting = [];
    this.#socket?.destroy();
    callback(error);
  }

  #begin(): void {
    if (this.destroyed) return;
    this.#open(this.#opening.signal).then(
      (socket) => this.#connected(socket),
      (error: Error) => this.destroy(error),
    );
  }

  #connected(socket: Socket): void {
    if (this.destroyed) {
      socket.destroy();
      return;
    }
    this.#socket = socket;
    socket.on('data', (chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
    let ended = false;
    socket.on('end', () => {
      ended = true;
      this.push(null);
    });
    socket.on('timeout', () => this.emit('timeout'));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => {
      // What came before the end may not have been read yet.
      if (ended && !this.readableEnded) this.once('end', () => this.destroy());
      else this.destroy();
    });
    for (const act of this.#waiting.splice(0)) act(socket);
    this.emit('connect');
  }

  #later(act: (socket: Socket) => unknown): this {
    if (this.#socket === undefined) this.#waiting.push(act);
    else act(this.#socket);
    return this;
  }
}

function signalOf(own: AbortSignal, given: AbortSignal | undefined): AbortSignal {
  return given === undefined ? own : AbortSignal.any([own, given]);
}
