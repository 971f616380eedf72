import { aNumber, anything, aText, either, listOf, objectOf, optional } from '../shape.ts';
import { type RuleCode, rules } from './rules.ts';

/** `error`: the API server refuses the object. `warning`: it accepts the object, but something in it cannot work or should not be done. */
export type Severity = 'error' | 'warning';

/**
 * Why the API server refuses: the `reason` of a cause in its answer (status 422), or `BadRequest` if it cannot even
 * read the object (status 400).
 */
export type RefusalReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueForbidden'
  | 'FieldValueNotSupported'
  | 'FieldValueDuplicate'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'BadRequest';

/** One thing that is wrong with an object, or that will not work. */
export interface Issue {
  /** The field, as the API server writes it: `spec.ports[0].name`, `metadata.annotations[example.com/note]`. */
  readonly path: string;
  /** Which rule it breaks. Stable; all of them are listed in `docs/guides/validation.md`. */
  readonly code: RuleCode;
  /** Whether the API server refuses it. */
  readonly severity: Severity;
  /** For an error, the API server's own words without the path in front. A value longer than 300 characters is cut short. */
  readonly message: string;
  /** What to do about it. This may be a manifest, ready to paste. */
  readonly hint: string;
  /** Present on errors only. */
  readonly reason?: RefusalReason;
  /** Where the rule comes from: a file of Kubernetes, a section of an RFC. */
  readonly source: string;
  /** Line in the text, counted from 1. Left out if the input is an object. */
  readonly line?: number;
  /** Index of the object, from 0. Left out if there is only one. */
  readonly document?: number;
}

/** Whether the API server would refuse an object with these issues. */
export function refused(issues: readonly Issue[]): boolean {
  listOf(objectOf({ severity: anything }))('issues', issues);
  return issues.some((issue) => issue.severity === 'error');
}

/** Formats an issue as one line: `line 7: error: spec.externalName: Required value (...)`. */
export function formatIssue(issue: Issue): string {
  const shown = either(aText, aNumber());
  objectOf({ path: aText, severity: aText, message: aText, code: aText, line: optional(shown) })('issue', issue);
  const place = issue.line === undefined ? '' : `line ${issue.line}: `;
  const where = issue.path === '' ? '' : `${issue.path}: `;
  return `${place}${issue.severity}: ${where}${issue.message} [${issue.code}]`;
}

/** Collects issues, and drops duplicates. */
export class Findings {
  readonly #found: FoundIssue[] = [];
  readonly #seen = new Set<string>();

  /** All issues, in the order in which they were found. */
  get all(): readonly FoundIssue[] {
    return this.#found;
  }

  get refused(): boolean {
    return this.#found.some(({ issue }) => issue.severity === 'error');
  }

  /** Adds the issues of another instance. */
  adopt(other: Findings): void {
    for (const found of other.all) this.#found.push(found);
  }

  required(code: RuleCode, at: FieldPath, detail = ''): void {
    this.#refuse(code, at, 'FieldValueRequired', withDetail('Required value', detail));
  }

  invalid(code: RuleCode, at: FieldPath, value: unknown, detail: string, hint?: string): void {
    this.#refuse(code, at, 'FieldValueInvalid', withDetail(`Invalid value: ${shown(value)}`, detail), hint);
  }

  /** Refuses a value for each thing that `problemsOf` says is wrong with its format. A value that is not there has none. */
  format<Value>(
    code: RuleCode,
    at: FieldPath,
    value: Value | undefined,
    problemsOf: (value: Value) => readonly string[],
    hint?: string,
  ): void {
    if (value === undefined) return;
    for (const problem of problemsOf(value)) this.invalid(code, at, value, problem, hint);
  }

  forbidden(code: RuleCode, at: FieldPath, detail: string): void {
    this.#refuse(code, at, 'FieldValueForbidden', withDetail('Forbidden', detail));
  }

  /** Refuses a value that is none of the supported ones. */
  oneOf(code: RuleCode, at: FieldPath, value: string, supported: readonly string[], hint?: string): void {
    if (supported.includes(value)) return;
    const detail = `supported values: ${supported.map((text) => JSON.stringify(text)).join(', ')}`;
    this.#refuse(code, at, 'FieldValueNotSupported', withDetail(`Unsupported value: ${shown(value)}`, detail), hint);
  }

