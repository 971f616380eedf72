import {
  ClosedError,
  type CurrentOptions,
  type Dependencies,
  DnsTargetSource,
  InvalidArgumentError,
  type PlannedSwitch,
  type Resolver,
  type ServiceReference,
  type Target,
  type TargetSource,
} from '@externalname/core';
import {
  abortable,
  aNumber,
  anObjectWith,
  anything,
  aText,
  checkCurrentOptions,
  checkOptions,
  dependenciesOf,
  optional,
  ownOptions,
  SourceHealth,
  TargetFeed,
  withDeadline,
} from '@externalname/core/internal';
import { canonicalName, isWithin } from '@externalname/core/names';
import { KubernetesUnavailableError, ServiceNotFoundError } from '../api/errors.ts';
import { checkKubeConfig, type KubeConfigOption } from '../api/kube-config.ts';
import { KubernetesApi } from '../api/kubernetes-api.ts';
import { readPlan } from '../api/planned-switch.ts';
import { type PendingReference, pendingReference } from '../api/reference.ts';
import { getService, readService } from '../api/services.ts';
import { NotExternalNameError } from '../errors.ts';
import type { WatchSettings } from './object-watch.ts';
import { releaseWatch, type ServiceObservation, SharedWatch, sharedWatch, type WatchIdentity } from './shared-watch.ts';
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
  /** Timeout of one request, and of the start of a watch. Milliseconds, 100 to 60000. @defaultValue 10000 */
  requestTimeoutMillis?: number | undefined;
  /**
   * Longest silence of a watch before its connection counts as lost. The source asks the server to end each watch a little
   * earlier, so a quiet Service costs one request in that time. Milliseconds, 2000 to 600000.
   * @defaultValue 35000
   */
  silenceMillis?: number | undefined;
  /** First delay before a reconnect; doubles with each failure. Milliseconds, 1 to 60000. @defaultValue 200 */
  reconnectInitialMillis?: number | undefined;
  /** Longest delay before a reconnect. Milliseconds, 1 to 600000. @defaultValue 15000 */
  reconnectMaxMillis?: number | undefined;
  /**
   * Resolves the rest of the chain if the Service points to another Service in the cluster. It stays the caller's: closing the
   * source does not close it. @defaultValue none: that Service's own name is then the target
   */
  resolver?: Resolver | undefined;
}

/**
 * Follows a Service through the Kubernetes API, which pushes a switch within milliseconds, long before DNS shows it.
 *
 * Needs `get`, `list` and `watch` on that one Service (`resourceNames` suffices). All sources of a process for the same
 * Service and configuration share one watch. While the API is unreachable, the source keeps the last target, marked `stale`;
 * combine it with DNS in a `FirstAvailableTargetSource` to follow switches meanwhile.
 *
 * A switch that {@link switchTarget} announces (`announceMillis`) reaches pools before the Service changes.
 *
 * If the Service points to another Service in the cluster, `resolver` follows the chain to the first name outside, at the pace of
 * DNS: a switch of the second Service is not pushed.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for options out of bounds
 *
 * @example
 * ```ts
 * const source = kubernetesSource({ service: 'webscaler-db' });
 * source.subscribe((target) => console.log(target.externalName));
 * ```
 */
export function kubernetesSource(options: KubernetesSourceOptions, dependencies: Dependencies = {}): TargetSource {
  return new KubernetesTargetSource(options, dependencies);
}

class KubernetesTargetSource implements TargetSource {
  readonly #identity: WatchIdentity;
  readonly #service: PendingReference;
  readonly #resolver: Resolver | undefined;
  readonly #api: KubernetesApi;
  readonly #feed = new TargetFeed();
  readonly #health: SourceHealth;
  readonly #closing = new AbortController();
  /** Callers that wait for the first answer of the watch. */
  readonly #waiting = new Set<() => void>();
  /** What has to end before `close()` resolves. */
  readonly #ending = new Set<Promise<void>>();
  readonly #onChange = () => this.#learn();
  #state: State = { state: 'idle', learned: nothing, failure: undefined };
  /** The request for the Service that is under way; all callers share it. */
  #asking: Promise<Problem | undefined> | undefined;

