import { isJsonObject, type Json, type JsonObject, type KubernetesObject } from './object.ts';
import { apiVersionOf, findKind, type ResourceType } from './resources.ts';
import { type FieldSchema, roomOf, type ScalarType, type Schema, type StructSchema, schemaOf } from './schema.ts';
import { badRequest, unrecognized } from './status.ts';

/** What happens to fields that the type does not have, and to fields that occur twice. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/**
 * Turns JSON into an object of a type as the API server's decoder does: wrong JSON types are refused, unknown fields
 * are dropped with a warning (or refused), and empty values are left out.
 *
 * @throws ApiStatusError 400 BadRequest.
 */
export function decodeObject(
  type: ResourceType,
  input: unknown,
  options: {
    validation: FieldValidation;
    duplicates?: readonly string[] | undefined;
    /** Makes the refusal. @defaultValue 400, in the words for a body */
    refuse?: ((why: string) => Error) | undefined;
  },
): { object: KubernetesObject; warnings: string[] } {
  if (!isJsonObject(input)) {
    throw badRequest(
      `${unrecognized(type)}: couldn't get version/kind; json parse error: the body is not a JSON object`,
    );
  }
  // The path has what the body leaves out.
  const { kind = type.kind, apiVersion = apiVersionOf(type) } = input;
  if (kind !== type.kind || apiVersion !== apiVersionOf(type)) {
    const version = String(apiVersion).split('/').at(-1);
    const why =
      findKind(String(apiVersion), String(kind)) === undefined
        ? notRegistered(String(kind), String(apiVersion))
        : `converting (${version}.${String(kind)}) to (${roomOf(type.group)}.${type.kind}): unknown conversion`;
    throw (
      options.refuse?.(why) ??
      badRequest(
        `${String(kind)} in version ${JSON.stringify(String(apiVersion))} cannot be handled as a ${type.kind}: ${why}`,
      )
    );
  }
  const found: Findings = { unknown: [...(options.duplicates ?? [])] };
  const where = (message: string) =>
    options.refuse?.(message) ??
    badRequest(
      `${type.kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}: ${message}`,
    );
  let object: JsonObject;
  try {
    object = decodeStruct(input, schemaOf(type), '', found);
  } catch (error) {
    if (error instanceof WrongJsonType) throw where(error.message);
    throw error;
  }
  if (options.validation === 'Strict' && found.unknown.length > 0) {
    throw where(`strict decoding error: ${found.unknown.join(', ')}`);
  }
  const metadata = isJsonObject(object['metadata']) ? object['metadata'] : {};
  const decoded = {
    kind: type.kind,
    apiVersion: apiVersionOf(type),
    ...object,
    metadata,
  } as unknown as KubernetesObject;
  return { object: decoded, warnings: options.validation === 'Warn' ? found.unknown : [] };
}

/** What the API server says of a kind that its decoder does not know. */
export function notRegistered(kind: string, apiVersion: string): string {
  return `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`;
}

/** Names the fields that occur twice in the same JSON object, in the words of the API server. */
export function duplicateFields(text: string): string[] {
  const found: string[] = [];
  const stack: { path: string; keys: Set<string> | undefined; index: number; key: string }[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
  let expectKey = false;
  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    const [token] = match;
    const top = stack.at(-1);
    const path =
      top === undefined ? '' : top.keys === undefined ? `${top.path}[${top.index}]` : join(top.path, top.key);
    if (token === '{') {
      stack.push({ path, keys: new Set(), index: 0, key: '' });
      expectKey = true;
    } else if (token === '[') {
      stack.push({ path, keys: undefined, index: 0, key: '' });
      expectKey = false;
    } else if (token === '}' || token === ']') {
      stack.pop();
      expectKey = false;
    } else if (token === ',') {
      if (top !== undefined && top.keys === undefined) top.index += 1;
      expectKey = top?.keys !== undefined;
    } else if (token === ':') {
      expectKey = false;
    } else if (expectKey && top?.keys !== undefined) {
      top.key = JSON.parse(token) as string;
      if (top.keys.has(top.key)) found.push(`duplicate field ${JSON.stringify(join(top.path, top.key))}`);
      top.keys.add(top.key);
    }
  }
  return [...new Set(found)];
}

/** The same as JSON, with U+FFFD for each half of a surrogate pair, because neither Go nor UTF-8 has halves. */
export function wholeCharacters<T>(value: T): T {
  // JSON.stringify writes only halves as such escapes.
  const written = JSON.stringify(value)?.replace(/\\\\|\\ud[89a-f][\da-f]{2}/g, (found) =>
    found === '\\\\' ? found : '\ufffd',
  );
  return written === undefined ? value : (JSON.parse(written) as T);
}

interface Findings {
  readonly unknown: string[];
}

class WrongJsonType extends Error {}

function decodeStruct(input: JsonObject, schema: StructSchema, path: string, found: Findings): JsonObject {
  const decoded: JsonObject = {};
  for (const [name, value] of Object.entries(input)) {
    const field = schema.fields.get(name);
    if (field === undefined) {
      found.unknown.push(`unknown field ${JSON.stringify(join(path, name))}`);
      continue;
    }
    if (value === null) continue;
    const kept = decodeValue(value, field.schema, join(path, name), schema, found);
    if (!isLeftOut(kept, field, schema)) decoded[name] = kept;
  }
  return decoded;
}

