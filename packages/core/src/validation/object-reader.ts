import { editDistance } from '../option-names.ts';
import type { FieldPath, Findings } from './issue.ts';

/**
 * Reads the fields of an object as the API server's decoder does:
 *
 * - null is the same as a missing field;
 * - a value of the wrong type makes the whole object unreadable: it is reported, then read as missing;
 * - an unknown field is skipped, and reported as a warning because kubectl refuses it.
 */
export class ObjectReader {
  readonly at: FieldPath;
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #findings: Findings;
  readonly #struct: string;

  /** @param struct - the name of the Go type, for the decoder's own message */
  constructor(value: unknown, struct: string, at: FieldPath, findings: Findings) {
    this.at = at;
    this.#findings = findings;
    this.#struct = struct;
    this.#fields = isRecord(value) ? value : {};
    if (value !== undefined && value !== null && !isRecord(value)) this.#wrongType(at, value, struct);
  }

  has(key: string): boolean {
    const value = this.#fields[key];
    return value !== undefined && value !== null;
  }

  /** The value as it was given, whatever its type. */
  raw(key: string): unknown {
    return this.#fields[key];
  }

  /** `''` if the field is missing: the API server does not distinguish the two. */
  string(key: string): string {
    return this.optionalString(key) ?? '';
  }

  optionalString(key: string): string | undefined {
    const value = this.#fields[key];
    if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
    return this.#wrongType(this.at.child(key), value, 'string');
  }

  /** A whole number of 32 bits; 0 if the field is missing. */
  integer(key: string): number {
    return this.optionalInteger(key) ?? 0;
  }

  optionalInteger(key: string): number | undefined {
    const value = this.#fields[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** 31) return value;
    return this.#wrongType(this.at.child(key), value, 'int32');
  }

  optionalBoolean(key: string): boolean | undefined {
    const value = this.#fields[key];
    if (value === undefined || value === null || typeof value === 'boolean') return value ?? undefined;
    return this.#wrongType(this.at.child(key), value, 'bool');
  }

  integerOrString(key: string): number | string | undefined {
    const value = this.#fields[key];
    if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
    if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** 31) return value;
    return this.#wrongType(this.at.child(key), value, 'intstr.IntOrString');
  }

  strings(key: string): string[] {
    const at = this.at.child(key);
    return this.#list(key, '[]string').map((value, index) => {
      if (value === undefined || value === null) return '';
      return typeof value === 'string' ? value : (this.#wrongType(at.index(index), value, 'string') ?? '');
    });
  }

  /** Undefined if the field is missing: a missing selector differs from an empty one. */
  stringMap(key: string): ReadonlyMap<string, string> | undefined {
    const value = this.#fields[key];
    if (value === undefined || value === null) return undefined;
    const at = this.at.child(key);
    if (!isRecord(value)) return this.#wrongType(at, value, 'map[string]string');
    const map = new Map<string, string>();
    for (const name of Object.keys(value)) {
      const text = value[name];
      if (text === undefined) continue;
      if (text === null || typeof text === 'string') map.set(name, text ?? '');
      else this.#wrongType(at.entry(name), text, 'string');
    }
    return map;
  }

  object(key: string, struct: string): ObjectReader {
    return new ObjectReader(this.#fields[key], struct, this.at.child(key), this.#findings);
  }

  objects(key: string, struct: string): ObjectReader[] {
    const at = this.at.child(key);
    return this.#list(key, `[]${struct}`).map((value, index) => {
      return new ObjectReader(value, struct, at.index(index), this.#findings);
    });
  }

  /** Reports the fields that are not in `known`. */
  onlyKnows(known: ReadonlySet<string>, hint?: (key: string) => string | undefined): void {
    for (const key of Object.keys(this.#fields)) {
      if (known.has(key) || this.#fields[key] === undefined) continue;
      const name = key.slice(0, 100);
      const message = `unknown field: the API server drops it unread, and kubectl refuses it`;
      this.#findings.warn('unknown-field', this.at.child(name), message, hint?.(key) ?? likely(key, known));
    }
  }

  #list(key: string, type: string): readonly unknown[] {
    const value = this.#fields[key];
    if (value === undefined || value === null) return [];
    // A hole in an array is null in JSON.
    return Array.isArray(value) ? Array.from(value) : (this.#wrongType(this.at.child(key), value, type) ?? []);
  }

  #wrongType(at: FieldPath, value: unknown, type: string): undefined {
    const field = at.text.replaceAll(/\[\d+\]/g, ''); // The decoder does not count.
    const message = `json: cannot unmarshal ${jsonType(value)} into Go struct field ${this.#struct}.${field} of type ${type}`;
    this.#findings.badRequest('wrong-type', at, message);
    return undefined;
  }
}

/** An object with fields, as JSON has them. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'number' && !Number.isInteger(value) ? `number ${value}` : typeof value;
}

function likely(key: string, known: ReadonlySet<string>): string | undefined {
  if (key.length > 40) return undefined;
  const bare = key.toLowerCase().replaceAll(/[^a-z]/g, '');
  for (const name of known) {
    if (editDistance(bare, name.toLowerCase()) <= 1) return `Did you mean ${name}?`;
  }
  return undefined;
}