  constructor(given: KubernetesSourceOptions, dependencies: Dependencies) {
    checkOptions(given, {
      service: aText,
      namespace: optional(aText),
      clusterDomain: optional(aText),
      kubeConfig: anything,
      requestTimeoutMillis: numberIn(100, 60_000),
      silenceMillis: numberIn(2_000, 600_000),
      reconnectInitialMillis: numberIn(1, 60_000),
      reconnectMaxMillis: numberIn(1, 600_000),
      resolver: optional(anObjectWith('resolve')),
    });
    const options = ownOptions(given);
    checkKubeConfig(options.kubeConfig);
    const { clock, random } = dependenciesOf(dependencies);
    const { kubeConfig, namespace, clusterDomain } = options;
    this.#api = new KubernetesApi(kubeConfig, clock);
    this.#service = pendingReference(options, () => this.#api.namespace());
    this.#resolver = options.resolver;
    this.#health = new SourceHealth('kubernetes', clock);
    const service = canonicalName(options.service);
    this.#identity = { kubeConfig, service, namespace, clusterDomain, settings: watchSettings(options), clock, random };
  }

  async current(options: CurrentOptions = {}): Promise<Target> {
    checkCurrentOptions(options);
    const { fresh = false, signal } = options;
    const problem = await this.#consult(fresh, signal);
    const hopProblem = await this.#consultHop(fresh, signal);
    const { known } = this.#open().learned;
    const reason = problem ?? hopProblem;
    if (known === undefined) throw reason?.error ?? new ClosedError('the target source');
    return reason === undefined ? known : staleForm(known);
  }

  get known(): Target | undefined {
    const state = this.#state;
    if (state.state === 'closed') return undefined;
    const { known, said } = state.learned;
    const isStale = problemOf(state) !== undefined || (said.kind === 'hop' && said.inner.known?.stale === true);
    return known !== undefined && isStale ? staleForm(known) : known;
  }

  get confirmedMillisAgo(): number | undefined {
    const state = this.#state;
    if (state.state === 'closed' || state.learned.known === undefined) return undefined;
    const { said, askedAt } = state.learned;
    const askedMillisAgo = askedAt === undefined ? undefined : this.#identity.clock.now() - askedAt;
    const heardMillisAgo = state.state === 'following' ? state.watch.heardMillisAgo : undefined;
    const ages = [heardMillisAgo ?? askedMillisAgo, said.kind === 'hop' ? said.inner.confirmedMillisAgo : undefined];
    const told = ages.filter((age) => age !== undefined);
    // A chain is as fresh as its oldest part.
    return told.length === 0 ? undefined : Math.max(...told);
  }

