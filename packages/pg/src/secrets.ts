/**
 * Removes from a foreign text (an error's message) what must not be seen: the known secrets, and anything that looks like one.
 * If in doubt, it removes more.
 *
 * @param secrets passwords and similar, as they are; values that are not text are ignored
 */
export function maskSecrets(text: string, secrets: readonly unknown[] = []): string {
  // Cut before it is searched: its author may have made it long, to keep this process busy. A secret that begins in the kept part
  // is searched for whole.
  const lengths = secrets.map((secret) => (typeof secret === 'string' ? 3 * Buffer.byteLength(secret) : 0));
  const longest = Math.max(0, ...lengths);
  const isLong = text.length > longestMasked + longest;
  let masked = isLong ? text.slice(0, longestMasked + longest) : text;
  for (const secret of secrets) {
    if (typeof secret !== 'string' || secret === '') continue;
    for (const form of new Set([secret, encodeURIComponent(Buffer.from(secret).toString())])) {
      if (!masked.includes(form)) continue;
      // Even if so short a secret were cut out, the words around it would reveal it.
      if (form.length < shortestToCutOut) return hidden;
      masked = masked.replaceAll(form, hidden);
    }
  }
  masked = masked
    .replace(keyBlock, hidden)
    .replace(userInfo, `$1${hidden}@`)
    .replace(bearer, `$1 ${hidden}`)
    .replace(namedSecret, `$1$2${hidden}`);
  // The first half of a secret may stand at the end of the searched part.
  return isLong ? `${masked.slice(0, Math.max(0, Math.min(longestMasked, masked.length - longest)))}...` : masked;
}

/** Characters of a text that are kept. */
const longestMasked = 2_000;

/** Stands where a secret stood. */
export const hidden = '[hidden]';
const shortestToCutOut = 4;

const keyBlock = /-----BEGIN [^-]*-----[\s\S]*?(?:-----END [^-]*-----|$)/g;
// Anything between the scheme and the last @: a password that was not encoded may contain any character.
const userInfo = /\b([a-z][a-z0-9+.-]*:\/\/)\S*@/gi;
const bearer = /\b(bearer|basic)\s+[\w+/=.~-]+/gi;
const namedSecret =
  /\b(\w*(?:password|passwd|pwd|passphrase|secret|token|api[-_]?key|authorization)["']?)(\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;]+)/gi;
