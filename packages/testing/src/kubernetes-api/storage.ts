import { copy, type KubernetesObject } from './object.ts';
import { type ResourceType, storageKeyOf } from './resources.ts';
import { ApiStatusError, expired } from './status.ts';

/** One change of an object. */
export interface StorageEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** `storageKeyOf` its type. */
  readonly key: string;
  /** The object as it is now, or as it was last, with the resource version of this change. */
  readonly object: KubernetesObject;
  readonly previous: KubernetesObject | undefined;
  readonly resourceVersion: number;
}

/**
 * Holds the objects and the history of their changes, under one counter for all (etcd's revision, which clients see as
 * `resourceVersion`). Objects go in and come out as copies.
 */
export class ObjectStorage {
  #resourceVersion = 1;
  /** Changes up to this one are forgotten. */
  #compactedUpTo = 0;
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  #history: StorageEvent[] = [];
  /** How many bytes of JSON are kept, for each event and in all. */
  #historyBytes: number[] = [];
  #bytes = 0;
  readonly #listeners = new Set<(event: StorageEvent) => void>();

  /** The counter: the resource version of the last change. */
  get resourceVersion(): number {
    return this.#resourceVersion;
  }

  get(type: ResourceType, namespace: string, name: string): KubernetesObject | undefined {
    const found = this.#objects.get(storageKeyOf(type))?.get(`${namespace}/${name}`);
    return found && copy(found);
  }

  /** All objects of a type, of one namespace or of all, sorted by namespace and name. */
  list(type: ResourceType, namespace?: string): KubernetesObject[] {
    const all = this.#objects.get(storageKeyOf(type)) ?? new Map<string, KubernetesObject>();
    return [...all.entries()]
      .filter(([path]) => namespace === undefined || path.startsWith(`${namespace}/`))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => copy(object));
  }

  /** Stores a new or changed object under the next resource version, and returns what is stored. */
  put(type: ResourceType, object: KubernetesObject): KubernetesObject {
    const key = storageKeyOf(type);
    const path = pathOf(object);
    const all = this.#objects.get(key) ?? new Map<string, KubernetesObject>();
    this.#objects.set(key, all);
    const previous = all.get(path);
    const bytes = sizeOf(object);
    if (bytes > longestObject) throw new ApiStatusError(500, '', 'etcdserver: request is too large');
    const stored = this.#numbered(object);
    all.set(path, stored);
    this.#record({ type: previous === undefined ? 'ADDED' : 'MODIFIED', key, object: stored, previous }, bytes);
    return copy(stored);
  }

  /** Removes an object, and returns its last state, with the resource version of its removal. */
  remove(type: ResourceType, namespace: string, name: string): KubernetesObject | undefined {
    const key = storageKeyOf(type);
    const all = this.#objects.get(key);
    const previous = all?.get(`${namespace}/${name}`);
    if (all === undefined || previous === undefined) return undefined;
    all.delete(`${namespace}/${name}`);
    const last = this.#numbered(previous);
    this.#record({ type: 'DELETED', key, object: last, previous }, sizeOf(last));
    return copy(last);
  }

  /**
   * The changes after a resource version.
   *
   * @throws ApiStatusError 410 Expired if some of them are forgotten.
   */
  since(resourceVersion: number): StorageEvent[] {
    if (resourceVersion < this.#compactedUpTo) {
      throw expired(`too old resource version: ${resourceVersion} (${this.#compactedUpTo})`);
    }
    return this.#history.filter((event) => event.resourceVersion > resourceVersion);
  }

  /**
   * The objects of a type as they were at a resource version.
   *
   * @throws ApiStatusError 410 Expired if that is forgotten.
   */
  listAt(type: ResourceType, namespace: string | undefined, resourceVersion: number): KubernetesObject[] {
    const objects = new Map(this.list(type, namespace).map((object) => [pathOf(object), object]));
    const key = storageKeyOf(type);
    for (const event of this.since(resourceVersion).reverse()) {
      if (event.key !== key) continue;
      if (namespace !== undefined && event.object.metadata.namespace !== namespace) continue;
      if (event.previous === undefined) objects.delete(pathOf(event.object));
      else objects.set(pathOf(event.object), copy(event.previous));
    }
    return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  /** Forgets the history up to now: every older resource version is expired. */
  compact(): void {
    this.#compactedUpTo = this.#resourceVersion;
    this.#history = [];
    this.#historyBytes = [];
    this.#bytes = 0;
  }

  /** Calls back on every change, in order, until the returned function is called. */
  subscribe(listener: (event: StorageEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #numbered(object: KubernetesObject): KubernetesObject {
    this.#resourceVersion += 1;
    const stored = copy(object);
    stored.metadata.resourceVersion = String(this.#resourceVersion);
    return stored;
  }

  #record(change: Omit<StorageEvent, 'resourceVersion'>, bytes: number): void {
    const event = { ...change, resourceVersion: this.#resourceVersion };
    this.#history.push(event);
    this.#historyBytes.push(bytes);
    this.#bytes += bytes;
    while (this.#history.length > longestHistory || (this.#bytes > mostHistoryBytes && this.#history.length > 1)) {
      this.#bytes -= this.#historyBytes.shift() ?? 0;
      this.#compactedUpTo = this.#history.shift()?.resourceVersion ?? this.#compactedUpTo;
    }
    for (const listener of this.#listeners) listener(event);
  }
}

function pathOf(object: KubernetesObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}

// The API server keeps a few minutes of history. Here a count limits it, so that a long run of this process stays small.
const longestHistory = 10_000;
// And by size, so that a few thousand changes of large objects do not fill the memory.
const mostHistoryBytes = 64 * 1024 * 1024;

// etcd, --max-request-bytes.
const longestObject = 1.5 * 1024 * 1024;

function sizeOf(object: KubernetesObject): number {
  return Buffer.byteLength(JSON.stringify(object));
}
