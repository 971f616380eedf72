import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '@externalname/core';
import { decodeObject, type FieldValidation, jsonTypeOf } from './decode.ts';
import { complete, setDefaults } from './defaults.ts';
import {
  applyConfiguration,
  checkConfiguration,
  type FieldManagement,
  recordUpdate,
} from './field-management/managed-fields.ts';
import { applyJsonPatch } from './json-patch.ts';
import { applyMergePatch } from './merge-patch.ts';
import { copy, isJsonObject, type JsonObject, jsonEqual, type KubernetesObject } from './object.ts';
import {
  apiVersionOf,
  groupKindText,
  optionsType,
  type ResourceType,
  resourceOf,
  resourceTypes,
  storageKeyOf,
} from './resources.ts';
import { schemaOf } from './schema.ts';
import { ServiceStrategy } from './service-strategy.ts';
import {
  ApiStatusError,
  alreadyExists,
  badRequest,
  conflict,
  invalid,
  invalidValue,
  notFound,
  requiredValue,
} from './status.ts';
import type { ObjectStorage } from './storage.ts';
import { applyStrategicMergePatch } from './strategic-merge-patch.ts';
import { refuseInvalid, warningsFor } from './validation.ts';

/** What every write takes. */
export interface WriteOptions {
  /** Does everything except storing. @defaultValue false */
  dryRun?: boolean | undefined;
  /** The manager that then owns the changed fields. @defaultValue `local-cluster` */
  fieldManager?: string | undefined;
  /** @defaultValue `Warn` */
  fieldValidation?: FieldValidation | undefined;
  /** Names of fields that occur twice in the text that `input` was read from, as `duplicateFields` gives them. */
  duplicateFields?: readonly string[] | undefined;
  /** The part that is written: `status`. @defaultValue everything else */
  subresource?: string | undefined;
  /** Checks that the writer may create, if the write creates a missing object. @throws ApiStatusError 403 */
  authorizeCreate?: (() => void) | undefined;
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
  | { readonly kind: 'merge' | 'strategic'; readonly body: unknown }
  | { readonly kind: 'apply'; readonly body: unknown; readonly force: boolean };

/** The preconditions of a delete. */
export interface DeleteOptions {
  dryRun?: boolean | undefined;
  preconditions?: { uid?: string | undefined; resourceVersion?: string | undefined } | undefined;
}

/**
 * The verbs of the API on its objects: decoding, defaults, checks, field ownership and optimistic concurrency over an
 * {@link ObjectStorage}.
 *
 * Source: Kubernetes apiserver `pkg/registry/generic/registry/store.go`, `pkg/endpoints/handlers/patch.go`.
 */
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
    return inVersionOf(type, found);
  }

  /** @throws ApiStatusError 400, 404 (no such namespace), 409 (already there), 422. */
  create(type: ResourceType, namespace: string, input: unknown, options: WriteOptions = {}): Written {
    const { object, warnings } = this.#decode(type, input, options);
    placeInNamespace(type, object, namespace);
    if (object.metadata.resourceVersion !== undefined && object.metadata.resourceVersion !== '') {
      throw new ApiStatusError(500, '', 'resourceVersion should not be set on objects to be created');
    }
    return this.#create(type, namespace, object, options, warnings);
  }

  /** @throws ApiStatusError 400, 404, 409, 422. */
  update(type: ResourceType, namespace: string, name: string, input: unknown, options: WriteOptions = {}): Written {
    const { object, warnings } = this.#decode(type, input, options);
    if (!object.metadata.name) {
      throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
    }
    checkName(object, name);
    placeInNamespace(type, object, namespace);
    const previous = this.storage.get(type, namespace, name);
    if (previous === undefined) {
      if (!createdByUpdate.has(type.kind) || options.subresource !== undefined) throw notFound(type, name);
      options.authorizeCreate?.();
      if (object.metadata.resourceVersion) throw conflict(type, name, staleVersion(object));
      return this.#create(type, namespace, object, options, warnings);
    }
    if (type.kind === 'Lease' && !object.metadata.resourceVersion) {
      const cause = invalidValue('metadata.resourceVersion', 0, 'must be specified for an update');
      throw invalid({ ...type, kind: type.plural }, name, [cause]);
    }
    return this.#replace(type, inVersionOf(type, previous), object, options, warnings);
  }

  /** @throws ApiStatusError 400, 404, 409, 415, 422. */
  patch(type: ResourceType, namespace: string, name: string, patch: Patch, options: WriteOptions = {}): Written {
    if (patch.kind === 'apply') return this.#apply(type, namespace, name, patch, options);
    const previous = this.get(type, namespace, name);
    const input = patched(type, previous, patch);
    const { object, warnings } = this.#decode(type, input, options, (why) =>
      invalid(nothing, '', [invalidValue('patch', JSON.stringify(JSON.stringify(input)), why)]),
    );
    checkName(object, name);
    placeInNamespace(type, object, namespace);
    const { uid } = object.metadata;
    if (uid && uid !== previous.metadata.uid) {
      throw invalid(type, name, [invalidValue('metadata.uid', JSON.stringify(uid), 'field is immutable')]);
    }
    return this.#replace(type, previous, object, options, warnings);
  }

  /**
   * Deletes an object, or marks it if finalizers hold it.
   *
   * @throws ApiStatusError 404, 409.
   */
  delete(type: ResourceType, namespace: string, name: string, options: DeleteOptions = {}): KubernetesObject {
    const found = this.get(type, namespace, name);
    const { uid, resourceVersion } = options.preconditions ?? {};
    const { metadata } = found;
    const refuseOther = (what: string, wanted: string | undefined, own: string | undefined, fate: string) => {
      if (wanted === undefined || wanted === own) return;
      const detail = `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${own})`;
      throw conflict({ ...type, plural: type.kind }, name, `${detail}. The object might have been ${fate}`);
    };
    refuseOther('UID', uid, metadata.uid, 'deleted and then recreated');
    refuseOther('ResourceVersion', resourceVersion, metadata.resourceVersion, 'modified');
    if (options.dryRun) return found;
    if (metadata.finalizers !== undefined && metadata.finalizers.length > 0) {
      if (metadata.deletionTimestamp !== undefined) return found;
      metadata.deletionTimestamp = this.#now();
      metadata['deletionGracePeriodSeconds'] = 0;
      return this.storage.put(type, found);
    }
    if (type.kind === 'Namespace') this.#emptyNamespace(name);
    return this.#remove(type, namespace, name) ?? found;
  }

  #create(
    type: ResourceType,
    namespace: string,
    object: KubernetesObject,
    options: WriteOptions,
    warnings: readonly string[],
  ): Written {
    const { metadata } = object;
    this.#requireNamespace(type, namespace);
    if (!metadata.name && metadata.generateName) {
      metadata.name = `${metadata.generateName.slice(0, 58)}${randomBytes(3).toString('hex').slice(0, 5)}`;
    }
    delete metadata.resourceVersion;
    delete metadata.deletionTimestamp;
    delete metadata['selfLink'];
    metadata.uid = randomUUID();
    metadata.creationTimestamp = this.#now();
    this.#setDefaults(type, object);
    const owned = recordUpdate(undefined, object, this.#management(type, options));
    return this.#store(type, owned, undefined, options, warnings);
  }

  #apply(
    type: ResourceType,
    namespace: string,
    name: string,
    patch: Patch & { kind: 'apply' },
    options: WriteOptions,
  ): Written {
    if (options.fieldManager === undefined || options.fieldManager === '') {
      const cause = requiredValue('fieldManager', 'is required for apply patch');
      throw invalid(optionsType('PatchOptions'), '', [cause]);
    }
    const { body } = patch;
    if (!isJsonObject(body)) {
      const problem = `json: cannot unmarshal ${jsonTypeOf(body)} into Go value of type map[string]interface {}`;
      throw badRequest(`error decoding patch: error unmarshaling JSON: while decoding JSON: ${problem}`);
    }
    if (!body['kind'] || !body['apiVersion']) {
      throw badRequest(`invalid object type: ${groupKindText(body)}`);
    }
    const { object: configuration, warnings: unknown } = this.#decode(type, body, { fieldValidation: 'Warn' });
    const fields = unknown.map((text) => text.slice(text.indexOf('"') + 1, -1));
    checkConfiguration(body, fields, schemaOf(type));
    const warnings = duplicatesOfApply(options);
    checkName(configuration, name);
    configuration.metadata.name = name;
    placeInNamespace(type, configuration, namespace);
    const live = this.storage.get(type, namespace, name);
    const { resourceVersion } = configuration.metadata;
    const management = { ...this.#management(type, options), force: patch.force };
    if (live === undefined) {
      options.authorizeCreate?.();
      this.#requireNamespace(type, namespace);
      const shell = { kind: type.kind, apiVersion: apiVersionOf(type), metadata: {} } as KubernetesObject;
      const { object } = applyConfiguration(shell, configuration as unknown as JsonObject, management);
      object.metadata.uid = randomUUID();
      object.metadata.creationTimestamp = this.#now();
      // Defaults have no owner, so they are filled in after the fields are recorded.
      this.#setDefaults(type, object);
      return this.#store(type, object, undefined, options, warnings);
    }
    const previous = inVersionOf(type, live);
    const { object, changed } = applyConfiguration(previous, configuration as unknown as JsonObject, management);
    if (resourceVersion && resourceVersion !== live.metadata.resourceVersion) throw conflict(type, name);
    if (!changed) return { object: previous, warnings, created: false };
    keepIdentity(object, previous);
    this.#setDefaults(type, object);
    return this.#store(type, object, previous, options, warnings);
  }

  #replace(
    type: ResourceType,
    previous: KubernetesObject,
    object: KubernetesObject,
    options: WriteOptions,
    warnings: readonly string[],
  ): Written {
    const name = previous.metadata.name ?? '';
    const { resourceVersion = '', uid } = object.metadata;
    if (!/^\d*$/.test(resourceVersion)) {
      const problem = `strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`;
      throw new ApiStatusError(500, '', problem);
    }
    if (resourceVersion && resourceVersion !== previous.metadata.resourceVersion) throw conflict(type, name);
    if (uid && uid !== previous.metadata.uid) {
      const key = `/registry/${type.kind === 'Service' ? 'services/specs' : type.plural}/${object.metadata.namespace}/${name}`;
      throw conflict(
        type,
        name,
        `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${previous.metadata.uid}`,
      );
    }
    keepIdentity(object, previous);
    keepOtherPart(object, previous, options.subresource);
    this.#setDefaults(type, object);
    const owned = recordUpdate(previous, object, this.#management(type, options));
    return this.#store(type, owned, previous, options, warnings);
  }

  /** The last steps of every write: strategy, checks, and the storage unless it is a dry run. */
  #store(
    type: ResourceType,
    object: KubernetesObject,
    previous: KubernetesObject | undefined,
    options: WriteOptions,
    decodeWarnings: readonly string[],
  ): Written {
    const stored = copy(object);
    const created = previous === undefined;
    if (type.kind === 'Service' && options.subresource === undefined) {
      if (previous === undefined) this.#services.prepareForCreate(stored);
      else this.#services.prepareForUpdate(stored, previous);
    }
    complete(stored);
    setGeneration(type, stored, previous);
    try {
      refuseInvalid(type, stored, previous);
    } catch (error) {
      if (error instanceof ApiStatusError) error.warnings = decodeWarnings;
      throw error;
    }
    const name = stored.metadata.name ?? '';
    if (created && this.storage.get(type, stored.metadata.namespace ?? '', name) !== undefined) {
      throw alreadyExists(type, name);
    }
    const warnings = [...decodeWarnings, ...warningsFor(stored, previous)];
    // A write that changes nothing sends no event and keeps the resource version.
    if (previous !== undefined && jsonEqual(withoutTimes(stored), withoutTimes(previous))) {
      return { object: previous, warnings, created };
    }
    if (type.kind === 'Service') this.#services.allocate(stored, previous, { dryRun: options.dryRun === true });
    if (options.dryRun) return { object: stored, warnings, created };
    if (stored.metadata.deletionTimestamp !== undefined && (stored.metadata.finalizers ?? []).length === 0) {
      this.#remove(type, stored.metadata.namespace ?? '', name);
      return { object: stored, warnings, created };
    }
    const written = this.storage.put(type, stored);
    if (type.kind === 'Namespace' && created) this.#addServiceAccount(name);
    return { object: written, warnings, created };
  }

  #remove(type: ResourceType, namespace: string, name: string): KubernetesObject | undefined {
    const removed = this.storage.remove(type, namespace, name);
    if (type.kind === 'Service' && removed !== undefined) this.#services.release(removed);
    return removed;
  }

  /** Every namespace has an account for pods that name none. */
  #addServiceAccount(namespace: string): void {
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
    this.create(resourceOf('ServiceAccount'), namespace, account, { fieldManager: 'kube-controller-manager' });
  }

  #emptyNamespace(namespace: string): void {
    const kept = new Set<string>();
    for (const type of resourceTypes) {
      if (!type.namespaced || !type.verbs.includes('get') || kept.has(storageKeyOf(type))) continue;
      kept.add(storageKeyOf(type));
      for (const object of this.storage.list(type, namespace))
        this.#remove(type, namespace, object.metadata.name ?? '');
    }
  }

  #decode(
    type: ResourceType,
    input: unknown,
    options: WriteOptions,
    refuse?: (why: string) => Error,
  ): { object: KubernetesObject; warnings: readonly string[] } {
    return decodeObject(type, input, {
      refuse,
      validation: options.fieldValidation ?? 'Warn',
      duplicates: options.duplicateFields,
    });
  }

  #setDefaults(type: ResourceType, object: KubernetesObject): void {
    if (type.kind === 'Service') this.#services.setDefaults(object);
    else setDefaults(object);
  }

  #management(type: ResourceType, options: WriteOptions): FieldManagement {
    return {
      manager: options.fieldManager || 'local-cluster',
      apiVersion: apiVersionOf(type),
      subresource: options.subresource,
      schema: schemaOf(type),
      time: this.#now(),
    };
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

