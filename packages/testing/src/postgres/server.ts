import { chown, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClosedError, DeadlineError, InvalidArgumentError, type WaitOptions } from '@externalname/core';
import {
  abortable,
  checkOptions,
  checkText,
  describeValue,
  oneOf,
  optional,
  type Shapes,
  sleep,
  withDeadline,
} from '@externalname/core/internal';
import type { IssuedCertificate } from '../certificates.ts';
import { type AdministrationOptions, administrate, type RunStatement, waitShapes } from './administration.ts';
import type { PostgresBinaries } from './binaries.ts';
import { PostgresServerError } from './errors.ts';
import { accepts, isReady, type Postmaster, removeLeftovers, spawnPostmaster } from './postmaster.ts';
import {
  freezeServerProcesses,
  killServerProcesses,
  type ServerProcessMarks,
  serverProcesses,
  signal,
  thawServerProcesses,
} from './server-processes.ts';
import { alterSystem, openWriters, type PostgresRole, positionOf, roleOf } from './statements.ts';

/** How a server is stopped (PostgreSQL documentation, 18.5). */
export type StopMode =
  /** Waits until the last client has left. */
  | 'smart'
  /** Ends all sessions (57P01), sends standbys what is left, then shuts down cleanly. */
  | 'fast'
  /** Ends at once, as after a crash: clients are told by a notice, or not at all. */
  | 'immediate';

/** A wait with a deadline. */
export interface ServerWaitOptions extends WaitOptions {
  /** Longest time, in milliseconds. @defaultValue 30000 */
  timeoutMillis?: number | undefined;
}

/** See {@link PostgresServer.promote}. */
export interface PromoteOptions extends ServerWaitOptions {
  /**
   * What happens to `synchronous_standby_names`. The standby inherited it from its primary, and it names a server that is gone.
   * With `keep`, every commit on the promoted server waits, as it does in production if this step is forgotten.
   * @defaultValue `remove`
   */
  synchronousStandbyNames?: 'keep' | 'remove' | undefined;
}

/** See {@link PostgresServer.demote}. */
export interface DemoteOptions extends ServerWaitOptions {
  /**
   * What happens to transactions that were open before: wait for them until the deadline, or end their sessions (57P01). If the
   * deadline passes, the demotion is undone. @defaultValue `wait`
   */
  openTransactions?: 'wait' | 'terminate' | undefined;
}

export const demoteShapes: Shapes<DemoteOptions> = {
  ...waitShapes,
  openTransactions: optional(oneOf('wait', 'terminate')),
};

/** What the pair hands to its servers. @internal */
export interface ServerSettings {
  readonly hostName: string;
  readonly address: string;
  readonly port: number;
  /** Contains socket, certificate, log and `data`. */
  readonly folder: string;
  readonly clusterName: string;
  readonly binaries: PostgresBinaries;
  readonly onPromoted: () => void;
  /** Whether the pair is closed. If so, nothing starts again. */
  readonly isClosed: () => boolean;
}

/**
 * One PostgreSQL server of a {@link PostgresPair}: real processes that you can stop, kill, freeze and promote.
 *
 * This class runs its statements as superuser over a Unix socket, so network faults do not affect them.
 */
export class PostgresServer {
  readonly #settings: ServerSettings;
  /** Undefined while the server is down. */
  #up: (Postmaster & { frozen: boolean }) | undefined;
  #starting: Promise<void> | undefined;
  /** How often the server was told to end. A start that has not spawned its process yet checks whether this has changed. */
  #ordersToEnd = 0;

  /** @internal */
  constructor(settings: ServerSettings) {
    this.#settings = settings;
  }

  /** The external name, which its certificate names. */
  get hostName(): string {
    return this.#settings.hostName;
  }

  /** The loopback address that it listens on. */
  get address(): string {
    return this.#settings.address;
  }

  /** The port that it listens on, the same for both servers. */
  get port(): number {
    return this.#settings.port;
  }

