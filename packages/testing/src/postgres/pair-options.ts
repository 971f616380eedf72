import { isIP } from 'node:net';
import { InvalidArgumentError } from '@externalname/core';
import {
  aBoolean,
  aFunction,
  aNumber,
  aSignal,
  aText,
  checkOptions,
  either,
  listOf,
  objectOf,
  optional,
  recordOf,
} from '@externalname/core/internal';
import { parseHostName } from '@externalname/core/names';
import type { CertificateAuthority } from '../certificates.ts';
import type { PostgresBinariesOptions } from './binaries.ts';
import { randomSecret, replicationRole } from './settings.ts';

/** What a commit on the primary waits for (PostgreSQL documentation, `synchronous_commit`). */
export type SynchronousCommit =
  /** The standby has the commit in its write-ahead log: it is not lost when the primary dies. */
  | 'on'
  /** The standby has replayed it too: a read on the standby that starts afterwards sees it. */
  | 'remote_apply';

/** See {@link PostgresPair.start}. */
export interface PostgresPairOptions extends PostgresBinariesOptions {
  /** External names of the servers. @defaultValue `primary-db.example.com` and `secondary-db.example.com` */
  hostNames?: { readonly primary: string; readonly standby: string } | undefined;
  /**
   * Addresses to listen on. They must be this machine's own.
   * @defaultValue two free ones of 127.64.0.0/10; where only 127.0.0.1 is there (macOS), that and `::1`
   */
  addresses?: { readonly primary: string; readonly standby: string } | undefined;
  /** Port of both servers, as clients know one port for a name. @defaultValue a free one from 15000 to 31999 */
  port?: number | undefined;
  /**
   * Whether, and how far, a commit waits for the standby. `true` is `on`. With `false` an acknowledged commit may be lost when
   * the primary dies. @defaultValue true
   */
  synchronous?: boolean | SynchronousCommit | undefined;
  /** Role of the application. It owns the database. @defaultValue `app` */
  user?: string | undefined;
  /** The password of the application. @defaultValue a random one */
  password?: string | undefined;
  /** The database of the application. @defaultValue `app` */
  database?: string | undefined;
  /** More parameters for both servers' `postgresql.conf`; they win over the pair's own. @defaultValue none */
  parameters?: Readonly<Record<string, string>> | undefined;
  /**
   * Lines for both servers' `pg_hba.conf`, before the pair's own, which refuse whatever is not TLS and SCRAM.
   * @defaultValue none
   */
  accessRules?: readonly string[] | undefined;
  /** The authority that issues the servers' certificates. @defaultValue one of its own */
  authority?: CertificateAuthority | undefined;
  /** Longest time for the start, in milliseconds. The first on a machine also prepares files. @defaultValue 60000 */
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
  const both = optional(objectOf({ primary: aText, standby: aText }));
  checkOptions(options, {
    hostNames: both,
    addresses: both,
    port: optional(aNumber()),
    synchronous: optional(either(aBoolean, aText)),
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
  if (names[0] === names[1]) throw new InvalidArgumentError('hostNames', 'the two servers need different names');
  if (addresses !== undefined) {
    for (const which of ['primary', 'standby'] as const) {
      if (isIP(addresses[which]) === 0) {
        throw new InvalidArgumentError(`addresses.${which}`, `${JSON.stringify(addresses[which])} is no IP address`);
      }
    }
    if (addresses.primary === addresses.standby) {
      throw new InvalidArgumentError('addresses', 'the two servers need different addresses, as they share one port');
    }
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    throw new InvalidArgumentError('port', `${port} is no port: use 1 to 65535`);
  }
  if (![true, false, 'on', 'remote_apply'].includes(synchronous)) {
    throw new InvalidArgumentError(
      'synchronous',
      `use true, false, 'on' or 'remote_apply', not ${JSON.stringify(synchronous)}`,
    );
  }
  for (const [argument, name] of [
    ['user', user],
    ['database', database],
  ] as const) {
    const length = Buffer.byteLength(name);
    if (length < 1 || length > 63 || name.includes('\0')) {
      throw new InvalidArgumentError(argument, `${JSON.stringify(name)} is no name: PostgreSQL takes 1 to 63 bytes`);
    }
  }
  if (['postgres', replicationRole].includes(user) || user.startsWith('pg_')) {
    throw new InvalidArgumentError('user', `${JSON.stringify(user)} is taken: choose another name`);
  }
  if (['postgres', 'template0', 'template1'].includes(database)) {
    throw new InvalidArgumentError('database', `${JSON.stringify(database)} is taken: choose another name`);
  }
  for (const name of Object.keys(options.parameters ?? {})) {
    if (!/^[a-z_][\w$]*(\.[a-z_][\w$]*)*$/i.test(name)) {
      throw new InvalidArgumentError('parameters', `${JSON.stringify(name)} is no name of a parameter`);
    }
  }
  for (const [index, rule] of (options.accessRules ?? []).entries()) {
    if (/[\r\n]/.test(rule))
      throw new InvalidArgumentError(`accessRules[${index}]`, 'give each line an entry of its own');
  }
  if (options.password === '') throw new InvalidArgumentError('password', 'it is empty, which PostgreSQL refuses');
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
