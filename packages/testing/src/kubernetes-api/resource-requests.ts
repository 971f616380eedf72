import type { Clock } from '@externalname/core';
import { reviewAccess, reviewRules } from './access-review.ts';
import type { Authorizer } from './authorization.ts';
import { decodeObject, type FieldValidation, notRegistered } from './decode.ts';
import { checkListOptions, versionProblem } from './list-options.ts';
import { isJsonObject, type Json, type KubernetesObject } from './object.ts';
import type { DeleteOptions, ObjectRegistry, Patch, WriteOptions, Written } from './registry.ts';
import type { RequestTarget } from './request-target.ts';
import { apiVersionOf, optionsType, type ResourceType } from './resources.ts';
import { parseFieldSelector, parseLabelSelector, type Selector } from './selectors.ts';
import {
  ApiStatusError,
  badRequest,
  type FieldError,
  forbiddenValue,
  invalid,
  invalidValue,
  methodNotAllowed,
  quoted,
  type Status,
  unrecognized,
  unsupportedValue,
} from './status.ts';
import { serviceAccountUser, type User, type Users } from './users.ts';

/** A request for a resource, read and allowed, but not yet done. Watches are handled elsewhere. */
export interface ResourceRequest {
  readonly target: RequestTarget & { kind: 'resource' };
  readonly user: User;
  /** Without parameters: `application/merge-patch+json` */
  readonly contentType: string;
  readonly body: RequestBody;
  readonly userAgent: string;
  /** @throws ApiStatusError 403 if the user may not also create. */
  readonly authorizeCreate: () => void;
}

/** The body of a request. */
export interface RequestBody {
  /** Undefined if there is no body. */
  readonly value: unknown;
  /** Fields that occur twice in it, in the API server's words. */
  readonly duplicateFields: readonly string[];
}

/** The answer, in the form that the client asks for. */
export interface ResourceAnswer {
  readonly code: number;
  readonly warnings: readonly string[];
  readonly content:
    | { readonly kind: 'object'; readonly object: KubernetesObject }
    | { readonly kind: 'list'; readonly objects: readonly KubernetesObject[]; readonly metadata: Record<string, Json> }
    | { readonly kind: 'status'; readonly status: Status };
}

/** The objects and tokens that requests work on. */
export interface ResourceParts {
  readonly registry: ObjectRegistry;
  readonly authorizer: Authorizer;
  readonly users: Users;
  readonly clock: Clock;
}

/** Does what a request asks for. @throws ApiStatusError */
export function handleResource(request: ResourceRequest, parts: ResourceParts): ResourceAnswer {
  const { registry } = parts;
  const { target } = request;
  const { type, namespace, name, subresource } = target;
  switch (target.verb) {
    case 'get':
      checkVersion(target.query.get('resourceVersion') ?? '');
      return one(200, registry.get(type, namespace, name));
    case 'list':
      return list(target, registry);
    case 'create':
      if (subresource === 'token') return issueToken(request, parts);
      if (type.group === 'authorization.k8s.io') return review(request, parts);
      if (name !== '' || (type.namespaced && namespace === '')) throw methodNotAllowed();
      return written(registry.create(type, namespace, bodyOf(request), writeOptions(request)));
    case 'update':
      if (name === '') throw methodNotAllowed();
      return written(registry.update(type, namespace, name, bodyOf(request), writeOptions(request)));
    case 'patch':
      if (name === '') throw methodNotAllowed();
      return written(registry.patch(type, namespace, name, patchOf(request), writeOptions(request)));
    case 'delete':
      return deleted(type, registry.delete(type, namespace, name, deleteOptions(request)));
    case 'deletecollection': {
      const found = list(target, registry).content;
      const objects = found.kind === 'list' ? found.objects : [];
      const { dryRun } = deleteOptions(request);
      for (const object of objects) {
        registry.delete(type, object.metadata.namespace ?? '', object.metadata.name ?? '', { dryRun });
      }
      return { code: 200, warnings: [], content: { kind: 'list', objects, metadata: listMetadata(registry) } };
    }
    case 'watch':
      throw badRequest('a watch has no single answer');
  }
}

/** The objects that a query selects. @throws ApiStatusError 400 */
export function selectorOf(target: RequestTarget & { kind: 'resource' }): Selector {
  const byLabel = parseLabelSelector(target.query.get('labelSelector') ?? '');
  const byField = parseFieldSelector(target.query.get('fieldSelector') ?? '', target.type);
  return (object) => byLabel(object) && byField(object);
}

