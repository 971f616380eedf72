import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chown, mkdir, realpath, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ClosedError, DeadlineError, InvalidArgumentError, parseHostName } from '@externalname/core';
import {
  aBoolean,
  abortable,
  aFunction,
  aNumber,
  aSignal,
  aText,
  checkOptions,
  either,
  listOf,
  objectOf,
  optional,
  ownOptions,
  recordOf,
  sleep,
  withDeadline,
} from '@externalname/core/internal';
import { type CertificateAuthority, createCertificateAuthority } from '../certificates.ts';
import { concealed } from '../concealed.ts';
import { bindProblem, randomLoopbackAddress, randomServerPort } from '../network/loopback.ts';
import { guardedPrefix, guardFolder } from '../watchdog.ts';
import type { RunStatement } from './administration.ts';
import { findPostgres, type PostgresBinaries, type PostgresBinariesOptions } from './binaries.ts';
import { PostgresServerError, PostgresUnavailableError } from './errors.ts';
import { copyFolder } from './folder-copy.ts';
import { preparedFolder } from './prepared-folder.ts';
import { type DemoteOptions, PostgresServer, type ServerWaitOptions } from './server.ts';
import {
  identifier,
  isLeftOutOfBackup,
  literal,
  passwordFile,
  pgHbaConf,
  pgIdentConf,
  postgresqlConf,
  replicationRole,
  type ServerFiles,
} from './settings.ts';
import { assertReach, ownName, type ServerAccount } from './unprivileged-account.ts';

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

/** See {@link PostgresPair.switchover}. */
export interface SwitchoverOptions extends DemoteOptions {
  /** Called when the new primary takes writes, before the old one is taken down to be rebuilt: the place to change the Service. A promise is waited for. */
  onPromoted?: ((primary: PostgresServer) => unknown) | undefined;
  /** Whether the old primary becomes the standby. Its sessions end then. @defaultValue true */
  rejoin?: boolean | undefined;
}

/** What `pg` needs to connect to one server of the pair. See {@link PostgresPair.connection}. */
export interface PostgresConnection {
  /** The address of the server. */
  readonly host: string;
  /** The port of the server. */
  readonly port: number;
  /** The role of the application. */
  readonly user: string;
  /** The password of the application. */
  readonly password: string;
  /** The database of the application. */
  readonly database: string;
  /** Checks the server's certificate, for its host name. */
  readonly ssl: { readonly ca: string; readonly servername: string };
}

/**
 * Two real PostgreSQL servers, a primary and a standby that replicates from it, for the tests of a failover.
 *
 * Each has a loopback address of its own, the same port, and a certificate that names only its external host. Over TCP they take
 * only TLS and SCRAM. Nothing is left when the pair is closed or this process ends, however it ends.
 *
 * @example
 * ```ts
 * await using pair = await PostgresPair.start();
 * await pair.primary.kill();
 * await pair.standby.promote();
 * ```
 */
