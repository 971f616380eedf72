import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from '@externalname/core';
import type * as pg from 'pg';
import { warn } from '../warnings.ts';
import { parametersOf, withoutParameters } from './connection-string.ts';

/** How far the server's certificate is checked. */
export type TlsMode = 'verified' | 'unverified' | 'off';

/** What the options, the connection string and the environment say about TLS, combined. */
export interface ServiceTls {
  readonly mode: TlsMode;
  /** Options for `pg`, instead of the given ones. */
  readonly options: {
    readonly ssl: pg.ClientConfig['ssl'];
    /** Without the TLS parameters, which are in the other options. */
    readonly connectionString?: string;
    readonly sslnegotiation?: 'direct' | 'postgres';
  };
}

/**
 * Combines what is said about TLS for a Service. TLS is on and verified unless something else is written explicitly.
 *
 * `pg` ignores the option `ssl` as soon as the connection string mentions TLS. Here the two are combined, as libpq combines its
 * parameters. If both set the same thing, the connection string takes precedence over the option, and the option over the
 * environment; TLS on one side and no TLS on the other is refused.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` for a contradiction, for a file that cannot be read, and for
 * anything that would let in a server without a certificate for the target's name
 */
export function tlsOfService(options: pg.ClientConfig, environment: NodeJS.ProcessEnv): ServiceTls {
  const { ssl: given, connectionString } = options as { ssl?: unknown; connectionString?: string };
  const words = parametersOf(connectionString);
  const [offWord] = offWords(words);
  const [onWord] = onWords(words);
  const isGivenOff = given !== undefined && !given;
  if (offWord !== undefined && given) refuseContradiction(offWord, 'turns TLS off, but ssl asks for it');
  if (onWord !== undefined && isGivenOff) refuseContradiction(onWord, 'asks for TLS, but ssl turns it off');

  const hasWords = tlsWords.some((name) => words[name] !== undefined);
  const { sslnegotiation } = words;
  const said = {
    ...(connectionString && hasWords && { connectionString: withoutParameters(connectionString, tlsWords) }),
    // Any text: `pg` refuses an invalid one.
    ...(sslnegotiation !== undefined && { sslnegotiation: sslnegotiation as 'direct' }),
  };
  const isSilent = given === undefined && onWord === undefined;
  if (offWord !== undefined || isGivenOff || (isSilent && environment['PGSSLMODE'] === 'disable')) {
    return { mode: 'off', options: { ...said, ssl: false } };
  }
  const object = typeof given === 'object' && given !== null ? (given as TlsObject) : undefined;
  const files = filesOf(words, object, environment);
  const compatible = words['uselibpqcompat'] === 'true';
  const sslmode = words['sslmode'] ?? (isSilent ? environment['PGSSLMODE'] : undefined);
  const isUnverified = given === 'no-verify' || (!compatible && sslmode === 'no-verify');
  if (isUnverified) refuseWeakness('ssl');
  refuseWhatSkipsIdentity(object);
  const weakened = object?.rejectUnauthorized === false || object?.checkServerIdentity !== undefined;
  if (weakened && (!compatible || (sslmode !== undefined && !weakModes.includes(sslmode)))) refuseWeakness('ssl');

  const hasAuthority = object?.['ca'] !== undefined || files['ca'] !== undefined;
  const weaker = compatible ? weakerAsInLibpq(sslmode, hasAuthority) : {};
  const mode = weakened || Object.keys(weaker).length > 0 ? 'unverified' : 'verified';
  if (Object.keys(files).length === 0 && Object.keys(weaker).length === 0) {
    return { mode, options: { ...said, ssl: (object ?? true) as pg.ClientConfig['ssl'] } };
  }
  return { mode, options: { ...said, ssl: merged(object, files, weaker) } };
}

/** A copy of TLS options, including hidden ones, with the current contents of the files. */
export function copyOfTls(ssl: boolean | object): object {
  const copy = {};
  if (typeof ssl !== 'object') return copy;
  for (const name of Object.getOwnPropertyNames(ssl)) {
    const value: unknown = (ssl as Record<string, unknown>)[name];
    Object.defineProperty(copy, name, { value, enumerable: name !== 'key', configurable: true, writable: true });
  }
  return copy;
}

/** Warns once that `pg` ignores `ssl`, for a plain host, where `pg` decides what happens. */
export function warnOfIgnoredTls({ ssl, connectionString }: pg.ClientConfig): void {
  if (isWarned || ssl === undefined) return;
  const words = parametersOf(connectionString);
  const [word] = [...offWords(words), ...onWords(words)];
  if (
    word === undefined ||
    (ssl === false && offWords(words).length > 0) ||
    (ssl === true && onWords(words).length > 0)
  ) {
    return;
  }
  isWarned = true;
  warn(
    'EXTERNALNAME_SSL_IGNORED',
    `pg ignores the option ssl because the connection string says ${word}: leave one of the two out, and give certificates as ` +
      'sslrootcert, sslcert and sslkey in the connection string',
  );
}

let isWarned = false;

