import { copy, isJsonObject, type Json, type JsonObject, jsonEqual } from './object.ts';
import type { ListSchema, Schema, StructSchema } from './schema.ts';
import { ApiStatusError, badRequest } from './status.ts';

/**
 * Applies a strategic merge patch. It works like a merge patch, but lists that have a merge key are merged item by item, and
 * directives (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/...`, `$setElementOrder/...`) say what else to do.
 *
 * Source: Kubernetes documentation, "Update API Objects in Place Using kubectl patch"; apimachinery
 * `pkg/util/strategicpatch/patch.go`.
 *
 * @throws ApiStatusError 500 if a list item of the patch lacks the merge key.
 */
export function applyStrategicMergePatch(object: JsonObject, patch: JsonObject, schema: StructSchema): JsonObject {
  return mergeMaps(object, patch, schema);
}

function mergeMaps(original: JsonObject, patch: JsonObject, schema: Schema | undefined): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'replace') {
    const { $patch: _, ...rest } = patch;
    return copy(rest);
  }
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw new ApiStatusError(500, '', `unknown patch type: ${String(directive)} in map: ${goMap(patch)}`);
  }

  const merged: JsonObject = { ...original };
  const retained = patch['$retainKeys'];
  if (Array.isArray(retained)) {
    for (const name of Object.keys(merged)) if (!retained.includes(name)) delete merged[name];
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name === '$patch' || name === '$retainKeys') continue;
    if (name.startsWith(deletePrefix)) {
      const list = merged[name.slice(deletePrefix.length)];
      if (Array.isArray(list) && Array.isArray(value)) {
        merged[name.slice(deletePrefix.length)] = list.filter((item) => !value.some((gone) => jsonEqual(item, gone)));
      }
      continue;
    }
    if (name.startsWith(orderPrefix)) continue;
    if (value === null) {
      delete merged[name];
      continue;
    }
    merged[name] = mergeValue(merged[name], value, fieldSchema(schema, name));
  }
  for (const [name, value] of Object.entries(patch)) {
    const list = merged[name.slice(orderPrefix.length)];
    if (!name.startsWith(orderPrefix) || !Array.isArray(value) || !Array.isArray(list)) continue;
    const field = fieldSchema(schema, name.slice(orderPrefix.length));
    merged[name.slice(orderPrefix.length)] = reorder(list, value, field?.kind === 'list' ? field.mergeKey : undefined);
  }
  return merged;
}

function mergeValue(original: Json | undefined, value: Json, schema: Schema | undefined): Json {
  if (isJsonObject(value)) {
    // Patch lines inside a new value are directives, too.
    return mergeMaps(isJsonObject(original) ? original : {}, value, schema);
  }
  if (Array.isArray(value) && schema?.kind === 'list' && schema.mergeKey !== undefined) {
    return mergeLists(Array.isArray(original) ? original : [], value, schema);
  }
  return copy(value);
}

function mergeLists(original: readonly Json[], patch: readonly Json[], schema: ListSchema): Json[] {
  const { mergeKey = '', items } = schema;
  if (items.kind === 'scalar') {
    const added = patch.filter((item) => !original.some((present) => jsonEqual(present, item)));
    return patchedFirst([...original, ...added], original, patch, (item) => item);
  }
  const replaces = patch.some((item) => isJsonObject(item) && item['$patch'] === 'replace');
  const plain = patch.filter((item) => !(isJsonObject(item) && item['$patch'] === 'replace'));
  if (replaces) return copy(plain);

  let merged = [...original];
  for (const item of plain) {
    if (!isJsonObject(item)) throw badRequest('error decoding patch: an item of a list of objects is not an object');
    const { $patch: directive, ...value } = item;
    const key = value[mergeKey];
    if (key === undefined) {
      throw new ApiStatusError(500, '', `map: ${goMap(value)} does not contain declared merge key: ${mergeKey}`);
    }
    const same = (other: Json) => isJsonObject(other) && jsonEqual(other[mergeKey], key);
    if (directive === 'delete') {
      merged = merged.filter((other) => !same(other));
      continue;
    }
    const index = merged.findIndex(same);
    const present = merged[index];
    if (present === undefined) merged.push(mergeMaps({}, value, items));
    else merged[index] = mergeMaps(isJsonObject(present) ? present : {}, value, items);
  }
  return patchedFirst(merged, original, plain, (item) => (isJsonObject(item) ? (item[mergeKey] ?? null) : item));
}

/**
 * The order of a merged list: items of the patch as the patch has them, and before each of them what stood before it in the
 * original. So a new item comes first (`mergeSortedSlice` of the same file).
 */
function patchedFirst(
  merged: readonly Json[],
  original: readonly Json[],
  patch: readonly Json[],
  keyOf: (item: Json) => Json,
): Json[] {
  const positionIn = (list: readonly Json[], item: Json) =>
    list.findIndex((other) => jsonEqual(keyOf(other), keyOf(item)));
  const named = merged
    .filter((item) => positionIn(patch, item) >= 0)
    .sort((a, b) => positionIn(patch, a) - positionIn(patch, b));
  const others = merged.filter((item) => positionIn(patch, item) < 0);
  return named
    .flatMap((item) => {
      const place = positionIn(original, item);
      const before = others.findIndex((other) => positionIn(original, other) > place);
      return [...others.splice(0, before < 0 && place >= 0 ? others.length : Math.max(before, 0)), item];
    })
    .concat(others);
}

/** Items that the order names come in that order; others stay behind the item that they were behind. */
function reorder(list: readonly Json[], order: readonly Json[], mergeKey: string | undefined): Json[] {
  const keyOf = (item: Json): Json => (mergeKey && isJsonObject(item) ? (item[mergeKey] ?? null) : item);
  const position = (item: Json) => order.findIndex((entry) => jsonEqual(keyOf(entry), keyOf(item)));
  const named = list.filter((item) => position(item) >= 0).sort((a, b) => position(a) - position(b));
  const result: Json[] = [];
  let next = 0;
  for (const item of list) {
    if (position(item) < 0) result.push(item);
    else {
      const ordered = named[next];
      next += 1;
      if (ordered !== undefined) result.push(ordered);
    }
  }
  return result;
}

function fieldSchema(schema: Schema | undefined, name: string): Schema | undefined {
  if (schema?.kind === 'struct') return schema.fields.get(name)?.schema;
  return schema?.kind === 'map' ? schema.values : undefined;
}

function goMap(value: JsonObject): string {
  return `map[${Object.entries(value)
    .map(([name, item]) => `${name}:${typeof item === 'object' ? JSON.stringify(item) : String(item)}`)
    .join(' ')}]`;
}

const deletePrefix = '$deleteFromPrimitiveList/';
const orderPrefix = '$setElementOrder/';
