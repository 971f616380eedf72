/**
 * What the sibling packages share. Not for users: it changes without notice.
 *
 * @internal
 * @module
 */
export { abortable, type DeadlineOptions, type SleepOptions, sleep, withDeadline } from './deadline.ts';
export { ManualClock } from './manual-clock.ts';
export {
  checkTargetSource,
  TargetFeed,
  type TargetSourceHarness,
  type TargetSourcePromise,
  targetSourceContract,
} from './targets/index.ts';
