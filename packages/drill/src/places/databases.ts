import { abortable } from '@externalname/core/internal';
import type { PostgresClientLike } from '@externalname/kubernetes';
import type { DrillServer } from './place.ts';

/** A database, as it was looked at before the drill. */
export interface LookedAt extends DrillServer {
  /** PostgreSQL's system identifier: copies of each other have the same. */
  readonly system: string | undefined;
}

/** The two databases, as the application logs in to them. */
export class Databases {
  readonly client: (host: string) => PostgresClientLike;
  readonly #signal: AbortSignal | undefined;

  constructor(client: (host: string) => PostgresClientLike, signal: AbortSignal | undefined) {
    this.client = client;
    this.#signal = signal;
  }

  /** Runs one statement in a connection of its own. */
  async run(host: string, text: string, signal = this.#signal): Promise<Record<string, unknown>[]> {
    const client = this.client(host);
    client.on('error', () => undefined);
    try {
      await abortable(client.connect(), signal);
      return (await abortable(client.query(text), signal)).rows;
    } finally {
      client.end().catch(() => undefined);
    }
  }

  async look(host: string): Promise<LookedAt> {
    const [row] = await this.run(host, 'select host(inet_server_addr()) as address');
    const [system] = await this.run(host, 'select system_identifier::text as system from pg_control_system()').catch(
      () => [],
    );
    return {
      host,
      address: String(row?.['address']),
      system: system === undefined ? undefined : String(system['system']),
    };
  }
}
