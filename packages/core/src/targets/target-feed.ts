import { backgroundFailed, type TargetFacts, targetChanged } from '../events/index.ts';
import { checkObject } from '../input.ts';
import type { Target } from './target-source.ts';

/** Who asked to be told of new targets. */
interface Subscription {
  readonly listener: (target: Target) => void;
  /** What the listener was told last, or what was known when it subscribed. */
  last: Target | undefined;
}

/**
 * Tells subscribers of new targets as the contract of `TargetSource` has it: never from inside the caller's own
 * call, never twice in a row the same target, and a listener that throws stops no other.
 *
 * Every implementation of `TargetSource` has one.
 *
 * @internal
 */
export class TargetFeed {
  readonly #subscriptions = new Set<Subscription>();

  /** Whether anybody listens. */
  get isFollowed(): boolean {
    return this.#subscriptions.size > 0;
  }

  /** Adds a listener that knows of `known`. Returns the function that removes it; calling that again does nothing. */
  subscribe(listener: (target: Target) => void, known: Target | undefined): () => void {
    const subscription: Subscription = { listener, last: known };
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  /** Tells everybody who is subscribed now, and still is when the microtask runs. */
  tell(target: Target): void {
    for (const subscription of this.#subscriptions) {
      queueMicrotask(() => {
        if (!this.#subscriptions.has(subscription)) return;
        if (subscription.last !== undefined && isSameTarget(subscription.last, target)) return;
        subscription.last = target;
        deliver(subscription.listener, target);
      });
    }
  }

  /** The source that follows `name` has another target: publishes `targetChanged`, and tells subscribers. */
  change(name: string, target: Target, previous: Target | undefined): void {
    targetChanged.publish(() => ({ ...factsOf(name, target), ...(previous && { previous: previous.externalName }) }));
    this.tell(target);
  }

  /** Removes all listeners. */
  clear(): void {
    this.#subscriptions.clear();
  }
}

/**
 * Whether two targets are the same host. By which aliases it was reached, who says so and whether that was
 * confirmed lately makes no difference: no connection has to move for it.
 */
export function isSameTarget(one: Target, other: Target): boolean {
  checkObject('one', one);
  checkObject('other', other);
  return one.externalName === other.externalName;
}

/** A target, as events tell of it. */
export function factsOf(name: string, { externalName, via, source, version }: Target): TargetFacts {
  return { name, target: externalName, via, source, version };
}

function deliver(listener: (target: Target) => void, target: Target): void {
  try {
    listener(target);
  } catch (error) {
    backgroundFailed.publish(() => ({ what: 'calling a listener for targets', error }));
  }
}