function offWords({ sslmode, ssl }: Words): readonly string[] {
  const words: string[] = [];
  if (sslmode === 'disable') words.push('sslmode=disable');
  if (ssl === '0' || ssl === 'false') words.push(`ssl=${ssl}`);
  return words;
}

function onWords(words: Words): readonly string[] {
  const { sslmode, ssl, sslnegotiation } = words;
  const on: string[] = [];
  if (sslmode && sslmode !== 'disable') on.push(`sslmode=${sslmode}`);
  if (ssl === 'true' || ssl === '1') on.push(`ssl=${ssl}`);
  for (const { word } of fileWords) if (words[word]) on.push(word);
  if (sslnegotiation === 'direct') on.push('sslnegotiation=direct');
  return on;
}

// Read at each connection, as in `pg`: the next connection uses a replaced certificate.
function filesOf(words: Words, object: TlsObject | undefined, environment: NodeJS.ProcessEnv): TlsFiles {
  const files: Record<string, () => string> = {};
  for (const { word, variable, option } of fileWords) {
    const isInWords = Boolean(words[word]);
    const path = words[word] || (object?.[option] === undefined ? environment[variable] : undefined);
    // The system's authorities are accepted anyway.
    if (!path || (option === 'ca' && path === 'system')) continue;
    files[option] = () => readFileSync(path, 'utf8');
    try {
      files[option]();
    } catch (cause) {
      const { message = String(cause) } = cause as Partial<Error>;
      throw new InvalidArgumentError(isInWords ? 'connectionString' : variable, `${message} (${word})`, { cause });
    }
  }
  return files;
}

// "uselibpqcompat": https://node-postgres.com/features/ssl. With an authority, `require` is `verify-ca` (PostgreSQL documentation,
// "SSL Support").
function weakerAsInLibpq(sslmode: string | undefined, hasAuthority: boolean): Partial<TlsObject> {
  const anyName = { checkServerIdentity: () => undefined };
  switch (sslmode) {
    case 'prefer':
      return { rejectUnauthorized: false };
    case 'require':
      return hasAuthority ? anyName : { rejectUnauthorized: false };
    case 'verify-ca':
      if (hasAuthority) return anyName;
      throw new InvalidArgumentError(
        'connectionString',
        'sslmode=verify-ca needs a CA, in sslrootcert or ssl.ca: without one, any certificate would be accepted. ' +
          'Or write sslmode=verify-full',
      );
    default:
      return {};
  }
}

function merged(object: TlsObject | undefined, files: TlsFiles, weaker: Partial<TlsObject>): object {
  const result = {};
  for (const name of Object.getOwnPropertyNames(object ?? {})) {
    // The application may replace values in its object.
    Object.defineProperty(result, name, { get: () => object?.[name], enumerable: name !== 'key', configurable: true });
  }
  for (const [name, read] of Object.entries(files)) {
    // Hidden, so that printing the options neither reads nor shows a file.
    Object.defineProperty(result, name, { get: read, enumerable: false, configurable: true });
  }
  return Object.assign(result, weaker);
}

function refuseWhatSkipsIdentity(object: TlsObject | undefined): void {
  const skipping = skipsIdentity.find((name) => object !== undefined && name in object);
  if (skipping !== undefined) {
    throw new InvalidArgumentError(
      `ssl.${skipping}`,
      "is refused for a Service: with it, a server without a certificate for the target's name would be trusted. Leave it out",
    );
  }
  if (object !== undefined && 'servername' in object && object.servername !== undefined) {
    throw new InvalidArgumentError(
      'ssl.servername',
      'is refused for a Service: the certificate is checked for the host that the Service points to, which changes with a switch. ' +
        'Leave it out',
    );
  }
}

function refuseContradiction(word: string, what: string): never {
  throw new InvalidArgumentError('ssl', `${word} in the connection string ${what}: leave one of the two out`);
}

function refuseWeakness(argument: string): never {
  throw new InvalidArgumentError(
    argument,
    "rejectUnauthorized: false and checkServerIdentity are refused for a Service, because the target's name is verified " +
      'for you: give the CA in ssl.ca. (A weaker sslmode needs uselibpqcompat=true in the connection string.)',
  );
}

type Words = Readonly<Record<string, string | undefined>>;
type TlsFiles = Readonly<Record<string, () => string>>;
interface TlsObject {
  readonly rejectUnauthorized?: unknown;
  readonly checkServerIdentity?: unknown;
  readonly servername?: unknown;
  readonly [name: string]: unknown;
}

const fileWords = [
  { word: 'sslrootcert', variable: 'PGSSLROOTCERT', option: 'ca' },
  { word: 'sslcert', variable: 'PGSSLCERT', option: 'cert' },
  { word: 'sslkey', variable: 'PGSSLKEY', option: 'key' },
] as const;

// What makes `pg` ignore the option. `uselibpqcompat` alone does not, and stays for a client that is made from a pool's options.
const tlsWords = ['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation'];

const weakModes = ['prefer', 'require'];

// Node.js does not check the certificate of a resumed session, nor of one with a pre-shared key, and a context may bring either.
const skipsIdentity = ['session', 'pskCallback'] as const;
