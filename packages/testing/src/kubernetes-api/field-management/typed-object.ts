import { copy, isJsonObject, type Json, type JsonObject, jsonEqual } from '../object.ts';
import type { ListSchema, Schema } from '../schema.ts';
import { FieldSet, listElement, type PathElement, printPath, schemaBelow } from './field-set.ts';

/**
 * The four things that field management does with objects of a schema. None of them changes its arguments.
 *
 * Source: structured-merge-diff `typed/` (tofieldset.go, compare.go, merge.go, remove.go).
 */

/** The places that an applied configuration sets. */
export function fieldsOf(value: Json, schema: Schema): FieldSet {
  const paths: PathElement[][] = [];
  collectFields(value, schema, [], paths);
  return FieldSet.of(paths);
}

/** What was added, changed and taken away from one object to the next. */
export function compareObjects(
  before: Json,
  after: Json,
  schema: Schema,
): { added: FieldSet; modified: FieldSet; removed: FieldSet } {
  const found = { added: [] as PathElement[][], modified: [] as PathElement[][], removed: [] as PathElement[][] };
  compare(before, after, schema, [], found);
  return {
    added: FieldSet.of(found.added),
    modified: FieldSet.of(found.modified),
    removed: FieldSet.of(found.removed),
  };
}

/** The live object with an applied configuration laid over it. */
export function mergeObjects(live: Json, applied: Json, schema: Schema): Json {
  return merge(live, applied, schema) ?? null;
}

/** The object without the given places, and without what becomes empty by that. */
export function removeFields(value: Json, fields: FieldSet, schema: Schema): Json | undefined {
  if (isLeaf(schema)) return value !== null && typeof value === 'object' ? undefined : value;
  if (schema.kind === 'list') {
    if (!Array.isArray(value)) return undefined;
    const kept = value.flatMap((item) => {
      const element = elementOf(schema, item);
      if (fields.has(element)) return [];
      const below = fields.below(element);
      if (below.isEmpty()) return [item];
      const rest = removeFields(item, below, schema.items);
      return rest === undefined ? [null] : [rest];
    });
    return kept.length === 0 ? undefined : kept;
  }
  if (!isJsonObject(value)) return undefined;
  const kept: JsonObject = {};
  for (const [name, item] of Object.entries(value)) {
    const element = `f:${name}`;
    if (fields.has(element)) continue;
    const below = fields.below(element);
    const rest = below.isEmpty() ? item : removeFields(item, below, schemaBelow(schema, element) ?? anything);
    if (rest !== undefined) kept[name] = rest;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}

/** Names a key that occurs twice in a list of an applied configuration; undefined if there is none. */
export function duplicateKey(value: Json, schema: Schema, path = ''): string | undefined {
  if (isLeaf(schema)) return undefined;
  if (schema.kind === 'list') {
    if (!Array.isArray(value)) return undefined;
    const seen = new Set<PathElement>();
    for (const item of value) {
      const element = elementOf(schema, item);
      if (seen.has(element)) return `${path}: duplicate entries for key ${printPath([element])}`;
      seen.add(element);
      const deeper = duplicateKey(item, schema.items, `${path}${printPath([element])}`);
      if (deeper !== undefined) return deeper;
    }
    return undefined;
  }
  if (!isJsonObject(value)) return undefined;
  for (const [name, item] of Object.entries(value)) {
    const inner = schemaBelow(schema, `f:${name}`);
    const deeper = inner && duplicateKey(item, inner, `${path}.${name}`);
    if (deeper !== undefined) return deeper;
  }
  return undefined;
}

function collectFields(value: Json, schema: Schema, path: PathElement[], paths: PathElement[][]): void {
  if (isLeaf(schema)) {
    paths.push(path);
  } else if (schema.kind === 'list') {
    for (const item of Array.isArray(value) ? value : []) {
      const own = [...path, elementOf(schema, item)];
      collectFields(item, schema.items, own, paths);
      paths.push(own);
    }
  } else if (isJsonObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      const own = [...path, `f:${name}`];
      const inner = schemaBelow(schema, `f:${name}`) ?? anything;
      collectFields(item, inner, own, paths);
      const empty = item === null || (isJsonObject(item) && Object.keys(item).length === 0);
      if (empty || schema.kind === 'map') paths.push(own);
    }
  }
}

