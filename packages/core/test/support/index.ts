/**
 * What tests of the sibling packages share, as `@externalname/core/internal-testing`. It exists in this workspace only: no build has it.
 *
 * @module
 */
export { ManualClock } from './manual-clock.ts';
export {
  checkTargetSource,
  type TargetSourceHarness,
  type TargetSourcePromise,
  targetSourceContract,
} from './target-source-contract.ts';
