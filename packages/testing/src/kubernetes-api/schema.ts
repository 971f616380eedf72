import type { ResourceType } from './resources.ts';
import { definitions } from './schemas/definitions.ts';

/** The shape of a value, and how its parts are merged and owned. */
export type Schema = ScalarSchema | StructSchema | MapSchema | ListSchema;

/** A value without parts. `object` is any JSON, kept as it is. */
export interface ScalarSchema {
  readonly kind: 'scalar';
  readonly type: ScalarType;
}

/** See {@link ScalarSchema}. */
export type ScalarType = (typeof scalarTypes)[number];

/** An object with known fields. */
export interface StructSchema {
  readonly kind: 'struct';
  /** `core.ServiceSpec` */
  readonly name: string;
  /** Owned as a whole. */
  readonly atomic: boolean;
  readonly fields: ReadonlyMap<string, FieldSchema>;
}

/** One field of a {@link StructSchema}. */
export interface FieldSchema {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
  /** Number in protobuf; two numbers if the field belongs to an embedded message. Empty if protobuf does not have the field. */
  readonly numbers: readonly number[];
  readonly default?: string | number | boolean;
  /** A patch of this struct without `$retainKeys` fields replaces it. */
  readonly retainKeys?: boolean;
}

/** An object with any keys. */
export interface MapSchema {
  readonly kind: 'map';
  readonly values: Schema;
  readonly atomic: boolean;
}

/** A list, and how its items are told apart. */
export interface ListSchema {
  readonly kind: 'list';
  readonly items: Schema;
  readonly listType: 'atomic' | 'set' | 'map';
  /** The fields that name an item of a list of type `map`. */
  readonly keys: readonly string[];
  /** The field that a strategic merge patch tells items apart by; `` for a list of scalars. */
  readonly mergeKey: string | undefined;
}

/** The schema of a kind of object. */
export function schemaOf(type: Pick<ResourceType, 'group' | 'kind'>): StructSchema {
  return structNamed(`${roomOf(type.group)}.${type.kind}`);
}

/** The schema of a type by the name it has in `schemas/definitions.ts`. */
export function structNamed(name: string): StructSchema {
  const known = structs.get(name);
  if (known !== undefined) return known;
  const line = lines().get(name);
  if (line === undefined) throw new Error(`no schema is defined for ${name}`);
  const [, ...words] = line.split(' ');
  const atomic = words[0] === 'atomic';
  const fields = new Map<string, FieldSchema>();
  const struct: StructSchema = { kind: 'struct', name, atomic, fields };
  // Known before its fields are read, as types refer to each other.
  structs.set(name, struct);
  for (const word of words.slice(atomic ? 1 : 0)) {
    const field = readField(word);
    fields.set(field.name, field);
  }
  return struct;
}

/** All names of `schemas/definitions.ts`. */
export function structNames(): string[] {
  return [...lines().keys()];
}

/** The first part of a schema's name: `core` for the core group, else the group's first word. */
export function roomOf(group: string): string {
  return group === '' ? 'core' : (group.split('.')[0] ?? group);
}

function readField(word: string): FieldSchema {
  const [, name = '', numbers, mark, rest = ''] = /^(\w+)(?:@([\d/]+))?(!?):(.*)$/.exec(word) ?? [];
  // A default follows the type; an equals sign inside its parentheses is an option.
  const end = rest.includes('(') ? rest.lastIndexOf(')') + 1 : rest.search(/=|$/);
  const type = rest.slice(0, end);
  const value = rest[end] === '=' ? rest.slice(end + 1) : undefined;
  return {
    name,
    required: mark === '!',
    numbers: numbers?.split('/').map(Number) ?? [],
    schema: readType(type),
    ...(value === undefined ? {} : { default: JSON.parse(value) as string }),
    ...(type.includes('retainKeys') ? { retainKeys: true } : {}),
  };
}

function readType(text: string): Schema {
  const open = text.indexOf('(');
  const head = open < 0 ? text : text.slice(0, open);
  const [inner = '', ...options] = open < 0 ? [] : splitOptions(text.slice(open + 1, -1));
  if (head === 'map') return { kind: 'map', values: readType(inner), atomic: options.includes('atomic') };
  if (head === 'list') return readList(inner, options);
  const type = scalarTypes.find((each) => each === head);
  if (type !== undefined) return { kind: 'scalar', type };
  const struct = structNamed(head);
  return inner === 'atomic' && !struct.atomic ? { ...struct, atomic: true } : struct;
}

function readList(items: string, options: readonly string[]): ListSchema {
  const key = options.find((option) => option.startsWith('key='));
  const patch = options.find((option) => option.startsWith('patch=') && option.includes('merge'));
  return {
    kind: 'list',
    items: readType(items),
    listType: key !== undefined ? 'map' : options.includes('set') ? 'set' : 'atomic',
    keys: key?.slice(4).split('+') ?? [],
    mergeKey: patch === undefined ? undefined : (patch.split(':')[1] ?? ''),
  };
}

/** Splits at semicolons outside parentheses. */
function splitOptions(text: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const character of text) {
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (character === ';' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

function lines(): Map<string, string> {
  if (known.size === 0) {
    for (const line of definitions.trim().split('\n')) known.set(line.slice(0, line.indexOf(' ')), line);
  }
  return known;
}

const known = new Map<string, string>();
const structs = new Map<string, StructSchema>();

const scalarTypes = [
  'string',
  'int',
  'long',
  'number',
  'bool',
  'time',
  'microtime',
  'quantity',
  'int-or-string',
  'bytes',
  'object',
] as const;
