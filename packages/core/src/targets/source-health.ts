import type { Clock } from '../clock.ts';
import { isExternalNameError } from '../errors.ts';
import { sourceDegraded, sourceRecovered } from '../events/index.ts';
import { factsOf } from './target-feed.ts';
import type { Target } from './target-source.ts';

/**
 * Whether a source can confirm its target. Publishes `sourceDegraded` once when it no longer can, and `sourceRecovered` once when it
 * can again.
 *
 * Every source that asks a server has one, beside its {@link TargetFeed}. `FirstAvailableTargetSource` has none: each of its
 * sources publishes for itself, and a second event would count one outage twice.
 *
 * @internal
 */
export class SourceHealth {
  readonly #source: Target['source'];
  readonly #clock: Clock;
  #degradedAt: number | undefined;

  constructor(source: Target['source'], clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** There is no good answer, because of `error`; `target` is the last good one. */
  degraded(name: string, target: Target | undefined, error: unknown): void {
    if (this.#degradedAt !== undefined) return;
    this.#degradedAt = this.#clock.now();
    sourceDegraded.publish(() => ({
      name,
      source: this.#source,
      ...(target && { target: target.externalName }),
      ...(isExternalNameError(error) && { code: error.code }),
      error,
    }));
  }

  /** There is a good answer. */
  confirmed(name: string, target: Target): void {
    if (this.#degradedAt === undefined) return;
    const degradedMillis = this.#clock.now() - this.#degradedAt;
    this.#degradedAt = undefined;
    sourceRecovered.publish(() => ({ ...factsOf(name, target), degradedMillis }));
  }
}
