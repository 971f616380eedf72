import { type Clock, DeadlineError, type Endpoint } from '@externalname/core';
import { type Replicas, withDeadline } from '@externalname/core/internal';
import type { ReplicaStatus, TokenReads } from '@externalname/core/targets';
import type * as pg from 'pg';
import type { OpenConnection } from '../connect/connector.ts';
import { readPosition, type ServerPosition, tokenOf } from '../connect/wal-position.ts';
import type { PoolOptions, PoolSettings } from '../options.ts';
import { ReadAfter } from './read-after.ts';
import { type ReaderLink, type ReaderWait, readerOptions } from './reader-link.ts';
import { replicasOf } from './replicas.ts';

/** What is needed of a pool that reads for another one. */
interface ReaderPool<Status> {
  readonly ending: boolean;
  status(): Status;
  end(): Promise<void>;
}

/** What {@link Reading} needs. */
export interface ReadingParts<Reader> {
  readonly options: PoolOptions;
  readonly settings: PoolSettings;
  readonly clock: Clock;
  /** The link of a pool that is itself a reader. */
  readonly link: ReaderLink | undefined;
  /** The balancer of a reader gives no share to an address that is not preferred. */
  readonly passedOver: ((endpoint: Endpoint) => void) | undefined;
  /** Where the pool points, and the addresses there; `undefined` for a plain host. */
  readonly endpoints: ((signal: AbortSignal | undefined) => Promise<readonly Endpoint[]>) | undefined;
  connect(wait: ReaderWait): Promise<pg.PoolClient>;
  query(config: { text: string; idempotent?: boolean }): Promise<{ rows: readonly Record<string, unknown>[] }>;
  make(options: PoolOptions): Reader;
}

/** How a pool reads: its reader, which is made at first use, and reads with tokens. For a reader, also the checks of its standbys. */
export class Reading<Status, Reader extends ReaderPool<Status>> {
  readonly #parts: ReadingParts<Reader>;
  readonly after: ReadAfter;
  readonly replicas: Replicas<OpenConnection> | undefined;
  #reader: Reader | undefined;

  constructor(parts: ReadingParts<Reader>) {
    this.#parts = parts;
    const { settings, clock, link, endpoints, connect, passedOver } = parts;
    const { name, failoverTimeoutMillis } = settings;
    this.after = new ReadAfter({ name, failoverTimeoutMillis, clock, link, connect });
    if (link !== undefined && endpoints !== undefined) {
      this.replicas = replicasOf({ name, clock, link, passedOver });
    }
  }

  /** The pool's reader. Its owner is not ending. */
  get reader(): Reader {
    const { options, settings, make } = this.#parts;
    this.#reader ??= make(readerOptions(options, this.#linkToReader(), settings));
    return this.#reader;
  }

  /** Whether the pool itself is the reader of another one. */
  get isReader(): boolean {
    return this.#parts.link !== undefined;
  }

  /** Whether there is a reader. */
  get hasReader(): boolean {
    return this.#reader !== undefined;
  }

  status(): { replicas: readonly ReplicaStatus[]; tokenReads: TokenReads; reader: Status | undefined } {
    const replicas = this.replicas?.status() ?? [];
    return { replicas, tokenReads: this.after.counts(), reader: this.#reader?.status() };
  }

  /** See `pool.currentToken()`. */
  async currentToken(): Promise<string> {
    const { link, query } = this.#parts;
    return link === undefined ? tokenOf(await readPosition({ query })) : await link.currentToken();
  }

  /** Ends the reader. */
  async close(): Promise<void> {
    if (this.#reader?.ending === false) await this.#reader.end();
  }

  #linkToReader(): ReaderLink {
    const { options, settings, endpoints, connect, query, clock } = this.#parts;
    const { fallback } = settings.reader;
    const isElsewhere = options.reader?.service !== undefined || options.reader?.source !== undefined;
    return {
      settings: settings.reader,
      primaryEndpoints: fallback && isElsewhere ? endpoints : undefined,
      connectPrimary: fallback ? connect : undefined,
      position: () =>
        withDeadline((): Promise<ServerPosition> => readPosition({ query }), {
          timeoutMillis: positionTimeoutMillis,
          onTimeout: () => new DeadlineError('asking the primary where it is', positionTimeoutMillis),
          clock,
          background: true,
        }),
      currentToken: () => this.currentToken(),
    };
  }
}

// Longer than a round trip between regions. Without an answer, the last known position counts.
const positionTimeoutMillis = 1_000;