  /** PostgreSQL's data folder. */
  get dataFolder(): string {
    return join(this.#settings.folder, 'data');
  }

  /** Process id of the postmaster while the server runs. */
  get processId(): number | undefined {
    return this.#up?.child.pid;
  }

  /** Whether the server runs. A frozen server counts as running. */
  isRunning(): boolean {
    return this.#up !== undefined;
  }

  /** Whether {@link freeze} was called and {@link thaw} was not. */
  isFrozen(): boolean {
    return this.#up?.frozen === true;
  }

  /**
   * Starts the server and resolves when it accepts connections. If the server already runs, this does nothing; if it is starting,
   * this waits for the same start. After {@link kill} the server recovers what it had written and keeps its role: a killed primary
   * comes back as a second primary.
   *
   * @throws {@link PostgresServerError} (`ERR_EXTERNALNAME_POSTGRES_SERVER`) if the server ends while it starts (`ended`, or
   * `address-in-use`); the message contains the end of its log.
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`) after the timeout; the processes are then killed.
   */
  async start(options: ServerWaitOptions = {}): Promise<void> {
    checkOptions(options, waitShapes);
    if (this.#starting === undefined) {
      if (this.#up !== undefined) return;
      this.#starting = this.#start(options).finally(() => {
        this.#starting = undefined;
      });
    }
    await this.#starting;
  }

