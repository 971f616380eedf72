import { isJsonObject, type Json, type JsonObject } from '../object.ts';
import type { Schema } from '../schema.ts';

/**
 * One step into an object, as it is written in `fieldsV1`: `f:spec` is a field, `k:{"port":80,"protocol":"TCP"}` an item
 * of a keyed list, `v:"finalizer"` an item of a set.
 */
export type PathElement = string;

/**
 * A set of places in an object. A place may be in the set by itself, or only for what is below it.
 *
 * Source: structured-merge-diff `fieldpath/set.go`; Kubernetes documentation, "Server-Side Apply".
 */
export class FieldSet {
  /** Places right here that are in the set themselves. */
  readonly members: ReadonlySet<PathElement>;
  /** What is below a place. Never empty sets. */
  readonly children: ReadonlyMap<PathElement, FieldSet>;

  constructor(members: Iterable<PathElement> = [], children: Iterable<readonly [PathElement, FieldSet]> = []) {
    this.members = new Set(members);
    this.children = new Map([...children].filter(([, child]) => !child.isEmpty()));
  }

  static of(paths: Iterable<readonly PathElement[]>): FieldSet {
    const members: PathElement[] = [];
    const below = new Map<PathElement, (readonly PathElement[])[]>();
    for (const [first, ...rest] of paths) {
      if (first === undefined) continue;
      const longer = below.get(first);
      if (rest.length === 0) members.push(first);
      else if (longer === undefined) below.set(first, [rest]);
      else longer.push(rest);
    }
    return new FieldSet(
      members,
      [...below].map(([element, rest]) => [element, FieldSet.of(rest)] as const),
    );
  }

  /** Reads `fieldsV1`. */
  static parse(fields: unknown): FieldSet {
    if (!isJsonObject(fields)) return new FieldSet();
    const members: PathElement[] = [];
    const children: [PathElement, FieldSet][] = [];
    for (const [element, below] of Object.entries(fields)) {
      if (element === '.') continue;
      const child = FieldSet.parse(below);
      children.push([element, child]);
      // A place with nothing below it stands for itself. If something is below it, a dot means the place itself.
      if (child.isEmpty() || (isJsonObject(below) && '.' in below)) members.push(element);
    }
    return new FieldSet(members, children);
  }

  /** Writes `fieldsV1`. */
  toJson(): JsonObject {
    const json: JsonObject = {};
    for (const element of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      const child = this.children.get(element);
      if (child === undefined) json[element] = {};
      else json[element] = this.members.has(element) ? { '.': {}, ...child.toJson() } : child.toJson();
    }
    return json;
  }

  isEmpty(): boolean {
    return this.members.size === 0 && this.children.size === 0;
  }

  has(element: PathElement): boolean {
    return this.members.has(element);
  }

  /** What is below a place. */
  below(element: PathElement): FieldSet {
    return this.children.get(element) ?? nothing;
  }

  /** All places, as paths. */
  paths(): PathElement[][] {
    const own = [...this.members].map((element) => [element]);
    const deeper = [...this.children].flatMap(([element, child]) => child.paths().map((path) => [element, ...path]));
    return [...own, ...deeper];
  }

  union(other: FieldSet): FieldSet {
    return this.#combine(other, [...this.members, ...other.members], (mine, theirs) => mine.union(theirs));
  }

  intersection(other: FieldSet): FieldSet {
    const members = [...this.members].filter((element) => other.members.has(element));
    return this.#combine(other, members, (mine, theirs) => mine.intersection(theirs));
  }

  /** Without the places of `other`; what is below them stays. */
  difference(other: FieldSet): FieldSet {
    const members = [...this.members].filter((element) => !other.members.has(element));
    return this.#combine(other, members, (mine, theirs) => mine.difference(theirs));
  }

  /** Without the places of `other` and all that is below them. */
  without(other: FieldSet): FieldSet {
    return new FieldSet(
      [...this.members].filter((element) => !other.members.has(element)),
      [...this.children]
        .filter(([element]) => !other.members.has(element))
        .map(([element, child]) => [element, child.without(other.below(element))] as const),
    );
  }

  /** With every named field that has something below it as a place of its own. */
  withNamedParents(schema: Schema): FieldSet {
    const named = (element: PathElement) =>
      schema.kind === 'struct' && element.startsWith('f:') && schema.fields.has(element.slice(2));
    return new FieldSet(
      [...this.members, ...[...this.children.keys()].filter(named)],
      [...this.children].map(([element, child]) => {
        const inner = schemaBelow(schema, element);
        return [element, inner === undefined ? child : child.withNamedParents(inner)] as const;
      }),
    );
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).isEmpty() && other.difference(this).isEmpty();
  }

  #combine(other: FieldSet, members: Iterable<PathElement>, combine: (a: FieldSet, b: FieldSet) => FieldSet): FieldSet {
    const elements = new Set([...this.children.keys(), ...other.children.keys()]);
    return new FieldSet(
      members,
      [...elements].map((element) => [element, combine(this.below(element), other.below(element))] as const),
    );
  }
}

/** The schema of what a step leads to; undefined if the schema does not know that step. */
export function schemaBelow(schema: Schema, element: PathElement): Schema | undefined {
  if (schema.kind === 'struct') return schema.fields.get(element.slice(2))?.schema;
  if (schema.kind === 'map') return schema.values;
  return schema.kind === 'list' ? schema.items : undefined;
}

/** How an item of a list is named in a path: by its key fields, or by its value. */
export function listElement(keys: readonly { name: string; default?: Json | undefined }[], item: Json): PathElement {
  if (keys.length === 0) return `v:${JSON.stringify(item)}`;
  const own = isJsonObject(item) ? item : {};
  const key: JsonObject = {};
  for (const { name, default: value } of [...keys].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const found = own[name] ?? value;
    if (found !== undefined) key[name] = found;
  }
  return `k:${JSON.stringify(key)}`;
}

/** A path in the form of conflict messages: `.spec.ports[port=80,protocol="TCP"].name` */
export function printPath(path: readonly PathElement[]): string {
  return path.map(printElement).join('');
}

function printElement(element: PathElement): string {
  const rest = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${rest}`;
    case 'k': {
      const key = JSON.parse(rest) as JsonObject;
      return `[${Object.entries(key)
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .join(',')}]`;
    }
    case 'v':
      return `[=${rest}]`;
    default:
      return `[${rest}]`;
  }
}

const nothing = new FieldSet();
