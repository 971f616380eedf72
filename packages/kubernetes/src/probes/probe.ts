import type { PostgresState } from './postgres-state.ts';

/**
 * A look at a server before anything is switched. `switchTarget()` runs it against the new target, or the old one.
 * Write your own for what your application needs.
 */
export interface Probe {
  /** As it shall stand in the report: `tcp 5432`, `postgres`. */
  readonly name: string;
  /** Looks at `host`. Rejecting counts as `ok: false`, with the error's message. */
  run(host: string, context: ProbeContext): Promise<ProbeFinding>;
}

/** See {@link Probe.run}. */
export interface ProbeContext {
  /** Fires at the probe's deadline, and when the switch is given up. */
  readonly signal: AbortSignal;
}

/** What a probe found. */
export interface ProbeFinding {
  /** Whether the server is as it should be: for the new target, whether it may be switched to. */
  readonly ok: boolean;
  /** One sentence for the report. */
  readonly detail: string;
  /** What a PostgreSQL server said of itself; compared between the two targets. */
  readonly postgres?: PostgresState | undefined;
}

/** A finding, with what was asked. */
export interface ProbeResult extends ProbeFinding {
  /** Name of the probe. */
  readonly probe: string;
  /** The host that was probed. */
  readonly host: string;
  /** How long it took, in milliseconds. */
  readonly elapsedMillis: number;
}
