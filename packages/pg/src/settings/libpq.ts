import { InvalidArgumentError } from '@externalname/core';
import { parametersOf } from './connection-string.ts';

/** A value, and where it comes from: the option, the connection string, or an environment variable. */
export interface Said {
  readonly value: unknown;
  readonly argument: string;
}

/** Our options that libpq also has as parameters. */
export type LibpqOption = 'targetSessionAttrs' | 'channelBinding' | 'requireAuth' | 'attemptTimeoutMillis';

/**
 * The value of each option that libpq has too: from code, from the connection string by libpq's word, or from the environment by
 * its variable (PostgreSQL documentation, "Connection Strings" and "Environment Variables").
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if code and connection string contradict each other
 */
export function saidToLibpq(
  options: { readonly connectionString?: string | undefined } & { readonly [name in LibpqOption]?: unknown },
  environment: NodeJS.ProcessEnv,
): Readonly<Record<LibpqOption, Said>> {
  const words = parametersOf(options.connectionString);
  const said = (option: LibpqOption): Said => {
    const { word, variable } = libpqNames[option];
    const written = words[word];
    const given = options[option];
    if (given !== undefined) {
      if (written && !agree(option, written, given)) {
        throw new InvalidArgumentError(
          option,
          `contradicts ${word}=${written} in the connection string: leave one of the two out`,
        );
      }
      return { value: given, argument: option };
    }
    const text = written || environment[variable] || undefined;
    const argument = written ? 'connectionString' : text === undefined ? option : variable;
    return { value: option === 'attemptTimeoutMillis' ? millisOf(text, argument, word) : text, argument };
  };
  return {
    targetSessionAttrs: said('targetSessionAttrs'),
    channelBinding: said('channelBinding'),
    requireAuth: said('requireAuth'),
    attemptTimeoutMillis: said('attemptTimeoutMillis'),
  };
}

/** For a plain host, only what the code says: `pg` does not read the others. */
export function saidInCode(options: { readonly [name in LibpqOption]?: unknown }): Readonly<Record<LibpqOption, Said>> {
  return saidToLibpq({ ...options, connectionString: undefined }, {});
}

function agree(option: LibpqOption, written: string, given: unknown): boolean {
  if (option === 'attemptTimeoutMillis') return Number(written) * 1_000 === given;
  return written === String(given);
}

// Whole seconds. For libpq, 0 and less means no limit; here it keeps the default, because an address that never answers must not
// block the other addresses.
function millisOf(text: string | undefined, argument: string, word: string): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (!Number.isInteger(seconds)) {
    throw new InvalidArgumentError(argument, `${word} must be a whole number of seconds, got ${JSON.stringify(text)}`);
  }
  return seconds > 0 ? seconds * 1_000 : undefined;
}

const libpqNames: Readonly<Record<LibpqOption, { readonly word: string; readonly variable: string }>> = {
  targetSessionAttrs: { word: 'target_session_attrs', variable: 'PGTARGETSESSIONATTRS' },
  channelBinding: { word: 'channel_binding', variable: 'PGCHANNELBINDING' },
  requireAuth: { word: 'require_auth', variable: 'PGREQUIREAUTH' },
  // "It applies separately to each host name or IP address": it does not bound the whole wait, as connectionTimeoutMillis does.
  attemptTimeoutMillis: { word: 'connect_timeout', variable: 'PGCONNECT_TIMEOUT' },
};
