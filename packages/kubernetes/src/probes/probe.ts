import type { PostgresState } from './postgres-state.ts';

/**
 * A check of a server before anything is switched. `switchTarget()` runs it against the new target or the old one. Write your own
 * for what your application needs.
 */
export interface Probe {
  /** Its name in the report: `tcp 5432`, `postgres`. */
  readonly name: string;
  /** Checks `host`. Rejecting counts as `ok: false`, with the error's message. */
  run(host: string, context: ProbeContext): Promise<ProbeFinding>;
}

/** See {@link Probe.run}. */
export interface ProbeContext {
  /** Fires at the probe's deadline, and when the switch is aborted. */
  readonly signal: AbortSignal;
}

/** What a probe found. */
export interface ProbeFinding {
  /** Whether the server is as it should be: for the new target, whether it may be switched to. */
  readonly ok: boolean;
  /** One sentence for the report. */
  readonly detail: string;
  /** The state that a PostgreSQL server reported; compared between the two targets. */
  readonly postgres?: PostgresState | undefined;
}

/** A finding, with its probe and host. */
export interface ProbeResult extends ProbeFinding {
  /** Name of the probe. */
  readonly probe: string;
  /** The host that was probed. */
  readonly host: string;
  /** How long it took, in milliseconds. */
  readonly elapsedMillis: number;
}
