import type { Clock, Random, ServiceReference } from '@externalname/core';
import { numberOf } from '@externalname/core/internal';
import type { KubeConfigOption } from '../api/kube-config.ts';
import type { KubernetesApi } from '../api/kubernetes-api.ts';
import { type ServiceSnapshot, serviceKind } from '../api/services.ts';
import { ObjectWatch, type ObjectWatchListener, type Observation, type WatchSettings } from './object-watch.ts';

/** What the server said of the Service. */
export type ServiceObservation = Observation<ServiceSnapshot, ServiceReference>;

/** What a watch knows. */
export interface WatchedState {
  /** What was observed last; absent before the first answer. */
  readonly last?: ServiceObservation;
  /** Why `last` cannot be confirmed now; absent while the watch is open. */
  readonly failure?: { readonly error: unknown; readonly failed: 'list' | 'watch' };
}

/** What identifies a watch: sources with the same cluster, Service and times share one. */
export interface WatchIdentity {
  readonly kubeConfig: KubeConfigOption | undefined;
  readonly service: string;
  /** As the caller gave it; if undefined, the context's. */
  readonly namespace: string | undefined;
  readonly clusterDomain: string | undefined;
  readonly settings: WatchSettings;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * One watch for all sources in this process that follow the same Service. It runs while a source is attached.
 */
export class SharedWatch {
  readonly #watch: ObjectWatch<ServiceSnapshot, ServiceReference>;
  readonly #listeners = new Set<() => void>();
  readonly #clock: Clock;
  #state: WatchedState = {};
  #heardAt: number | undefined;

  constructor(identity: WatchIdentity, api: KubernetesApi, reference: () => Promise<ServiceReference>) {
    const listener: ObjectWatchListener<ServiceSnapshot, ServiceReference> = {
      observed: (last) => {
        this.#heardAt = this.#clock.now();
        const { failure } = this.#state;
        this.#change({ last, ...(failure?.failed === 'watch' && { failure }) });
      },
      connected: () => {
        this.#heardAt = this.#clock.now();
        if (this.#state.failure !== undefined) this.#change(withoutFailure(this.#state));
      },
      unavailable: (error, failed) => this.#change({ ...this.#state, failure: { error, failed } }),
    };
    const { settings, clock, random } = identity;
    this.#clock = clock;
    this.#watch = new ObjectWatch({ api, kind: serviceKind, reference, settings, clock, random }, listener);
  }

  get state(): WatchedState {
    return this.#state;
  }

  /** How long ago the server told or confirmed what is known. At most the allowed silence of a watch, while all is well. */
  get heardMillisAgo(): number | undefined {
    return this.#heardAt === undefined ? undefined : this.#clock.now() - this.#heardAt;
  }

  get isFollowed(): boolean {
    return this.#listeners.size > 0;
  }

  /** Calls back after each change of `state`, never inside this call. */
  attach(listener: () => void): void {
    this.#listeners.add(listener);
    this.#watch.start();
  }

  /** Resolves when the watch is over, if this was the last listener. */
  async detach(listener: () => void): Promise<void> {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    // What was known is no longer followed, so the next source starts without it.
    this.#state = {};
    await this.#watch.stop();
  }

  #change(state: WatchedState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The watch of that identity, running or not. */
export function sharedWatch(identity: WatchIdentity, make: () => SharedWatch): SharedWatch {
  const key = keyOf(identity);
  const known = watches.get(key);
  if (known !== undefined) return known;
  const made = make();
  watches.set(key, made);
  return made;
}

/** Forgets a watch without followers, so that the registry does not grow with every Service ever followed. */
export function releaseWatch(identity: WatchIdentity, watch: SharedWatch): void {
  const key = keyOf(identity);
  if (!watch.isFollowed && watches.get(key) === watch) watches.delete(key);
}

function withoutFailure(state: WatchedState): WatchedState {
  return state.last === undefined ? {} : { last: state.last };
}

const watches = new Map<string, SharedWatch>();

function keyOf(identity: WatchIdentity): string {
  const { kubeConfig, service, namespace, clusterDomain, settings, clock, random } = identity;
  const config = typeof kubeConfig === 'object' ? numberOf(kubeConfig) : (kubeConfig ?? null);
  return JSON.stringify([
    config,
    service,
    namespace ?? null,
    clusterDomain ?? null,
    settings,
    numberOf(clock),
    numberOf(random),
  ]);
}
