/**
 * The parameters of a connection string, as `pg` reads them: the last one of a name counts, and what follows `#` is not a
 * parameter.
 */
export function parametersOf(
  connectionString: string | null | false | undefined,
): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(searchOf(partsOf(connectionString || '').query));
}

/** The host that a connection string names, as `pg` reads it: a parameter takes precedence over the authority. */
export function hostOf(connectionString: string): string | undefined {
  // A path is a Unix socket.
  if (connectionString.startsWith('/')) return connectionString.split(' ', 1)[0];
  const { host } = parametersOf(connectionString);
  if (host) return host;
  try {
    return decodeURIComponent(new URL(connectionString, 'postgres://base').hostname);
  } catch {
    // `user@/database` has no host.
    return undefined;
  }
}

/** The connection string without the parameters of these names; the rest is unchanged. */
export function withoutParameters(connectionString: string, names: readonly string[]): string {
  const { before, query, behind } = partsOf(connectionString);
  const kept = query.split('&').filter((part) => ![...searchOf(part).keys()].some((name) => names.includes(name)));
  const rest = kept.join('&');
  return `${before}${rest === '' ? '' : '?'}${rest}${behind}`;
}

/** The connection string with another host. */
export function withHost(connectionString: string, host: string): string {
  const rest = withoutParameters(connectionString, ['host']);
  // Without an authority, the option `host` counts.
  return rest.replace(/^([a-z]+:\/\/(?:[^@/?#]*@)?)(?:\[[^\]]*\]|[^:/?#]*)/i, (_, before: string) => before + host);
}

// With the question mark, because one at the start is not taken as part of the first name.
const searchOf = (query: string) => new URLSearchParams(`?${query}`);

function partsOf(connectionString: string) {
  const [url = '', ...fragment] = connectionString.split('#');
  const [before = '', ...query] = url.split('?');
  const behind = fragment.map((text) => `#${text}`).join('');
  return { before, query: query.join('?'), behind };
}
