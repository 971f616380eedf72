import { isIP } from 'node:net';
import { InvalidArgumentError } from '@externalname/core';
import {
  aFunction,
  aNumber,
  aSignal,
  aText,
  checkOptions,
  listOf,
  objectOf,
  oneOf,
  optional,
  optionsOf,
  recordOf,
} from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import type { CertificateAuthority } from '../certificates.ts';
import type { PostgresBinariesOptions } from './binaries.ts';
import { randomSecret, replicationRole } from './settings.ts';

/** What a commit on the primary waits for (PostgreSQL documentation, `synchronous_commit`). */
export type SynchronousCommit =
  /** The standby has the commit in its write-ahead log, so the commit survives the loss of the primary. */
  | 'on'
  /** The standby has also replayed the commit, so a later read on the standby sees it. */
  | 'remote_apply';

/** See {@link PostgresPair.start}. */
export interface PostgresPairOptions extends PostgresBinariesOptions {
  /** External host names of the servers. @defaultValue `primary-db.example.com` and `secondary-db.example.com` */
  hostNames?: { readonly primary: string; readonly standby: string } | undefined;
  /**
   * Addresses to listen on. They must belong to this machine.
   * @defaultValue two free ones of 127.64.0.0/10; if only 127.0.0.1 exists (macOS), that and `::1`
   */
  addresses?: { readonly primary: string; readonly standby: string } | undefined;
  /** Port of both servers, because clients use one port for a name. @defaultValue a free one from 15000 to 31999 */
  port?: number | undefined;
  /**
   * Whether a commit waits for the standby, and for how much. `true` means `on`. With `false`, an acknowledged commit may be lost if
   * the primary dies. @defaultValue true
   */
  synchronous?: boolean | SynchronousCommit | undefined;
  /** The application's role, which owns the database. @defaultValue `app` */
  user?: string | undefined;
  /** The password of the application. @defaultValue a random one */
  password?: string | undefined;
  /** The database of the application. @defaultValue `app` */
  database?: string | undefined;
  /** More parameters for both servers' `postgresql.conf`. They override the pair's own. @defaultValue none */
  parameters?: Readonly<Record<string, string>> | undefined;
  /**
   * Lines for both servers' `pg_hba.conf`. They come before the pair's own lines, which allow only TLS and SCRAM.
   * @defaultValue none
   */
  accessRules?: readonly string[] | undefined;
  /** The authority that issues the servers' certificates. @defaultValue one of its own */
  authority?: CertificateAuthority | undefined;
  /** Longest time for the start, in milliseconds. The first start on a machine also prepares files. @defaultValue 60000 */
  timeoutMillis?: number | undefined;
  /** Ends the start early. */
  signal?: AbortSignal | undefined;
}

/** Options with every default filled in. */
export interface PairSettings {
  readonly hostNames: readonly [string, string];
  readonly addresses: readonly [string, string] | undefined;
  readonly port: number | undefined;
  readonly synchronous: false | SynchronousCommit;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly accessRules: readonly string[];
}

/** Checks the options and fills in the defaults. @throws InvalidArgumentError */
function checkPairOptions(options: PostgresPairOptions): void {
  const both = optional(optionsOf<NonNullable<PostgresPairOptions['hostNames']>>({ primary: aText, standby: aText }));
  checkOptions(options, {
    binaries: optional(aText),
    account: optional(aText),
    cacheFolder: optional(aText),
    hostNames: both,
    addresses: both,
    port: optional(aNumber({ least: 1, most: 65_535, whole: true })),
    synchronous: optional(oneOf(true, false, 'on', 'remote_apply')),
    user: optional(aText),
    password: optional(aText),
    database: optional(aText),
    parameters: optional(recordOf(aText)),
    accessRules: optional(listOf(aText)),
    authority: optional(objectOf({ certificate: aText, issue: aFunction })),
    timeoutMillis: optional(aNumber({ least: 0 })),
    signal: aSignal,
  });
}

export function pairSettings(options: PostgresPairOptions): PairSettings {
  checkPairOptions(options);
  const { hostNames, addresses, port, synchronous = true, user = 'app', database = 'app' } = options;
  const names = [
    parseHostName(hostNames?.primary ?? 'primary-db.example.com', 'hostNames.primary'),
    parseHostName(hostNames?.standby ?? 'secondary-db.example.com', 'hostNames.standby'),
  ] as const;
  if (names[0] === names[1])
    throw new InvalidArgumentError(
      'hostNames',
      `must be two different names, got ${JSON.stringify(names[0])} for both servers`,
    );
  if (addresses !== undefined) {
    for (const which of ['primary', 'standby'] as const) {
      if (isIP(addresses[which]) === 0) {
        throw new InvalidArgumentError(
          `addresses.${which}`,
          `must be an IP address, got ${JSON.stringify(addresses[which])}`,
        );
      }
    }
    if (addresses.primary === addresses.standby) {
      throw new InvalidArgumentError(
        'addresses',
        'must be two different addresses, because the servers share one port',
      );
    }
  }
  for (const [argument, name, reserved] of [
    ['user', user, ['postgres', replicationRole].includes(user) || user.startsWith('pg_')],
    ['database', database, ['postgres', 'template0', 'template1'].includes(database)],
  ] as const) {
    const length = Buffer.byteLength(name);
    if (length < 1 || length > 63 || name.includes('\0')) {
      throw new InvalidArgumentError(
        argument,
        `must be a name of 1 to 63 bytes without NUL, got ${JSON.stringify(name)}`,
      );
    }
    if (reserved) {
      const problem = `must not be ${JSON.stringify(name)}, which is reserved: choose another name`;
      throw new InvalidArgumentError(argument, problem);
    }
  }
  for (const name of Object.keys(options.parameters ?? {})) {
    if (!/^[a-z_][\w$]*(\.[a-z_][\w$]*)*$/i.test(name)) {
      throw new InvalidArgumentError(
        'parameters',
        `must have names such as 'max_connections', got ${JSON.stringify(name)}`,
      );
    }
  }
  for (const [index, rule] of (options.accessRules ?? []).entries()) {
    if (/[\r\n]/.test(rule))
      throw new InvalidArgumentError(`accessRules[${index}]`, 'must be one line: give each line an entry of its own');
  }
  if (options.password === '')
    throw new InvalidArgumentError('password', 'must not be empty, because PostgreSQL refuses an empty password');
  const settings = {
    hostNames: names,
    addresses: addresses === undefined ? undefined : ([addresses.primary, addresses.standby] as const),
    port,
    synchronous: synchronous === true ? ('on' as const) : synchronous,
    user,
    database,
    password: '',
    parameters: options.parameters ?? {},
    accessRules: options.accessRules ?? [],
  };
  return Object.defineProperty(settings, 'password', { value: options.password ?? randomSecret(), enumerable: false });
}
