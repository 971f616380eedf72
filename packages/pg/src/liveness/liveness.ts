import type { Clock, Endpoint, Timer } from '@externalname/core';
import { inBackground, Observation, sleep, type WatchedConnection, withDeadline } from '@externalname/core/internal';
import { HalfOpenSearch } from './half-open.ts';
import type { MonitoringSession } from './monitoring-session.ts';

/** How a server that went silent is detected. Milliseconds. */
export interface LivenessOptions {
  /**
   * How long a statement may wait without any byte from its server before the server is probed, and asked about the
   * statement. Milliseconds. @defaultValue 1000
   */
  afterMillis?: number | undefined;
  /** How long a probe, or an answer, may take. Milliseconds. @defaultValue 700 */
  intervalMillis?: number | undefined;
  /** How many probes in a row must fail. @defaultValue 2 */
  failures?: number | undefined;
}

export type LivenessSettings = { readonly [K in keyof LivenessOptions]-?: NonNullable<LivenessOptions[K]> };

/** What {@link Liveness} needs from outside. */
export interface LivenessDependencies {
  readonly clock: Clock;
  /** Probes a server; rejects if it does not answer before the signal fires. */
  readonly probe: (endpoint: Endpoint, signal: AbortSignal) => Promise<void>;
  /** Opens a session outside the watched ones. */
  readonly openSession: (endpoint: Endpoint, signal: AbortSignal) => Promise<MonitoringSession>;
}

/**
 * Detects servers that went silent: stopped, cut off, behind a firewall that drops packets. TCP alone takes a quarter of an
 * hour for that, and never notices a stopped process, because its kernel keeps acknowledging.
 *
 * A few times a second it counts the bytes that arrived on the connections in use; a statement costs nothing. If
 * a statement has waited for `afterMillis` and nothing came from its server on any connection, it probes the server over a
 * separate connection. A slow statement on a live server is not interrupted.
 *
 * If the server is alive and only one connection is silent, see {@link HalfOpenSearch}. What that receives counts as a sign of life, too.
 */
export class Liveness {
  readonly #settings: LivenessSettings;
  readonly #clock: Clock;
  readonly #dependencies: LivenessDependencies;
  readonly #servers = new Map<string, Server>();
  readonly #closing = new AbortController();
  #watched = 0;
  #timer: Timer | undefined;

  constructor(settings: LivenessSettings, dependencies: LivenessDependencies) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#clock = patient(dependencies.clock);
  }

  /** Watches a connection until the returned function is called. */
  watch(connection: WatchedConnection): () => void {
    const server = this.#server(connection.endpoint);
    const observation = new Observation(connection, this.#clock.now());
    server.observations.add(observation);
    this.#watched += 1;
    inBackground(() => this.#tickLater());
    return () => {
      if (!server.observations.delete(observation)) return;
      this.#watched -= 1;
      if (server.observations.size === 0) server.search.rest();
      if (this.#watched === 0) this.#stop();
    };
  }

  /** Ends all timers and probes. Resolves when every connection of its own is closed. Idempotent. */
  async close(): Promise<void> {
    this.#stop();
    this.#closing.abort(new Error('closed'));
    await Promise.all([...this.#servers.values()].map(({ search }) => search.close()));
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
        if (this.#closing.signal.aborted) return;
        for (const server of this.#servers.values()) this.#look(server);
        if (this.#watched > 0) this.#tickLater();
      },
      Math.max(20, this.#settings.afterMillis / 5),
      { background: true },
    );
  }

  #look(server: Server): void {
    const now = this.#clock.now();
    for (const observation of server.observations) {
      if (observation.look(now)) server.heardAt = now;
    }
    const answerIsComing = server.search.look(now);
    if (answerIsComing || server.probing) return;
    for (const { connection, heardAt } of server.observations) {
      const silentSince = Math.max(heardAt, server.heardAt);
      if (!connection.hasWork() || now - silentSince < this.#settings.afterMillis) continue;
      server.probing = true;
      const done = () => {
        server.probing = false;
      };
      this.#examine(server, silentSince).then(done, done);
      return;
    }
  }

  // Never rejects: a failed probe is an answer.
  async #examine(server: Server, silentSince: number): Promise<void> {
    const { intervalMillis, failures } = this.#settings;
    for (let failed = 0; failed < failures; failed++) {
      const startedAt = this.#clock.now();
      const alive = await this.#answers(server.endpoint);
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
    for (const { connection } of [...server.observations]) connection.fail(silentMillis);
  }

  async #answers(endpoint: Endpoint): Promise<boolean> {
    try {
      await withDeadline((signal) => this.#dependencies.probe(endpoint, signal), {
        timeoutMillis: this.#settings.intervalMillis,
        onTimeout: () => new Error('no sign of life in time'),
        signal: this.#closing.signal,
        clock: this.#clock,
        background: true,
      });
      return true;
    } catch {
      return false;
    }
  }

  #server(endpoint: Endpoint): Server {
    const key = `${endpoint.address} ${endpoint.port}`;
    const known = this.#servers.get(key);
    if (known !== undefined) return known;
    const observations = new Set<Observation>();
    const server: Server = {
      endpoint,
      observations,
      heardAt: Number.NEGATIVE_INFINITY,
      probing: false,
      search: new HalfOpenSearch(this.#settings, {
        clock: this.#clock,
        observations,
        openSession: (signal) => this.#dependencies.openSession(endpoint, signal),
        heard: () => {
          server.heardAt = this.#clock.now();
        },
      }),
    };
    this.#servers.set(key, server);
    if (this.#servers.size > rememberedServers) this.#forgetOneBut(key);
    return server;
  }

  #forgetOneBut(kept: string): void {
    for (const [key, { observations, probing }] of this.#servers) {
      if (key === kept || observations.size > 0 || probing) continue;
      this.#servers.delete(key);
      return;
    }
  }
}

interface Server {
  readonly endpoint: Endpoint;
  readonly observations: Set<Observation>;
  /** When something last arrived from it, on any connection. */
  heardAt: number;
  probing: boolean;
  readonly search: HalfOpenSearch;
}

// After a long turn of the event loop, timers fire before answers that have already arrived are read. Those are read first.
function patient(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    date: () => clock.date(),
    schedule: (callback, delayMillis, options) => {
      let cancelled = false;
      const timer = clock.schedule(
        () => {
          setImmediate(() => {
            if (!cancelled) callback();
          });
        },
        delayMillis,
        options,
      );
      return {
        cancel: () => {
          cancelled = true;
          timer.cancel();
        },
        restart: () => timer.restart(),
      };
    },
  };
}

const rememberedServers = 64;
