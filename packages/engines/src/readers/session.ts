import { abortable } from '@externalname/core/internal';
import type { PostgresClientLike } from '@externalname/kubernetes';

/** The rows of an answer. */
export type Rows = readonly Readonly<Record<string, unknown>>[];

interface OpenSession {
  readonly client: PostgresClientLike;
  readonly connected: Promise<unknown>;
}

/** A session that stays open between two looks, and is opened again after it broke. */
export class Session {
  readonly #make: () => PostgresClientLike;
  #open: OpenSession | undefined;

  constructor(make: () => PostgresClientLike) {
    this.#make = make;
  }

  async query(text: string, signal: AbortSignal): Promise<Rows> {
    const session = this.#opened();
    try {
      await abortable(session.connected, signal);
      return (await abortable(session.client.query(text), signal)).rows;
    } catch (error) {
      // After an error of the statement the session would do, but this one is not known to be alive.
      this.#drop(session);
      throw error;
    }
  }

  close(): void {
    if (this.#open !== undefined) this.#drop(this.#open);
  }

  #opened(): OpenSession {
    if (this.#open !== undefined) return this.#open;
    const client = this.#make();
    const session = { client, connected: client.connect() };
    client.on('error', () => this.#drop(session));
    this.#open = session;
    return session;
  }

  #drop(session: OpenSession): void {
    if (this.#open?.client === session.client) this.#open = undefined;
    // Not awaited: a server that is gone never answers.
    session.client.end().catch(() => undefined);
  }
}