/** Warns of keys that occur twice in a configuration, or refuses them. */
function duplicatesOfApply({ duplicateFields = [], fieldValidation = 'Warn' }: WriteOptions): readonly string[] {
  if (fieldValidation === 'Ignore') return [];
  if (fieldValidation === 'Warn' || duplicateFields.length === 0) return duplicateFields;
  const list = duplicateFields.map((text) => `\n  ${text}`).join('');
  throw badRequest(`error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:${list}`);
}

function patched(type: ResourceType, previous: KubernetesObject, patch: Exclude<Patch, { kind: 'apply' }>): JsonObject {
  if (patch.kind === 'json') return applyJsonPatch(previous, patch.operations);
  if (!isJsonObject(patch.body)) {
    if (patch.body === null && patch.kind === 'merge') throw badRequest('Invalid JSON Patch');
    const problem = `json: cannot unmarshal ${jsonTypeOf(patch.body)} into Go value of type map[string]interface {}`;
    throw badRequest(patch.kind === 'merge' ? `error decoding patch: ${problem}` : problem);
  }
  const original = previous as unknown as JsonObject;
  if (patch.kind === 'merge') return applyMergePatch(original, patch.body);
  return applyStrategicMergePatch(original, patch.body, schemaOf(type));
}

/** The two faces of events: an object is given in the version that it is asked for. */
function inVersionOf(type: ResourceType, object: KubernetesObject): KubernetesObject {
  if (object.apiVersion === apiVersionOf(type)) return object;
  const names = type.group === '' ? eventNames.map(([core, events]) => [events, core] as const) : eventNames;
  const renamed: KubernetesObject = { ...object, apiVersion: apiVersionOf(type) };
  for (const [from, to] of names) {
    if (!(from in renamed)) continue;
    renamed[to] = renamed[from];
    delete renamed[from];
  }
  return renamed;
}

