import { editDistance } from '@externalname/core/internal';
import { warn } from '../warnings.ts';

/**
 * Warns, once per name, of an option that looks like one of ours and is not. `pg` takes any name without a word, and frameworks keep
 * their own settings there: refusing a name, or warning of one that is like none of ours, would break a swapped import.
 */
export function warnOfMistyped(options: object, names: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (name.length < shortestCompared || name.length > longestCompared || names.includes(name) || warned.has(name))
      continue;
    const meant = names.find((each) => editDistance(name.toLowerCase(), each.toLowerCase()) <= mostEdits);
    if (meant === undefined || warned.size >= mostWarned) continue;
    warned.add(name);
    warn(
      'EXTERNALNAME_UNKNOWN_OPTION',
      `\`${name}\` is not an option of \`Pool\` or \`Client\`, and has no effect. Did you mean \`${meant}\`?`,
    );
  }
}

const warned = new Set<string>();
const mostWarned = 100;
const mostEdits = 2;
// Two edits make many another word of a short one; and no option of ours is as long.
const shortestCompared = 6;
const longestCompared = 32;
