/**
 * Whether a statement may have committed a part of its work before it fails: a procedure, a DO block, a command that
 * commits inside (VACUUM, CREATE INDEX CONCURRENTLY), or a string of several statements with a COMMIT among them. What an
 * error says then does not hold for the whole. Also true if the text is not known, as for a statement that was prepared earlier.
 *
 * `inTransaction`: the statement is sent inside a transaction block.
 *
 * It reads the first words of each statement, not its grammar, so it also says yes to some that cannot. It says no only for
 * commands that are known to run within one transaction (PostgreSQL documentation, "SQL Commands"; `PreventInTransactionBlock`
 * in its source), so a command of a later version counts as one that may.
 */
export function mayCommitWithin(query: unknown, { inTransaction = false } = {}): boolean {
  const text = textOf(query);
  if (text === undefined) return !inTransaction && typeof query === 'object' && query !== null;
  return everyReading(text).some((statements) => {
    // In a transaction block, the server does not let a single statement end the block and then fail.
    if (inTransaction) return statements.length > 1 && statements.some(endsTransaction);
    return statements.some(commitsInside) || (statements.length > 1 && statements.some(endsTransaction));
  });
}

/** Whether a statement that is sent inside a transaction block may end the block, with COMMIT, ROLLBACK and similar. */
export function mayEndTransaction(query: unknown): boolean {
  const text = textOf(query);
  if (text === undefined) return false;
  return everyReading(text).some((statements) =>
    statements.some((statement) => endsTransaction(statement) || rollsBack(statement)),
  );
}

/** The text of what is passed to `query()`; `undefined` if only the name of a prepared statement is given. */
export function textOf(query: unknown): string | undefined {
  if (typeof query === 'string') return query;
  // pg.Query and Cursor have the text themselves, a stream of rows has it in its cursor.
  const { text, cursor } = (query ?? {}) as { text?: unknown; cursor?: { text?: unknown } | null };
  if (typeof text === 'string') return text;
  return typeof cursor?.text === 'string' ? cursor.text : undefined;
}

/**
 * All words of the one statement of a text, in lower case; strings and quoted names are left out. `undefined` if the text has several
 * statements, or none, or can be read in two ways.
 */
export function wordsOfSingle(text: string): readonly string[] | undefined {
  if (text.includes('\\')) return undefined;
  const [only, ...others] = readStatements(text, false, Number.POSITIVE_INFINITY);
  return others.length > 0 ? undefined : only?.words.filter((word) => word !== quotedText);
}

/** The words that a statement begins with, in lower case, and whether CONCURRENTLY is anywhere in it. */
interface Statement {
  readonly words: readonly string[];
  readonly concurrently: boolean;
}

function commitsInside({ words, concurrently }: Statement): boolean {
  const [first = '', second = ''] = words;
  if (concurrently || !transactional.has(first)) return true;
  if (definesObjects.has(first)) return outsideOfTransactions.has(second);
  return second === 'prepared' || (first === 'prepare' && second === 'transaction');
}

function endsTransaction({ words: [first = '', second = ''] }: Statement): boolean {
  return first === 'commit' || first === 'end' || (first === 'prepare' && second === 'transaction');
}

// ROLLBACK [WORK | TRANSACTION] TO returns to a savepoint.
function rollsBack({ words: [first = '', second = '', third = ''] }: Statement): boolean {
  if (first !== 'rollback' && first !== 'abort') return false;
  return second !== 'to' && !((second === 'work' || second === 'transaction') && third === 'to');
}

/** Commands that run within one transaction, whatever follows; the ones that need a second look are below. */
const transactional: ReadonlySet<string> = new Set([
  ...['(', 'select', 'insert', 'update', 'delete', 'merge', 'with', 'values', 'table', 'copy', 'explain', 'execute'],
  ...['create', 'alter', 'drop', 'truncate', 'comment', 'grant', 'revoke', 'reassign', 'security', 'import', 'refresh'],
  ...[
    'begin',
    'start',
    'commit',
    'end',
    'rollback',
    'abort',
    'savepoint',
    'release',
    'prepare',
    'deallocate',
    'discard',
  ],
  ...['set', 'reset', 'show', 'lock', 'declare', 'fetch', 'move', 'close', 'listen', 'unlisten', 'notify', 'load'],
  'checkpoint',
]);

const definesObjects: ReadonlySet<string> = new Set(['create', 'alter', 'drop']);
const outsideOfTransactions: ReadonlySet<string> = new Set(['database', 'tablespace', 'subscription', 'system']);

/**
 * The statements of a text. It is read in two ways if there is a backslash in a plain string: with `standard_conforming_strings` off, the
 * backslash keeps the next quote from ending the string, and the session's setting is not known here.
 */
