import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ClosedError, DeadlineError, InvalidArgumentError } from '@externalname/core';
import {
  aBoolean,
  abortable,
  aFunction,
  checkOptions,
  optional,
  ownOptions,
  withDeadline,
} from '@externalname/core/internal';
import type { CertificateAuthority } from '../certificates.ts';
import { concealed } from '../concealed.ts';
import { waitShapes } from './administration.ts';
import { PostgresServerError } from './errors.ts';
import { type PostgresPairOptions, pairSettings } from './pair-options.ts';
import { closePair, type PairResources } from './pair-resources.ts';
import { startPair } from './pair-start.ts';
import { type DemoteOptions, demoteShapes, PostgresServer, type ServerWaitOptions } from './server.ts';
import { rebuildStandby } from './standby.ts';

/** See {@link PostgresPair.switchover}. */
export interface SwitchoverOptions extends DemoteOptions {
  /** Called when the new primary takes writes and before the old one is rebuilt. Change the Service here. A returned promise is awaited. */
  onPromoted?: ((primary: PostgresServer) => unknown) | undefined;
  /** Whether the old primary becomes the standby, which ends its sessions. @defaultValue true */
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
 * Two real PostgreSQL servers, a primary and a standby that replicates from it, for failover tests.
 *
 * Each server has its own loopback address, the same port, and a certificate that names only its external host. Over TCP they
 * accept only TLS and SCRAM. When the pair is closed or this process ends, in whatever way, nothing is left.
 *
 * @example
 * ```ts
 * await using pair = await PostgresPair.start();
 * await pair.primary.kill();
 * await pair.standby.promote();
 * ```
 */
export class PostgresPair implements AsyncDisposable {
  /** Both servers, first the one that started as primary. Unlike `primary` and `standby`, these never swap. */
  readonly servers: readonly [PostgresServer, PostgresServer];
  /** The port of both servers. */
  readonly port: number;
  /** The application's role. */
  readonly user: string;
  /** The application's password. Hidden when the pair is printed. */
  declare readonly password: string;
  /** The database of the application. */
  readonly database: string;
  /** The authority that issued the servers' certificates. */
  declare readonly authority: CertificateAuthority;
  readonly #resources: PairResources;
  #primary: PostgresServer;
  #closing: Promise<void> | undefined;
  /** Fires when the pair is closed, to end everything under way. */
  readonly #end = new AbortController();
  /** Changes of role run one after the other; this is the end of the last one. It never rejects. */
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
   * Starts both servers and resolves when the standby has caught up.
   *
   * @throws {@link InvalidArgumentError} (`ERR_EXTERNALNAME_INVALID_ARGUMENT`) before anything is started.
   * @throws {@link PostgresUnavailableError} (`ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE`) if no PostgreSQL can run on this machine.
   * @throws {@link PostgresServerError} (`ERR_EXTERNALNAME_POSTGRES_SERVER`) if a server does not start.
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`)
   */
  static async start(given: PostgresPairOptions = {}): Promise<PostgresPair> {
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
      // A start under way cleans up after itself. If it finished just before the deadline, the pair is closed here.
      await begun.work?.then((pair) => pair.close(), ignore);
      throw error;
    }
  }

  /** The server that takes writes: the one last promoted through this API. */
  get primary(): PostgresServer {
    return this.#primary;
  }

  /** The other server, whatever its state. */
  get standby(): PostgresServer {
    return this.#other(this.#primary);
  }

  /** The authority's certificate, PEM. Clients pass it as `ca`. */
  get ca(): string {
    return this.authority.certificate;
  }

  /** The address of each host name, for a DNS server. */
  get addresses(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.servers.map((server) => [server.hostName, server.address]));
  }

  /** The same in the form that `LocalCluster` takes as `hosts`. */
  get hosts(): Record<string, string[]> {
    return Object.fromEntries(this.servers.map((server) => [server.hostName, [server.address]]));
  }

  /** The server with this host name. @throws {@link InvalidArgumentError} (`ERR_EXTERNALNAME_INVALID_ARGUMENT`) */
  server(hostName: string): PostgresServer {
    const found = this.servers.find((server) => server.hostName === hostName);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(
      'hostName',
      `must be a host name of this pair, got ${JSON.stringify(hostName)}: the servers are ${this.servers.map((each) => each.hostName).join(' and ')}`,
    );
  }

  /** Options for plain `pg` to connect to one server as the application, with its certificate fully verified. */
  connection(server: PostgresServer = this.primary): PostgresConnection {
    const { port, user, database, ca, password } = this;
    const ssl = { ca, servername: server.hostName };
    return concealed({ host: server.address, port, user, password, database, ssl }, 'password');
  }

  /** How many bytes of the primary's write-ahead log the standby has not replayed. */
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
   * Makes `server` the standby of the other one, whatever its state. The server is killed, its data folder is removed, and the
   * primary's is copied (backup functions; PostgreSQL documentation, 25.3.3). Resolves when the standby has caught up. With
   * `synchronous`, commits on the primary then wait for it.
   *
   * @throws {@link PostgresServerError} (`wrong-role`) if the other server is not a primary.
   */
  async rejoin(server: PostgresServer, options: ServerWaitOptions = {}): Promise<void> {
    this.#assertOpen();
    this.#assertOwn(server);
    checkOptions(options, waitShapes);
    await this.#inTurn(options.signal, (signal) => this.#rejoinWithin(server, { ...options, signal }));
  }

  /**
   * Swaps the roles without losing a commit: fences the primary, waits for open transactions and for the standby to replay
   * everything, promotes the standby, and makes the old primary its standby. If it fails before the promotion, the fence is undone.
   *
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`) if transactions stay open.
   */
  async switchover(options: SwitchoverOptions = {}): Promise<void> {
    this.#assertOpen();
    checkOptions(options, { ...demoteShapes, onPromoted: optional(aFunction), rejoin: optional(aBoolean) });
    await this.#inTurn(options.signal, (signal) => this.#switchover({ ...options, signal }));
  }

  /** Kills both servers and removes their files. Resolves when nothing is left. */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#end.abort(new ClosedError('the PostgreSQL pair'));
      // Killed servers make everything under way fail at once.
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
    if (!this.servers.includes(server)) throw new InvalidArgumentError('server', 'must be a server of this pair');
  }

  /** Runs a change of role after the one before. The caller's signal ends it, and so does closing the pair. */
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
    const { onPromoted, rejoin = true, openTransactions, ...wait } = options;
    const [from, to] = [this.primary, this.standby];
    if ((await to.role(wait)) !== 'standby') {
      throw new PostgresServerError(
        to.hostName,
        'wrong-role',
        'the server is not a standby: rejoin() it before a switchover',
      );
    }
    const end = await from.demote({ ...wait, openTransactions });
    try {
      await to.waitForReplay(end, wait);
      await to.promote(wait);
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
      // Nothing may still run when this returns, because the next change may begin, or the folder be removed.
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
        'the server is a standby: promote() it before the other one rejoins',
      );
    }
    // Commits must stop waiting for the server before it is killed: if the caller gives up in between, no commit is left waiting.
    await primary.setParameters({ synchronous_standby_names: '' }, { signal });
    await server.kill();
    signal.throwIfAborted();
    await rm(server.dataFolder, { recursive: true, force: true });
    this.#primary = primary;
    await rebuildStandby(primary, server, this.#resources, this.servers, signal);
  }
}

function ignore(): void {}