  async #start(options: ServerWaitOptions): Promise<void> {
    this.#assertOpen();
    const { folder } = this.#settings;
    const ordersBefore = this.#ordersToEnd;
    // If something else killed the postmaster, its other processes may still hold the folder.
    await killServerProcesses(this.#marks);
    const log = await open(join(folder, 'log'), 'a', 0o600);
    let started: Postmaster;
    try {
      await this.#own(join(folder, 'log'));
      this.#assertOpen();
      if (this.#ordersToEnd !== ordersBefore) throw this.#error('ended', 'the server was ended before it had started');
      // No await between the check above and this line: a call that ends the server from now on finds it.
      started = this.#spawn(log.fd);
    } finally {
      await log.close();
    }
    try {
      await this.#within('start', options, (signal) => this.#untilReady(started, signal));
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  #spawn(log: number): Postmaster {
    const { binaries, folder } = this.#settings;
    const up = { ...spawnPostmaster(binaries, folder, log), frozen: false };
    this.#up = up;
    up.ended.then(() => {
      if (this.#up === up) this.#up = undefined;
    }, ignore);
    return up;
  }

  /**
   * Stops the server and resolves when all its processes are gone. Does nothing if the server is not running. A frozen server is
   * thawed first, since it could not stop otherwise.
   *
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`) after the timeout; the server keeps stopping.
   */
  async stop(mode: StopMode = 'fast', options: ServerWaitOptions = {}): Promise<void> {
    checkOptions(options, waitShapes);
    oneOf(...Object.keys(stopSignals))('mode', mode);
    this.#ordersToEnd++;
    const up = this.#up;
    if (up !== undefined) {
      await this.thaw();
      if (up.child.pid !== undefined) signal(up.child.pid, stopSignals[mode]);
      await this.#within('stop', options, (signal) => abortable(up.ended, signal));
    }
    await this.#within('stop', options, async (signal) => {
      while ((await serverProcesses(this.#marks)).length > 0) await sleep(pollMillis, { signal });
    });
  }

  /**
   * Kills the postmaster and every other process of the server with SIGKILL, like a power cut: connections break, and the server
   * sends no last message. Resolves when no process is left and the port refuses connections.
   */
  async kill(): Promise<void> {
    this.#ordersToEnd++;
    const up = this.#up;
    await killServerProcesses(this.#marks, up?.child.pid);
    await up?.ended;
    await removeLeftovers(this.dataFolder);
    while (await accepts(this.address, this.port)) await sleep(pollMillis);
  }

  /**
   * Stops all processes with SIGSTOP, like a machine that hangs: sockets stay open, the kernel still accepts connections and
   * bytes, and nothing answers. Resolves when no process runs.
   */
  async freeze(): Promise<void> {
    const up = this.#up;
    if (up === undefined) throw this.#error('not-running', 'the server is not running: start() it first');
    up.frozen = true;
    if (up.child.pid !== undefined) await freezeServerProcesses(this.#marks, up.child.pid);
  }

  /** Resumes a frozen server. Does nothing if the server is not frozen. */
  async thaw(): Promise<void> {
    const up = this.#up;
    if (up?.frozen !== true) return;
    if (up.child.pid !== undefined) await thawServerProcesses(this.#marks, up.child.pid);
    up.frozen = false;
  }

  /**
   * Makes a standby the primary and resolves when it takes writes (`pg_promote()`).
   *
   * @throws {@link PostgresServerError} (`wrong-role`) if the server is not a standby.
   */
  async promote(options: PromoteOptions = {}): Promise<void> {
    checkOptions(options, { ...waitShapes, synchronousStandbyNames: optional(oneOf('keep', 'remove')) });
    const { synchronousStandbyNames = 'remove', timeoutMillis = usualTimeoutMillis, signal } = options;
    await this.administrate(
      async (run) => {
        if ((await roleOf(run)) !== 'standby')
          throw this.#error('wrong-role', 'the server is already a primary, so it cannot be promoted');
        if (synchronousStandbyNames === 'remove') await alterSystem(run, { synchronous_standby_names: '' });
        await run('select pg_reload_conf()');
        await run('select pg_promote(true, $1)', [Math.max(1, Math.ceil(timeoutMillis / 1000))]);
        while ((await roleOf(run)) !== 'primary') await sleep(pollMillis);
      },
      { signal, timeoutMillis },
    );
    this.#settings.onPromoted();
  }

  /**
   * Makes new transactions read only by default (`default_transaction_read_only`). Resolves when every transaction that starts from
   * now on is read only. The setting survives a restart. Open transactions can still write, and so can a session that says
   * `BEGIN READ WRITE` or sets the parameter for itself.
   */
  async fence(options: ServerWaitOptions = {}): Promise<void> {
    await this.setParameters({ default_transaction_read_only: 'on' }, options);
  }

  /** Undoes {@link fence}. */
  async unfence(options: ServerWaitOptions = {}): Promise<void> {
    await this.setParameters({ default_transaction_read_only: null }, options);
  }

  /**
   * Fences the server and waits until every transaction that was open before has ended. After that, nothing more is written.
   *
   * @returns the position in the write-ahead log up to which a standby must replay to have everything.
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`) if transactions are still open at the deadline; the fence is then undone.
   */
  async demote(options: DemoteOptions = {}): Promise<string> {
    checkOptions(options, demoteShapes);
    const { openTransactions = 'wait', ...wait } = options;
    await this.fence(wait);
    try {
      return await this.administrate(async (run) => {
        const [started] = await run<{ at: string }>('select clock_timestamp()::text as at');
        while ((await openWriters(run, started?.at ?? '', openTransactions === 'terminate')) > 0)
          await sleep(pollMillis);
        return positionOf(run);
      }, wait);
    } catch (error) {
      await this.unfence().catch(ignore);
      throw error;
    }
  }

  /**
   * Sets parameters for the whole server (`ALTER SYSTEM`) and reloads. `null` resets a parameter to its value at the start.
   * Resolves when new sessions see the change. A parameter that needs a restart takes effect at the next start.
   */
  async setParameters(
    parameters: Readonly<Record<string, string | null>>,
    options: ServerWaitOptions = {},
  ): Promise<void> {
    await this.#reload((run) => alterSystem(run, parameters), options);
  }

  /** Uses another certificate for new connections. */
  async setCertificate(issued: IssuedCertificate, options: ServerWaitOptions = {}): Promise<void> {
    checkOptions(options, waitShapes);
    await this.writeCertificate(issued);
    await this.#reload(async () => undefined, options);
  }

  /** Runs one statement as superuser. */
  query<Row = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
    options: AdministrationOptions = {},
  ): Promise<Row[]> {
    return this.administrate((run) => run<Row>(sql, values), options);
  }

  /** Queries the server's role. */
  role(options: ServerWaitOptions = {}): Promise<PostgresRole> {
    return this.administrate(roleOf, options);
  }

  /** The position in the write-ahead log up to which a primary has written, or a standby has replayed: `0/3000148`. */
  position(options: ServerWaitOptions = {}): Promise<string> {
    return this.administrate(positionOf, options);
  }

  /** Resolves when a standby has replayed the write-ahead log up to `position`. On a primary past that position, resolves at once. */
  async waitForReplay(position: string, options: ServerWaitOptions = {}): Promise<void> {
    checkText('position', position);
    if (!/^[0-9a-f]{1,8}\/[0-9a-f]{1,8}$/i.test(position)) {
      throw new InvalidArgumentError(
        'position',
        `must be a position such as '0/3000148', which position() returns; got ${describeValue(position)}`,
      );
    }
    await this.administrate(async (run) => {
      for (;;) {
        const [row] = await run<{ reached: boolean }>('select $1::pg_lsn >= $2::pg_lsn as reached', [
          await positionOf(run),
          position,
        ]);
        if (row?.reached === true) return;
        await sleep(pollMillis);
      }
    }, options);
  }

  /** Everything in the server's log. */
  log(): Promise<string> {
    return readFile(join(this.#settings.folder, 'log'), 'utf8');
  }

  /** Runs `work` in a session of the superuser. @internal */
  administrate<T>(work: (run: RunStatement) => Promise<T>, options: AdministrationOptions = {}): Promise<T> {
    if (this.isFrozen())
      return Promise.reject(this.#error('frozen', 'the server is frozen and cannot answer: thaw() it first'));
    const { folder, hostName, port, binaries } = this.#settings;
    const { majorVersion } = binaries;
    return administrate({ hostName, port, socketFolder: folder, majorVersion }, work, options);
  }

  /** Writes the certificate that the server uses after its next reload. @internal */
  async writeCertificate({ certificate, privateKey }: IssuedCertificate): Promise<void> {
    await this.writeOwn('server.crt', certificate);
    await this.writeOwn('server.key', privateKey);
  }

  /** Writes a file into the server's folder. Only the server's account can read it. @internal */
  async writeOwn(name: string, text: string): Promise<void> {
    const path = join(this.#settings.folder, name);
    await writeFile(path, text, { mode: 0o600 });
    await this.#own(path);
  }

  get #marks(): ServerProcessMarks {
    return { dataFolder: this.dataFolder, clusterName: this.#settings.clusterName };
  }

  // The postmaster reads its files, then notifies open sessions, then makes new ones. So a new session that sees the reload proves
  // that all others were notified.
  async #reload(change: (run: RunStatement) => Promise<void>, options: ServerWaitOptions): Promise<void> {
    const before = await this.administrate(async (run) => {
      await change(run);
      const [row] = await run<{ at: string }>('select clock_timestamp()::text as at, pg_reload_conf()');
      return row?.at ?? '';
    }, options);
    await this.#within('reload', options, async (signal) => {
      const isRead = (run: RunStatement) =>
        run<{ read: boolean }>('select pg_conf_load_time() > $1::timestamptz as read', [before]);
      while ((await this.administrate(isRead, { ...options, signal }))[0]?.read !== true)
        await sleep(pollMillis, { signal });
    });
  }

  async #own(path: string): Promise<void> {
    const { identity } = this.#settings.binaries.account;
    if (identity !== undefined) await chown(path, identity.uid, identity.gid);
  }

  #assertOpen(): void {
    if (this.#settings.isClosed()) throw new ClosedError('the PostgreSQL pair');
  }

  async #untilReady(started: Postmaster, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#up !== started) throw await this.#endedWhileStarting();
      if (await isReady(this.dataFolder, started.child.pid)) return;
      await sleep(pollMillis, { signal });
    }
  }

  async #endedWhileStarting(): Promise<PostgresServerError> {
    const log = await this.log().catch(() => '');
    const tail = log.trimEnd().split('\n').slice(-logTailLines);
    const inUse = tail.some((line) => /could not (?:bind|create any)|already in use/.test(line));
    return this.#error(
      inUse ? 'address-in-use' : 'ended',
      `the server ended while it was starting; its log ends with:\n${tail.join('\n')}`,
    );
  }

  #within<T>(what: string, options: ServerWaitOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMillis = usualTimeoutMillis, signal } = options;
    const onTimeout = () => new DeadlineError(`${this.hostName}: ${what}`, timeoutMillis);
    return withDeadline(work, { signal, timeoutMillis, onTimeout });
  }

  #error(failure: PostgresServerError['failure'], message: string): PostgresServerError {
    return new PostgresServerError(this.hostName, failure, message);
  }
}

function ignore(): void {}

const stopSignals: Record<StopMode, NodeJS.Signals> = {
  smart: 'SIGTERM',
  fast: 'SIGINT',
  immediate: 'SIGQUIT',
};
const usualTimeoutMillis = 30_000;
const pollMillis = 5;
const logTailLines = 8;
