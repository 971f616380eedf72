import type { Clock, Endpoint } from '@externalname/core';
import { addressOf, describeEndpoint, type WatchedConnection } from '@externalname/core/internal';
import type * as pg from 'pg';
import type { OpenConnection } from '../connect/connector.ts';
import { bytesRead, bytesWritten, hasWork, processIdOf } from '../driver/client-internals.ts';
import { destroyClient } from '../driver/closing.ts';
import { PeerSilentError } from '../errors.ts';
import { serverProbed } from '../events.ts';
import { Liveness, type LivenessSettings } from './liveness.ts';
import { monitoringSession, probePostgres } from './monitoring-session.ts';

/** Liveness of PostgreSQL servers. `connectMonitor` opens a session outside any pool; `name` is the Service's name in events. */
export function postgresLiveness(
  settings: LivenessSettings,
  clock: Clock,
  connectMonitor: (endpoint: Endpoint, signal: AbortSignal) => Promise<OpenConnection>,
  name: string,
): Liveness {
  return new Liveness(settings, {
    clock,
    probe: async (endpoint, signal) => {
      const startedAt = clock.now();
      const tell = (alive: boolean) =>
        serverProbed.publish(() => {
          return { name, address: addressOf(endpoint), alive, durationMillis: clock.now() - startedAt };
        });
      try {
        await probePostgres(endpoint, signal);
      } catch (error) {
        tell(false);
        throw error;
      }
      tell(true);
    },
    openSession: async (endpoint, signal) => monitoringSession(await connectMonitor(endpoint, signal), clock),
  });
}

/** A client as liveness sees it. If liveness ends it, the client's statement fails with an unknown outcome. */
export class MonitoredClient implements WatchedConnection {
  readonly endpoint: Endpoint;
  readonly #client: pg.ClientBase;

  constructor(client: pg.ClientBase, endpoint: Endpoint) {
    this.#client = client;
    this.endpoint = endpoint;
  }

  get processId(): number | undefined {
    return processIdOf(this.#client);
  }

  hasWork(): boolean {
    return hasWork(this.#client);
  }

  bytesRead(): number {
    return bytesRead(this.#client);
  }

  bytesWritten(): number {
    return bytesWritten(this.#client);
  }

  fail(silentMillis: number): void {
    const outcome = this.hasWork() ? 'unknown' : 'not-executed';
    destroyClient(this.#client, new PeerSilentError(describeEndpoint(this.endpoint), silentMillis, outcome));
  }
}
