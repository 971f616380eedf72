/**
 * The options that the caller set, and no others: what stands on a prototype is left out, so that a polluted
 * `Object.prototype` (`allowedTargets: 'any'`) decides nothing. Properties that are not enumerable come along, because a
 * `pg.Pool` hides its password so.
 */
export function ownOptions<T extends object>(options: T): T {
  return Object.create(null, Object.getOwnPropertyDescriptors(options)) as T;
}

/**
 * Text that came from elsewhere (a server, an annotation), fit for one line of a log, a terminal or an Event: no line
 * breaks, no escape sequences, no characters that turn the direction of writing, and not without end.
 */
export function printable(text: string, longest = 1_000): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}...` : text;
  return cut.replace(/\r\n|[\r\n\t]/g, ' ').replace(unprintable, escaped);
}

/** Whether {@link printable} would leave the text as it is, but for its length. */
export function isPrintable(text: string): boolean {
  return text.search(unprintable) < 0;
}

// Control and format characters, lone surrogates, and the separators of lines and paragraphs.
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
