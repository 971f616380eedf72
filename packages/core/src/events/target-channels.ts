import { EventChannel } from './channels.ts';

/** What events say about a target. */
export interface TargetFacts {
  /** The name that was followed: the Service's full name, or the host. */
  readonly name: string;
  /** The host that the name stands for. */
  readonly target: string;
  /** The names that led there, the Service's first. */
  readonly via: readonly string[];
  /** The source that says so. */
  readonly source: 'kubernetes' | 'dns' | 'static' | 'engine';
  /** `resourceVersion`, or a digest of the answer. */
  readonly version: string;
}

/** Payload of {@link targetChanged}. */
export interface TargetChangedEvent extends TargetFacts {
  /** The host that the name stood for before. Missing for the first one. */
  readonly previous?: string;
}

/** A name stands for another host than before: a switch, as seen from here. */
export const targetChanged = new EventChannel<TargetChangedEvent>('externalname:targets:target-changed');

/** Payload of {@link answerChanged}. */
export interface AnswerChangedEvent {
  /** The Service whose answer changed. */
  readonly name: string;
  /** The host that it leads to. */
  readonly target: string;
  /** The whole chain of names, the one that was asked for first. */
  readonly chain: readonly string[];
  /** Sorted, so that a shuffled answer is not a change. */
  readonly addresses: readonly string[];
  /** Sorted. Missing for the first answer. */
  readonly previousAddresses?: readonly string[];
}

/**
 * DNS gave other addresses or aliases than before for the same target. Providers do this all day long:
 * it is not a switch, and no connection has to move.
 */
export const answerChanged = new EventChannel<AnswerChangedEvent>('externalname:targets:answer-changed');

/** Payload of {@link targetRefused}. */
export interface TargetRefusedEvent {
  /** The Service or host whose policy refused. */
  readonly name: string;
  /** The host that is not allowed. */
  readonly target: string;
  /** The names between the Service and the host, in order. */
  readonly via: readonly string[];
  /** `ERR_EXTERNALNAME_TARGET_REFUSED` or `ERR_EXTERNALNAME_TARGET_IS_ADDRESS`. */
  readonly code: string;
  /** The entries of the allow-list. */
  readonly allowed: readonly string[];
}

/** A Service points to a host outside the allow-list. Published each time a check refuses it. */
export const targetRefused = new EventChannel<TargetRefusedEvent>('externalname:targets:target-refused');

/** Payload of {@link addressRefused}. */
export interface AddressRefusedEvent {
  /** The Service, or the host that was asked for. */
  readonly name: string;
  /** The host that has the address. */
  readonly target: string;
  /** The names between the Service and the host, in order. */
  readonly via: readonly string[];
  /** The address that is not allowed. */
  readonly address: string;
  /** `loopback`, `link-local`, `metadata`, `outside-allowed-networks`, ... */
  readonly reason: string;
}

/** A target resolved to an address that must not be dialled. Published each time a check refuses it. */
export const addressRefused = new EventChannel<AddressRefusedEvent>('externalname:targets:address-refused');

/** Payload of {@link sourceDegraded}. */
export interface SourceDegradedEvent {
  /** The Service or host that the source follows. */
  readonly name: string;
  /** The kind of source. */
  readonly source: 'kubernetes' | 'dns' | 'static' | 'engine';
  /** The last good target, which stays in use. Missing if there never was one. */
  readonly target?: string;
  /** The stable code of the error, if it has one. */
  readonly code?: string;
  /** Why the source has no fresh answer. */
  readonly error: unknown;
}

/** A source can no longer confirm its target and keeps the last good one. Published once until it recovers. */
export const sourceDegraded = new EventChannel<SourceDegradedEvent>('externalname:targets:source-degraded');

/** Payload of {@link sourceRecovered}. */
export interface SourceRecoveredEvent extends TargetFacts {
  /** How long the source could not confirm its target, in milliseconds. */
  readonly degradedMillis: number;
}

/** A source that was degraded has a good answer again. */
export const sourceRecovered = new EventChannel<SourceRecoveredEvent>('externalname:targets:source-recovered');

/** Payload of {@link answerIgnored}. */
export interface AnswerIgnoredEvent {
  /** The target that stays in use. */
  readonly target: string;
  /** The source that was believed. */
  readonly source: 'kubernetes' | 'dns' | 'static' | 'engine';
  /** The target that the lower source named. */
  readonly ignoredTarget: string;
  /** The source whose answer was not believed. */
  readonly ignoredSource: 'kubernetes' | 'dns' | 'static' | 'engine';
  /** How much longer that answer is ignored if the source keeps giving it, in milliseconds. */
  readonly remainingMillis: number;
}

/**
 * A lower source names another target than a better one did before it went silent. It may only be an old answer from a
 * cache, so it is ignored for a while. Published while that is so.
 */
export const answerIgnored = new EventChannel<AnswerIgnoredEvent>('externalname:targets:answer-ignored');

/** Payload of {@link splitBrainSeen}. */
export interface SplitBrainEvent {
  /** The Service, by the name that the observer uses. */
  readonly name: string;
  /** The hosts whose servers both accept writes, starting with the one that the Service stands for. */
  readonly targets: readonly string[];
}

/**
 * Two servers of one Service accept writes at the same time, so writes to the old one will be lost. Published each time a pool
 * with ready sessions, or a probe of a switch, sees it.
 */
export const splitBrainSeen = new EventChannel<SplitBrainEvent>('externalname:targets:split-brain');
