import { badRequest } from './status.ts';

/** Any JSON value. */
export type Json = string | number | boolean | null | Json[] | { [field: string]: Json };

/** A JSON object. */
export type JsonObject = { [field: string]: Json };

/** A Kubernetes object as JSON: what goes over the wire and into the storage. */
export interface KubernetesObject {
  /** Group and version, `v1` for the core group. */
  apiVersion: string;
  /** What it is, `Service` for instance. */
  kind: string;
  /** Its name, namespace, labels and the like. */
  metadata: ObjectMeta;
  /** What else it has: `spec`, `status` and the like. */
  [field: string]: unknown;
}

/** The part of `metadata` that this API server works with. */
export interface ObjectMeta {
  /** Unique for its kind in its namespace. */
  name?: string;
  /** Beginning of a name that the server completes. */
  generateName?: string;
  /** The namespace that it is in; undefined for objects of the cluster. */
  namespace?: string;
  /** Unique, also after the object is gone. */
  uid?: string;
  /** Changes with each write. */
  resourceVersion?: string;
  /** Grows with each change of the desired state. */
  generation?: number;
  /** When it was made, in RFC 3339. */
  creationTimestamp?: string;
  /** When its deletion was requested, if finalizers still hold it. */
  deletionTimestamp?: string;
  /** The labels that selectors match. */
  labels?: Record<string, string>;
  /** Notes of people and tools. */
  annotations?: Record<string, string>;
  /** What must be done before it may be removed. */
  finalizers?: string[];
  /** Who owns which fields. */
  managedFields?: ManagedFieldsEntry[];
  /** What else the API knows. */
  [field: string]: unknown;
}

/** Which manager owns which fields, in the API server's own notation (`f:`, `k:`, `v:`, `.`). */
export interface ManagedFieldsEntry {
  /** Who wrote them. */
  manager: string;
  /** Whether by server-side apply. */
  operation: 'Apply' | 'Update';
  /** The version in which the fields were written. */
  apiVersion: string;
  /** When, in RFC 3339. */
  time?: string;
  /** The form of `fieldsV1`. */
  fieldsType: 'FieldsV1';
  /** The fields that the manager owns. */
  fieldsV1: JsonObject;
  /** The part of the object that was written, `status` for instance. */
  subresource?: string;
}

/** A deep copy. */
export function copy<T>(value: T): T {
  return structuredClone(value);
}

/**
 * Refuses a value that is nested so deeply that reading it would exhaust the stack. The API server's decoder stops at 10,000
 * levels; our functions recurse once for each level.
 *
 * @throws ApiStatusError 400
 */
export function checkDepth(value: unknown): void {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > deepest) throw badRequest(`the body is nested too deeply: exceeded max depth ${deepest}`);
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      for (const part of Object.values(item)) if (typeof part === 'object' && part !== null) next.push(part);
    }
    level = next;
  }
}

const deepest = 500;

/** Whether the value is an object with fields, not a list and not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The objects in a list; none if the value is not a list. */
export function objectsIn(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** The text, or an empty one if the value is not a text. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Whether two JSON values are the same; the order of fields does not count. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => jsonEqual(item, b[index]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && jsonEqual(a[key], b[key]));
}