function compare(
  before: Json | undefined,
  after: Json | undefined,
  schema: Schema,
  path: PathElement[],
  found: { added: PathElement[][]; modified: PathElement[][]; removed: PathElement[][] },
): void {
  const leaf = isLeaf(schema) || (isEmpty(before) && isEmpty(after));
  if (leaf) {
    if (before === undefined) found.added.push(path);
    else if (after === undefined) found.removed.push(path);
    else if (!jsonEqual(before, after)) found.modified.push(path);
    return;
  }
  if (schema.kind === 'list') {
    const items = new Map<PathElement, { before?: Json; after?: Json }>();
    for (const item of Array.isArray(before) ? before : []) items.set(elementOf(schema, item), { before: item });
    for (const item of Array.isArray(after) ? after : []) {
      const element = elementOf(schema, item);
      items.set(element, { ...items.get(element), after: item });
    }
    for (const [element, item] of items) compare(item.before, item.after, schema.items, [...path, element], found);
  } else {
    const old = isJsonObject(before) ? before : {};
    const next = isJsonObject(after) ? after : {};
    for (const name of new Set([...Object.keys(old), ...Object.keys(next)])) {
      compare(old[name], next[name], schemaBelow(schema, `f:${name}`) ?? anything, [...path, `f:${name}`], found);
    }
  }
  if (path.length === 0) return;
  if (before === undefined) found.added.push(path);
  else if (after === undefined) found.removed.push(path);
}

function merge(live: Json | undefined, applied: Json | undefined, schema: Schema): Json | undefined {
  if (isLeaf(schema) || (isEmpty(live) && isEmpty(applied))) {
    const kept = applied === undefined ? live : applied;
    return kept === undefined ? undefined : copy(kept);
  }
  if (schema.kind === 'list') {
    return mergeLists(Array.isArray(live) ? live : [], Array.isArray(applied) ? applied : [], schema);
  }
  const old = isJsonObject(live) ? live : {};
  const next = isJsonObject(applied) ? applied : {};
  const merged: JsonObject = {};
  for (const name of new Set([...Object.keys(old), ...Object.keys(next)])) {
    const value = merge(old[name], next[name], schemaBelow(schema, `f:${name}`) ?? anything);
    if (value !== undefined) merged[name] = value;
  }
  return Object.keys(merged).length === 0 ? undefined : merged;
}

/** Items of the live list keep their places; applied items come in the order of the configuration. */
function mergeLists(live: readonly Json[], applied: readonly Json[], schema: ListSchema): Json[] | undefined {
  const old = new Map(live.map((item) => [elementOf(schema, item), item]));
  const next = new Map(applied.map((item) => [elementOf(schema, item), item]));
  const merged: Json[] = [];
  const done = new Set<PathElement>();
  const take = (element: PathElement) => {
    if (done.has(element)) return;
    done.add(element);
    const value = merge(old.get(element), next.get(element), schema.items);
    if (value !== undefined) merged.push(value);
  };
  const order = [...next.keys()];
  for (const element of old.keys()) {
    if (!next.has(element)) {
      take(element);
      continue;
    }
    // Everything that was applied up to and with this item goes before what follows it in the live list.
    if (done.has(element)) continue;
    for (const before of order.slice(0, order.indexOf(element) + 1)) take(before);
  }
  for (const element of order) take(element);
  return merged.length === 0 ? undefined : merged;
}

function isLeaf(schema: Schema): boolean {
  switch (schema.kind) {
    case 'scalar':
      return true;
    case 'list':
      return schema.listType === 'atomic';
    default:
      return schema.atomic;
  }
}

function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}

function elementOf(schema: ListSchema, item: Json): PathElement {
  const fields = schema.items.kind === 'struct' ? schema.items.fields : undefined;
  const keys = schema.keys.map((name) => ({ name, default: fields?.get(name)?.default }));
  return listElement(keys, item);
}

// Fields that the schema does not know are owned as a whole.
const anything: Schema = { kind: 'scalar', type: 'object' };