function decodeValue(value: Json, schema: Schema, path: string, owner: StructSchema, found: Findings): Json {
  switch (schema.kind) {
    case 'scalar':
      return decodeScalar(value, schema.type, path, owner);
    case 'struct':
      if (!isJsonObject(value)) throw wrongType(value, path, owner, goTypeOf(schema));
      return decodeStruct(value, schema, path, found);
    case 'map': {
      if (!isJsonObject(value)) throw wrongType(value, path, owner, 'map[string]string');
      const decoded: JsonObject = {};
      for (const [name, item] of Object.entries(value)) {
        // Go reads null as the empty value.
        const given = item === null && schema.values.kind === 'scalar' ? '' : item;
        if (given !== null) decoded[name] = decodeValue(given, schema.values, path, owner, found);
      }
      return decoded;
    }
    case 'list': {
      if (!Array.isArray(value)) throw wrongType(value, path, owner, `[]${goTypeOf(schema.items)}`);
      return value.map((item, index) => {
        const given = item === null ? emptyOf(schema.items) : item;
        return decodeValue(given, schema.items, `${path}[${index}]`, owner, found);
      });
    }
  }
}

function decodeScalar(value: Json, type: ScalarType, path: string, owner: StructSchema): Json {
  switch (type) {
    case 'string':
    case 'bytes':
      if (typeof value !== 'string') throw wrongType(value, path, owner, 'string');
      return value;
    case 'bool':
      if (typeof value !== 'boolean') throw wrongType(value, path, owner, 'bool');
      return value;
    case 'int':
    case 'long':
      if (typeof value !== 'number') throw wrongType(value, path, owner, type === 'int' ? 'int32' : 'int64');
      if (!Number.isInteger(value) || (type === 'int' && Math.abs(value) > 2 ** 31)) {
        throw wrongType(value, path, owner, type === 'int' ? 'int32' : 'int64', `number ${value}`);
      }
      return value;
    case 'number':
      if (typeof value !== 'number') throw wrongType(value, path, owner, 'float64');
      return value;
    case 'time':
    case 'microtime': {
      if (typeof value !== 'string') throw wrongType(value, path, owner, 'string');
      const time = new Date(value);
      if (!/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d/.test(value) || Number.isNaN(time.getTime())) {
        const layout = type === 'time' ? '2006-01-02T15:04:05Z07:00' : '2006-01-02T15:04:05.000000Z07:00';
        const rest = /^\d{4}/.test(value) ? '' : ` ${JSON.stringify(value)} as "2006"`;
        throw new WrongJsonType(`parsing time ${JSON.stringify(value)} as "${layout}": cannot parse${rest}`);
      }
      return type === 'time' ? `${time.toISOString().slice(0, 19)}Z` : microTime(value, time);
    }
    case 'quantity':
      if (typeof value !== 'string' && typeof value !== 'number') throw wrongType(value, path, owner, 'string');
      if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/.test(String(value))) {
        throw new WrongJsonType(
          "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        );
      }
      return String(value);
    case 'int-or-string':
      if (typeof value !== 'string' && !(typeof value === 'number' && Number.isInteger(value))) {
        throw wrongType(value, path, owner, 'string');
      }
      return value;
    case 'object':
      if (!isJsonObject(value)) throw wrongType(value, path, owner, 'map[string]interface {}');
      return value;
  }
}

/** With six digits after the second, however many there were. */
function microTime(text: string, time: Date): string {
  const digits = /\.(\d+)/.exec(text)?.[1] ?? '';
  return `${time.toISOString().slice(0, 19)}.${digits.padEnd(6, '0').slice(0, 6)}Z`;
}

/** Whether Go's `omitempty` leaves the value out. Fields that are pointers in Go keep an empty value. */
function isLeftOut(value: Json, field: FieldSchema, owner: StructSchema): boolean {
  if (field.required || pointers.has(`${owner.name}.${field.name}`)) return false;
  if (value === '') return true;
  if (Array.isArray(value)) return value.length === 0;
  if (isJsonObject(value)) return field.schema.kind === 'map' && Object.keys(value).length === 0;
  return (value === 0 || value === false) && plainNumbersAndFlags.has(field.name);
}

function wrongType(
  value: Json,
  path: string,
  owner: StructSchema,
  go: string,
  shown = jsonTypeOf(value),
): WrongJsonType {
  const struct = owner.name.split('.')[1];
  return new WrongJsonType(
    `json: cannot unmarshal ${shown} into Go struct field ${struct}.${path.replaceAll(/\[\d+\]/g, '')} of type ${go}`,
  );
}

/** The name that Go's decoder has for the type of a JSON value. */
export function jsonTypeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function goTypeOf(schema: Schema): string {
  if (schema.kind === 'struct') return `v1.${schema.name.split('.')[1]}`;
  return schema.kind === 'scalar' ? schema.type : 'map[string]string';
}

function emptyOf(schema: Schema): Json {
  if (schema.kind === 'scalar') return schema.type === 'bool' ? false : schema.type === 'int' ? 0 : '';
  return schema.kind === 'list' ? [] : {};
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

const pointers: ReadonlySet<string> = new Set([
  'core.ServiceSpec.ipFamilyPolicy',
  'core.ServiceSpec.internalTrafficPolicy',
  'core.ServiceSpec.loadBalancerClass',
  'core.ServiceSpec.trafficDistribution',
  'core.ServicePort.appProtocol',
  'discovery.EndpointPort.name',
  'discovery.EndpointPort.appProtocol',
  'coordination.LeaseSpec.holderIdentity',
  'core.PersistentVolumeClaimSpec.storageClassName',
]);

const plainNumbersAndFlags: ReadonlySet<string> = new Set([
  'nodePort',
  'healthCheckNodePort',
  'hostPort',
  'publishNotReadyAddresses',
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'stdin',
  'stdinOnce',
  'tty',
  'readOnly',
  'generation',
  'count',
  'initialDelaySeconds',
]);
