/**
 * Takes what must not be seen out of a text that somebody else wrote (an error's message): the secrets that are known, and what
 * looks like one. In doubt it takes more.
 *
 * @param secrets passwords and the like, as they are; those that are no text are left out
 */
export function maskSecrets(text: string, secrets: readonly unknown[] = []): string {
  // Cut before it is searched: who wrote it may have made it long, to keep this process busy. A secret that begins in what is
  // kept is searched for whole.
  const lengths = secrets.map((secret) => (typeof secret === 'string' ? 3 * Buffer.byteLength(secret) : 0));
  const longest = Math.max(0, ...lengths);
  const isLong = text.length > longestMasked + longest;
  let masked = isLong ? text.slice(0, longestMasked + longest) : text;
  for (const secret of secrets) {
    if (typeof secret !== 'string' || secret === '') continue;
    for (const form of new Set([secret, encodeURIComponent(Buffer.from(secret).toString())])) {
      if (!masked.includes(form)) continue;
      // Cut out of the words around it, so short a secret would still be told by them.
      if (form.length < shortestToCutOut) return hidden;
      masked = masked.replaceAll(form, hidden);
    }
  }
  masked = masked
    .replace(keyBlock, hidden)
    .replace(userInfo, `$1${hidden}@`)
    .replace(bearer, `$1 ${hidden}`)
    .replace(namedSecret, `$1$2${hidden}`);
  // The first half of a secret may stand at the end of what was looked at.
  return isLong ? `${masked.slice(0, Math.max(0, Math.min(longestMasked, masked.length - longest)))}...` : masked;
}

/** Characters of a text that are kept. */
const longestMasked = 2_000;

/** Stands where a secret stood. */
export const hidden = '[hidden]';
const shortestToCutOut = 4;

const keyBlock = /-----BEGIN [^-]*-----[\s\S]*?(?:-----END [^-]*-----|$)/g;
// Whatever stands between the scheme and the last @: a password that was not encoded may have any character in it.
const userInfo = /\b([a-z][a-z0-9+.-]*:\/\/)\S*@/gi;
const bearer = /\b(bearer|basic)\s+[\w+/=.~-]+/gi;
const namedSecret =
  /\b(\w*(?:password|passwd|pwd|passphrase|secret|token|api[-_]?key|authorization)["']?)(\s*[:=]\s*)(?:"[^"]*"|'[^']*'|[^\s,;]+)/gi;
