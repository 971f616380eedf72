import type { WaitOptions } from '../deadline.ts';

/** The host that a Service stands for right now. */
export interface Target {
  /** Canonical: lower case, no trailing dot. The name that TLS verifies. */
  readonly externalName: string;
  /** The names that led here, the service's first; empty where the host was named directly. */
  readonly via: readonly string[];
  /** `resourceVersion`, or a digest of the answer. Changes when the target does. */
  readonly version: string;
  /** Which kind of source said so. */
  readonly source: 'kubernetes' | 'dns' | 'static';
  /** Whether the source could not confirm it lately and holds on to the last good answer. */
  readonly stale: boolean;
}

/** See {@link TargetSource.current}. */
export interface CurrentOptions extends WaitOptions {
  /** Past every cache: what the source's own authority says now. @defaultValue false */
  fresh?: boolean | undefined;
}

/**
 * The one seam between "how we learn where a Service points" and "what we do about it".
 *
 * A source starts nothing when constructed. It follows its Service while somebody is subscribed.
 * Listeners are never called from inside `subscribe` or `current`, and never twice in a row with the same target.
 */
export interface TargetSource extends AsyncDisposable {
  /**
   * The target as known now; asks where nothing is known yet.
   * Rejects where there is no target and never was one: `ResolutionError`, `NotExternalNameError` and the like.
   */
  current(options?: CurrentOptions): Promise<Target>;
  /**
   * What is known at this moment, and whether it can be confirmed (`stale`). Makes no request. Undefined before the first answer
   * and after the end. A source may leave it out: then nobody sees that it has gone stale before it is asked.
   */
  readonly known?: Target | undefined;
  /**
   * How long ago its authority said where the Service points, in milliseconds: a good answer of DNS, a sign of life of the watch. Makes
   * no request. Undefined before the first answer. A source may leave it out: then nobody sees how old its word is.
   */
  readonly confirmedMillisAgo?: number | undefined;
  /** Calls back whenever the target changes (not when only its addresses do). Returns the function that ends it. */
  subscribe(listener: (target: Target) => void): () => void;
  /** Ends subscriptions, timers and queries. Idempotent. */
  close(): Promise<void>;
}
