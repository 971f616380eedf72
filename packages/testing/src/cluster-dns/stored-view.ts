import type { Clock, Timer } from '@externalname/core';
import { isJsonObject, type JsonObject, type KubernetesObject, objectsIn, textOf } from '../kubernetes-api/object.ts';
import { resourceOf, storageKeyOf } from '../kubernetes-api/resources.ts';
import type { ObjectStorage, StorageEvent } from '../kubernetes-api/storage.ts';
import type { ClusterView, EndpointsEntry, PortEntry, ServiceEntry } from './cluster-view.ts';
import { shortAddress } from './reverse-name.ts';

/** The parts of the cluster that a {@link StoredView} needs. */
export interface StoredViewOptions {
  readonly storage: ObjectStorage;
  readonly clock: Clock;
  /** How late a change of this Service is seen, in milliseconds; `Infinity` until {@link StoredView.release}. */
  readonly delayOf: (namespace: string, service: string) => number;
}

/** The DNS's own copy of the cluster, which follows the storage, at once or late. */
export class StoredView implements ClusterView {
  synced = true;
  #serial: number;
  readonly #options: StoredViewOptions;
  readonly #namespaces = new Set<string>();
  readonly #services = new Map<string, ServiceEntry>();
  readonly #slices = new Map<string, EndpointsEntry>();
  /** Changes that are not seen yet, by object, in order. */
  readonly #late = new Map<string, LateChange[]>();
  readonly #unsubscribe: () => void;
  readonly #listeners = new Set<() => void>();

  constructor(options: StoredViewOptions) {
    this.#options = options;
    this.#serial = this.#now();
    for (const object of options.storage.list(resourceOf('Namespace')))
      this.#namespaces.add(object.metadata.name ?? '');
    for (const object of options.storage.list(resourceOf('Service'))) this.#keepService(object);
    for (const object of options.storage.list(resourceOf('EndpointSlice', 'discovery.k8s.io'))) this.#keepSlice(object);
    this.#unsubscribe = options.storage.subscribe((event) => this.#see(event));
  }

  get serial(): number {
    return this.#serial;
  }

  hasNamespace(namespace: string): boolean {
    return this.#namespaces.has(namespace);
  }

  service(namespace: string, name: string): ServiceEntry | undefined {
    return this.#services.get(`${namespace}/${name}`);
  }

