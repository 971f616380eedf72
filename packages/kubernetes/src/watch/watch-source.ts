import {
  type Clock,
  ClosedError,
  type CurrentOptions,
  DnsTargetSource,
  InvalidArgumentError,
  isExternalNameError,
  type Random,
  type Resolver,
  type ServiceReference,
  systemClock,
  systemRandom,
  type Target,
  type TargetSource,
} from '@externalname/core';
import { sourceDegraded, sourceRecovered, targetChanged } from '@externalname/core/events';
import {
  abortable,
  aFunction,
  anObjectWith,
  aText,
  checkNumber,
  checkOptions,
  optional,
  ownOptions,
  TargetFeed,
  withDeadline,
} from '@externalname/core/internal';
import { canonicalName, isWithin } from '@externalname/core/names';
import { KubernetesUnavailableError, ServiceNotFoundError } from '../api/errors.ts';
import { checkKubeConfig, type KubeConfigOption } from '../api/kube-config.ts';
import { KubernetesApi } from '../api/kubernetes-api.ts';
import { type PendingReference, pendingReference } from '../api/reference.ts';
import { getService, readService } from '../api/services.ts';
import { NotExternalNameError } from '../errors.ts';
import type { Observation, WatchSettings } from './service-watch.ts';
import { releaseWatch, SharedWatch, sharedWatch, type WatchIdentity } from './shared-watch.ts';
import { isOlder } from './watch-event.ts';

/** See {@link kubernetesSource}. */
export interface KubernetesSourceOptions {
  /** `webscaler-db`, or with its namespace: `webscaler-db.default`, `webscaler-db.default.svc.cluster.local`. */
  service: string;
  /** Completes a short name. @defaultValue the one in `service`, else that of the kubeconfig's context or of the pod, else `default` */
  namespace?: string | undefined;
  /** The cluster's DNS domain. @defaultValue the one in `service`, else that of resolv.conf, else `cluster.local` */
  clusterDomain?: string | undefined;
  /** Where the API is, and how to log in. @defaultValue as kubectl: the files that `KUBECONFIG` lists, else `~/.kube/config`, else the pod's service account */
  kubeConfig?: KubeConfigOption | undefined;
  /** Longest time for one request, and until a watch begins. Milliseconds, 100 to 60000. @defaultValue 10000 */
  requestTimeoutMillis?: number | undefined;
  /**
   * Longest time that a watch may say nothing before its connection counts as lost. The server is asked to end each
   * watch a little earlier, so a quiet Service costs one request in that time. Milliseconds, 2000 to 600000.
   * @defaultValue 35000
   */
  silenceMillis?: number | undefined;
  /** First wait before a lost connection is made again; doubles with each failure. Milliseconds, 1 to 60000. @defaultValue 200 */
  reconnectInitialMillis?: number | undefined;
  /** Longest wait between two tries. Milliseconds, 1 to 600000. @defaultValue 15000 */
  reconnectMaxMillis?: number | undefined;
  /**
   * Who finds out where the chain leads on, where the Service points to another Service of the cluster. It stays the
   * caller's. @defaultValue nobody: that Service's own name is the target then
   */
  resolver?: Resolver | undefined;
  /** For tests. */
  clock?: Clock | undefined;
  /** For tests. */
  random?: Random | undefined;
}

/**
 * Follows a Service through the Kubernetes API: a switch is known within milliseconds, and not when DNS says so.
 *
 * Needs `get`, `list` and `watch` on that one Service (`resourceNames` suffices). All sources of a process for the same
 * Service and configuration share one watch. While the API cannot be reached the last target stays, marked `stale`;
 * combine it with DNS by `firstAvailable` to go on learning meanwhile.
 *
 * A Service that points to another Service of the cluster is followed to the first name outside by `resolver`, at the pace of DNS:
 * a switch of the second Service is not pushed.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for options out of bounds
 *
 * @example
 * ```ts
 * const source = kubernetesSource({ service: 'webscaler-db' });
 * source.subscribe((target) => console.log(target.externalName));
 * ```
 */
export function kubernetesSource(options: KubernetesSourceOptions): TargetSource {
  return new KubernetesTargetSource(options);
}

