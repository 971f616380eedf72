import { copy, isJsonObject, type Json, type JsonObject } from './object.ts';

/** Applies a JSON Merge Patch (RFC 7396): fields are merged, lists replaced, null removes. Changes neither argument. */
export function applyMergePatch(object: JsonObject, patch: JsonObject): JsonObject {
  const merged: JsonObject = { ...object };
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) {
      delete merged[field];
    } else if (isJsonObject(value)) {
      const present = merged[field];
      merged[field] = applyMergePatch(isJsonObject(present) ? present : {}, value);
    } else {
      merged[field] = copy<Json>(value);
    }
  }
  return merged;
}
