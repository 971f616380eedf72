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
export function monitoredClient(client: pg.ClientBase, endpoint: Endpoint): WatchedConnection {
  return {
    endpoint,
    get processId() {
      return processIdOf(client);
    },
    hasWork: () => hasWork(client),
    bytesRead: () => bytesRead(client),
    bytesWritten: () => bytesWritten(client),
    fail: (silentMillis) => {
      const outcome = hasWork(client) ? 'unknown' : 'not-executed';
      destroyClient(client, new PeerSilentError(describeEndpoint(endpoint), silentMillis, outcome));
    },
  };
}