class KubernetesTargetSource implements TargetSource {
  readonly #identity: WatchIdentity;
  readonly #service: PendingReference;
  readonly #resolver: Resolver | undefined;
  readonly #api: KubernetesApi;
  readonly #feed = new TargetFeed();
  readonly #closing = new AbortController();
  readonly #firstAnswer = new Set<() => void>();
  readonly #onChange = () => this.#learn();
  #watch: SharedWatch | undefined;
  #leaving: Promise<void> = Promise.resolve();
  #asking: Promise<Problem | undefined> | undefined;
  /** The last good target, and under which full name it was learned. */
  #known: { readonly target: Target; readonly reference: ServiceReference } | undefined;
  /** Where the Service itself points. */
  #outer: Outer | undefined;
  /** Follows the rest of the chain, where the Service points into the cluster. */
  #inner: DnsTargetSource | undefined;
  #unsubscribeInner: (() => void) | undefined;
  /** Version of the newest answer that counted. */
  #newest: string | undefined;
  /** What the newest answer says instead of a target. */
  #objection: Error | undefined;
  /** Why there is no newer answer. */
  #failure: Problem | undefined;
  #degradedSince: number | undefined;
  /** When a request of its own was answered last. */
  #askedAt: number | undefined;

  constructor(given: KubernetesSourceOptions) {
    checkOptions(given, {
      service: aText,
      namespace: optional(aText),
      clusterDomain: optional(aText),
      resolver: optional(anObjectWith('resolve')),
      clock: optional(anObjectWith('now', 'date', 'schedule')),
      random: optional(aFunction),
    });
    const options = ownOptions(given);
    checkKubeConfig(options.kubeConfig);
    const { kubeConfig, clock = systemClock, random = systemRandom } = options;
    this.#api = new KubernetesApi(kubeConfig, clock);
    this.#service = pendingReference(options, () => this.#api.namespace());
    this.#resolver = options.resolver;
    this.#identity = {
      kubeConfig,
      service: canonicalName(options.service),
      namespace: options.namespace,
      clusterDomain: options.clusterDomain,
      settings: watchSettings(options),
      clock,
      random,
    };
  }

  async current(options: CurrentOptions = {}): Promise<Target> {
    const { fresh = false, signal } = options;
    signal?.throwIfAborted();
    this.#throwIfClosed();
    const problem = await this.#consult(fresh, signal);
    this.#throwIfClosed();
    const innerProblem = await this.#consultInner(fresh, signal);
    this.#throwIfClosed();
    return this.#answer(problem ?? innerProblem);
  }

  get known(): Target | undefined {
    if (this.#known === undefined || this.#closing.signal.aborted) return undefined;
    const inner = this.#inner?.known;
    const innerProblem = inner?.stale ? { error: new Error('the rest of the chain cannot be confirmed') } : undefined;
    return this.#answer(this.#problem() ?? innerProblem);
  }

  get confirmedMillisAgo(): number | undefined {
    const ages = [this.#watch?.heardMillisAgo ?? this.#askedMillisAgo(), this.#inner?.confirmedMillisAgo];
    const known = ages.filter((age) => age !== undefined);
    // A chain is as fresh as its oldest part.
    return this.#known === undefined || known.length === 0 ? undefined : Math.max(...known);
  }

  subscribe(listener: (target: Target) => void): () => void {
    this.#throwIfClosed();
    if (this.#watch === undefined) this.#follow();
    const end = this.#feed.subscribe(listener, this.#known?.target);
    return () => {
      end();
      if (!this.#feed.isFollowed) this.#leave();
    };
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#feed.clear();
      this.#closing.abort(new ClosedError('the target source'));
      this.#leave();
      this.#dropInner();
    }
    await Promise.all([this.#leaving, this.#asking]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #askedMillisAgo(): number | undefined {
    return this.#askedAt === undefined ? undefined : this.#identity.clock.now() - this.#askedAt;
  }

  /** Makes sure that what the Service says is known; resolves with why it cannot be confirmed. */
  async #consult(fresh: boolean, signal: AbortSignal | undefined): Promise<Problem | undefined> {
    if (!fresh && this.#watch !== undefined) {
      if (this.#outer === undefined && this.#problem() === undefined) await this.#waitForFirstAnswer(signal);
      this.#throwIfClosed();
      // Whoever subscribed may have left meanwhile; then nobody else is asking.
      if (this.#watch !== undefined) return this.#problem();
    }
    return abortable(this.#ask(), signal);
  }

  async #consultInner(fresh: boolean, signal: AbortSignal | undefined): Promise<Problem | undefined> {
    const inner = this.#inner;
    if (inner === undefined) return undefined;
    try {
      const target = await inner.current({ fresh, signal });
      if (inner === this.#inner) this.#adoptInner(target);
      return target.stale ? { error: new Error('the rest of the chain cannot be confirmed') } : undefined;
    } catch (error) {
      signal?.throwIfAborted();
      return { error };
    }
  }

  #throwIfClosed(): void {
    if (this.#closing.signal.aborted) throw new ClosedError('the target source');
  }

  /** The last good target, marked where `problem` keeps it from being confirmed. */
  #answer(problem: Problem | undefined): Target {
    if (this.#known === undefined) throw problem?.error ?? new ClosedError('the target source');
    const { target } = this.#known;
    return problem === undefined ? target : Object.freeze({ ...target, stale: true });
  }

  #problem(): Problem | undefined {
    return this.#failure ?? (this.#objection && { error: this.#objection });
  }

  #follow(): void {
    const identity = this.#identity;
    const make = () => new SharedWatch(identity, this.#api, () => this.#service.complete());
    this.#watch = sharedWatch(identity, make);
    this.#failure = undefined;
    this.#watch.attach(this.#onChange);
    this.#followInner();
    this.#learn(); // Another source may have learned it already.
  }

  #leave(): void {
    const watch = this.#watch;
    if (watch === undefined) return;
    this.#watch = undefined;
    this.#failure = undefined;
    this.#unsubscribeInner?.();
    this.#unsubscribeInner = undefined;
    this.#leaving = Promise.all([this.#leaving, watch.detach(this.#onChange)]).then(() => undefined);
    releaseWatch(this.#identity, watch);
    this.#wake();
  }

  /** Takes over what the watch knows. Called for each change of it, so no state in between is missed. */
  #learn(): void {
    const state = this.#watch?.state;
    if (state === undefined) return;
    this.#failure = state.failure;
    if (state.last !== undefined) this.#accept(state.last);
    this.#report(state.last?.reference);
    this.#wake();
  }

  /** Asks for the Service itself, once for all who ask meanwhile. Resolves with why there is no good answer. */
  #ask(): Promise<Problem | undefined> {
    this.#asking ??= this.#get().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #get(): Promise<Problem | undefined> {
    let reference: ServiceReference | undefined;
    let refusal: Problem | undefined;
    try {
      reference = await this.#service.complete();
      const service = await getService(this.#api, reference, readService, {
        timeoutMillis: this.#identity.settings.requestTimeoutMillis,
        signal: this.#closing.signal,
      });
      this.#askedAt = this.#identity.clock.now();
      this.#accept({ reference, service, resourceVersion: service.resourceVersion, reset: false });
      refusal = this.#objection && { error: this.#objection };
    } catch (error) {
      refusal = { error };
    }
    // While a watch stands, it knows better than one request that failed.
    if (this.#watch === undefined && !this.#closing.signal.aborted) {
      this.#failure = this.#objection === undefined ? refusal : undefined;
      this.#report(reference);
    }
    return refusal;
  }

  #accept({ reference, service, resourceVersion, reset }: Observation): void {
    if (this.#closing.signal.aborted) return;
    // Two ways lead here, the watch and single requests: what was overtaken on the other one is old.
    if (!reset && this.#newest !== undefined && isOlder(resourceVersion, this.#newest)) return;
    this.#newest = resourceVersion;
    if (service === undefined) {
      this.#objection = new ServiceNotFoundError(reference.name, reference.namespace);
    } else if (service.type !== 'ExternalName' || service.externalName === undefined) {
      this.#objection = new NotExternalNameError(reference, service.type);
    } else {
      this.#objection = undefined;
      this.#adopt(canonicalName(service.externalName), resourceVersion, reference);
    }
  }

  #adopt(externalName: string, version: string, reference: ServiceReference): void {
    if (this.#outer?.externalName === externalName) return;
    this.#outer = { externalName, version, reference };
    this.#dropInner();
    const { clock, random } = this.#identity;
    const { clusterDomain } = reference;
    if (this.#resolver !== undefined && isWithin(externalName, clusterDomain)) {
      const resolver = this.#resolver;
      this.#inner = new DnsTargetSource({ name: externalName, resolver, clusterDomain }, { clock, random });
      if (this.#watch !== undefined) this.#followInner();
    } else {
      this.#become({ externalName, via: [reference.fullName], version }, reference);
    }
  }

  /** The Service points to another one of the cluster, and that one to this target. */
  #adoptInner({ externalName, via, version }: Target): void {
    if (this.#outer === undefined) return;
    const { reference, version: outerVersion } = this.#outer;
    this.#become({ externalName, via: [reference.fullName, ...via], version: `${outerVersion}-${version}` }, reference);
  }

  #become(found: Pick<Target, 'externalName' | 'via' | 'version'>, reference: ServiceReference): void {
    const previous = this.#known?.target.externalName;
    if (previous === found.externalName) return;
    const target: Target = Object.freeze({
      ...found,
      via: Object.freeze([...found.via]),
      source: 'kubernetes',
      stale: false,
    });
    this.#known = { target, reference };
    targetChanged.publish(() => ({ ...factsOf(target, reference), ...(previous !== undefined && { previous }) }));
    this.#feed.tell(target);
  }

  #followInner(): void {
    const inner = this.#inner;
    if (inner === undefined || this.#unsubscribeInner !== undefined) return;
    this.#unsubscribeInner = inner.subscribe((target) => {
      if (inner === this.#inner) this.#adoptInner(target);
    });
  }

  #dropInner(): void {
    const inner = this.#inner;
    this.#unsubscribeInner?.();
    this.#unsubscribeInner = undefined;
    this.#inner = undefined;
    if (inner !== undefined) this.#leaving = Promise.all([this.#leaving, inner.close()]).then(() => undefined);
  }

  /** Tells once when the target can no longer be confirmed, and once when it can again. */
  #report(reference: ServiceReference | undefined): void {
    const problem = this.#problem();
    const now = this.#identity.clock.now();
    const { fullName: name } = reference ?? this.#known?.reference ?? this.#service.given;
    if (problem !== undefined && this.#degradedSince === undefined) {
      this.#degradedSince = now;
      const { error } = problem;
      sourceDegraded.publish(() => ({
        name,
        source: 'kubernetes',
        ...(this.#known && { target: this.#known.target.externalName }),
        ...(isExternalNameError(error) && { code: error.code }),
        error,
      }));
    } else if (problem === undefined && this.#degradedSince !== undefined && this.#known !== undefined) {
      const degradedMillis = now - this.#degradedSince;
      const { target, reference: known } = this.#known;
      this.#degradedSince = undefined;
      sourceRecovered.publish(() => ({ ...factsOf(target, known), degradedMillis }));
    }
  }

  async #waitForFirstAnswer(signal: AbortSignal | undefined): Promise<void> {
    const { clock, settings } = this.#identity;
    // The list and the watch each have this long before they report a failure.
    const timeoutMillis = 2 * settings.requestTimeoutMillis;
    let wake = () => {};
    const answered = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#firstAnswer.add(wake);
    try {
      await withDeadline(() => answered, {
        signal,
        timeoutMillis,
        clock,
        onTimeout: () =>
          new KubernetesUnavailableError(`the Kubernetes API gave no answer within ${timeoutMillis} ms`, {
            outcome: 'not-executed',
          }),
      });
    } finally {
      this.#firstAnswer.delete(wake);
    }
  }

  #wake(): void {
    for (const wake of this.#firstAnswer) wake();
  }
}

