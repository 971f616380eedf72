import { InvalidArgumentError } from '@externalname/core';
import {
  aBoolean,
  aNumber,
  aText,
  checkNumber,
  describeValue,
  objectOf,
  optional,
  type Shape,
} from '@externalname/core/internal';

/** The state that a PostgreSQL server reports. A value is undefined if the role lacks the privilege, or the version does not report it. */
export interface PostgresState {
  /** Whether it replays another server's log: a standby. */
  readonly inRecovery: boolean;
  /** `default_transaction_read_only`: whether new transactions refuse to write, although it is not a standby. */
  readonly readOnly: boolean;
  /** Of the cluster's files; a primary and its standbys have the same (`pg_control_system()`). */
  readonly systemIdentifier: string | undefined;
  /** Goes up by one with each promotion. */
  readonly timeline: number | undefined;
  /** On a primary the end of the log; on a standby how far it has replayed. Bytes since the log began. */
  readonly logPosition: bigint | undefined;
  /** On a standby: how long ago the newest replayed commit was made, in seconds. Grows while the primary is idle. */
  readonly replayDelaySeconds: number | undefined;
}

/** Why a switch is not safe. Each kind can be accepted by its name. */
export interface Objection {
  /** Why the switch is not safe. */
  readonly kind: ObjectionKind;
  /** A sentence that says what to do. */
  readonly message: string;
}

/** Everything that `switchTarget()` refuses unless you accept it. */
export const objectionKinds = [
  /** A probe of the new target failed. */
  'probe-failed',
  /** The new target refuses writes: it is a standby, or read-only. */
  'not-writable',
  /** The old target still accepts writes, and so does the new one, now or soon. */
  'split-brain',
  /** The two are not copies of each other. */
  'different-system',
  /** The new target is on an older timeline than the old one. */
  'older-timeline',
  /** The new target has not replayed everything that the old one wrote. */
  'lag',
  /** The old target is not on the allow-list, so it was not probed: a probe would send it credentials. */
  'previous-not-allowed',
] as const;

/** What `switchTarget()` refuses unless you accept it: one of {@link objectionKinds}. */
export type ObjectionKind = (typeof objectionKinds)[number];

/**
 * Compares the new target with the old one. Pure. An unknown value raises no objection; the caller has
 * to report that it was unknown.
 */
export function judgePostgres(
  target: PostgresState,
  previous: PostgresState | undefined,
  maxLagBytes: number,
): Objection[] {
  aState('target', target);
  optional(aState)('previous', previous);
  checkNumber('maxLagBytes', maxLagBytes, { least: 0 });
  return [
    notWritable(target),
    differentSystem(target, previous),
    olderTimeline(target, previous),
    lagging(target, previous, maxLagBytes),
    splitBrain(previous),
  ].filter((objection) => objection !== undefined);
}

const aBigInt: Shape = (argument, value) => {
  if (typeof value === 'bigint') return;
  throw new InvalidArgumentError(argument, `must be a bigint, got ${describeValue(value)}`);
};

const aState = objectOf({
  inRecovery: aBoolean,
  readOnly: aBoolean,
  systemIdentifier: optional(aText),
  timeline: optional(aNumber()),
  logPosition: optional(aBigInt),
});

function notWritable(target: PostgresState): Objection | undefined {
  if (target.inRecovery) {
    return { kind: 'not-writable', message: 'the new target is a standby and refuses writes: promote it first' };
  }
  if (!target.readOnly) return undefined;
  const message = 'the new target has default_transaction_read_only on and refuses writes: set it to off first';
  return { kind: 'not-writable', message };
}

function splitBrain(previous: PostgresState | undefined): Objection | undefined {
  if (previous === undefined || previous.inRecovery || previous.readOnly) return undefined;
  return {
    kind: 'split-brain',
    message:
      'the old target still accepts writes: clients that have not moved yet would keep writing to it, and the new target ' +
      'would never get those writes. Stop it, or make it read-only, first',
  };
}

function differentSystem(target: PostgresState, previous: PostgresState | undefined): Objection | undefined {
  const [one, other] = [target.systemIdentifier, previous?.systemIdentifier];
  if (one === undefined || other === undefined || one === other) return undefined;
  return {
    kind: 'different-system',
    message: `the new target is not a copy of the old one: its system identifier is ${one}, the old one's ${other}`,
  };
}

function olderTimeline(target: PostgresState, previous: PostgresState | undefined): Objection | undefined {
  const [one, other] = [target.timeline, previous?.timeline];
  if (one === undefined || other === undefined || one >= other) return undefined;
  return {
    kind: 'older-timeline',
    message: `the new target is on timeline ${one}, the old one on ${other}: it has missed a promotion, rebuild it first`,
  };
}

function lagging(
  target: PostgresState,
  previous: PostgresState | undefined,
  maxLagBytes: number,
): Objection | undefined {
  const [one, other] = [target.logPosition, previous?.logPosition];
  // Positions compare on one timeline only, and a server that was promoted replays nothing any more.
  if (one === undefined || other === undefined || !target.inRecovery || target.timeline !== previous?.timeline) {
    return undefined;
  }
  const lag = other - one;
  if (lag <= maxLagBytes) return undefined;
  return {
    kind: 'lag',
    message: `the new target still has to replay ${lag} bytes of the old one's log (allowed: ${maxLagBytes}): wait for it`,
  };
}