export class PostgresPair implements AsyncDisposable {
  /** Both servers, the one that started as primary first. Unlike `primary` and `standby`, these never change places. */
  readonly servers: readonly [PostgresServer, PostgresServer];
  /** The port of both. */
  readonly port: number;
  /** The application's role. */
  readonly user: string;
  /** The application's password. Left out when the pair is printed. */
  declare readonly password: string;
  /** The database of the application. */
  readonly database: string;
  /** Issuer of the servers' certificates. */
  declare readonly authority: CertificateAuthority;
  readonly #resources: PairResources;
  #primary: PostgresServer;
  #closing: Promise<void> | undefined;
  /** Fires when the pair is closed: what is under way then ends. */
  readonly #end = new AbortController();
  /** Changes of role follow one another; this is the end of the last one. It never rejects. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(resources: PairResources, addresses: readonly [string, string], port: number) {
    const { options, authority } = resources;
    this.#resources = resources;
    this.port = port;
    this.user = options.user;
    this.database = options.database;
    Object.defineProperty(this, 'password', { value: options.password, enumerable: false });
    Object.defineProperty(this, 'authority', { value: authority, enumerable: false });
    const server = (index: 0 | 1): PostgresServer => {
      const made: PostgresServer = new PostgresServer({
        hostName: options.hostNames[index],
        address: addresses[index],
        port,
        folder: join(resources.folder, `server-${index + 1}`),
        clusterName: `${basename(resources.folder)}-${index + 1}`,
        binaries: resources.binaries,
        onPromoted: () => {
          this.#primary = made;
        },
        isClosed: () => this.#closing !== undefined,
      });
      return made;
    };
    this.servers = [server(0), server(1)];
    this.#primary = this.servers[0];
  }

  /**
   * Starts both servers and resolves when the standby is in step.
   *
   * @throws {@link InvalidArgumentError} (`ERR_EXTERNALNAME_INVALID_ARGUMENT`) before anything is started.
   * @throws {@link PostgresUnavailableError} (`ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE`) where no PostgreSQL runs here.
   * @throws {@link PostgresServerError} (`ERR_EXTERNALNAME_POSTGRES_SERVER`) where one does not start.
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`)
   */
  static async start(given: PostgresPairOptions = {}): Promise<PostgresPair> {
    checkPairOptions(given);
    const options = ownOptions(given);
    const settings = pairSettings(options);
    const { timeoutMillis = 60_000, signal } = options;
    const begun: { work?: Promise<PostgresPair> } = {};
    try {
      return await withDeadline(
        (within) => {
          begun.work = startPair(settings, options, within, (...parts) => new PostgresPair(...parts));
          return begun.work;
        },
        { signal, timeoutMillis, onTimeout: () => new DeadlineError('the start of a PostgreSQL pair', timeoutMillis) },
      );
    } catch (error) {
      // What was under way takes itself down; where it was too quick for the deadline, it is taken down here.
      await begun.work?.then((pair) => pair.close(), ignore);
      throw error;
    }
  }

  /** The server that takes writes: the one that was promoted last through this API. */
  get primary(): PostgresServer {
    return this.#primary;
  }

  /** The other one, whatever state it is in. */
  get standby(): PostgresServer {
    return this.#other(this.#primary);
  }

  /** The authority's certificate, PEM: what a client passes as `ca`. */
  get ca(): string {
    return this.authority.certificate;
  }