function everyReading(text: string): Statement[][] {
  const standard = readStatements(text, false);
  return text.includes('\\') ? [standard, readStatements(text, true)] : [standard];
}

/** Splits a text as the server's lexer does. Source: `src/backend/parser/scan.l` of PostgreSQL. */
function readStatements(text: string, backslashes: boolean, longest = wordsKept): Statement[] {
  const statements: Statement[] = [];
  let words: string[] = [];
  let concurrently = false;
  const end = () => {
    if (words.length > 0) statements.push({ words, concurrently });
    words = [];
    concurrently = false;
  };
  let index = 0;
  while (index < text.length) {
    const character = text[index];
    const next = match(blank, text, index);
    if (next > index) {
      index = next;
    } else if (text.startsWith('/*', index)) {
      index = endOfComment(text, index);
    } else if (character === ';') {
      end();
      index += 1;
    } else {
      const token = readToken(text, index, backslashes);
      if (words.length < longest) words.push(token.word);
      if (token.word === 'concurrently') concurrently = true;
      index = token.end;
    }
  }
  end();
  return statements;
}

/** One token: where it ends, and its word in lower case, if it is one. */
function readToken(text: string, index: number, backslashes: boolean): { word: string; end: number } {
  const character = text[index] ?? '';
  const prefix = match(stringPrefix, text, index);
  if (prefix > index) {
    const escapes = /e/i.test(character) || (backslashes && !/[bxu]/i.test(character));
    return { word: quotedText, end: endOfString(text, prefix, escapes) };
  }
  if (character === '"') return { word: quotedText, end: endOfQuotes(text, index + 1, '"') };
  if (character === '$') {
    const tagEnd = match(dollarTag, text, index);
    if (tagEnd === index) return { word: character, end: index + 1 };
    const tag = text.slice(index, tagEnd);
    const closing = text.indexOf(tag, tagEnd);
    return { word: quotedText, end: closing < 0 ? text.length : closing + tag.length };
  }
  const wordEnd = match(identifier, text, index);
  if (wordEnd > index) return { word: text.slice(index, Math.min(wordEnd, index + 64)).toLowerCase(), end: wordEnd };
  return { word: character, end: Math.max(match(number, text, index), index + 1) };
}

/**
 * A string, from after its opening quote to after its closing one. If white space with a line break and another quote
 * follow, the string continues there, by the same rules (SQL standard, "character string literal").
 */
function endOfString(text: string, start: number, escapes: boolean): number {
  let end = start;
  for (;;) {
    end = escapes ? endOfEscaped(text, end) : endOfQuotes(text, end, "'");
    const blankEnd = match(blank, text, end);
    // Step by step: an expression for "a line break among blanks and comments" would try every way to cut the comments.
    if (text[blankEnd] !== "'" || !/[\n\r]/.test(text.slice(end, blankEnd))) return end;
    end = blankEnd + 1;
  }
}

function endOfQuotes(text: string, start: number, quote: string): number {
  for (let at = text.indexOf(quote, start); at >= 0; at = text.indexOf(quote, at + 2)) {
    if (text[at + 1] !== quote) return at + 1;
  }
  return text.length;
}

function endOfEscaped(text: string, start: number): number {
  let at = start;
  while (at < text.length) {
    if (text[at] === '\\') at += 2;
    else if (text[at] !== "'") at += 1;
    else if (text[at + 1] === "'") at += 2;
    else return at + 1;
  }
  return text.length;
}

// Comments of this kind nest in PostgreSQL.
function endOfComment(text: string, start: number): number {
  let depth = 0;
  commentMark.lastIndex = start;
  for (let mark = commentMark.exec(text); mark !== null; mark = commentMark.exec(text)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return commentMark.lastIndex;
  }
  return text.length;
}

/** Where a sticky expression that matches at `index` ends; `index` if it does not match. */
function match(expression: RegExp, text: string, index: number): number {
  expression.lastIndex = index;
  return expression.test(text) ? expression.lastIndex : index;
}

// A comment ends at CR as well as LF. Other blanks of JavaScript's `\s` are letters to the server.
const blank = /(?:[ \t\n\r\f\v]+|--[^\n\r]*)+/y;
const commentMark = /\/\*|\*\//g;
// Non-ASCII characters are letters, and $ is one inside a word.
const identifier = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
const number = /[0-9]+/y;
const dollarTag = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const stringPrefix = /(?:[ebxn]|u&)?'/iy;

/** Stands for anything but a word: a string, or a quoted name. */
const quotedText = "'";
const wordsKept = 3;
