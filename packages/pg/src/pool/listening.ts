import { type Clock, ClosedError, type Endpoint, InvalidArgumentError, type Random } from '@externalname/core';
import {
  abortable,
  aFunction,
  aSignal,
  type BackoffBounds,
  checkOptions,
  inBackground,
  onAbort,
  optional,
  sleep,
  withDeadline,
} from '@externalname/core/internal';
import * as pg from 'pg';
import type { OpenConnection } from '../connect/connector.ts';
import { roleFits } from '../connect/session-role.ts';
import { isUsable, onEnd } from '../driver/client-internals.ts';
import { closeClient, destroyClient } from '../driver/closing.ts';
import { FailoverTimeoutError, PeerSilentError } from '../errors.ts';
import type { ConnectionFactory } from '../failover/connection-factory.ts';
import { classifyFailure } from '../failures/classify.ts';
import { repeat } from '../failures/retry.ts';
import { tellRetry } from '../failures/told.ts';
import type { PoolSettings } from '../options.ts';
import type { RecentEvent } from '../recent-events.ts';

/** What NOTIFY sent (PostgreSQL documentation, `NOTIFY`). */
export interface ListenNotification {
  /** The channel that it was sent on. */
  readonly channel: string;
  /** Empty if none was given. At most 8000 bytes. */
  readonly payload: string;
  /** The server process that sent it. */
  readonly processId: number;
}

/** What happened before notifications arrived again. */
export interface Reconnection {
  /** The channel that is listened on again. */
  readonly channel: string;
  /** Where notifications come from now; `undefined` for a plain host. */
  readonly target: string | undefined;
  /** How long nothing was received. Notifications sent in that time are lost. Milliseconds. */
  readonly gapMillis: number;
}

/** Options of {@link Pool.listen}. */
export interface ListenOptions {
  /** Ends the wait for the first connection, and later the subscription. */
  signal?: AbortSignal | undefined;
  /**
   * Called when notifications arrive again after the connection was lost or the Service was pointed elsewhere: look up what
   * you missed. Notifications sent from this call on arrive.
   */
  onReconnect?: ((reconnection: Reconnection) => void) | undefined;
}

/** One handler on one channel. */
export interface Subscription extends AsyncDisposable {
  /** The channel that is listened on. */
  readonly channel: string;
  /** Ends the subscription. The handler is not called any more from now on. Resolves when the server knows. Idempotent. */
  close(): Promise<void>;
}

/** What listening needs of the pool. */
export interface ListeningHost {
  readonly name: string;
  /** The longest time for the first connection of a subscription, in milliseconds; 0 sets no limit. */
  readonly timeoutMillis: number;
  /** Opens a connection outside the pool. */
  connect(request: { readonly signal: AbortSignal; lastError: unknown }): Promise<OpenConnection>;
  /** Whether the server of a connection still has the wanted role, as far as it has said. */
  fits(connection: OpenConnection): boolean;
  /** The connection was lost, and its server is suspect. */
  suspect(reason: unknown): void;
  /** What was tried last on the way to a server. */
  recentEvents(): readonly RecentEvent[];
}

/** The host of a pool that connects by that factory. */
export function listeningHostOf(settings: PoolSettings, factory: ConnectionFactory): ListeningHost {
  const { name, connectionTimeoutMillis, failoverTimeoutMillis, targetSessionAttrs } = settings;
  return {
    name,
    timeoutMillis: connectionTimeoutMillis || failoverTimeoutMillis,
    connect: (request) => factory.connect(request),
    fits: ({ roles }) => roleFits(targetSessionAttrs, roles.role) !== false,
    suspect: (reason) => factory.suspect(reason),
    recentEvents: () => factory.recentEvents,
  };
}

/** See {@link Listening}. */
export interface ListeningDependencies {
  readonly clock: Clock;
  readonly random: Random;
  /** The pause between heartbeats, and the longest time for one. Milliseconds. */
  readonly heartbeatMillis: number;
}

/**
 * One connection that listens, for all channels of a pool. It is opened for the first subscription and closed after the
 * last. While there is a subscription, it is reconnected whenever it is lost, however long that takes.
 *
 * Only a heartbeat is sent on it: without one, a connection that only waits would not notice that its server is gone.
 */