  duplicate(code: RuleCode, at: FieldPath, value: unknown): void {
    this.#refuse(code, at, 'FieldValueDuplicate', `Duplicate value: ${shown(value)}`);
  }

  tooLong(code: RuleCode, at: FieldPath, bytes: number): void {
    this.#refuse(code, at, 'FieldValueTooLong', `Too long: may not be more than ${bytes} bytes`);
  }

  tooMany(code: RuleCode, at: FieldPath, actual: number, most: number): void {
    this.#refuse(code, at, 'FieldValueTooMany', `Too many: ${actual}: must have at most ${most} items`);
  }

  /** The API server cannot read the object at all. */
  badRequest(code: RuleCode, at: FieldPath, message: string, hint?: string): void {
    this.#refuse(code, at, 'BadRequest', message, hint);
  }

  warn(code: RuleCode, at: FieldPath, message: string, hint?: string): void {
    this.#add(code, at, 'warning', message, undefined, hint);
  }

  #refuse(code: RuleCode, at: FieldPath, reason: RefusalReason, message: string, hint?: string): void {
    this.#add(code, at, 'error', message, reason, hint);
  }

  #add(
    code: RuleCode,
    at: FieldPath,
    severity: Severity,
    message: string,
    reason?: RefusalReason,
    hint?: string,
  ): void {
    const identity = `${at.text}\n${code}\n${message}`;
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    const rule = rules[code];
    this.#found.push({
      steps: at.steps,
      issue: {
        path: at.text,
        code,
        severity,
        message,
        hint: hint ?? rule.hint,
        ...(reason === undefined ? {} : { reason }),
        source: rule.source,
      },
    });
  }
}

/** An issue and its place in the object. The place may be more exact than the path, which ends at a map's name. */
export interface FoundIssue {
  readonly issue: Issue;
  readonly steps: readonly (string | number)[];
}

/** A field, as the API server writes it, and as steps from the top of the object. */
export class FieldPath {
  readonly text: string;
  readonly steps: readonly (string | number)[];

  constructor(text = '', steps: readonly (string | number)[] = []) {
    this.text = text;
    this.steps = steps;
  }

  child(name: string): FieldPath {
    return new FieldPath(this.text === '' ? name : `${this.text}.${name}`, [...this.steps, name]);
  }

  index(index: number): FieldPath {
    return new FieldPath(`${this.text}[${index}]`, [...this.steps, index]);
  }

  /** An entry of a map, named in the text. */
  key(key: string): FieldPath {
    return new FieldPath(`${this.text}[${key.slice(0, longestShown)}]`, [...this.steps, key]);
  }

  /** An entry of a map that the API server does not name: it reports the map. */
  entry(key: string): FieldPath {
    return new FieldPath(this.text, [...this.steps, key]);
  }

  /** The same place under another name. */
  written(text: string): FieldPath {
    return new FieldPath(text, this.steps);
  }
}

/** A struct of the API server, shown as the JSON that it prints. */
export class ShownValue {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const longestShown = 300;

function withDetail(message: string, detail: string): string {
  return detail === '' ? message : `${message}: ${detail}`;
}

/** A value as the API server prints it. It is cut short, so that many messages about one long value stay in proportion to it. */
function shown(value: unknown): string {
  if (value instanceof ShownValue) return value.text;
  if (typeof value === 'string') {
    return value.length > longestShown ? `${quoted(value.slice(0, longestShown))}...` : quoted(value);
  }
  if (Array.isArray(value)) {
    const items = value.slice(0, 5).map((item) => JSON.stringify(String(item).slice(0, longestShown)));
    return `[${items.join(',')}${value.length > 5 ? ',...' : ''}]`;
  }
  return value === undefined || value === null ? 'null' : String(value).slice(0, longestShown);
}

/** A text in quotes as Go writes it (`%q`): characters that do not print become escapes. */
function quoted(text: string): string {
  const escaped = text.replace(/["\\]|[^\x20-\x7e\p{L}\p{M}\p{N}\p{P}\p{S}]/gu, (character) => {
    const short = shortEscapes.get(character);
    if (short !== undefined) return short;
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${escaped}"`;
}

const shortEscapes = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\u0007', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
]);