/** Where a Service itself points, as it says. */
interface Outer {
  readonly externalName: string;
  readonly version: string;
  readonly reference: ServiceReference;
}

/** Why the target cannot be confirmed. */
interface Problem {
  readonly error: unknown;
}

function factsOf(target: Target, reference: ServiceReference) {
  const { externalName, via, version, source } = target;
  return { name: reference.fullName, target: externalName, via, version, source };
}

function watchSettings(options: KubernetesSourceOptions): WatchSettings {
  const initialMillis = inRange(options.reconnectInitialMillis ?? 200, 1, 60_000, 'reconnectInitialMillis');
  const maxMillis = inRange(options.reconnectMaxMillis ?? 15_000, 1, 600_000, 'reconnectMaxMillis');
  if (maxMillis < initialMillis) {
    throw new InvalidArgumentError('reconnectMaxMillis', 'is less than reconnectInitialMillis: make it at least that');
  }
  return {
    requestTimeoutMillis: inRange(options.requestTimeoutMillis ?? 10_000, 100, 60_000, 'requestTimeoutMillis'),
    silenceMillis: inRange(options.silenceMillis ?? 35_000, 2_000, 600_000, 'silenceMillis'),
    reconnect: { initialMillis, maxMillis, stableMillis },
  };
}

function inRange(value: number, least: number, most: number, argument: string): number {
  checkNumber(argument, value, { least, most });
  return value;
}

// A connection that lasted this long was no part of a storm.
const stableMillis = 5_000;
