import net from 'node:net';
import type { Clock, Endpoint, Timer } from '@externalname/core';
import { sleep, withDeadline } from '@externalname/core/internal';
import type * as pg from 'pg';
import { inBackground } from './background.ts';

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
  /**
   * Asks the server, from the side, whether it still works on the statement. `undefined` where that cannot be known.
   * `false` with nothing received means that the answer was sent into a connection that is dead.
   */
  stillWorking(signal: AbortSignal): Promise<boolean | undefined>;
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
 *
 * Where the server lives and one connection alone has been silent for long, it may be half-open: a firewall or a NAT forgot it.
 * Then the server is asked from the side whether it still works on that statement, at growing intervals.
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
    this.#watched.set(connection, {
      bytes: connection.bytesRead(),
      heardAt: now,
      checkAfterMillis: this.#firstCheck(),
    });
    inBackground(() => this.#tickLater());
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
      if (heard || !connection.hasWork()) {
        observation.heardAt = now;
        observation.checkAfterMillis = this.#firstCheck();
      }
      if (heard) this.#server(connection.endpoint).heardAt = now;
    }
    for (const [connection, observation] of this.#watched) {
      const { heardAt } = observation;
      if (connection.hasWork() && now - heardAt >= observation.checkAfterMillis) {
        observation.checkAfterMillis = Math.min(observation.checkAfterMillis * 2, longestCheckMillis) + (now - heardAt);
        this.#checkWork(connection, observation).catch(() => undefined); // An answer that did not come says nothing.
      }
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

  #firstCheck(): number {
    return this.#settings.afterMillis * silencesBeforeCheck;
  }

  async #checkWork(connection: WatchedConnection, observation: Observation): Promise<void> {
    const { bytes, heardAt } = observation;
    const unheard = () => this.#watched.has(connection) && connection.hasWork() && connection.bytesRead() === bytes;
    // Twice, because an answer may be on its way while the first question is.
    for (let asked = 0; asked < 2; asked++) {
      const working = await this.#within(workCheckMillis, (signal) => connection.stillWorking(signal));
      if (working !== false || !unheard()) return;
      await sleep(this.#settings.intervalMillis, {
        clock: this.#clock,
        background: true,
        signal: this.#closing.signal,
      });
      if (!unheard()) return;
    }
    connection.fail(this.#clock.now() - heardAt);
  }

  async #answers(endpoint: Endpoint): Promise<boolean> {
    try {
      await this.#within(this.#settings.intervalMillis, (signal) => this.#probe(endpoint, signal));
      return true;
    } catch {
      return false;
    }
  }

  async #within<T>(millis: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await withDeadline(work, {
      timeoutMillis: millis,
      onTimeout: () => new Error('no sign of life in time'),
      signal: this.#closing.signal,
      clock: this.#clock,
      background: true,
    });
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

/**
 * Asks, in a session beside it, whether the server still works for another one. `undefined` where it cannot be known: behind a
 * pooler process ids are not the server's, and `track_activities` may be off.
 * Source: PostgreSQL documentation, "The Cumulative Statistics System", `pg_stat_activity`.
 */
export async function backendIsActive(aside: pg.Client, client: pg.Client): Promise<boolean | undefined> {
  const { processID: pid } = client as unknown as { processID: number | null };
  const { processID: ownPid } = aside as unknown as { processID: number | null };
  const { rows } = await aside.query<{ own: number; state: string | null }>(
    'SELECT pg_catalog.pg_backend_pid() AS own, (SELECT state FROM pg_catalog.pg_stat_activity WHERE pid = $1) AS state',
    [pid],
  );
  const [row] = rows;
  if (row === undefined || pid === null || row.own !== ownPid || row.state === 'disabled') return undefined;
  return row.state === 'active' || row.state === 'fastpath function call';
}

interface Observation {
  bytes: number;
  heardAt: number;
  /** Silence after which the server is asked about this connection's statement. Grows while it goes on. */
  checkAfterMillis: number;
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

// A statement of five seconds is common enough; one of a minute is asked about once a minute.
const silencesBeforeCheck = 5;
const longestCheckMillis = 60_000;
const workCheckMillis = 5_000;