  /** Address by host name: what a DNS server is to answer. */
  get addresses(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.servers.map((server) => [server.hostName, server.address]));
  }

  /** The same in the form that `LocalCluster` takes as its `hosts`. */
  get hosts(): Record<string, string[]> {
    return Object.fromEntries(this.servers.map((server) => [server.hostName, [server.address]]));
  }

  /** The server of that name. */
  server(hostName: string): PostgresServer {
    const found = this.servers.find((server) => server.hostName === hostName);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(
      'hostName',
      `no server of this pair is called ${JSON.stringify(hostName)}: they are ${this.servers.map((each) => each.hostName).join(' and ')}`,
    );
  }

  /** What plain `pg` needs to connect to one server as the application, with its certificate checked in full. */
  connection(server: PostgresServer = this.primary): PostgresConnection {
    const { port, user, database, ca, password } = this;
    const ssl = { ca, servername: server.hostName };
    return concealed({ host: server.address, port, user, password, database, ssl }, 'password');
  }

  /** How far the standby is behind what the primary has written. Bytes of the write-ahead log. */
  async replicationLag(options: ServerWaitOptions = {}): Promise<number> {
    const [written, replayed] = [await this.primary.position(options), await this.standby.position(options)];
    const [row] = await this.primary.query<{ bytes: string }>(
      'select greatest(pg_wal_lsn_diff($1::pg_lsn, $2::pg_lsn), 0)::bigint as bytes',
      [written, replayed],
      options,
    );
    return Number(row?.bytes);
  }

  /**
   * Makes `server` the standby of the other one, whatever state it is in: it is taken down, its data folder is dropped, and a
   * copy of the primary's is made (backup functions; PostgreSQL documentation, 25.3.3). Resolves when it is in step. With
   * `synchronous`, commits on the primary wait for it from then on.
   *
   * @throws {@link PostgresServerError} (`wrong-role`) where the other server is no primary.
   */
  async rejoin(server: PostgresServer, options: ServerWaitOptions = {}): Promise<void> {
    this.#assertOpen();
    this.#assertOwn(server);
    await this.#inTurn(options.signal, (signal) => this.#rejoinWithin(server, { ...options, signal }));
  }

  /**
   * Changes the roles on purpose, with nothing lost: fences the primary, waits for open transactions and for the standby to have
   * replayed everything, promotes it, and makes the old primary its standby. Where it fails before the promotion, the fence is
   * taken back.
   *
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`) where transactions stay open.
   */
  async switchover(options: SwitchoverOptions = {}): Promise<void> {
    this.#assertOpen();
    await this.#inTurn(options.signal, (signal) => this.#switchover({ ...options, signal }));
  }

  /** Ends both servers at once and removes their files. Resolves when nothing is left. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#end.abort(new ClosedError('the PostgreSQL pair'));
      // Frozen by nobody and waited for by nobody: dead servers let what is under way fail at once.
      const dead = Promise.all(this.servers.map((server) => server.kill()));
      this.#closing = Promise.all([dead, this.#turn]).then(() => closePair(this.servers, this.#resources));
    }
    return this.#closing;
  }

  /** Calls `close()`, at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #other(server: PostgresServer): PostgresServer {
    return server === this.servers[0] ? this.servers[1] : this.servers[0];
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError('the PostgreSQL pair');
  }

  #assertOwn(server: PostgresServer): void {
    if (!this.servers.includes(server)) throw new InvalidArgumentError('server', 'it belongs to another pair');
  }

  /** Runs a change of role when the one before is over. It ends with the caller's signal, and when the pair is closed. */
  #inTurn(signal: AbortSignal | undefined, change: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const within = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    const turn = this.#turn.then(async () => {
      within.throwIfAborted();
      await change(within);
    });
    this.#turn = turn.catch(ignore);
    return turn;
  }

  async #switchover(options: SwitchoverOptions & { signal: AbortSignal }): Promise<void> {
    const { onPromoted, rejoin = true } = options;
    const [from, to] = [this.primary, this.standby];
    if ((await to.role(options)) !== 'standby') {
      throw new PostgresServerError(to.hostName, 'wrong-role', 'it is no standby: rejoin() it before a switchover');
    }
    const end = await from.demote(options);
    try {
      await to.waitForReplay(end, options);
      await to.promote(options);
    } catch (error) {
      if (this.primary === from) await from.unfence().catch(ignore);
      throw error;
    }
    const told = Promise.resolve(to).then(onPromoted);
    await abortable(told, options.signal);
    if (rejoin) await this.#rejoinWithin(from, { signal: options.signal });
  }

  async #rejoinWithin(server: PostgresServer, options: ServerWaitOptions & { signal: AbortSignal }): Promise<void> {
    const { timeoutMillis = 60_000, signal } = options;
    const onTimeout = () => new DeadlineError(`the rebuilding of ${server.hostName}`, timeoutMillis);
    const begun: { work?: Promise<void> } = {};
    try {
      await withDeadline(
        (within) => {
          begun.work = this.#rejoin(server, within);
          return begun.work;
        },
        { signal, timeoutMillis, onTimeout },
      );
    } catch (error) {
      // Nothing of it goes on when this returns: the next one may begin, and the folder may be removed.
      await begun.work?.catch(ignore);
      throw error;
    }
  }

  async #rejoin(server: PostgresServer, signal: AbortSignal): Promise<void> {
    const primary = this.#other(server);
    if ((await primary.role({ signal })) !== 'primary') {
      throw new PostgresServerError(
        primary.hostName,
        'wrong-role',
        'it is no primary: promote() it before the other one rejoins',
      );
    }
    // From here on nobody waits for the server, and only then it is taken down: whoever gives up in between leaves no commit
    // waiting.
    await primary.setParameters({ synchronous_standby_names: '' }, { signal });
    await server.kill();
    signal.throwIfAborted();
    await rm(server.dataFolder, { recursive: true, force: true });
    this.#primary = primary;
    const slot = slotOf(this.servers, server);
    const { identity } = this.#resources.binaries.account;
    let copying: Promise<void> | undefined;
    try {
      await primary.administrate(
        async (run) => {
          await run('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [
            slot,
          ]);
          // From here on the primary keeps what the copy will ask for.
          await run('select pg_create_physical_replication_slot($1, true)', [slot]);
          await run('select pg_backup_start($1, true)', [`rejoin of ${server.hostName}`]);
          copying = copyFolder(primary.dataFolder, server.dataFolder, {
            owner: identity,
            live: true,
            skip: isLeftOutOfBackup,
            last: ['global/pg_control'],
            signal,
          });
          await copying;
          signal.throwIfAborted();
          const [end] = await run<{ labelfile: string }>('select labelfile from pg_backup_stop(false)');
          await server.writeOwn('data/backup_label', end?.labelfile ?? '');
        },
        { signal, timeoutMillis: Number.POSITIVE_INFINITY },
      );
    } finally {
      // The session is given up at once with the signal, and the copy that it began is still writing then.
      await copying?.catch(ignore);
    }
    await writeServerFiles(this.#resources, this.servers, server);
    await server.writeOwn('data/standby.signal', '');
    await server.start({ signal, timeoutMillis: Number.POSITIVE_INFINITY });
    await joinInStep(primary, server, this.#resources.options.synchronous !== false, signal);
  }
}