  subscribe(listener: (target: Target) => void): () => void {
    const state = this.#open();
    if (state.state === 'idle') this.#follow(state.learned);
    const end = this.#feed.subscribe(listener, this.#open().learned.known);
    return () => {
      end();
      if (!this.#feed.isFollowed) this.#leave();
    };
  }

  subscribePlanned(listener: (plan: PlannedSwitch | undefined) => void): () => void {
    this.#open();
    return this.#feed.subscribePlanned(listener);
  }

  async close(): Promise<void> {
    this.#feed.clear();
    this.#closing.abort(new ClosedError('the target source'));
    this.#leave();
    if (this.#state.state === 'idle') this.#drop(this.#state.learned.said);
    this.#state = { state: 'closed' };
    await Promise.all([...this.#ending, this.#asking]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): OpenState {
    if (this.#state.state === 'closed') throw new ClosedError('the target source');
    return this.#state;
  }

  /** Makes sure that the Service has been read; resolves with the reason if it cannot be confirmed. */
  async #consult(fresh: boolean, signal: AbortSignal | undefined): Promise<Problem | undefined> {
    const before = this.#open();
    if (!fresh && before.state === 'following') {
      const isUnknown = before.learned.said.kind === 'nothing' && problemOf(before) === undefined;
      if (isUnknown) await this.#waitForFirstAnswer(signal);
      const state = this.#open();
      // If the last subscriber has left meanwhile, the watch is gone, and this caller has to ask.
      if (state.state === 'following') return problemOf(state);
    }
    return abortable(this.#ask(), signal);
  }

  /** Makes sure that the rest of the chain is known, if the Service points to another one. */
  async #consultHop(fresh: boolean, signal: AbortSignal | undefined): Promise<Problem | undefined> {
    const { said } = this.#open().learned;
    if (said.kind !== 'hop') return undefined;
    try {
      const target = await said.inner.current({ fresh, signal });
      // The Service was switched meanwhile: only the chain that it starts now counts.
      if (!this.#leadsTo(said)) return this.#consultHop(fresh, signal);
      this.#becomeInner(said, target);
      return target.stale ? { error: new Error('the rest of the chain cannot be confirmed') } : undefined;
    } catch (error) {
      signal?.throwIfAborted();
      return { error };
    }
  }

  #follow(learned: Learned): void {
    const make = () => new SharedWatch(this.#identity, this.#api, () => this.#service.complete());
    const watch = sharedWatch(this.#identity, make);
    this.#state = { state: 'following', learned, watch };
    if (learned.said.kind === 'hop') this.#followHop(learned.said);
    watch.attach(this.#onChange);
    this.#learn(); // Another source may have learned it already.
  }

  #leave(): void {
    const state = this.#state;
    if (state.state !== 'following') return;
    const { watch, learned } = state;
    this.#state = { state: 'idle', learned, failure: undefined };
    if (learned.said.kind === 'hop') learned.said.unsubscribe();
    this.#finish(watch.detach(this.#onChange));
    releaseWatch(this.#identity, watch);
    this.#wake();
  }

  /** Takes over what the watch knows. Runs after each of its changes, so no state in between is missed. */
  #learn(): void {
    const state = this.#state;
    if (state.state !== 'following') return;
    const { last } = state.watch.state;
    if (last !== undefined) this.#accept(last);
    this.#report(last?.reference);
    this.#wake();
  }

  /** Requests the Service, once for all callers. Resolves with the reason if there is no good answer. */
  #ask(): Promise<Problem | undefined> {
    this.#asking ??= this.#get().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #get(): Promise<Problem | undefined> {
    let reference: ServiceReference | undefined;
    let failure: Problem | undefined;
    try {
      reference = await this.#service.complete();
      const service = await getService(this.#api, reference, readService, {
        timeoutMillis: this.#identity.settings.requestTimeoutMillis,
        signal: this.#closing.signal,
      });
      const answered = this.#open();
      this.#state = { ...answered, learned: { ...answered.learned, askedAt: this.#identity.clock.now() } };
      this.#accept({ reference, object: service, resourceVersion: service.resourceVersion, reset: false });
    } catch (error) {
      failure = { error };
    }
    const state = this.#state;
    if (state.state === 'closed') return failure;
    if (state.state === 'idle') {
      this.#state = { ...state, failure };
      this.#report(reference);
    }
    // An open watch knows better than one failed request, so only this caller learns of the failure.
    return failure ?? objectionOf(state.learned);
  }

  #accept({ reference, object: service, resourceVersion: version, reset }: ServiceObservation): void {
    const state = this.#state;
    if (state.state === 'closed') return;
    const { learned } = state;
    // The watch and single requests both lead here, and one of them may be behind the other.
    if (!reset && learned.version !== undefined && isOlder(version, learned.version)) return;
    const said = this.#read(reference, service, learned.said);
    const planned = service?.planned;
    this.#state = { ...state, learned: { ...learned, version, said, planned } };
    // One that was there before is old: who announced it may be gone.
    const isNews = learned.version !== undefined && planned !== learned.planned;
    if (isNews && planned !== undefined) this.#feed.plan(readPlan(planned));
    if (said === learned.said) {
      if (isNews && planned === undefined) this.#feed.plan(undefined);
      return;
    }
    this.#drop(learned.said);
    if (said.kind === 'hop' && state.state === 'following') this.#followHop(said);
    if (said.kind !== 'host') return;
    this.#become({ externalName: said.externalName, via: [reference.fullName], version: said.version });
  }

  /** What the Service says; `before` itself if that is the same name. */
  #read(reference: ServiceReference, service: ServiceObservation['object'], before: Said): Said {
    if (service === undefined) {
      return { kind: 'objection', error: new ServiceNotFoundError(reference.name, reference.namespace) };
    }
    if (service.type !== 'ExternalName' || service.externalName === undefined) {
      return { kind: 'objection', error: new NotExternalNameError(reference, service.type) };
    }
    const externalName = canonicalName(service.externalName);
    if ('externalName' in before && before.externalName === externalName) return before;
    const host = { externalName, version: service.resourceVersion };
    const { clusterDomain, fullName } = reference;
    const { clock, random } = this.#identity;
    if (this.#resolver === undefined || !isWithin(externalName, clusterDomain)) return { kind: 'host', ...host };
    const inner = new DnsTargetSource(
      { name: externalName, resolver: this.#resolver, clusterDomain },
      { clock, random },
    );
    return { kind: 'hop', ...host, from: fullName, inner, unsubscribe: () => undefined };
  }

  #followHop(hop: Hop): void {
    hop.unsubscribe = hop.inner.subscribe((target) => {
      if (this.#leadsTo(hop)) this.#becomeInner(hop, target);
    });
  }

  #leadsTo(hop: Hop): boolean {
    return this.#state.state !== 'closed' && this.#state.learned.said === hop;
  }

  /** The Service points to another Service of the cluster, which points to this target. */
  #becomeInner({ from, version: outerVersion }: Hop, { externalName, via, version }: Target): void {
    this.#become({ externalName, via: [from, ...via], version: `${outerVersion}-${version}` });
  }

  #become({ externalName, via, version }: Pick<Target, 'externalName' | 'via' | 'version'>): void {
    const state = this.#open();
    const previous = state.learned.known;
    if (previous?.externalName === externalName) return;
    const names = Object.freeze([...via]);
    const known: Target = Object.freeze({ externalName, via: names, version, source: 'kubernetes', stale: false });
    this.#state = { ...state, learned: { ...state.learned, known } };
    this.#feed.change(nameOf(known), known, previous);
  }

  #drop(said: Said): void {
    if (said.kind !== 'hop') return;
    said.unsubscribe();
    this.#finish(said.inner.close());
  }