  endpoints(namespace: string, service: string): readonly EndpointsEntry[] {
    return [...this.#slices.values()].filter((slice) => slice.namespace === namespace && slice.service === service);
  }

  serviceByAddress(address: string): ServiceEntry | undefined {
    return [...this.#services.values()].find((service) => service.clusterIPs.includes(address));
  }

  endpointsByAddress(address: string): readonly EndpointsEntry[] {
    return [...this.#slices.values()].filter((slice) => slice.addresses.some((entry) => entry.address === address));
  }

  /** Shows the changes of objects that are not held back any more. Call it when a fault ends. */
  release(): void {
    for (const [path, waiting] of [...this.#late]) {
      const [first] = waiting;
      if (first !== undefined && this.#options.delayOf(...first.key) > 0) continue;
      this.#late.delete(path);
      for (const { event, timer } of waiting) {
        timer?.cancel();
        this.#show(event);
      }
    }
  }

  /** Resolves when no change is held back any more. */
  caughtUp(): Promise<void> {
    if (this.#late.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const check = () => {
        if (this.#late.size > 0) return;
        this.#listeners.delete(check);
        resolve();
      };
      this.#listeners.add(check);
    });
  }

  close(): void {
    this.#unsubscribe();
    for (const waiting of this.#late.values()) for (const { timer } of waiting) timer?.cancel();
    this.#late.clear();
    for (const listener of this.#listeners) listener();
  }

  /** CoreDNS's serial is the time of the last change. */
  #now(): number {
    return Math.floor(this.#options.clock.date().getTime() / 1000);
  }

  #see(event: StorageEvent): void {
    const { metadata } = event.object;
    const key = [metadata.namespace ?? '', serviceNameOf(event)] as const;
    const delay = event.key === namespaceKey ? 0 : this.#options.delayOf(...key);
    const path = `${event.key} ${metadata.namespace}/${metadata.name}`;
    const waiting = this.#late.get(path) ?? [];
    // A change is never seen before an earlier one of the same object.
    if (delay <= 0 && waiting.length === 0) {
      this.#show(event);
      return;
    }
    const entry: LateChange = { event, timer: undefined, key };
    if (Number.isFinite(delay)) {
      entry.timer = this.#options.clock.schedule(() => this.#showUpTo(path, entry), delay, { background: true });
    }
    this.#late.set(path, [...waiting, entry]);
  }

  #showUpTo(path: string, last: LateChange): void {
    const waiting = this.#late.get(path) ?? [];
    const end = waiting.indexOf(last) + 1;
    const rest = waiting.slice(end);
    if (rest.length > 0) this.#late.set(path, rest);
    else this.#late.delete(path);
    for (const { event, timer } of waiting.slice(0, end)) {
      timer?.cancel();
      this.#show(event);
    }
  }

  #show(event: StorageEvent): void {
    this.#serial = this.#now();
    const { object } = event;
    const path = `${object.metadata.namespace}/${object.metadata.name}`;
    const gone = event.type === 'DELETED';
    if (event.key === namespaceKey) {
      if (gone) this.#namespaces.delete(object.metadata.name ?? '');
      else this.#namespaces.add(object.metadata.name ?? '');
    } else if (event.key === serviceKey) {
      if (gone) this.#services.delete(path);
      else this.#keepService(object);
    } else if (event.key === sliceKey) {
      if (gone) this.#slices.delete(path);
      else this.#keepSlice(object);
    }
    for (const listener of [...this.#listeners]) listener();
  }

  #keepService(object: KubernetesObject): void {
    const entry = serviceEntry(object);
    this.#services.set(`${entry.namespace}/${entry.name}`, entry);
  }

  #keepSlice(object: KubernetesObject): void {
    const entry = endpointsEntry(object);
    if (entry === undefined) this.#slices.delete(`${object.metadata.namespace}/${object.metadata.name}`);
    else this.#slices.set(`${object.metadata.namespace}/${object.metadata.name}`, entry);
  }
}

interface LateChange {
  readonly event: StorageEvent;
  timer: Timer | undefined;
  /** Namespace and name of the Service that it is about. */
  readonly key: readonly [string, string];
}

/** The part of a Service that the DNS keeps. */
export function serviceEntry(object: KubernetesObject): ServiceEntry {
  const spec = isJsonObject(object['spec']) ? object['spec'] : {};
  const clusterIPs = Array.isArray(spec['clusterIPs']) ? spec['clusterIPs'].map(String) : [];
  const clusterIP = textOf(spec['clusterIP']);
  return {
    namespace: object.metadata.namespace ?? 'default',
    name: object.metadata.name ?? '',
    type: textOf(spec['type']) || 'ClusterIP',
    externalName: textOf(spec['externalName']),
    clusterIPs: (clusterIPs.length > 0 ? clusterIPs : clusterIP === '' ? [] : [clusterIP]).map(shortAddress),
    ports: objectsIn(spec['ports']).map(portEntry),
  };
}

/** The part of an EndpointSlice that the DNS keeps; undefined if the slice does not belong to a Service. */
export function endpointsEntry(object: KubernetesObject): EndpointsEntry | undefined {
  const service = object.metadata.labels?.[serviceNameLabel];
  if (service === undefined || object['addressType'] === 'FQDN') return undefined;
  return {
    namespace: object.metadata.namespace ?? 'default',
    service,
    ports: objectsIn(object['ports']).map(portEntry),
    addresses: objectsIn(object['endpoints']).flatMap((endpoint) => {
      const conditions = isJsonObject(endpoint['conditions']) ? endpoint['conditions'] : {};
      if (conditions['ready'] === false) return [];
      const addresses = Array.isArray(endpoint['addresses']) ? endpoint['addresses'].map(String) : [];
      return addresses.map((address) => ({ address: shortAddress(address), hostname: textOf(endpoint['hostname']) }));
    }),
  };
}

function portEntry(port: JsonObject): PortEntry {
  return { name: textOf(port['name']), protocol: textOf(port['protocol']), port: Number(port['port'] ?? -1) };
}

function serviceNameOf(event: StorageEvent): string {
  const { metadata } = event.object;
  return event.key === sliceKey ? (metadata.labels?.[serviceNameLabel] ?? '') : (metadata.name ?? '');
}

const namespaceKey = storageKeyOf(resourceOf('Namespace'));
const serviceKey = storageKeyOf(resourceOf('Service'));
const sliceKey = storageKeyOf(resourceOf('EndpointSlice', 'discovery.k8s.io'));
const serviceNameLabel = 'kubernetes.io/service-name';
