/** A write that a worker began. All times of a run are milliseconds of one monotonic clock. */
export interface Write {
  /** Of this write only: no id is used twice in a run. */
  readonly id: number;
  /** Who writes: 0, 1, 2, ... */
  readonly worker: number;
  /** When it began. */
  readonly beganAt: number;
}

/** A write that was acknowledged, or has failed. */
export type SettledWrite = AcknowledgedWrite | FailedWrite;

/** A write that the server acknowledged. */
export interface AcknowledgedWrite extends Write {
  /** When the acknowledgement came. */
  readonly settledAt: number;
  /** Address of the server that wrote the row, as the server itself says. */
  readonly address: string;
}

/** A write that ended with an error. */
export interface FailedWrite extends Write {
  /** When the error came. */
  readonly settledAt: number;
  /** What the worker was told. */
  readonly failure: {
    /** The error's code; its message if it has none. */
    readonly code: string;
    /** The error's message. */
    readonly message: string;
    /** What the error says of the statement. */
    readonly outcome: FailureOutcome;
  };
}

/** `unsaid`: the error does not tell whether the write was executed. The errors of plain `pg` do not. */
export type FailureOutcome = 'not-executed' | 'unknown' | 'unsaid';

/** What has happened since the last report, and what is under way. */
export interface WriteReport {
  /** In the order in which they settled. */
  readonly settled: readonly SettledWrite[];
  /** What has not settled. */
  readonly underWay: readonly Write[];
}