export class Listening {
  readonly #host: ListeningHost;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #heartbeatMillis: number;
  readonly #channels = new Map<string, Set<Handler>>();
  readonly #closing = new AbortController();
  #line: ListeningConnection | undefined;
  #keeping: Promise<void> | undefined;
  /** When notifications stopped; `undefined` while they arrive, and before the first. */
  #deafSince: number | undefined;
  /** How many connections in a row were opened but did not accept LISTEN. */
  #failures = 0;
  #lastError: unknown;
  /** The connection that is being opened. */
  #request: { readonly lastError: unknown } | undefined;
  /** Fires when no subscription is left. */
  #needless = new AbortController();
  /** Former connections that are being closed. */
  readonly #ends = new Set<Promise<void>>();

  constructor(host: ListeningHost, { clock, random, heartbeatMillis }: ListeningDependencies) {
    this.#host = host;
    this.#clock = clock;
    this.#random = random;
    this.#heartbeatMillis = heartbeatMillis;
  }

  /** See {@link Pool.listen}. */
  async listen(
    channel: string,
    handle: (notification: ListenNotification) => void,
    options: ListenOptions = {},
  ): Promise<Subscription> {
    checkChannel(channel);
    if (typeof handle !== 'function') throw new InvalidArgumentError('handler', 'pass the function to call');
    checkOptions(options, { signal: aSignal, onReconnect: optional(aFunction) });
    const { signal, onReconnect } = options;
    signal?.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const handler: Handler = { handle, onReconnect, heard: deferred() };
    // A caller that gives up does not wait for it.
    handler.heard.promise.catch(noop);
    const handlers = this.#channels.get(channel) ?? new Set();
    handlers.add(handler);
    this.#channels.set(channel, handlers);
    let stopListening: (() => void) | undefined;
    const close = () => {
      stopListening?.();
      return this.#remove(channel, handler);
    };
    // The connection's errors are handled where it is kept.
    const abort = () => {
      close().catch(noop);
    };
    try {
      this.#hear(channel, handler);
      await this.#withinTime(handler.heard.promise, signal);
    } catch (error) {
      await close();
      throw error;
    }
    stopListening = signal && onAbort(signal, abort);
    return { channel, close, [Symbol.asyncDispose]: close };
  }

  /** The pool points elsewhere now: the listening connection moves too. */
  switched(): void {
    this.#line?.cut(undefined);
  }

  /** Where the connection leads; `undefined` without one. */
  get endpoint(): Endpoint | undefined {
    return this.#line?.connection.endpoint;
  }

  /** Connections to one of these addresses must move. */
  leave(isLeft: (endpoint: Endpoint | undefined) => boolean): void {
    if (isLeft(this.endpoint)) this.switched();
  }

