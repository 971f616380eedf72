import { InvalidArgumentError } from '@externalname/core';
import type { JsonPatchOperation } from '@externalname/core/manifests';
import type { KubernetesObject } from '../kubernetes-api/object.ts';
import type { ObjectRegistry } from '../kubernetes-api/registry.ts';
import { findKind, type ResourceType, resourceOf } from '../kubernetes-api/resources.ts';

/** A Service, as JSON or as the typed object of a builder. `apiVersion` and `kind` may be left out. */
export interface ServiceObject {
  /** The API version. @defaultValue `v1` */
  apiVersion?: string | undefined;
  /** The kind. @defaultValue `Service` */
  kind?: string | undefined;
  /** Its name, namespace, labels and the like. */
  metadata?: object | undefined;
  /** Its type, and what that type needs. */
  spec?: object | undefined;
}

/** Any object that the cluster keeps, as JSON or as the typed object of a builder. */
export interface AnyObject {
  /** Group and version, `v1` for the core group. */
  apiVersion: string;
  /** What it is, `Service` for instance. */
  kind: string;
  /** Its name, namespace, labels and the like. */
  metadata?: object | undefined;
}

/** The objects of the cluster, past its HTTP API: the same checks, no authorization. See `LocalCluster.objects`. */
export class LocalObjects {
  readonly #registry: ObjectRegistry;

  /** @internal */
  constructor(registry: ObjectRegistry) {
    this.#registry = registry;
  }

  /**
   * Creates an object, or replaces the one with the same name. The namespace is made if it is missing.
   *
   * @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` 422 if the API refuses it.
   * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if LocalCluster does not serve the kind.
   */
  async apply(object: AnyObject): Promise<KubernetesObject> {
    const type = findKind(object.apiVersion, object.kind);
    if (type === undefined || !type.verbs.includes('get')) {
      throw new InvalidArgumentError(
        'object',
        `must be of a kind that LocalCluster stores, got ${object.apiVersion} ${object.kind}`,
      );
    }
    return replaceOrCreate(this.#registry, type, object);
  }

  /** A copy of an object. @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` 404 if it does not exist. */
  async get(apiVersion: string, kind: string, namespace: string, name: string): Promise<KubernetesObject> {
    return this.#registry.get(this.#type(apiVersion, kind), namespace, name);
  }

  /** Deletes an object. @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` 404 if it does not exist. */
  async delete(apiVersion: string, kind: string, namespace: string, name: string): Promise<void> {
    this.#registry.delete(this.#type(apiVersion, kind), namespace, name);
  }

  #type(apiVersion: string, kind: string): ResourceType {
    const type = findKind(apiVersion, kind);
    if (type === undefined)
      throw new InvalidArgumentError('kind', `must be a kind that LocalCluster stores, got ${apiVersion} ${kind}`);
    return type;
  }
}

/** The Services of the cluster, past its HTTP API. See `LocalCluster.services`. */
export class LocalServices {
  readonly #registry: ObjectRegistry;

  /** @internal */
  constructor(registry: ObjectRegistry) {
    this.#registry = registry;
  }

  /** A copy of a Service. @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` 404 if it does not exist. */
  async get(namespace: string, name: string): Promise<KubernetesObject> {
    return this.#registry.get(serviceType, namespace, name);
  }

  /** The Services of one namespace, or of all. */
  async list(namespace?: string): Promise<KubernetesObject[]> {
    return this.#registry.storage.list(serviceType, namespace);
  }

  /**
   * Creates a Service, or replaces the one with the same name. The namespace is made if it is missing.
   *
   * @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` 422 if the API refuses it.
   */
  async apply(service: ServiceObject): Promise<KubernetesObject> {
    const { apiVersion = 'v1', kind = 'Service' } = service;
    return replaceOrCreate(this.#registry, serviceType, { ...service, apiVersion, kind });
  }

  /**
   * Applies a JSON Patch (RFC 6902), as `kubectl patch --type=json` does.
   *
   * @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` 404, 422 if the patch or its result is refused.
   */
  async patch(namespace: string, name: string, operations: readonly JsonPatchOperation[]): Promise<KubernetesObject> {
    return this.#registry.patch(serviceType, namespace, name, { kind: 'json', operations }).object;
  }

  /** Deletes a Service. @throws ApiStatusError `ERR_EXTERNALNAME_API_STATUS` 404 if it does not exist. */
  async delete(namespace: string, name: string): Promise<void> {
    this.#registry.delete(serviceType, namespace, name);
  }
}

/** Makes a namespace if it is missing. */
export function ensureNamespace(registry: ObjectRegistry, name: string): void {
  const type = resourceOf('Namespace');
  if (registry.storage.get(type, '', name) !== undefined) return;
  registry.create(type, '', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

function replaceOrCreate(registry: ObjectRegistry, type: ResourceType, object: AnyObject): KubernetesObject {
  const { namespace = 'default', name = '' } = (object.metadata ?? {}) as { namespace?: string; name?: string };
  const place = type.namespaced ? namespace : '';
  if (type.namespaced) ensureNamespace(registry, place);
  const missing = registry.storage.get(type, place, name) === undefined;
  return missing ? registry.create(type, place, object).object : registry.update(type, place, name, object).object;
}

const serviceType = resourceOf('Service');
