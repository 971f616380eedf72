import { type Clock, type Endpoint, InvalidArgumentError } from '@externalname/core';
import { abortable, describeEndpoint, withDeadline } from '@externalname/core/internal';
import * as pg from 'pg';
import { clientOptions } from '../client-options.ts';
import type { OpenConnection } from '../connect/connector.ts';
import { signalledProcesses } from '../driver/backend-signal.ts';
import { serverAddressOf } from '../driver/cancel-request.ts';
import { isUsable, processIdOf } from '../driver/client-internals.ts';
import { closeClient } from '../driver/closing.ts';
import { askedByPromise, isSubmitted, type QueryArguments, refuseQuery, replyTo } from '../driver/query-forms.ts';
import { ConnectTimeoutError, UnknownBackendError } from '../errors.ts';
import { type PoolSettings, poolSettings } from '../options.ts';
import { Client, type ClientOptions } from './client.ts';

/** What the clients of a pool's own class need from the pool. */
export interface ControlHost {
  readonly settings: PoolSettings;
  readonly clock: Clock;
  /** Where the connections of the pool lead that a process with this id serves. Several servers may have given the same id. */
  endpointsOf(processId: number): readonly Endpoint[];
  /** Opens a session to an endpoint, whatever the server's role. */
  connectMonitor(endpoint: Endpoint, signal: AbortSignal, createClient: () => pg.Client): Promise<OpenConnection>;
}

/**
 * Makes the class that is `pool.Client`: a {@link Client}, which libraries use outside the pool, also to cancel or end what one of
 * its connections runs (`select pg_cancel_backend(123)`; Kysely does).
 *
 * A process id has a meaning only on its own server, and the new client may have reached another one: after a switch, or
 * if a name has several addresses. So a statement that signals a process by its number is sent, in a separate session, to the
 * server that has the process, and is refused if the pool has no such process.
 */
export function controlClientOf(host: ControlHost): typeof Client {
  class ControlClient extends Client {
    readonly #settings: PoolSettings;
    readonly #options: ClientOptions;

    constructor(config: string | ClientOptions = {}) {
      super(config);
      const options = typeof config === 'string' ? { connectionString: config } : config;
      this.#settings = poolSettings(options);
      // Hidden, as it holds the password.
      this.#options = clientOptions(options, this.#settings);
    }

    static {
      Object.defineProperty(ControlClient, 'name', { value: 'Client' });
      // Not as a method, because the types of pg already have its many forms.
      Object.defineProperty(ControlClient.prototype, 'query', {
        configurable: true,
        writable: true,
        value(this: ControlClient, ...query: QueryArguments): unknown {
          const processes = this.#leadsWhere(host) && isUsable(this) ? signalledProcesses(query[0], query[1]) : [];
          if (processes.length === 0) return this.#send(query);
          return this.#signal(processes, query);
        },
      });
    }

    #send(query: QueryArguments): unknown {
      return Reflect.apply(Client.prototype.query, this, query);
    }

    // With other options, it may be a client of any database.
    #leadsWhere({ settings }: ControlHost): boolean {
      const own = this.#settings;
      return (
        own.follows && own.name === settings.name && own.namespace === settings.namespace && own.port === settings.port
      );
    }

    #signal(processes: readonly number[], query: QueryArguments): unknown {
      let endpoint: Endpoint | undefined;
      try {
        endpoint = this.#ownerOf(processes);
      } catch (error) {
        return refuseQuery(query, error);
      }
      if (endpoint === undefined || this.#isAt(endpoint)) return this.#send(query);
      if (isSubmitted(query[0])) {
        const error = new InvalidArgumentError(
          'query',
          'to signal a process, pass text or a config, not a query object',
        );
        return refuseQuery(query, error);
      }
      return replyTo(query, this.#sendAside(endpoint, query));
    }

    /**
     * `undefined` for its own process.
     *
     * @throws UnknownBackendError
     */
    #ownerOf(processes: readonly number[]): Endpoint | undefined {
      const others = processes.filter((processId) => this.target === undefined || processId !== processIdOf(this));
      const found = others.map((processId) => ({ processId, endpoints: host.endpointsOf(processId) }));
      for (const { processId, endpoints } of found) {
        if (endpoints.length !== 1) throw new UnknownBackendError(processId, endpoints.map(describeEndpoint));
      }
      const all = found.flatMap(({ endpoints }) => endpoints);
      const [first] = all;
      const stray = found.find(({ endpoints: [endpoint] }) => !isSameEndpoint(endpoint, first));
      if (stray !== undefined) throw new UnknownBackendError(stray.processId, all.map(describeEndpoint));
      return first;
    }

    #isAt(endpoint: Endpoint): boolean {
      // Until it is connected, its server is not known.
      return this.target !== undefined && isSameEndpoint(serverAddressOf(this), endpoint);
    }

    async #sendAside(endpoint: Endpoint, query: QueryArguments): Promise<unknown> {
      const { attemptTimeoutMillis } = host.settings;
      const createClient = () => new pg.Client(this.#options as pg.ClientConfig);
      return await withDeadline(
        async (signal) => {
          const { client } = await host.connectMonitor(endpoint, signal, createClient);
          // The types of pg have a form for each kind of config.
          const [asked, parameters] = askedByPromise(query) as [string, unknown[] | undefined];
          try {
            return await abortable(client.query(asked, parameters), signal);
          } finally {
            closeClient(client, host.clock);
          }
        },
        {
          clock: host.clock,
          timeoutMillis: attemptTimeoutMillis,
          onTimeout: () => new ConnectTimeoutError(describeEndpoint(endpoint), attemptTimeoutMillis),
        },
      );
    }
  }
  return ControlClient;
}

function isSameEndpoint(one: unknown, other: Endpoint | undefined): boolean {
  const { address, port } = (one ?? {}) as Partial<Endpoint>;
  return address === other?.address && port === other?.port;
}
