import type { Clock, Random } from '@externalname/core';
import { inBackground } from '@externalname/core/internal';
import type { KubeConfigOption } from '@externalname/kubernetes';
import { KubernetesRefusedError } from '@externalname/kubernetes';
import {
  attemptOn,
  isText,
  isVersion,
  KubernetesApi,
  type ObjectSnapshot,
  ObjectWatch,
  objectPath,
  type ResourceKind,
  record,
} from '@externalname/kubernetes/internal';
import type { PushContext } from '../engine/engine.ts';

/** An object as it is stored, with its metadata read. */
export interface StoredObject extends ObjectSnapshot {
  readonly annotations: Readonly<Record<string, unknown>>;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A kind of object by its group, version and plural. */
export function kindOf(group: string, version: string, plural: string): ResourceKind<StoredObject> {
  return { group, version, plural, read: readObject };
}

function readObject(object: unknown): StoredObject | undefined {
  const fields = record(object);
  const { name, namespace, resourceVersion, annotations } = record(fields['metadata']);
  if (!isVersion(resourceVersion)) return undefined;
  return {
    name: isText(name) ? name : '',
    namespace: isText(namespace) ? namespace : '',
    resourceVersion,
    annotations: record(annotations),
    fields,
  };
}

/** One object of a cluster that is read and watched. */
export interface WatchedObject {
  readonly kind: ResourceKind<StoredObject>;
  readonly name: string;
}

/** Some objects of one namespace, read past every cache and watched. */
export class KubernetesObjects {
  readonly #api: KubernetesApi;
  readonly #namespace: string | undefined;
  readonly #timeoutMillis: number;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(
    place: {
      readonly kubeConfig: KubeConfigOption | undefined;
      readonly namespace: string | undefined;
      readonly timeoutMillis: number;
    },
    { clock, random }: { readonly clock: Clock; readonly random: Random },
  ) {
    this.#api = new KubernetesApi(place.kubeConfig, clock);
    this.#namespace = place.namespace;
    this.#timeoutMillis = Math.max(100, place.timeoutMillis);
    this.#clock = clock;
    this.#random = random;
  }

  /** The object as the server holds it now; undefined if there is none of that name. */
  async get({ kind, name }: WatchedObject, signal: AbortSignal): Promise<StoredObject | undefined> {
    const namespace = await this.#resolved();
    try {
      // Without a resourceVersion the answer is the newest state, not what a cache of the server holds.
      const answer = await this.#api.json({
        attempt: attemptOn(kind, 'get', { name, namespace }),
        path: objectPath(kind, namespace, name),
        timeoutMillis: this.#timeoutMillis,
        signal,
      });
      return kind.read(answer);
    } catch (error) {
      if (error instanceof KubernetesRefusedError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Watches the objects until the signal fires. `counts` tells whether a change of one matters. */
  async watch(objects: readonly WatchedObject[], { signal, changed, opened }: PushContext): Promise<void> {
    const connected = new Set<string>();
    const watches = objects.map(({ kind, name }) => {
      const reference = async () => ({ name, namespace: await this.#resolved() });
      const settings = { requestTimeoutMillis: 10_000, silenceMillis: 35_000, reconnect };
      const parts = { api: this.#api, kind, reference, settings, clock: this.#clock, random: this.#random };
      return new ObjectWatch(parts, {
        observed: changed,
        connected: () => {
          connected.add(name);
          if (connected.size === objects.length) opened();
        },
        unavailable: () => connected.delete(name),
      });
    });
    inBackground(() => {
      for (const watch of watches) watch.start();
    });
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.all(watches.map((watch) => watch.stop()));
  }

  async #resolved(): Promise<string> {
    return this.#namespace ?? (await this.#api.namespace()) ?? 'default';
  }
}

const reconnect = { initialMillis: 200, maxMillis: 15_000, stableMillis: 5_000 };
