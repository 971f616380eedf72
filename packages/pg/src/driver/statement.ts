/**
 * Whether a statement may have committed a part of its work by the time that it fails: a string of several statements with
 * a COMMIT among them, a procedure, a DO block. Nothing of what an error says then holds for the whole.
 *
 * With `inTransaction`, of a statement that is sent inside a transaction block.
 *
 * Reads words, not grammar, so it also says yes to some that cannot (PostgreSQL documentation, "Transaction Management" of
 * PL/pgSQL, and "Multiple Statements in a Simple Query" of the protocol).
 */
export function mayCommitWithin(query: unknown, { inTransaction = false } = {}): boolean {
  const text = typeof query === 'string' ? query : (query as { text?: unknown } | null | undefined)?.text;
  if (typeof text !== 'string') return false;
  // In a transaction block the server lets no procedure end it, and a DO block has an END of its own.
  if (inTransaction) {
    return severalStatements.test(text) && endsBlock.test(text) && !oneDoBlock.test(text.slice(beginOf(text)));
  }
  return (
    startsProcedure.test(text.slice(beginOf(text))) || (severalStatements.test(text) && endsTransaction.test(text))
  );
}

// Behind white space and comments. Step by step: one expression for all of it would try every way to pair the comments.
function beginOf(text: string): number {
  let index = 0;
  for (;;) {
    ignored.lastIndex = index;
    if (ignored.test(text)) index = ignored.lastIndex;
    else if (text.startsWith('/*', index)) index = endOfComment(text, index);
    else return index;
  }
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

const ignored = /\s+|--[^\n]*(?:\n|$)/y;
const commentMark = /\/\*|\*\//g;
const startsProcedure = /^(?:call|do)\b/i;
const severalStatements = /;\s*[^\s;]/;
const oneDoBlock = /^do\s+(?:language\s+\w+\s+)?(\$\w*\$)(?:(?!\1)[\s\S])*\1\s*(?:language\s+\w+\s*)?;?\s*$/i;
const endsBlock = /\b(?:commit|end|prepare\s+transaction)\b/i;
const endsTransaction = /\b(?:commit|end|call|do|prepare\s+transaction)\b/i;
