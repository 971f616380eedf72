import type { Json, JsonObject } from './object.ts';
import type { FieldSchema, ScalarType, Schema, StructSchema } from './schema.ts';
import { badRequest } from './status.ts';

/**
 * Reads an object in the protobuf form of Kubernetes, in which kubectl sends some requests (`auth can-i`, `create`). The
 * result is JSON, as if the client had sent JSON. Answers are always JSON, which every client accepts.
 *
 * Source: Kubernetes documentation, "Kubernetes Protobuf encoding"; apimachinery `pkg/runtime/generated.proto`.
 *
 * @throws ApiStatusError 400 if the bytes are not such an object.
 */
export function decodeProtobuf(
  bytes: Buffer,
  schemaFor: (apiVersion: string, kind: string) => StructSchema,
): JsonObject {
  if (!bytes.subarray(0, magic.length).equals(magic)) {
    throw badRequest('provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]');
  }
  try {
    const envelope = fieldsIn(bytes.subarray(magic.length));
    const typeMeta = fieldsIn(last(envelope, 1));
    const apiVersion = last(typeMeta, 1).toString();
    const kind = last(typeMeta, 2).toString();
    return { apiVersion, kind, ...readStruct(last(envelope, 2), schemaFor(apiVersion, kind)) };
  } catch (error) {
    if (error instanceof RangeError) throw badRequest('unable to decode protobuf: unexpected end of the message');
    throw error;
  }
}

/** The values of a message by field number, in the order in which they stand. */
type MessageFields = Map<number, (Buffer | bigint)[]>;

function readStruct(bytes: Buffer, schema: StructSchema): JsonObject {
  const fields = fieldsIn(bytes);
  const embedded = new Map<number, MessageFields>();
  const json: JsonObject = {};
  for (const field of schema.fields.values()) {
    const [outer, inner] = field.numbers;
    if (outer === undefined) continue;
    let found = fields.get(outer);
    if (inner !== undefined) {
      const message = embedded.get(outer) ?? fieldsIn(last(fields, outer));
      embedded.set(outer, message);
      found = message.get(inner);
    }
    if (found === undefined) continue;
    const value = readField(found, field);
    if (value !== undefined) json[field.name] = value;
  }
  return json;
}

function readField(values: readonly (Buffer | bigint)[], { schema }: FieldSchema): Json | undefined {
  if (schema.kind === 'list') return values.flatMap((value) => readValue(value, schema.items) ?? []);
  if (schema.kind === 'map') {
    const json: JsonObject = {};
    for (const value of values) {
      const entry = fieldsIn(asBytes(value));
      const item = readMapValue(entry.get(2)?.at(-1), schema.values);
      if (item !== undefined) json[last(entry, 1).toString()] = item;
    }
    return json;
  }
  const value = values.at(-1);
  return value === undefined ? undefined : readValue(value, schema);
}

function readMapValue(value: Buffer | bigint | undefined, schema: Schema): Json | undefined {
  if (schema.kind === 'list') {
    const items = fieldsIn(asBytes(value ?? Buffer.alloc(0))).get(1) ?? [];
    return items.flatMap((item) => readValue(item, schema.items) ?? []);
  }
  return value === undefined ? '' : readValue(value, schema);
}

function readValue(value: Buffer | bigint, schema: Schema): Json | undefined {
  if (schema.kind === 'struct') return readStruct(asBytes(value), schema);
  return schema.kind === 'scalar' ? readScalar(value, schema.type) : undefined;
}

function readScalar(value: Buffer | bigint, type: ScalarType): Json | undefined {
  switch (type) {
    case 'int':
    case 'long':
      return Number(BigInt.asIntN(64, asNumber(value)));
    case 'bool':
      return asNumber(value) !== 0n;
    case 'number':
      return asBytes(value).readDoubleLE(0);
    case 'bytes':
      return asBytes(value).toString('base64');
    case 'time':
    case 'microtime': {
      const parts = fieldsIn(asBytes(value));
      // A time that was never set is an empty message.
      if (parts.size === 0) return undefined;
      const seconds = Number(BigInt.asIntN(64, asNumber(parts.get(1)?.at(-1) ?? 0n)));
      const nanos = Number(asNumber(parts.get(2)?.at(-1) ?? 0n));
      const text = new Date(seconds * 1000).toISOString().slice(0, 19);
      return type === 'time' ? `${text}Z` : `${text}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
    }
    case 'quantity':
      return last(fieldsIn(asBytes(value)), 1).toString();
    case 'int-or-string': {
      const parts = fieldsIn(asBytes(value));
      const isText = asNumber(parts.get(1)?.at(-1) ?? 0n) === 1n;
      if (isText) return last(parts, 3).toString();
      return Number(BigInt.asIntN(64, asNumber(parts.get(2)?.at(-1) ?? 0n)));
    }
    case 'object':
      return JSON.parse(last(fieldsIn(asBytes(value)), 1).toString() || '{}') as Json;
    case 'string':
      return asBytes(value).toString();
  }
}

/** Takes a message apart (protobuf wire types 0, 1, 2 and 5). */
function fieldsIn(bytes: Buffer): MessageFields {
  const fields: MessageFields = new Map();
  let offset = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(offset);
      offset += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      if (shift > 63n) throw new RangeError('a number is too long');
    }
  };
  const slice = (length: number) => {
    if (offset + length > bytes.length) throw new RangeError('the message ends too early');
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  while (offset < bytes.length) {
    const tag = Number(varint());
    const wireType = tag & 7;
    let value: Buffer | bigint;
    if (wireType === 0) value = varint();
    else if (wireType === 1) value = slice(8);
    else if (wireType === 2) value = slice(Number(varint()));
    else if (wireType === 5) value = slice(4);
    else throw new RangeError('a wire type is unknown');
    fields.set(tag >>> 3, [...(fields.get(tag >>> 3) ?? []), value]);
  }
  return fields;
}

function last(fields: MessageFields, number: number): Buffer {
  return asBytes(fields.get(number)?.at(-1) ?? Buffer.alloc(0));
}

function asBytes(value: Buffer | bigint): Buffer {
  if (typeof value === 'bigint') throw new RangeError('a number stands where bytes belong');
  return value;
}

function asNumber(value: Buffer | bigint): bigint {
  if (typeof value !== 'bigint') throw new RangeError('bytes stand where a number belongs');
  return value;
}

const magic = Buffer.from('k8s\0', 'latin1');
