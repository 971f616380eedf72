import type { Endpoint } from '../targets/index.ts';

/** A connection as liveness sees it. */
export interface WatchedConnection {
  readonly endpoint: Endpoint;
  /** The server's id of the process that serves it; `undefined` if the server has not told it. */
  readonly processId: number | undefined;
  /** Whether a statement is in flight. */
  hasWork(): boolean;
  /** How many bytes have arrived from the server so far. */
  bytesRead(): number;
  /** How many bytes were handed over for sending so far. */
  bytesWritten(): number;
  /** Ends it, because its server was silent for so long. */
  fail(silentMillis: number): void;
}

/** How long a connection that has work has been silent, determined from the bytes counted at each look. */
export class Observation {
  readonly connection: WatchedConnection;
  #bytesRead: number;
  /** What had been written at the last look. */
  #bytesWritten: number;
  /** What had been written before the unanswered statement, or a little less. */
  #bytesBefore: number;
  #heardAt: number;

  constructor(connection: WatchedConnection, now: number) {
    this.connection = connection;
    this.#bytesRead = connection.bytesRead();
    this.#bytesWritten = connection.bytesWritten();
    this.#bytesBefore = this.#bytesWritten;
    this.#heardAt = now;
  }

  /** When something last arrived, or it last had nothing to wait for. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Returns whether anything has arrived since the last look. */
  look(now: number): boolean {
    const bytes = this.connection.bytesRead();
    const heard = bytes !== this.#bytesRead;
    this.#bytesRead = bytes;
    if (heard || !this.connection.hasWork()) {
      this.#heardAt = now;
      // The next statement may have been handed over since the answer arrived.
      this.#bytesBefore = this.#bytesWritten;
    }
    this.#bytesWritten = this.connection.bytesWritten();
    return heard;
  }

  /**
   * How long its server has owed it an answer; 0 if it owes none. While a statement is on its way to the server, the server is
   * idle and silent: the time that a slow line needs for the written bytes does not count.
   */
  owedMillis(now: number): number {
    if (!this.connection.hasWork() || this.connection.bytesRead() !== this.#bytesRead) return 0;
    const sendingMillis = (this.connection.bytesWritten() - this.#bytesBefore) / slowLineBytesPerMilli;
    return Math.max(0, now - this.#heardAt - sendingMillis);
  }
}

// 1 Mbit/s.
const slowLineBytesPerMilli = 125;