  #finish(work: Promise<void>): void {
    const over: Promise<void> = work.finally(() => this.#ending.delete(over));
    this.#ending.add(over);
  }

  #report(reference: ServiceReference | undefined): void {
    const state = this.#state;
    if (state.state === 'closed') return;
    const problem = problemOf(state);
    const { known } = state.learned;
    if (problem === undefined) {
      if (known !== undefined) this.#health.confirmed(nameOf(known), known);
      return;
    }
    const name = reference?.fullName ?? (known === undefined ? this.#service.given.fullName : nameOf(known));
    this.#health.degraded(name, known, problem.error);
  }

  async #waitForFirstAnswer(signal: AbortSignal | undefined): Promise<void> {
    const { clock, settings } = this.#identity;
    // The list and the watch each have this long before they report a failure.
    const timeoutMillis = 2 * settings.requestTimeoutMillis;
    let wake = () => {};
    const answered = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiting.add(wake);
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
      this.#waiting.delete(wake);
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

type State = OpenState | { readonly state: 'closed' };

type OpenState =
  /** Without subscribers, it requests the Service when `current()` is called; `failure` is why the last request failed. */
  | { readonly state: 'idle'; readonly learned: Learned; readonly failure: Problem | undefined }
  /** With subscribers, the watch holds the newest answer, or the reason why there is none. */
  | { readonly state: 'following'; readonly learned: Learned; readonly watch: SharedWatch };

interface Learned {
  /** Version of the newest answer that counted. */
  readonly version: string | undefined;
  /** What that answer says. */
  readonly said: Said;
  /** What that answer announces. */
  readonly planned?: string | undefined;
  /** When a request for the Service was answered last. */
  readonly askedAt: number | undefined;
  /** The last good target. It stays while the Service does not name one. */
  readonly known: Target | undefined;
}

type Said =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'host'; readonly externalName: string; readonly version: string }
  | Hop
  | { readonly kind: 'objection'; readonly error: Error };

/** The Service points to another Service of the cluster, and DNS says where the chain leads from there. */
interface Hop {
  readonly kind: 'hop';
  readonly externalName: string;
  readonly version: string;
  /** Full name of the Service. */
  readonly from: string;
  readonly inner: DnsTargetSource;
  /** Ends what {@link KubernetesTargetSource.#followHop} began. */
  unsubscribe: () => void;
}

/** Why the target cannot be confirmed. */
interface Problem {
  readonly error: unknown;
}

const nothing: Learned = { version: undefined, said: { kind: 'nothing' }, askedAt: undefined, known: undefined };

function problemOf(state: OpenState): Problem | undefined {
  return (state.state === 'following' ? state.watch.state.failure : state.failure) ?? objectionOf(state.learned);
}

function objectionOf({ said }: Learned): Problem | undefined {
  return said.kind === 'objection' ? said : undefined;
}

function staleForm(target: Target): Target {
  return Object.freeze({ ...target, stale: true });
}

/** The Service's full name: every chain begins with it. */
function nameOf({ via, externalName }: Target): string {
  return via[0] ?? externalName;
}

function watchSettings(options: KubernetesSourceOptions): WatchSettings {
  const initialMillis = options.reconnectInitialMillis ?? 200;
  const maxMillis = options.reconnectMaxMillis ?? 15_000;
  if (maxMillis < initialMillis) {
    throw new InvalidArgumentError('reconnectMaxMillis', 'must be at least reconnectInitialMillis');
  }
  return {
    requestTimeoutMillis: options.requestTimeoutMillis ?? 10_000,
    silenceMillis: options.silenceMillis ?? 35_000,
    reconnect: { initialMillis, maxMillis, stableMillis },
  };
}

const numberIn = (least: number, most: number) => optional(aNumber({ least, most }));

// A connection that lasted this long is not part of a storm.
const stableMillis = 5_000;
