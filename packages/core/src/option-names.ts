import { InvalidArgumentError } from './errors.ts';
import { printable } from './input.ts';

/**
 * Refuses unknown options that are set, and suggests the one that was probably meant.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the first name that is not in `known`
 */
export function checkNames(options: object, known: Readonly<Record<string, unknown>>, prefix = ''): void {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name) || (options as Record<string, unknown>)[name] === undefined) continue;
    const names = Object.keys(known);
    const meant = nearestName(name, names);
    const advice = meant === undefined ? `The options are: ${names.join(', ')}` : `Did you mean \`${prefix}${meant}\`?`;
    throw new InvalidArgumentError(
      `${prefix}${name === '' ? "''" : printable(name, 100)}`,
      `is not an option. ${advice}`,
    );
  }
}

/** The known name that a mistyped one looks like: it takes few edits, or one contains the other (`servers`, `nameservers`). */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const typed = name.toLowerCase().slice(0, longestCompared);
  const scored = known.map((each) => {
    const candidate = each.toLowerCase();
    const part =
      Math.min(typed.length, candidate.length) >= 3 && (candidate.includes(typed) || typed.includes(candidate));
    const distance = editDistance(typed, candidate);
    return { each, distance, edits: part ? 1 : distance };
  });
  const [best] = scored.sort((one, other) => one.edits - other.edits || one.distance - other.distance);
  return best !== undefined && best.edits <= Math.max(1, typed.length / 3) ? best.each : undefined;
}

/** How many letters to insert, remove or replace (Levenshtein). */
export function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [line, letter] of [...from].entries()) {
    const next = [line + 1];
    for (let column = 0; column < to.length; column++) {
      const replaced = (row[column] ?? 0) + (letter === to[column] ? 0 : 1);
      next.push(Math.min(replaced, (next[column] ?? 0) + 1, (row[column + 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

const longestCompared = 64;
