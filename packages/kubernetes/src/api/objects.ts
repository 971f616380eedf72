import type { AccessAttempt } from './errors.ts';

/** Where an object of a namespace is. */
export interface ObjectName {
  readonly name: string;
  readonly namespace: string;
}

/** The part that is read of every object. */
export interface ObjectSnapshot extends ObjectName {
  readonly resourceVersion: string;
}

/** One kind of object, as paths and RBAC name it, and what is read of it. */
export interface ResourceKind<Snapshot extends ObjectSnapshot> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** `services` */
  readonly plural: string;
  /** Undefined for what is not an object of this kind. The items of a list, and bookmarks, may lack all but their version. */
  readonly read: (object: unknown) => Snapshot | undefined;
}

/** `/api/v1/namespaces/<namespace>/<plural>[/<name>]`, or below `/apis/<group>`. */
export function objectPath(
  { group, version, plural }: Omit<ResourceKind<ObjectSnapshot>, 'read'>,
  namespace: string,
  name?: string,
): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const path = `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
  return name === undefined ? path : `${path}/${encodeURIComponent(name)}`;
}

/** A request for one object, in the words of RBAC. */
export function attemptOn(
  { group, plural }: { readonly group: string; readonly plural: string },
  verb: AccessAttempt['verb'],
  { name, namespace }: ObjectName,
): AccessAttempt {
  return { verb, group, resource: plural, name, namespace };
}

/** Whether the object that was read is the requested one, and not one of the same name elsewhere. */
export function isObjectAt(reference: ObjectName, object: ObjectName): boolean {
  return object.name === reference.name && object.namespace === reference.namespace;
}

/** Whether a server would write this as `resourceVersion`. */
export function isVersion(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestVersion;
}

/** KEP-5504: a decimal number of at most 128 bits, which has 39 digits. Older servers may write any short text. */
const longestVersion = 128;
