import type { WaitOptions } from '../deadline.ts';
import { aBoolean, aSignal, checkCallOptions, optional, type Shapes } from '../shape.ts';

/** The host that a Service stands for right now. */
export interface Target {
  /** Canonical: lower case, no trailing dot. The name that TLS verifies. */
  readonly externalName: string;
  /** The names that led here, the Service's first. Empty if the host was named directly. */
  readonly via: readonly string[];
  /** `resourceVersion`, or a digest of the answer. Changes when the target does. */
  readonly version: string;
  /** The kind of source. */
  readonly source: 'kubernetes' | 'dns' | 'static' | 'engine';
  /** Whether the source can no longer confirm the target and keeps the last good one. */
  readonly stale: boolean;
}

/** A switch that is about to happen, as its source announces it. */
export interface PlannedSwitch {
  /** Where the Service is about to point. Undefined if the source does not know yet. */
  readonly to?: string | undefined;
  /** How soon the old server stops, in milliseconds. New work is held from then on. Undefined for at once. */
  readonly startsInMillis?: number | undefined;
  /** How long the switch takes at most from then on, in milliseconds. Undefined if the source does not know. */
  readonly holdMillis?: number | undefined;
}

/** See {@link TargetSource.current}. */
export interface CurrentOptions extends WaitOptions {
  /** Whether to bypass every cache and ask the source's authority. @defaultValue false */
  fresh?: boolean | undefined;
}

/**
 * Where a Service points, and when that changes. The interface between sources and what uses a target.
 *
 * The constructor of a source starts nothing. A source follows its Service while it has subscribers.
 * Listeners are never called from inside `subscribe` or `current`, and never twice in a row with the same target.
 */
export interface TargetSource extends AsyncDisposable {
  /**
   * The current target. Asks if no target is known yet.
   * Rejects if there is no target and never was one: `ResolutionError`, `NotExternalNameError` and the like.
   */
  current(options?: CurrentOptions): Promise<Target>;
  /**
   * The known target, and whether it can be confirmed (`stale`). Makes no request. Undefined before the first answer and after
   * `close()`. Optional: without it, a stale source is only noticed when it is asked.
   */
  readonly known?: Target | undefined;
  /**
   * How long ago the authority last confirmed the target, in milliseconds: with an answer of DNS or a sign of life of the watch. Makes
   * no request. Undefined before the first answer. Optional: without it, the age of the target is unknown.
   */
  readonly confirmedMillisAgo?: number | undefined;
  /** Calls back when the target changes, but not if only its addresses do. Returns the function that ends it. */
  subscribe(listener: (target: Target) => void): () => void;
  /**
   * Calls back when a switch is planned, before the old server stops, and with `undefined` if the plan is given up. That it was carried
   * out is told by `subscribe`. What uses the target can hold new work meanwhile, but never depends on being told: a plan that is neither
   * carried out nor given up runs out. Returns the function that ends it. Optional: without it, no switch is announced.
   */
  subscribePlanned?(listener: (plan: PlannedSwitch | undefined) => void): () => void;
  /** Ends subscriptions, timers and queries. Idempotent. */
  close(): Promise<void>;
}

/**
 * For the `current()` of every source.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT`, or the reason of a signal that has fired
 * @internal
 */
export function checkCurrentOptions(options: CurrentOptions): void {
  checkCallOptions(options, currentShapes);
  options.signal?.throwIfAborted();
}

const currentShapes: Shapes<CurrentOptions> = { signal: aSignal, fresh: optional(aBoolean) };
