import { isIP } from 'node:net';
import { ClosedError } from '../errors.ts';
import { checkText } from '../input.ts';
import { canonicalName, parseHostName } from '../names/index.ts';
import { aNumber, aText, checkOptions, optional } from '../shape.ts';
import { TargetFeed } from './target-feed.ts';
import {
  type CurrentOptions,
  checkCurrentOptions,
  type PlannedSwitch,
  type Target,
  type TargetSource,
} from './target-source.ts';
import { targetVersion } from './target-version.ts';

/**
 * A target that the application names itself: a fixed host, or one that it changes with {@link StaticTargetSource.set}
 * when it learns of a switch in another way. It makes no requests.
 *
 * @example
 * ```ts
 * const source = new StaticTargetSource('primary-db.example.com');
 * source.set('secondary-db.example.com'); // a switch
 * ```
 */
export class StaticTargetSource implements TargetSource {
  readonly #feed = new TargetFeed();
  #target: Target;
  #closed = false;

  /**
   * @param host a host name, or an IP address
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if it is neither
   */
  constructor(host: string) {
    this.#target = staticTarget(host);
  }

  /** See {@link TargetSource.current}. */
  async current(options: CurrentOptions = {}): Promise<Target> {
    checkCurrentOptions(options);
    if (this.#closed) throw new ClosedError('the target source');
    return this.#target;
  }

  /** See {@link TargetSource.known}. */
  get known(): Target | undefined {
    return this.#closed ? undefined : this.#target;
  }

  /** See {@link TargetSource.confirmedMillisAgo}: the application itself is the authority. */
  get confirmedMillisAgo(): number | undefined {
    return this.#closed ? undefined : 0;
  }

  /** See {@link TargetSource.subscribe}. */
  subscribe(listener: (target: Target) => void): () => void {
    if (this.#closed) throw new ClosedError('the target source');
    return this.#feed.subscribe(listener, this.#target);
  }

  /**
   * Changes the host. Subscribers are called soon after, not inside this call.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for anything but a host name or an IP address
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   */
  set(host: string): void {
    if (this.#closed) throw new ClosedError('the target source');
    const previous = this.#target;
    const target = staticTarget(host);
    if (target.externalName === previous.externalName) return;
    this.#target = target;
    this.#feed.change(target.externalName, target, previous);
  }

  /** See {@link TargetSource.subscribePlanned}. */
  subscribePlanned(listener: (plan: PlannedSwitch | undefined) => void): () => void {
    if (this.#closed) throw new ClosedError('the target source');
    return this.#feed.subscribePlanned(listener);
  }

  /**
   * Announces a switch that {@link StaticTargetSource.set} will carry out, so that pools hold new work while you promote the new server;
   * `undefined` gives it up.
   *
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a plan that cannot be used
   * @throws ClosedError `ERR_EXTERNALNAME_CLOSED`
   */
  plan(plan: PlannedSwitch | undefined): void {
    if (this.#closed) throw new ClosedError('the target source');
    const millis = optional(aNumber({ least: 0, most: 2 ** 31 - 1, unit: 'milliseconds' }));
    if (plan !== undefined) checkOptions(plan, { to: optional(aText), startsInMillis: millis, holdMillis: millis });
    const to = plan?.to;
    this.#feed.plan(plan && { ...plan, to: to === undefined ? undefined : staticTarget(to).externalName });
  }

  /** See {@link TargetSource.close}. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#feed.clear();
  }

  /** Calls `close()`, at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function staticTarget(host: string): Target {
  checkText('host', host);
  const externalName = isIP(host) === 0 ? parseHostName(host, 'host') : canonicalName(host);
  const name = { externalName, via: [] };
  return Object.freeze({ ...name, version: targetVersion(name), source: 'static', stale: false });
}