function list(target: RequestTarget & { kind: 'resource' }, registry: ObjectRegistry): ResourceAnswer {
  const { type, query } = target;
  const { storage } = registry;
  const namespace = target.namespace === '' ? undefined : target.namespace;
  checkListOptions(query, 'list');
  const limit = Number(query.get('limit') ?? 0);
  const page = readContinue(query.get('continue') ?? '');
  const wanted = query.get('resourceVersion') ?? '';
  if (Number(wanted) > storage.resourceVersion) {
    const message = `Timeout: Too large resource version: ${wanted}, current: ${storage.resourceVersion}`;
    const cause = { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' };
    throw new ApiStatusError(504, 'Timeout', message, { causes: [cause], retryAfterSeconds: 1 });
  }
  const exact = query.get('resourceVersionMatch') === 'Exact' ? Number(wanted) : undefined;
  const at = page?.resourceVersion ?? exact;
  const all = at === undefined ? storage.list(type, namespace) : storage.listAt(type, namespace, at);
  const selected = all.filter(selectorOf(target)).map((object) => ({ ...object, apiVersion: apiVersionOf(type) }));
  const left = page === undefined ? selected : selected.filter((object) => keyOf(object) > page.after);
  const objects = limit > 0 ? left.slice(0, limit) : left;
  const last = objects.at(-1);
  const resourceVersion = at ?? storage.resourceVersion;
  const metadata: Record<string, Json> = { resourceVersion: String(resourceVersion) };
  if (last !== undefined && objects.length < left.length) {
    metadata['continue'] = Buffer.from(
      JSON.stringify({ v: 'local', rv: resourceVersion, start: keyOf(last) }),
    ).toString('base64url');
    if (!query.has('labelSelector') && !query.has('fieldSelector')) {
      metadata['remainingItemCount'] = left.length - objects.length;
    }
  }
  return { code: 200, warnings: [], content: { kind: 'list', objects, metadata } };
}

function checkVersion(version: string): void {
  const problem = versionProblem(version);
  if (problem !== undefined) throw new ApiStatusError(500, '', problem);
}

function readContinue(token: string): { resourceVersion: number; after: string } | undefined {
  if (token === '') return undefined;
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { rv: number; start: string };
    if (typeof rv === 'number' && typeof start === 'string') return { resourceVersion: rv, after: start };
  } catch {
    // The error below covers it.
  }
  throw badRequest('invalid continue token: continue key is not valid');
}

function keyOf(object: KubernetesObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}

function listMetadata(registry: ObjectRegistry): Record<string, Json> {
  return { resourceVersion: String(registry.storage.resourceVersion) };
}

function issueToken(request: ResourceRequest, { registry, users, clock }: ResourceParts): ResourceAnswer {
  const { target, body } = request;
  registry.get(target.type, target.namespace, target.name);
  const given = isJsonObject(body.value) && isJsonObject(body.value['spec']) ? body.value['spec'] : {};
  const seconds = typeof given['expirationSeconds'] === 'number' ? given['expirationSeconds'] : 3600;
  if (seconds < 600) {
    const why = 'may not specify a duration less than 10 minutes';
    const cause = invalidValue('spec.expirationSeconds', seconds, why);
    throw invalid({ ...target.type, kind: 'TokenRequest', group: 'authentication.k8s.io' }, '', [cause]);
  }
  const user = serviceAccountUser(target.namespace, target.name);
  const expires = new Date(clock.date().getTime() + seconds * 1000);
  return one(201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: { name: target.name, namespace: target.namespace },
    spec: { audiences: given['audiences'] ?? ['https://kubernetes.default.svc'], expirationSeconds: seconds },
    status: {
      token: users.issue(user, seconds),
      expirationTimestamp: `${expires.toISOString().slice(0, 19)}Z`,
    },
  });
}

function review(request: ResourceRequest, { authorizer }: ResourceParts): ResourceAnswer {
  const { target, user } = request;
  const { object } = decodeObject(target.type, bodyOf(request), { validation: 'Ignore' });
  const answer = target.type.kind === 'SelfSubjectRulesReview' ? reviewRules : reviewAccess;
  return one(201, answer(object, user, authorizer));
}

/** @throws ApiStatusError 415 if the content type is not one of a patch. */
function patchOf({ contentType, body, target }: ResourceRequest): Patch {
  switch (contentType) {
    case 'application/json-patch+json':
      return { kind: 'json', operations: body.value };
    case 'application/merge-patch+json':
      return { kind: 'merge', body: body.value };
    case 'application/strategic-merge-patch+json':
      return { kind: 'strategic', body: body.value };
    case 'application/apply-patch+yaml':
      return { kind: 'apply', body: body.value ?? {}, force: target.query.get('force') === 'true' };
    default:
      throw new ApiStatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
  }
}

function bodyOf({ body, target: { type } }: ResourceRequest): unknown {
  if (body.value !== undefined) return body.value;
  throw badRequest(
    `${unrecognized(type)}: couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)`,
  );
}

