/**
 * The objects of a list, as kubectl finds them: every object that has a kind and `items` is one, whatever the kind. An
 * item without `apiVersion` and `kind` has those of the list, whose kind loses its `List`.
 *
 * @returns undefined for what is no list
 */
export function listItems(value: unknown): unknown[] | undefined {
  if (!isRecord(value) || !isText(value['kind'])) return undefined;
  const { apiVersion, kind } = value;
  if (value['items'] === null) return [];
  if (!Array.isArray(value['items'])) return undefined;
  return Array.from(value['items'] as unknown[], (item) => {
    if (!isRecord(item) || isText(item['apiVersion']) || isText(item['kind'])) return item;
    if (!isText(apiVersion) || !isText(kind) || kind === 'List') return item;
    return { ...item, apiVersion, kind: kind.replace(/List$/, '') };
  });
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