function checkName(object: KubernetesObject, name: string): void {
  const own = object.metadata.name;
  if (own === undefined || own === '' || own === name) return;
  throw badRequest(`the name of the object (${own}) does not match the name on the URL (${name})`);
}

function placeInNamespace(type: ResourceType, object: KubernetesObject, namespace: string): void {
  if (!type.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  const own = object.metadata.namespace;
  if (own !== undefined && own !== '' && own !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  object.metadata.namespace = namespace;
}

/** What a client cannot change. */
function keepIdentity(object: KubernetesObject, previous: KubernetesObject): void {
  for (const field of ['uid', 'resourceVersion', 'creationTimestamp', 'deletionTimestamp', 'generation'] as const) {
    if (previous.metadata[field] === undefined) delete object.metadata[field];
    else Object.assign(object.metadata, { [field]: previous.metadata[field] });
  }
}

/** A write to the status leaves the rest alone, and the other way round. */
function keepOtherPart(object: KubernetesObject, previous: KubernetesObject, subresource: string | undefined): void {
  if (subresource === 'status') {
    const { status, metadata } = object;
    for (const field of Object.keys(object)) if (!(field in previous)) delete object[field];
    Object.assign(object, copy(previous), {
      metadata: { ...previous.metadata, managedFields: metadata.managedFields },
    });
    if (metadata.managedFields === undefined) delete object.metadata.managedFields;
    object['status'] = status;
  } else if ('status' in previous) {
    object['status'] = copy(previous['status']);
  }
}

function setGeneration(type: ResourceType, object: KubernetesObject, previous: KubernetesObject | undefined): void {
  if (type.kind !== 'EndpointSlice' && type.kind !== 'Pod') return;
  const last = previous?.metadata.generation ?? 0;
  const same = previous !== undefined && jsonEqual(desiredPart(object), desiredPart(previous));
  object.metadata.generation = same ? last : last + 1;
}

function desiredPart({ metadata: _, status: __, ...desired }: KubernetesObject): object {
  return desired;
}

function withoutTimes(object: KubernetesObject): KubernetesObject {
  const managedFields = object.metadata.managedFields?.map(({ time: _, ...entry }) => entry);
  return { ...object, metadata: { ...object.metadata, managedFields } as KubernetesObject['metadata'] };
}

function staleVersion(object: KubernetesObject): string {
  return `StorageError: invalid object, Code: 4, Key: , ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${object.metadata.uid ?? ''}, UID in object meta: `;
}

/** Fields of events: in the core group, and in `events.k8s.io`. */
const eventNames: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
];

// A PUT to a name that is not there creates the object for these.
const createdByUpdate: ReadonlySet<string> = new Set(['Service', 'Event', 'Lease', 'Role', 'RoleBinding']);

/** For the refusal of a patch, in which the API server names no type. */
const nothing: ResourceType = { ...optionsType(''), group: '' };