/** @throws ApiStatusError 400, 422 if the value of a parameter is not valid. */
function writeOptions({ target, body, userAgent, contentType, authorizeCreate }: ResourceRequest): WriteOptions {
  const { query } = target;
  const apply = contentType === 'application/apply-patch+yaml';
  const manager = query.get('fieldManager') ?? '';
  const refuse = (problem: FieldError) => refusedOption(optionsOf[target.verb] ?? 'PatchOptions', problem);
  if (query.get('force') !== null && !apply && target.verb === 'patch') {
    throw refuse(forbiddenValue('force', 'may not be specified for non-apply patch'));
  }
  if (manager.length > 128) {
    const message = 'Too long: may not be more than 128 bytes';
    throw refuse({ reason: 'FieldValueTooLong', field: 'fieldManager', message });
  }
  const unprintable = /\p{C}/u.exec(manager);
  if (unprintable !== null) {
    const code = (unprintable[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    const position = Buffer.byteLength(manager.slice(0, unprintable.index));
    const why = `invalid character U+${code} (at position ${position})`;
    throw refuse(invalidValue('fieldManager', quoted(manager), why));
  }
  const validation = query.get('fieldValidation') || 'Warn';
  if (validation !== 'Ignore' && validation !== 'Warn' && validation !== 'Strict') {
    throw refuse(unsupportedValue('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  return {
    dryRun: isDryRun(optionsOf[target.verb] ?? 'PatchOptions', query.getAll('dryRun')),
    // A client without a name for itself is known by its program. An apply must give a name.
    fieldManager: manager !== '' || apply ? manager : (userAgent.split('/')[0] ?? '').slice(0, 128) || 'unknown',
    fieldValidation: validation satisfies FieldValidation,
    duplicateFields: body.duplicateFields,
    subresource: target.subresource,
    authorizeCreate,
  };
}

function deleteOptions({ target, body }: ResourceRequest): DeleteOptions {
  const given = isJsonObject(body.value) ? body.value : {};
  const { kind = 'DeleteOptions', apiVersion } = given;
  if (kind !== 'DeleteOptions') throw badRequest(notRegistered(String(kind), String(apiVersion)));
  const policy = target.query.get('propagationPolicy') || given['propagationPolicy'] || 'Background';
  if (!['Foreground', 'Background', 'Orphan'].includes(String(policy))) {
    const supported = ['Foreground', 'Background', 'Orphan', 'nil'];
    throw refusedOption('DeleteOptions', unsupportedValue('propagationPolicy', policy, supported));
  }
  const preconditions = isJsonObject(given['preconditions']) ? given['preconditions'] : {};
  const inBody = Array.isArray(given['dryRun']) ? given['dryRun'].map(String) : [];
  const { uid, resourceVersion } = preconditions;
  return {
    dryRun: isDryRun('DeleteOptions', [...target.query.getAll('dryRun'), ...inBody]),
    preconditions: {
      ...(typeof uid === 'string' ? { uid } : {}),
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
    },
  };
}

function isDryRun(kind: string, values: readonly string[]): boolean {
  const given = values.filter((value) => value !== '');
  if (given.some((value) => value !== 'All')) {
    throw refusedOption(kind, unsupportedValue('dryRun', given, ['All']));
  }
  return given.length > 0;
}

function refusedOption(kind: string, problem: FieldError): ApiStatusError {
  return invalid(optionsType(kind), '', [problem]);
}

function written({ object, warnings, created }: Written): ResourceAnswer {
  return { code: created ? 201 : 200, warnings, content: { kind: 'object', object } };
}

function one(code: number, object: KubernetesObject): ResourceAnswer {
  return { code, warnings: [], content: { kind: 'object', object } };
}

/** Some types answer a delete with what was deleted, others with a Status. */
function deleted(type: ResourceType, object: KubernetesObject): ResourceAnswer {
  if (returnedOnDelete.has(type.kind)) return one(200, object);
  const { name, uid } = object.metadata;
  const details = {
    ...(name === undefined ? {} : { name }),
    ...(type.group === '' ? {} : { group: type.group }),
    kind: type.plural,
    ...(uid === undefined ? {} : { uid }),
  };
  const status: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
  return { code: 200, warnings: [], content: { kind: 'status', status } };
}

const optionsOf: Partial<Record<ResourceRequest['target']['verb'], string>> = {
  create: 'CreateOptions',
  update: 'UpdateOptions',
  patch: 'PatchOptions',
  delete: 'DeleteOptions',
};

const returnedOnDelete: ReadonlySet<string> = new Set(['Service', 'Pod', 'ServiceAccount', 'Namespace']);