/** Options with every default filled in. */
interface PairSettings {
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

interface PairResources {
  readonly options: PairSettings;
  readonly binaries: PostgresBinaries;
  readonly authority: CertificateAuthority;
  readonly replicationPassword: string;
  /** Everything of this pair is in here. */
  readonly folder: string;
  readonly unguard: () => Promise<void>;
}

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

function pairSettings(options: PostgresPairOptions): PairSettings {
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

type MakePair = (resources: PairResources, addresses: readonly [string, string], port: number) => PostgresPair;

async function startPair(
  settings: PairSettings,
  options: PostgresPairOptions,
  signal: AbortSignal,
  makePair: MakePair,
): Promise<PostgresPair> {
  const authority = options.authority === undefined ? createCertificateAuthority() : Promise.resolve(options.authority);
  const binaries = await findPostgres(options);
  const template = await preparedDataFolder(binaries);
  // Guarded before it is there: a process that is killed between the two would leave it behind for ever.
  const folder = await newFolderName(binaries);
  const unguard = await guardFolder(folder);
  const resources = {
    options: settings,
    binaries,
    authority: await authority,
    replicationPassword: randomSecret(),
    folder,
    unguard,
  };
  let servers: readonly PostgresServer[] = [];
  try {
    await makeFolder(folder, binaries);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const place = await freePlace(settings);
      const pair = makePair(resources, place.addresses, place.port);
      servers = pair.servers;
      try {
        await startServers(pair, resources, template, signal);
        return pair;
      } catch (error) {
        const lostRace = error instanceof PostgresServerError && error.failure === 'address-in-use';
        if (!lostRace || settings.port !== undefined || attempt === placeAttempts) throw error;
        await Promise.all(pair.servers.map((server) => server.kill()));
        await Promise.all([1, 2].map((n) => rm(join(folder, `server-${n}`), { recursive: true, force: true })));
      }
    }
  } catch (error) {
    await closePair(servers, resources);
    throw error;
  }
}

async function startServers(
  pair: PostgresPair,
  resources: PairResources,
  template: string,
  signal: AbortSignal,
): Promise<void> {
  const { options, binaries, replicationPassword, folder } = resources;
  const { identity } = binaries.account;
  const [primary, standby] = pair.servers;
  await Promise.all(
    pair.servers.map(async (server, index) => {
      const own = join(folder, `server-${index + 1}`);
      await mkdir(own, { mode: 0o700 });
      if (identity !== undefined) await chown(own, identity.uid, identity.gid);
      // Both begin as copies of the same stopped server: the second is a cold backup of the first.
      await copyFolder(template, server.dataFolder, { owner: identity });
      await writeServerFiles(resources, pair.servers, server);
      await server.writeOwn('authority.crt', resources.authority.certificate);
      await server.writeOwn('passwords', passwordFile(replicationPassword));
      await server.writeCertificate(await resources.authority.issue({ hostNames: [server.hostName] }));
    }),
  );
  const forever = { signal, timeoutMillis: Number.POSITIVE_INFINITY };
  await primary.start(forever);
  await primary.administrate(async (run) => {
    await run('select pg_create_physical_replication_slot($1, true)', [slotOf(pair.servers, standby)]);
    await run(`create role ${identifier(replicationRole)} login replication password ${literal(replicationPassword)}`);
  }, forever);
  const application = primary.administrate((run) => createApplication(run, options), forever);
  if (Object.keys(options.parameters).some((name) => checkedByStandbys.has(name.toLowerCase()))) {
    await application;
    await pair.rejoin(standby, forever);
    return;
  }
  const started = standby.writeOwn('data/standby.signal', '').then(() => standby.start(forever));
  await Promise.all([started, application]);
  await joinInStep(primary, standby, options.synchronous !== false, signal);
}

async function createApplication(run: RunStatement, { user, password, database }: PairSettings): Promise<void> {
  await run(`create role ${identifier(user)} login password ${literal(password)}`);
  await run(`create database ${identifier(database)} owner ${identifier(user)}`);
}

/** Waits until the standby streams and has replayed everything; from then on commits wait for it, where that is wanted. */
async function joinInStep(
  primary: PostgresServer,
  standby: PostgresServer,
  synchronous: boolean,
  signal: AbortSignal,
): Promise<void> {
  const forever = { signal, timeoutMillis: Number.POSITIVE_INFINITY };
  if (synchronous) await primary.setParameters({ synchronous_standby_names: identifier(standby.hostName) }, forever);
  const state = synchronous ? `sync_state = 'sync'` : `state = 'streaming'`;
  await primary.administrate(async (run) => {
    for (;;) {
      signal.throwIfAborted();
      const rows = await run(
        `select from pg_stat_replication where application_name = $1 and state = 'streaming' and ${state}`,
        [standby.hostName],
      );
      if (rows.length > 0) return;
      await sleep(pollMillis, { signal });
    }
  }, forever);
  await standby.waitForReplay(await primary.position(forever), forever);
}

async function writeServerFiles(
  { options, binaries, folder }: PairResources,
  servers: readonly [PostgresServer, PostgresServer],
  server: PostgresServer,
): Promise<void> {
  const index = servers.indexOf(server);
  const peer = servers[index === 0 ? 1 : 0];
  const files: ServerFiles = {
    majorVersion: binaries.majorVersion,
    hostName: server.hostName,
    address: server.address,
    port: server.port,
    clusterName: `${basename(folder)}-${index + 1}`,
    folder: join(folder, `server-${index + 1}`),
    administrator: ownName(),
    synchronousCommit: options.synchronous === false ? 'on' : options.synchronous,
    peer: { hostName: peer.hostName, address: peer.address },
    slotName: slotOf(servers, server),
    parameters: options.parameters,
    accessRules: options.accessRules,
  };
  await server.writeOwn('data/postgresql.conf', postgresqlConf(files));
  await server.writeOwn('data/pg_hba.conf', pgHbaConf(files));
  await server.writeOwn('data/pg_ident.conf', pgIdentConf(files));
}

/** Name of the slot that keeps for `server` what it has not yet received. */
function slotOf(servers: readonly PostgresServer[], server: PostgresServer): string {
  return `server_${servers.indexOf(server) + 1}`;
}

async function closePair(servers: readonly PostgresServer[], { folder, unguard }: PairResources): Promise<void> {
  await Promise.all(servers.map((server) => server.kill()));
  await rm(folder, { recursive: true, force: true });
  await unguard();
}

async function freePlace(settings: PairSettings): Promise<{ addresses: readonly [string, string]; port: number }> {
  const problems = new Set<string>();
  for (let attempt = 1; attempt <= placeAttempts; attempt++) {
    const port = settings.port ?? randomServerPort();
    const random = [randomLoopbackAddress(), randomLoopbackAddress()] as const;
    const choices = settings.addresses !== undefined ? [settings.addresses] : [random, ['127.0.0.1', '::1'] as const];
    for (const addresses of choices) {
      const found = await Promise.all(
        addresses.map(async (address) => ({ address, problem: await bindProblem(address, port) })),
      );
      const bad = found.filter(({ problem }) => problem !== undefined);
      if (bad.length === 0) return { addresses, port };
      for (const { address, problem } of bad) problems.add(`${address} port ${port}: ${problem}`);
    }
  }
  throw new PostgresUnavailableError(
    `no two addresses of this machine are free for a pair; give others in the options addresses and port (tried ${[...problems].slice(-4).join(', ')})`,
  );
}

/** A data folder as `initdb` makes it, kept for the next pair. It has no passwords and lets nobody in. */
function preparedDataFolder(binaries: PostgresBinaries): Promise<string> {
  const { identity, name } = binaries.account;
  const digest = createHash('sha256')
    .update(JSON.stringify([initdbArguments, binaries.postgres, name]))
    .digest('hex')
    .slice(0, 12);
  return preparedFolder({
    cache: binaries.cache,
    key: `data-${binaries.version}-${digest}`,
    build: async (folder) => {
      if (identity !== undefined) await chown(folder, identity.uid, identity.gid);
      await new Promise<void>((resolve, reject) => {
        const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' };
        execFile(
          binaries.initdb,
          [...initdbArguments, '-D', folder],
          { ...identity, cwd: '/', env },
          (cause, stdout, stderr) => {
            if (cause === null) resolve();
            else
              reject(
                new PostgresUnavailableError(`initdb failed: ${(stderr || stdout || cause.message).trim()}`, { cause }),
              );
          },
        );
      });
    },
  });
}

async function newFolderName({ account }: PostgresBinaries): Promise<string> {
  return join(await temporaryFolder(account), `${guardedPrefix}${randomBytes(5).toString('hex')}`);
}

async function makeFolder(folder: string, { account }: PostgresBinaries): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  if (account.identity !== undefined) await chown(folder, account.identity.uid, account.identity.gid);
}

async function temporaryFolder(account: ServerAccount): Promise<string> {
  try {
    const folder = await realpath(tmpdir());
    // Sockets are in it, whose whole path must not be longer than some 100 bytes.
    if (Buffer.byteLength(folder) > 50) return '/tmp';
    await assertReach(account, folder);
    return folder;
  } catch {
    return '/tmp';
  }
}

function randomSecret(): string {
  return randomBytes(18).toString('base64url');
}

function ignore(): void {}

const initdbArguments = [
  '--username=postgres',
  '--auth=reject',
  '--encoding=UTF8',
  '--locale=C',
  '--no-sync',
  '--no-instructions',
  '--wal-segsize=4',
];
// A standby does not start where one of these is lower than where its copy was made, and the prepared folder was made with the
// usual ones (PostgreSQL documentation, 26.4.3). Then the standby begins as a copy of the primary that has them.
const checkedByStandbys = new Set([
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
]);
const placeAttempts = 20;
const pollMillis = 5;
