/** The fields of an object that came over the network; none if it is not an object. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

/** The fields of the object that a JSON text holds; none if it holds something else, or is not JSON. */
export function parsedRecord(json: string): Readonly<Record<string, unknown>> {
  try {
    return record(JSON.parse(json));
  } catch {
    return {};
  }
}

/** Whether the value is a text that is not empty. Go writes an absent text as an empty one. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
