import type { Clock, Timer } from '@externalname/core';
import type { KubernetesObject } from './object.ts';
import { apiVersionOf, type ResourceType, storageKeyOf } from './resources.ts';
import type { Selector } from './selectors.ts';
import { ApiStatusError, type Status } from './status.ts';
import type { ObjectStorage, StorageEvent } from './storage.ts';

/** One line of a watch. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubernetesObject | Status;
}

/** The options of a watch. */
export interface WatchRequest {
  readonly type: ResourceType;
  /** All namespaces if it is left out. */
  readonly namespace: string | undefined;
  readonly selector: Selector;
  /** Empty or `0`: begin with what is there. */
  readonly resourceVersion: string;
  readonly allowBookmarks: boolean;
  /** Begin with what is there, then say so in a bookmark (`sendInitialEvents`). */
  readonly sendInitialEvents: boolean;
  /** Seconds until the server ends it. */
  readonly timeoutSeconds: number;
}

/** Where a watch's events go. */
export interface WatchOutput {
  send(event: WatchEvent): void;
  end(): void;
}

/** See {@link startWatch}. */
export interface WatchParts {
  readonly storage: ObjectStorage;
  readonly clock: Clock;
  /** How often a bookmark comes, in milliseconds. */
  readonly bookmarkIntervalMillis: number;
  readonly output: WatchOutput;
}

/**
 * Sends the changes of a type's objects until the returned function is called or the time is up. An object that begins
 * or ceases to match the selector counts as added or deleted.
 *
 * If the resource version is forgotten, the watch gets an ERROR event, 410 Expired, as from the API server's watch cache.
 *
 * Source: Kubernetes documentation, "Kubernetes API Concepts", efficient detection of changes.
 */
export function startWatch(
  request: WatchRequest,
  { storage, clock, bookmarkIntervalMillis, output }: WatchParts,
): () => void {
  const timers = new Set<Timer>();
  let unsubscribe = () => {};
  let ended = false;
  const stop = () => {
    ended = true;
    unsubscribe();
    for (const timer of timers) timer.cancel();
    timers.clear();
  };
  const finish = () => {
    if (ended) return;
    stop();
    output.end();
  };
  const after = (millis: number, callback: () => void) => {
    const timer = clock.schedule(
      () => {
        timers.delete(timer);
        callback();
      },
      millis,
      { background: true },
    );
    timers.add(timer);
  };

  const backlog = startingEvents(request, storage);
  if ('error' in backlog) {
    output.send({ type: 'ERROR', object: backlog.error });
    finish();
    return stop;
  }
  for (const event of backlog.events) output.send(event);
  const key = storageKeyOf(request.type);
  unsubscribe = storage.subscribe((event) => {
    if (event.key !== key) return;
    const seen = seenThrough(event, request);
    if (seen !== undefined) output.send(seen);
  });

  const bookmark = () => {
    output.send(bookmarkAt(request.type, storage.resourceVersion));
    after(bookmarkIntervalMillis, bookmark);
  };
  if (request.allowBookmarks) after(bookmarkIntervalMillis, bookmark);
  after(request.timeoutSeconds * 1000, () => {
    if (request.allowBookmarks) output.send(bookmarkAt(request.type, storage.resourceVersion));
    finish();
  });
  return stop;
}

function startingEvents(
  request: WatchRequest,
  storage: ObjectStorage,
): { readonly events: readonly WatchEvent[] } | { readonly error: Status } {
  const { type, namespace, selector, resourceVersion } = request;
  if (resourceVersion === '' || resourceVersion === '0' || request.sendInitialEvents) {
    const present = storage.list(type, namespace).filter(selector);
    const events: WatchEvent[] = present.map((object) => ({ type: 'ADDED', object }));
    if (request.sendInitialEvents && request.allowBookmarks) {
      events.push(bookmarkAt(type, storage.resourceVersion, { 'k8s.io/initial-events-end': 'true' }));
    }
    return { events };
  }
  try {
    const key = storageKeyOf(type);
    const missed = storage.since(Number(resourceVersion)).filter((event) => event.key === key);
    return { events: missed.flatMap((event) => seenThrough(event, request) ?? []) };
  } catch (error) {
    if (error instanceof ApiStatusError) return { error: error.status };
    throw error;
  }
}

/** The event as a watch with a selector sees it. */
function seenThrough(event: StorageEvent, { type, namespace, selector }: WatchRequest): WatchEvent | undefined {
  const { object, previous } = event;
  if (namespace !== undefined && object.metadata.namespace !== namespace) return undefined;
  const matched = previous !== undefined && selector(previous);
  const matches = event.type !== 'DELETED' && selector(object);
  const seen = { ...object, apiVersion: apiVersionOf(type) };
  if (matches) return { type: matched ? 'MODIFIED' : 'ADDED', object: seen };
  if (!matched) return undefined;
  // An object that leaves the selection is shown as it was, with the version in which it left.
  const last = event.type === 'DELETED' ? seen : { ...previous, metadata: { ...previous.metadata } };
  last.metadata.resourceVersion = String(event.resourceVersion);
  return { type: 'DELETED', object: last };
}

function bookmarkAt(type: ResourceType, resourceVersion: number, annotations?: Record<string, string>): WatchEvent {
  return {
    type: 'BOOKMARK',
    object: {
      kind: type.kind,
      apiVersion: apiVersionOf(type),
      metadata: { resourceVersion: String(resourceVersion), ...(annotations === undefined ? {} : { annotations }) },
      ...emptyParts[type.kind],
    },
  };
}

/** The JSON that Go writes for an object with only metadata. */
const emptyParts: Readonly<Record<string, object>> = {
  Service: { spec: {}, status: { loadBalancer: {} } },
  Namespace: { spec: {}, status: {} },
  Lease: { spec: {} },
};
