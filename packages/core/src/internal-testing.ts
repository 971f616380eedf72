/**
 * What tests of the sibling packages share. Not for users: it changes without notice.
 *
 * @internal
 * @module
 */
export { ManualClock } from './manual-clock.ts';
// Past the room's face, so that the contract and node:assert are not loaded with the package.
export {
  checkTargetSource,
  type TargetSourceHarness,
  type TargetSourcePromise,
  targetSourceContract,
} from './targets/target-source.contract.ts';
