import { type Clock, type Random, systemClock, systemRandom } from './clock.ts';
import { aFunction, anObjectWith, checkOptions, optional } from './shape.ts';

/**
 * Time and chance, which a test may own. Not an option: it is the last argument of what waits or chooses, and an application leaves
 * it out.
 */
export interface Dependencies {
  /** Tells the time and runs the timers. @defaultValue `systemClock` */
  readonly clock?: Clock | undefined;
  /** For jitter and choice; secrets and DNS query ids never come from it. @defaultValue `systemRandom` */
  readonly random?: Random | undefined;
}

/**
 * Checks the last argument and completes it.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a clock or a source of randomness that is not one
 * @internal
 */
export function dependenciesOf(given: Dependencies): { readonly clock: Clock; readonly random: Random } {
  checkOptions(
    given,
    { clock: optional(anObjectWith('now', 'date', 'schedule')), random: optional(aFunction) },
    'dependencies',
  );
  const { clock = systemClock, random = systemRandom } = given;
  return { clock, random };
}