  /** Ends every subscription. Resolves when the connection is closed. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('the pool'));
    this.#giveUp(this.#closing.signal.reason, () => true);
    this.#line?.cut(undefined);
    await this.#keeping;
    await Promise.all(this.#ends);
  }

  // ---- Channels

  // On the existing connection, or by the one that is being opened, which listens to all channels.
  #hear(channel: string, handler: Handler): void {
    this.#keeping ??= inBackground(() => this.#keep()).finally(() => {
      this.#keeping = undefined;
    });
    const line = this.#line;
    if (line === undefined) return;
    line.send(listenTo(channel)).then(
      () => handler.heard.resolve(),
      (error: unknown) => {
        // If the connection is gone, the next one listens to the channel.
        if (classifyFailure(error, 'connected').keepConnection) handler.heard.reject(error);
        else line.cut(error);
      },
    );
  }

  async #remove(channel: string, handler: Handler): Promise<void> {
    const handlers = this.#channels.get(channel);
    if (!handlers?.delete(handler) || handlers.size > 0) return;
    this.#channels.delete(channel);
    const line = this.#line;
    if (this.#channels.size === 0) {
      this.#needless.abort(new ClosedError('the connection that listens'));
      line?.cut(undefined);
      await line?.ended;
      return;
    }
    // If it breaks meanwhile, that ends the subscription too.
    await line?.send(`UNLISTEN ${quoted(channel)}`).catch(noop);
  }

  // Rejects a subscription that still waits, and forgets it at once.
  #giveUp(error: unknown, forget: (handler: Handler) => boolean): void {
    for (const [channel, handlers] of [...this.#channels]) {
      for (const handler of [...handlers]) {
        if (!forget(handler)) continue;
        handler.heard.reject(error);
        handlers.delete(handler);
      }
      if (handlers.size === 0) this.#channels.delete(channel);
    }
  }

  #dispatch(message: { channel: string; payload?: string | undefined; processId: number }): void {
    const { channel, payload = '', processId } = message;
    for (const { handle } of [...(this.#channels.get(channel) ?? [])]) {
      call(() => handle({ channel, payload, processId }));
    }
  }

  async #withinTime(heard: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    const { name, timeoutMillis } = this.#host;
    await withDeadline((inner) => abortable(heard, inner), {
      signal,
      timeoutMillis: timeoutMillis || Number.POSITIVE_INFINITY,
      onTimeout: () =>
        new FailoverTimeoutError(name, timeoutMillis, {
          cause: this.#request?.lastError ?? this.#lastError,
          recentEvents: this.#host.recentEvents(),
        }),
      clock: this.#clock,
    });
  }

  // ---- The connection

  // Never rejects: the subscriptions report failures.
  async #keep(): Promise<void> {
    while (this.#channels.size > 0 && !this.#closing.signal.aborted) {
      this.#needless = new AbortController();
      const needless = AbortSignal.any([this.#closing.signal, this.#needless.signal]);
      try {
        await this.#use(await this.#connect(needless));
        // A server that accepts connections but not LISTEN must not be asked without a pause.
        if (this.#deafSince !== undefined && this.#failures > 0) {
          await sleep(refusedListenPauseMillis, { signal: needless, clock: this.#clock, background: true });
        }
      } catch (error) {
        if (needless.aborted) continue;
        this.#lastError = error;
        // Told only to those that still wait for the first connection; the others keep waiting.
        this.#giveUp(error, ({ heard }) => !heard.settled);
      }
    }
    this.#deafSince = undefined;
  }

  async #connect(signal: AbortSignal): Promise<OpenConnection> {
    const request = { signal, lastError: undefined as unknown };
    this.#request = request;
    const { name } = this.#host;
    let made: OpenConnection | undefined;
    try {
      return await repeat(
        async () => {
          try {
            const making = this.#host.connect(request);
            // An attempt in progress is finished, whichever caller waits for it.
            making.then((late) => signal.aborted && closeClient(late.client, this.#clock), noop);
            made = await abortable(making, signal);
            return made;
          } catch (error) {
            this.#lastError = request.lastError ?? error;
            throw error;
          }
        },
        {
          clock: this.#clock,
          random: this.#random,
          signal,
          pauses: reconnectPauses,
          // The caller gets the first error; later errors have no caller, and the attempts go on.
          worthRepeating: () => this.#deafSince !== undefined,
          onRepeat: (_, attempt) => tellRetry(this.#clock, undefined, { name, attempt, error: this.#lastError }),
        },
      );
    } catch (error) {
      // It arrived when no subscription wanted it any more.
      if (made !== undefined) closeClient(made.client, this.#clock);
      throw error;
    }
  }

  async #use(connection: OpenConnection): Promise<void> {
    const { client } = connection;
    const line = new ListeningConnection(connection);
    this.#line = line;
    this.#failures += 1;
    client.on('notification', (message) => this.#dispatch(message));
    try {
      // Channels that are added while this runs ask for themselves.
      const channels = [...this.#channels];
      for (const [channel] of channels) await abortable(line.send(listenTo(channel)), line.over);
      this.#failures = 0;
      this.#tellAll(channels, connection);
      await this.#beat(line);
    } catch (error) {
      line.cut(error);
    }
    this.#line = undefined;
    this.#deafSince ??= this.#clock.now();
    const { lostBy } = line;
    if (lostBy !== undefined) {
      this.#lastError = lostBy;
      this.#host.suspect(lostBy);
      if (isUsable(client)) destroyClient(client, lostBy);
    }
    // The next connection does not wait for the end of this one.
    this.#ends.add(line.ended);
    line.end(this.#clock, () => this.#ends.delete(line.ended));
  }

  #tellAll(channels: readonly (readonly [string, Set<Handler>])[], { endpoint }: OpenConnection): void {
    const gapMillis = this.#deafSince === undefined ? undefined : this.#clock.now() - this.#deafSince;
    this.#deafSince = undefined;
    for (const [channel, handlers] of channels) {
      for (const { heard, onReconnect } of [...handlers]) {
        const again = heard.settled && gapMillis !== undefined;
        heard.resolve();
        if (again) call(() => onReconnect?.({ channel, target: endpoint?.target.externalName, gapMillis }));
      }
    }
  }

  // Until the connection is over.
  async #beat(line: ListeningConnection): Promise<void> {
    while (!line.over.aborted) {
      await sleep(this.#heartbeatMillis, { signal: line.over, clock: this.#clock, background: true });
      await withDeadline((signal) => abortable(line.send(''), signal), {
        signal: line.over,
        timeoutMillis: this.#heartbeatMillis,
        onTimeout: () => new PeerSilentError(this.#host.name, this.#heartbeatMillis, 'not-executed'),
        clock: this.#clock,
      });
      if (!this.#host.fits(line.connection)) line.cut(new Error('the server has another role now'));
    }
  }
}

/** The listening connection, and when and why it ended. */
class ListeningConnection {
  readonly connection: OpenConnection;
  readonly client: pg.Client;
  readonly #over = new AbortController();
  /** Settles when the last statement is answered. Never rejects. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Resolves when it is closed. */
  readonly ended: Promise<void>;
  #resolveEnded: () => void = noop;
  /** Why the connection is gone; `undefined` if we ended it. */
  lostBy: Error | undefined;

