import { backgroundFailed, type TargetFacts, targetChanged } from '../events/index.ts';
import { checkObject } from '../input.ts';
import type { PlannedSwitch, Target } from './target-source.ts';

/** One subscriber. */
interface Subscription {
  readonly listener: (target: Target) => void;
  /** The last target that the listener got, or the known one when it subscribed. */
  last: Target | undefined;
}

/**
 * Tells subscribers about new targets, by the contract of `TargetSource`: never from inside the caller's own call, and
 * never the same target twice in a row. A listener that throws does not stop the others.
 *
 * Every implementation of `TargetSource` has one.
 *
 * @internal
 */
export class TargetFeed {
  readonly #subscriptions = new Set<Subscription>();
  readonly #planned = new Set<{ readonly listener: (plan: PlannedSwitch | undefined) => void }>();
  #hasPlan = false;

  /** Whether there are subscribers. */
  get isFollowed(): boolean {
    return this.#subscriptions.size > 0;
  }

  /** Adds a listener that already knows `known`. Returns the function that removes it. Calling it again does nothing. */
  subscribe(listener: (target: Target) => void, known: Target | undefined): () => void {
    const subscription: Subscription = { listener, last: known };
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  /** Calls the listeners that are subscribed now and still are when the microtask runs. */
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

  /** Adds a listener to planned switches. Returns the function that removes it. */
  subscribePlanned(listener: (plan: PlannedSwitch | undefined) => void): () => void {
    const entry = { listener };
    this.#planned.add(entry);
    return () => void this.#planned.delete(entry);
  }

  /** A switch is planned, or the plan was given up. */
  plan(plan: PlannedSwitch | undefined): void {
    if (plan === undefined && !this.#hasPlan) return;
    this.#hasPlan = plan !== undefined;
    for (const entry of this.#planned) {
      queueMicrotask(() => {
        if (this.#planned.has(entry)) deliver(entry.listener, plan);
      });
    }
  }

  /** The source that follows `name` has another target: publishes `targetChanged`, and tells subscribers. */
  change(name: string, target: Target, previous: Target | undefined): void {
    // The plan was carried out.
    this.#hasPlan = false;
    targetChanged.publish(() => ({ ...factsOf(name, target), ...(previous && { previous: previous.externalName }) }));
    this.tell(target);
  }

  /** Removes all listeners. */
  clear(): void {
    this.#subscriptions.clear();
    this.#planned.clear();
  }
}

/**
 * Whether two targets are the same host. The aliases on the way, the source and `stale` do not matter, because no connection has to
 * move for them.
 */
export function isSameTarget(one: Target, other: Target): boolean {
  checkObject('one', one);
  checkObject('other', other);
  return one.externalName === other.externalName;
}

/** What events say about a target. */
export function factsOf(name: string, { externalName, via, source, version }: Target): TargetFacts {
  return { name, target: externalName, via, source, version };
}

function deliver<Told>(listener: (told: Told) => void, told: Told): void {
  try {
    listener(told);
  } catch (error) {
    backgroundFailed.publish(() => ({ what: 'calling a listener for targets', error }));
  }
}
