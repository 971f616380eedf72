import { wordsOfSingle } from '../driver/statement.ts';

/**
 * Whether a statement may run on a session between the statements of other callers. It says yes only to a single SELECT, INSERT, UPDATE,
 * DELETE, MERGE, VALUES, TABLE or WITH, and only if it names nothing that holds or changes the state of a session: advisory locks,
 * settings, temporary tables, `currval()`, large objects, backups.
 *
 * It reads words, not the definitions of functions. So a function of the application that changes its session's state is not seen.
 */
export function isShareableText(text: string): boolean {
  if (text.length > longestText || sessionState.test(text)) return false;
  const words = wordsOfSingle(text);
  const first = words?.[0];
  if (words === undefined || first === undefined || !commands.has(first)) return false;
  if (words.some((word) => temporary.has(word))) return false;
  // SELECT INTO makes a table. In the others, INTO names the table that takes rows.
  return !words.includes('into') || words.some((word) => word === 'insert' || word === 'merge');
}

/** A config for `pool.query()` that asks for nothing but rows. */
export interface SharedConfig {
  readonly text: string;
  readonly values?: unknown;
  readonly name?: string | undefined;
}

/**
 * What `pool.query()` was called with, if it is a text, or a plain object with nothing in it but what {@link plainKeys} names. Others may send
 * themselves, keep a portal open, or be answered in their own way.
 */
export function sharedConfigOf(asked: unknown, values: unknown): string | SharedConfig | undefined {
  if (values !== undefined && values !== null && !Array.isArray(values)) return undefined;
  if (typeof asked === 'string') return asked;
  if (typeof asked !== 'object' || asked === null) return undefined;
  const prototype: unknown = Object.getPrototypeOf(asked);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  for (const key in asked) if (!plainKeys.has(key)) return undefined;
  const { text, values: own, types } = asked as { text?: unknown; values?: unknown; types?: unknown };
  if (typeof text !== 'string' || Array.isArray(types)) return undefined;
  return own === undefined || own === null || Array.isArray(own) ? (asked as SharedConfig) : undefined;
}

const plainKeys: ReadonlySet<string> = new Set(['text', 'values', 'name', 'rowMode', 'types', 'idempotent']);

const commands: ReadonlySet<string> = new Set([
  'select',
  'insert',
  'update',
  'delete',
  'merge',
  'values',
  'table',
  'with',
]);

const temporary: ReadonlySet<string> = new Set(['temp', 'temporary', 'pg_temp']);

/**
 * What of PostgreSQL and its own extensions holds or changes what belongs to a session; functions that run a text that is not read here; and
 * names that are written so that they cannot be read (`U&"..."`). Sought in the whole text, because a name may stand in quotes. Source: PostgreSQL
 * documentation, "System Administration Functions", "Sequence Manipulation Functions", "Large Objects", "XML Functions", `pg_settings`, `dblink`,
 * `pg_trgm`, `tablefunc`, `sepgsql`.
 */
const sessionState = new RegExp(
  [
    'pg_(?:try_)?advisory|pg_export_snapshot|pg_temp',
    // An UPDATE of this view is a SET.
    'set_config|pg_settings|setseed|set_limit|sepgsql_setcon',
    'currval|lastval',
    '\\blo_|\\blo(?:read|write)\\b',
    // A slot may be temporary, and a backup ends with the session that has begun it.
    'replication_(?:slot|origin)|pg_logical|pg_backup_|pg_(?:start|stop)_backup',
    'dblink|query_to_xml|ts_stat|crosstab|connectby|xpath_table',
    'U&"',
  ].join('|'),
  'i',
);

/** Reading a text takes time for each of its letters, and texts that are longer than this are not written again and again. */
export const longestText = 20_000;
