import type { WaitOptions } from '@externalname/core';

/** Why an engine does not name a leader that may be followed. */
export type UnknownReason =
  /** It gave no answer. */
  | 'unreachable'
  /** People have taken over: pause, maintenance, hibernation, fencing. */
  | 'paused'
  /** No member holds the lock, because the last one has let go of it, or has expired. */
  | 'unlocked'
  /** What keeps the lock has no majority. */
  | 'no-quorum'
  /** Two members say that they lead. */
  | 'two-leaders'
  /** What it says is older than it may be. */
  | 'stale'
  /** It contradicts itself, or says what is not understood. */
  | 'doubt';

/** The engine names a leader. */
export interface LeaderState {
  /** Tells the states apart. */
  readonly state: 'leader';
  /** The engine's own name for the server. */
  readonly member: string;
  /** When it became the leader, RFC 3339, as the engine says. */
  readonly since?: string | undefined;
  /** The timeline that the engine knows. It may lag behind the server's own. */
  readonly timeline?: number | undefined;
  /** System identifier of the leader's files, as decimal digits. */
  readonly systemIdentifier?: string | undefined;
}

/** A planned switch has begun: the leader steps down, and another will be named soon. */
export interface ReleasingState {
  /** Tells the states apart. */
  readonly state: 'releasing';
  /** The member that steps down. */
  readonly member?: string | undefined;
  /** The member that will lead, if the engine tells. */
  readonly to?: string | undefined;
}

/** There is no leader to follow now. */
export interface UnknownState {
  /** Tells the states apart. */
  readonly state: 'unknown';
  /** Why. */
  readonly reason: UnknownReason;
  /** The reason in words. */
  readonly detail: string;
}

/** What an engine tells. */
export type EngineState = LeaderState | ReleasingState | UnknownState;

/** What a member says of itself, past all lists. */
export interface MemberWord {
  /** Whether it says that it leads. */
  readonly leads: boolean;
  /** Its words, for people. */
  readonly detail: string;
  /** The timeline that its server is on. */
  readonly timeline?: number | undefined;
  /** System identifier of its files. */
  readonly systemIdentifier?: string | undefined;
}

/**
 * An HA engine that decides who leads. It is only read: nothing here elects a leader.
 *
 * An engine is followed while it has subscribers. Its word alone is not enough for a switch: `followEngine()` and `engineSource()` ask the new leader
 * itself.
 */
export interface HaEngine extends AsyncDisposable {
  /** For events and messages: `patroni demo`. */
  readonly name: string;
  /** What it told last. Makes no request. Undefined before the first answer. */
  readonly known: EngineState | undefined;
  /** How long ago it last gave an answer, in milliseconds. Undefined before the first one. An old answer means that a switch would go unseen. */
  readonly heardMillisAgo: number | undefined;
  /** Asks past every cache. An engine that cannot be asked is `unknown`, not an error; rejects only for the signal and after `close()`. */
  read(options?: WaitOptions): Promise<EngineState>;
  /** Asks one member itself whether it leads. Undefined if this engine's members cannot be asked; the server's own SQL then has to do. */
  ask(member: string, options?: WaitOptions): Promise<MemberWord | undefined>;
  /** Calls back with the state that is known, and with each other one; never from inside this call. Returns the function that ends it. */
  subscribe(listener: (state: EngineState) => void): () => void;
  /** Ends subscriptions, requests and connections. Idempotent. */
  close(): Promise<void>;
}

/** See {@link EngineReader.push}. */
export interface PushContext {
  /** Fires when the engine is no longer followed. */
  readonly signal: AbortSignal;
  /** Call it at each push: the engine is then read. */
  readonly changed: () => void;
  /** Call it when pushes begin to arrive: the engine is then polled less often. */
  readonly opened: () => void;
}

/** How one kind of engine is read. `createEngine()` makes an {@link HaEngine} of it. */
export interface EngineReader {
  /** For events and messages: `patroni demo`. */
  readonly name: string;
  /** Asks the engine, past every cache. What it rejects with becomes `unknown`, `unreachable`. */
  read(context: { readonly signal: AbortSignal }): Promise<EngineState>;
  /** Waits for pushes until the signal fires or the line breaks; it is called again then. Leave it out if there is nothing to wait for. */
  push?(context: PushContext): Promise<void>;
  /** Asks one member itself. Leave it out if members cannot be asked. */
  ask?(member: string, context: { readonly signal: AbortSignal }): Promise<MemberWord>;
  /** Closes its connections. */
  close?(): Promise<void> | void;
}

/** What all engines take. */
export interface EngineOptions {
  /** Pause between two looks without a push. Ten times as fast while a switch is under way. Milliseconds, 20 to 60000. @defaultValue 500 */
  pollMillis?: number | undefined;
  /** Longest time for one look. Milliseconds, 10 to 60000. @defaultValue 2000 */
  requestTimeoutMillis?: number | undefined;
}

/**
 * The signal for one of several that are asked in a look. It fires after half of the look's time, so that one that is silent does not cost the answers of
 * the others.
 */
export function oneOfSeveral(
  signal: AbortSignal,
  { requestTimeoutMillis = defaultTimeoutMillis }: EngineOptions,
): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(requestTimeoutMillis / 2))]);
}

/** The default of `requestTimeoutMillis`. */
export const defaultTimeoutMillis = 2_000;

/** An engine's word that no leader is to be followed. */
export function unknown(reason: UnknownReason, detail: string): UnknownState {
  return { state: 'unknown', reason, detail };
}
