import type { PoolOptions } from '@externalname/pg';
import type pg from 'pg';

/** One of the two servers of a drill. */
export interface DrillServer {
  /** The external name that the Service points to. */
  readonly host: string;
  /** The address that the server itself says it has. */
  readonly address: string;
}

/** Which server is left for which. */
export interface Move {
  readonly from: DrillServer;
  readonly to: DrillServer;
}

/** How the first server is left. */
export type DrillKind = 'crash' | 'planned';

/** How an event is meant. */
export type DrillTone = 'good' | 'bad' | 'warning' | 'faint' | 'strong' | 'plain';

/** What happens in a drill, as it happens. */
export interface Telling {
  event(who: string, text: string, how?: { readonly tone?: DrillTone; readonly part?: boolean }): void;
  /** A moment that plots mark. */
  mark(name: string): void;
}

/** Where a drill plays: two servers, a Service that points to the first of them, and a pool that follows it. */
export interface Place extends AsyncDisposable {
  /** `namespace/name` of the Service. */
  readonly service: string;
  /** Where that is. */
  readonly where: string;
  /** The one that the Service points to at the start, and the other one. */
  readonly servers: readonly [DrillServer, DrillServer];
  /** The table that is written to. */
  readonly table: string;
  /** Of the answers of the cluster's DNS: seconds; 0 if the pool is told of a switch by the API. */
  readonly ttlSeconds: number;
  /** The options of a pool, as an application would write them. */
  readonly poolOptions: PoolOptions;
  /** Makes the table. */
  begin(): Promise<void>;
  /** Everything that comes before the patch: `to` takes writes when it is over. */
  takeOver(kind: DrillKind, move: Move): Promise<void>;
  /** Points the Service to `to`. Calls back when the patch is sent. */
  patch(move: Move, sent: () => void): Promise<void>;
  /** Makes the server that was left fit for the way back. */
  rebuild(move: Move): Promise<void>;
  /** How often each id is where the writes of this move must be. */
  rows(move: Move): Promise<ReadonlyMap<number, number>>;
}

/** Makes the pool of a drill. A test may hand in one that does not move. */
export type MakePool = (options: PoolOptions) => pg.Pool;
