import { randomUUID } from 'node:crypto';
import type { Clock } from '@externalname/core';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { copy, isJsonObject, type JsonObject, jsonEqual, type KubernetesObject } from './object.ts';
import { apiVersionOf, type ResourceType, resourceOf } from './resources.ts';
import { ServiceStrategy } from './service-strategy.ts';
import { ApiStatusError, alreadyExists, badRequest, conflict, invalid, notFound, qualified, quoted } from './status.ts';
import type { ObjectStorage } from './storage.ts';

/** What every write takes. */
export interface WriteOptions {
  /** Does everything but store. @defaultValue false */
  dryRun?: boolean | undefined;
}

/** What a write did. */
export interface Written {
  readonly object: KubernetesObject;
  /** Texts for `Warning` headers. */
  readonly warnings: readonly string[];
  readonly created: boolean;
}

/** The four kinds of patches that the API server takes. */
export type Patch =
  | { readonly kind: 'json'; readonly operations: unknown }
  | { readonly kind: 'merge'; readonly body: unknown };

/** The verbs of the API on its objects: defaults, checks, and optimistic concurrency over an {@link ObjectStorage}. */
export class ObjectRegistry {
  readonly storage: ObjectStorage;
  readonly #clock: Clock;
  readonly #services = new ServiceStrategy();

  constructor(storage: ObjectStorage, options: { clock: Clock }) {
    this.storage = storage;
    this.#clock = options.clock;
  }

  /** @throws ApiStatusError 404. */
  get(type: ResourceType, namespace: string, name: string): KubernetesObject {
    const found = this.storage.get(type, namespace, name);
    if (found === undefined) throw notFound(type, name);
    return found;
  }

  /** @throws ApiStatusError 400, 404 (no such namespace), 409 (already there), 422. */
  create(type: ResourceType, namespace: string, input: unknown, options: WriteOptions = {}): Written {
    const object = decode(type, input);
    const { metadata } = object;
    placeInNamespace(type, object, namespace);
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== '') {
      throw badRequest('resourceVersion should not be set on objects to be created');
    }
    this.#requireNamespace(type, namespace);
    this.#setDefaults(type, object);
    if ((metadata.name === undefined || metadata.name === '') && metadata.generateName) {
      metadata.name = `${metadata.generateName.slice(0, 58)}${randomUUID().slice(0, 5)}`;
    }
    delete metadata.resourceVersion;
    delete metadata.deletionTimestamp;
    metadata.uid = randomUUID();
    metadata.creationTimestamp = this.#now();
    if (type.kind === 'Service') this.#services.prepareForCreate(object);
    this.#validate(type, object, undefined);
    const name = metadata.name ?? '';
    if (this.storage.get(type, namespace, name) !== undefined) throw alreadyExists(type, name);
    if (type.kind === 'Service' && !options.dryRun) this.#services.allocate(object, undefined);
    return { object: options.dryRun ? object : this.storage.put(type, object), warnings: [], created: true };
  }

  /** @throws ApiStatusError 400, 404, 409, 422. */
  update(type: ResourceType, namespace: string, name: string, input: unknown, options: WriteOptions = {}): Written {
    const object = decode(type, input);
    if ((object.metadata.name ?? name) !== name) {
      throw badRequest(`the name of the object (${object.metadata.name}) does not match the name on the URL (${name})`);
    }
    placeInNamespace(type, object, namespace);
    return this.#replace(type, this.get(type, namespace, name), object, options);
  }

  /** @throws ApiStatusError 400, 404, 409, 422. */
  patch(type: ResourceType, namespace: string, name: string, patch: Patch, options: WriteOptions = {}): Written {
    const previous = this.get(type, namespace, name);
    const patched = patch.kind === 'json' ? applyJsonPatch(previous, patch.operations) : merge(previous, patch.body);
    const object = decode(type, patched);
    return this.#replace(type, previous, object, options);
  }

  /** @throws ApiStatusError 404, 409. */
  delete(type: ResourceType, namespace: string, name: string, options: WriteOptions = {}): KubernetesObject {
    const found = this.get(type, namespace, name);
    if (options.dryRun) return found;
    if (type.kind === 'Service') this.#services.release(found);
    return this.storage.remove(type, namespace, name) ?? found;
  }

  #replace(type: ResourceType, previous: KubernetesObject, object: KubernetesObject, options: WriteOptions): Written {
    const name = previous.metadata.name ?? '';
    const { metadata } = object;
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== previous.metadata.resourceVersion) {
      throw conflict(type, name);
    }
    if (metadata.uid !== undefined && metadata.uid !== previous.metadata.uid) {
      throw conflict(
        type,
        name,
        `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${previous.metadata.uid}`,
      );
    }
    for (const field of ['uid', 'resourceVersion', 'creationTimestamp', 'generation'] as const) {
      if (previous.metadata[field] === undefined) delete metadata[field];
      else Object.assign(metadata, { [field]: previous.metadata[field] });
    }
    this.#setDefaults(type, object);
    if (type.kind === 'Service') this.#services.prepareForUpdate(object, previous);
    this.#validate(type, object, previous);
    if (type.kind === 'Service' && !options.dryRun) this.#services.allocate(object, previous);
    // A write that changes nothing is no change: watchers hear nothing and the resource version stays.
    if (jsonEqual(object, previous)) return { object: previous, warnings: [], created: false };
    return { object: options.dryRun ? object : this.storage.put(type, object), warnings: [], created: false };
  }

  #setDefaults(type: ResourceType, object: KubernetesObject): void {
    if (type.kind === 'Service') this.#services.setDefaults(object);
  }

  #validate(type: ResourceType, object: KubernetesObject, _previous: KubernetesObject | undefined): void {
    if (!object.metadata.name) {
      throw invalid(type, '', [
        {
          reason: 'FieldValueRequired',
          field: 'metadata.name',
          message: 'Required value: name or generateName is required',
        },
      ]);
    }
  }

  #requireNamespace(type: ResourceType, namespace: string): void {
    if (!type.namespaced) return;
    const namespaces = resourceOf('Namespace');
    if (this.storage.get(namespaces, '', namespace) === undefined) throw notFound(namespaces, namespace);
  }

  #now(): string {
    return `${this.#clock.date().toISOString().slice(0, 19)}Z`;
  }
}

function decode(type: ResourceType, input: unknown): KubernetesObject {
  if (!isJsonObject(input)) throw badRequest('the object provided is unrecognized: the body is no JSON object');
  const object = copy(input) as unknown as KubernetesObject;
  const { kind, apiVersion } = object;
  if (kind !== type.kind || apiVersion !== apiVersionOf(type)) {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${type.kind}): ${quoted(String(apiVersion))}, Kind=${String(kind)}`,
    );
  }
  if (!isJsonObject(object.metadata)) object.metadata = {};
  return object;
}

function placeInNamespace(type: ResourceType, object: KubernetesObject, namespace: string): void {
  if (!type.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  const own = object.metadata.namespace;
  if (own !== undefined && own !== '' && own !== namespace) {
    throw badRequest(
      `the namespace of the provided object does not match the namespace sent on the request (${qualified(type)})`,
    );
  }
  object.metadata.namespace = namespace;
}

function merge(previous: KubernetesObject, body: unknown): JsonObject {
  if (!isJsonObject(body)) {
    throw new ApiStatusError(400, 'BadRequest', 'error decoding patch: the body is no JSON object');
  }
  return applyMergePatch(previous as unknown as JsonObject, body);
}
