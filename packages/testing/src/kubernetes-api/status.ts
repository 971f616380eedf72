import { ExternalNameError } from '@externalname/core';
import type { ResourceType } from './resources.ts';

/** The body of a refusal, or of an answer without an object: `kind: Status` of `meta.k8s.io/v1`. */
export interface Status {
  /** Always `Status`. */
  kind: 'Status';
  /** Always `v1`. */
  apiVersion: 'v1';
  /** Empty. */
  metadata: Record<string, unknown>;
  /** Whether the request succeeded. */
  status: 'Success' | 'Failure';
  /** What happened, for people. */
  message?: string;
  /** What happened, for programs: `NotFound`, `Invalid` and the like. */
  reason?: string;
  /** What it is about. */
  details?: StatusDetails;
  /** HTTP status code. */
  code?: number;
}

/** See {@link Status}. */
export interface StatusDetails {
  /** Name of the object. */
  name?: string;
  /** API group of the object. */
  group?: string;
  /** Resource of the object, `services` for instance. */
  kind?: string;
  /** `uid` of the object. */
  uid?: string;
  /** What is wrong with single fields. */
  causes?: StatusCause[];
  /** When to try again, in seconds. */
  retryAfterSeconds?: number;
}

/** One reason for a refusal: `FieldValueInvalid` of a field, or a field-manager conflict. */
export interface StatusCause {
  /** What is wrong with it, for programs: `FieldValueInvalid` and the like. */
  reason?: string;
  /** What is wrong with it, for people. */
  message?: string;
  /** Path of the field, `spec.externalName` for instance. */
  field?: string;
}

/**
 * The API server refuses a request. Code `ERR_EXTERNALNAME_API_STATUS`; `status` is the body that a client receives,
 * in the API server's own words.
 *
 * Source: apimachinery `pkg/api/errors/errors.go`.
 */
export class ApiStatusError extends ExternalNameError {
  /** Nothing was done, so a retry is safe. */
  override readonly outcome = 'not-executed';
  /** What the API server answers. */
  readonly status: Status;
  /** Texts for `Warning` headers that go with the refusal. */
  warnings: readonly string[] = [];

  /** An empty `reason` is left out. */
  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super('ERR_EXTERNALNAME_API_STATUS', message);
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }
}

/** 404: the object does not exist. */
export function notFound(resource: ResourceType, name: string): ApiStatusError {
  return new ApiStatusError(404, 'NotFound', `${qualified(resource)} ${quoted(name)} not found`, about(resource, name));
}

/** 404: nothing is served at this path. */
export function noSuchPath(): ApiStatusError {
  return new ApiStatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** 405: the resource is served, but not for this. */
export function methodNotAllowed(): ApiStatusError {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiStatusError(405, 'MethodNotAllowed', message, {});
}

/** How the refusal of a body that is not an object begins. */
export function unrecognized({ kind }: Pick<ResourceType, 'kind'>): string {
  return `the object provided is unrecognized (must be of type ${kind})`;
}

/** 409: an object of that name is already there. */
export function alreadyExists(resource: ResourceType, name: string): ApiStatusError {
  return new ApiStatusError(
    409,
    'AlreadyExists',
    `${qualified(resource)} ${quoted(name)} already exists`,
    about(resource, name),
  );
}

/** 409: the object has changed since it was read. */
export function conflict(resource: ResourceType, name: string, why = modified): ApiStatusError {
  return new ApiStatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} ${quoted(name)}: ${why}`,
    about(resource, name),
  );
}

/** What is wrong with one field. The functions below make it, in the words of apimachinery (`pkg/util/validation/field`). */
export interface FieldError {
  reason: string;
  message: string;
  field: string;
}

/** A value that the field cannot have, as it is shown to people. */
export function invalidValue(field: string, shown: string | number, why: string): FieldError {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${shown}: ${why}` };
}

/** A value that is none of a few. */
export function unsupportedValue(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((each) => JSON.stringify(each)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`;
  return { reason: 'FieldValueNotSupported', field, message };
}

/** A field that must be there. */
export function requiredValue(field: string, why: string): FieldError {
  return { reason: 'FieldValueRequired', field, message: `Required value: ${why}` };
}

/** A field that must not be there. */
export function forbiddenValue(field: string, why: string): FieldError {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${why}` };
}

/** 422: fields of the object are refused. */
export function invalid(resource: ResourceType, name: string, causes: FieldError[]): ApiStatusError {
  const texts = [
    ...new Set(causes.map((cause) => (cause.field === '' ? cause.message : `${cause.field}: ${cause.message}`))),
  ];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const kind = resource.group === '' ? resource.kind : `${resource.kind}.${resource.group}`;
  return new ApiStatusError(422, 'Invalid', `${kind} ${quoted(name)} is invalid: ${list}`, {
    ...(name === '' ? {} : { name }),
    ...(resource.group === '' ? {} : { group: resource.group }),
    ...(resource.kind === '' ? {} : { kind: resource.kind }),
    causes,
  });
}

/** 400: the request cannot be understood. */
export function badRequest(message: string): ApiStatusError {
  return new ApiStatusError(400, 'BadRequest', message);
}

/** 410: the resource version is too old. */
export function expired(message: string): ApiStatusError {
  return new ApiStatusError(410, 'Expired', message);
}

/** `services`, or `roles.rbac.authorization.k8s.io`. */
export function qualified(resource: Pick<ResourceType, 'plural' | 'group'>): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** Go's %q. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /\\u00(0[0-7b]|[01][0-9a-f])/g,
    (_, code: string) => goEscapes[code] ?? `\\x${code}`,
  );
}

const goEscapes: Readonly<Record<string, string>> = { '07': '\\a', '0b': '\\v' };

function about(resource: ResourceType, name: string): StatusDetails {
  return { name, ...(resource.group === '' ? {} : { group: resource.group }), kind: resource.plural };
}

const modified = 'the object has been modified; please apply your changes to the latest version and try again';
