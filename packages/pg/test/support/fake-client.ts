import { EventEmitter } from 'node:events';
import type * as pg from 'pg';

/**
 * A client of `pg` as the pool sees it, without a server: for tests that own time. `new Pool({ Client: FakeClient })` makes
 * them, and so can a test.
 */
export class FakeClient extends EventEmitter {
  /** The clients that pools have made, in their order. */
  static readonly made: FakeClient[] = [];
  readonly connection = Object.assign(new EventEmitter(), {
    stream: { destroy: (error?: Error) => this.#destroy(error), pause: () => undefined },
    attachListeners: () => undefined,
  });
  readonly connectionParameters = {};
  readonly processID = FakeClient.made.length + 1;
  _connected = false;
  _queryable = false;
  _ending = false;
  _activeQuery: object | null = null;
  readonly _queryQueue: { handleError(error: Error): void }[] = [];
  _txStatus = 'I';
  readyForQuery = false;
  /** How it ended. */
  ended: 'politely' | 'destroyed' | undefined;
  /** What it was destroyed with. */
  destroyedWith: Error | undefined;
  /** Whether its server says goodbye. */
  answersGoodbye = true;

  constructor() {
    super();
    FakeClient.made.push(this);
  }

  /** One that is connected, for what takes a client of `pg`. */
  static connected(): FakeClient & pg.Client {
    const client = new FakeClient();
    client.#ready();
    return client as unknown as FakeClient & pg.Client;
  }

  connect(callback: (error: Error | null) => void): void {
    this.#ready();
    process.nextTick(callback, null);
  }

  query(): Promise<unknown> {
    return Promise.resolve({ rows: [] });
  }

  end(callback: () => void): void {
    this._ending = true;
    if (!this.answersGoodbye) return;
    this.ended ??= 'politely';
    process.nextTick(() => {
      this.#over();
      callback();
    });
  }

  ref(): void {}

  unref(): void {}

  /** A statement is sent. */
  begin({ inTransaction = false } = {}): void {
    this._activeQuery = {};
    this.readyForQuery = false;
    this._txStatus = inTransaction ? 'T' : 'I';
  }

  /** The statement is answered, and the server ready. */
  finish(status: 'I' | 'T' = 'I'): void {
    this._txStatus = status;
    this._activeQuery = null;
    this.readyForQuery = true;
    this.connection.emit('readyForQuery', { status });
  }

  /** Its server is gone. */
  break(): void {
    this.#over();
  }

  #ready(): void {
    this._connected = true;
    this._queryable = true;
    this.readyForQuery = true;
  }

  #destroy(error: Error | undefined): void {
    if (this.ended !== undefined) return;
    this.ended = 'destroyed';
    this.destroyedWith = error;
    process.nextTick(() => this.#over());
  }

  #over(): void {
    if (!this._queryable) return;
    this._queryable = false;
    this.connection.emit('end');
    this.emit('end');
  }
}
