import net from 'node:net';
import type { Clock, Endpoint, Timer } from '@externalname/core';
import { sleep } from '@externalname/core/internal';

/** How a server that has fallen silent is found. Milliseconds. */
export interface LivenessOptions {
  /** How long a statement may be without a sign of life from its server before the server is probed. @defaultValue 1000 */
  afterMillis?: number | undefined;
  /** How long a probe may take. @defaultValue 700 */
  intervalMillis?: number | undefined;
  /** How many probes in a row must fail. @defaultValue 2 */
  failures?: number | undefined;
}

export type LivenessSettings = { readonly [K in keyof LivenessOptions]-?: NonNullable<LivenessOptions[K]> };

/** A connection as liveness sees it. */
export interface WatchedConnection {
  readonly endpoint: Endpoint;
  /** Whether a statement is in flight. */
  hasWork(): boolean;
  /** How many bytes have come from the server so far. */
  bytesRead(): number;
  /** Ends it, because its server was silent for so long. */
  fail(silentMillis: number): void;
}

/** What {@link Liveness} needs from outside. */
export interface LivenessDependencies {
  readonly clock: Clock;
  /** Asks a server for a sign of life; rejects where none comes before the signal fires. */
  readonly probe: (endpoint: Endpoint, signal: AbortSignal) => Promise<void>;
}

/**
 * Finds servers that are gone without a word: stopped, cut off, behind a firewall that drops. TCP alone takes a quarter
 * of an hour for that, and never notices a stopped process, whose kernel goes on acknowledging.
 *
 * It looks at the connections that are in use a few times a second, and counts bytes; a statement costs nothing. Where
 * a statement has waited for `afterMillis` and nothing came from its server on any connection, it probes the server
 * from the side. A slow statement on a living server is left alone.
 */
export class Liveness {
  readonly #settings: LivenessSettings;
  readonly #clock: Clock;
  readonly #probe: LivenessDependencies['probe'];
  readonly #watched = new Map<WatchedConnection, Observation>();
  readonly #servers = new Map<string, ServerState>();
  readonly #closing = new AbortController();
  #timer: Timer | undefined;

  constructor(settings: LivenessSettings, dependencies: LivenessDependencies) {
    this.#settings = settings;
    this.#clock = dependencies.clock;
    this.#probe = dependencies.probe;
  }

  /** Watches a connection until the returned function is called. */
  watch(connection: WatchedConnection): () => void {
    const now = this.#clock.now();
    this.#watched.set(connection, { bytes: connection.bytesRead(), heardAt: now });
    this.#tickLater();
    return () => {
      this.#watched.delete(connection);
      if (this.#watched.size === 0) this.#stop();
    };
  }

  /** Ends all timers and probes. Idempotent. */
  close(): void {
    this.#watched.clear();
    this.#stop();
    this.#closing.abort(new Error('closed'));
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tickLater(): void {
    if (this.#timer !== undefined || this.#closing.signal.aborted) return;
    this.#timer = this.#clock.schedule(
      () => {
        this.#timer = undefined;
        this.#tick();
        if (this.#watched.size > 0) this.#tickLater();
      },
      Math.max(20, this.#settings.afterMillis / 5),
      { background: true },
    );
  }

  #tick(): void {
    const now = this.#clock.now();
    for (const [connection, observation] of this.#watched) {
      const bytes = connection.bytesRead();
      const heard = bytes !== observation.bytes;
      observation.bytes = bytes;
      if (heard || !connection.hasWork()) observation.heardAt = now;
      if (heard) this.#server(connection.endpoint).heardAt = now;
    }
    for (const [connection, { heardAt }] of this.#watched) {
      const server = this.#server(connection.endpoint);
      const silentSince = Math.max(heardAt, server.heardAt);
      if (connection.hasWork() && now - silentSince >= this.#settings.afterMillis && !server.probing) {
        server.probing = true;
        const done = () => {
          server.probing = false;
        };
        this.#examine(connection.endpoint, server, silentSince).then(done, done);
      }
    }
  }

  // Never rejects: a probe that fails is an answer.
  async #examine(endpoint: Endpoint, server: ServerState, silentSince: number): Promise<void> {
    const { intervalMillis, failures } = this.#settings;
    for (let failed = 0; failed < failures; failed++) {
      const startedAt = this.#clock.now();
      const alive = await this.#answers(endpoint);
      if (this.#closing.signal.aborted) return;
      if (alive || server.heardAt > startedAt) {
        server.heardAt = this.#clock.now();
        return;
      }
      // A refusal comes at once, and must not make a short hiccup look like a long silence.
      const rest = intervalMillis - (this.#clock.now() - startedAt);
      if (rest > 0) await sleep(rest, { clock: this.#clock, background: true });
    }
    const silentMillis = this.#clock.now() - silentSince;
    for (const connection of [...this.#watched.keys()]) {
      if (keyOf(connection.endpoint) === keyOf(endpoint)) connection.fail(silentMillis);
    }
  }

  async #answers(endpoint: Endpoint): Promise<boolean> {
    const controller = new AbortController();
    const abort = () => controller.abort(new Error('no sign of life in time'));
    const timer = this.#clock.schedule(abort, this.#settings.intervalMillis, { background: true });
    this.#closing.signal.addEventListener('abort', abort, { once: true });
    try {
      await this.#probe(endpoint, controller.signal);
      return true;
    } catch {
      return false;
    } finally {
      timer.cancel();
      this.#closing.signal.removeEventListener('abort', abort);
    }
  }

  #server(endpoint: Endpoint): ServerState {
    const key = keyOf(endpoint);
    let server = this.#servers.get(key);
    if (server === undefined) {
      server = { heardAt: Number.NEGATIVE_INFINITY, probing: false };
      this.#servers.set(key, server);
      if (this.#servers.size > rememberedServers) this.#forgetOldest(key);
    }
    return server;
  }

  #forgetOldest(except: string): void {
    for (const [key, { probing }] of this.#servers) {
      if (key === except || probing) continue;
      this.#servers.delete(key);
      return;
    }
  }
}

/**
 * Asks a PostgreSQL server for a sign of life without logging in: it answers SSLRequest with one byte, whether or not it
 * offers TLS (PostgreSQL documentation, "SSL Session Encryption" of the protocol). A stopped server does not, although
 * its kernel accepts the connection.
 */
export function probePostgres(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: endpoint.address, port: endpoint.port });
    const finish = (settle: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('close', () => finish(() => reject(new Error('closed without an answer'))));
    socket.once('connect', () => socket.write(sslRequest));
    socket.once('data', () => finish(resolve));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

interface Observation {
  bytes: number;
  heardAt: number;
}

interface ServerState {
  /** When anything came from it last, on any connection. */
  heardAt: number;
  probing: boolean;
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.address} ${endpoint.port}`;
}

// Length 8, code 80877103.
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const rememberedServers = 64;