  constructor(connection: OpenConnection) {
    this.connection = connection;
    this.client = connection.client;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.client.on('error', (error) => this.cut(error));
    onEnd(this.client, () => this.cut(new Error('Connection terminated unexpectedly')));
    if (!isUsable(this.client)) this.cut(new Error('Connection terminated unexpectedly'));
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Sends a statement when those before it are answered: only the application may send several at once (pg warns about it). */
  send(text: string): Promise<unknown> {
    const sent = this.#turn.then(() => this.client.query(text));
    this.#turn = sent.catch(noop);
    return sent;
  }

  /** Ends the use of the connection. With an error, the server is suspect. */
  cut(error: unknown): void {
    if (this.#over.signal.aborted) return;
    if (error !== undefined) this.lostBy = error instanceof Error ? error : new Error(String(error));
    this.#over.abort(this.lostBy ?? new ClosedError('the connection that listens'));
  }

  /** Closes it. */
  end(clock: Clock, done: () => void): void {
    closeClient(this.client, clock, () => {
      this.#resolveEnded();
      done();
    });
  }
}

interface Handler {
  readonly handle: (notification: ListenNotification) => void;
  readonly onReconnect: ListenOptions['onReconnect'];
  /** Resolves when the server has taken its LISTEN. */
  readonly heard: Deferred;
}

/**
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`
 */
export function checkChannel(channel: unknown): void {
  if (typeof channel !== 'string' || channel === '' || channel.includes('\0')) {
    throw new InvalidArgumentError('channel', `must be the name of a channel, got ${JSON.stringify(channel)}`);
  }
  // The server would truncate a longer name, and its notifications would carry the truncated one.
  if (Buffer.byteLength(channel) > longestChannelBytes) {
    throw new InvalidArgumentError(
      'channel',
      `must have at most ${longestChannelBytes} bytes, got ${Buffer.byteLength(channel)}`,
    );
  }
}

function listenTo(channel: string): string {
  return `LISTEN ${quoted(channel)}`;
}

function quoted(channel: string): string {
  return pg.escapeIdentifier(channel);
}

// A handler that throws must not keep the others from being called; what it throws is the application's, as in `pg`.
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly settled: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

function deferred(): Deferred {
  let settled = false;
  let succeed: () => void = noop;
  let fail: (error: unknown) => void = noop;
  const promise = new Promise<void>((resolve, reject) => {
    succeed = resolve;
    fail = reject;
  });
  return {
    promise,
    get settled() {
      return settled;
    },
    resolve() {
      settled = true;
      succeed();
    },
    reject(error) {
      if (settled) return;
      settled = true;
      fail(error);
    },
  };
}

function noop(): void {}

// NAMEDATALEN less one.
const longestChannelBytes = 63;

const refusedListenPauseMillis = 500;

const reconnectPauses: BackoffBounds = { shortestMillis: 200, longestMillis: 5_000 };
