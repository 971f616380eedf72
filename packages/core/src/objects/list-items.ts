/**
 * The objects of a list, as kubectl finds them. Every object with a kind and `items` is a list, whatever its kind is. An item
 * without `apiVersion` and `kind` gets them from the list, whose kind loses its suffix `List`.
 *
 * @returns undefined if the value is not a list
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
