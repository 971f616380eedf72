import { EventChannel } from './channels.ts';

/** A target, as events tell of it. */
export interface TargetFacts {
  /** The name that was followed: the Service's full name, or the host. */
  readonly name: string;
  /** The host that it stands for. */
  readonly target: string;
  /** The names that led there, the Service's first. */
  readonly via: readonly string[];
  /** Who says so. */
  readonly source: 'kubernetes' | 'dns' | 'static';
  /** `resourceVersion`, or a digest of the answer. */
  readonly version: string;
}

/** Payload of {@link targetChanged}. */
export interface TargetChangedEvent extends TargetFacts {
  /** The host it stood for before; left out for the first one that is learned. */
  readonly previous?: string;
}

/** A name stands for another host than before: what a switch looks like from here. */
export const targetChanged = new EventChannel<TargetChangedEvent>('externalname:targets:target-changed');

/** Payload of {@link answerChanged}. */
export interface AnswerChangedEvent {
  /** The Service whose answer changed. */
  readonly name: string;
  /** The host that it leads to. */
  readonly target: string;
  /** The whole chain of names, the one that was asked for first. */
  readonly chain: readonly string[];
  /** Sorted, so that an answer that is only shuffled is no change. */
  readonly addresses: readonly string[];
  /** Sorted; left out for the first answer. */
  readonly previousAddresses?: readonly string[];
}

/**
 * DNS gave other addresses or aliases than before for the same target. Providers do this all day long:
 * it is no switch, and no connection has to move because of it.
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

/** A Service points to a host outside the allow-list. Told each time that a check refuses it. */
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

/** A target resolved to an address that must not be dialled. Told each time that a check refuses it. */
export const addressRefused = new EventChannel<AddressRefusedEvent>('externalname:targets:address-refused');

/** Payload of {@link sourceDegraded}. */
export interface SourceDegradedEvent {
  /** The Service, or the host, that it follows. */
  readonly name: string;
  /** Which kind of source it is. */
  readonly source: 'kubernetes' | 'dns' | 'static';
  /** The last good target, which stays in use; left out where there never was one. */
  readonly target?: string;
  /** The stable code of the error, where it has one. */
  readonly code?: string;
  /** Why the source has no fresh answer. */
  readonly error: unknown;
}

/** A source cannot confirm its target any more and holds on to the last good one. Told once until it recovers. */
export const sourceDegraded = new EventChannel<SourceDegradedEvent>('externalname:targets:source-degraded');

/** Payload of {@link sourceRecovered}. */
export interface SourceRecoveredEvent extends TargetFacts {
  /** How long it could not confirm its target, in milliseconds. */
  readonly degradedMillis: number;
}

/** A source that was degraded has a good answer again. */
export const sourceRecovered = new EventChannel<SourceRecoveredEvent>('externalname:targets:source-recovered');

/** Payload of {@link answerIgnored}. */
export interface AnswerIgnoredEvent {
  /** What stays in use. */
  readonly target: string;
  /** The source that was believed. */
  readonly source: 'kubernetes' | 'dns' | 'static';
  /** What the lower source said. */
  readonly ignoredTarget: string;
  /** The source whose answer was not believed. */
  readonly ignoredSource: 'kubernetes' | 'dns' | 'static';
  /** How much longer it will be ignored if it keeps saying so, in milliseconds. */
  readonly remainingMillis: number;
}

/**
 * Of several sources, a lower one named another target than a better one did before it went silent, and it may
 * only be an old answer from a cache. Told while that is so.
 */
export const answerIgnored = new EventChannel<AnswerIgnoredEvent>('externalname:targets:answer-ignored');

/** Payload of {@link splitBrainSeen}. */
export interface SplitBrainEvent {
  /** The Service, as the one who saw it knows it. */
  readonly name: string;
  /** The hosts whose servers both take writes; the one that the Service stands for first. */
  readonly targets: readonly string[];
}

/**
 * Two servers of one Service take writes at the same time: what is written to the one that is left behind is lost. Told each time that
 * it is seen, by a pool with ready sessions or by the probes of a switch.
 */
export const splitBrainSeen = new EventChannel<SplitBrainEvent>('externalname:targets:split-brain');
