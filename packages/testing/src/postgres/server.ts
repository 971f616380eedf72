import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chown, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ClosedError, DeadlineError, InvalidArgumentError, type WaitOptions } from '@externalname/core';
import { abortable, sleep, withDeadline } from '@externalname/core/internal';
import type { IssuedCertificate } from '../certificates.ts';
import { type AdministrationOptions, administrate, type RunStatement } from './administration.ts';
import type { PostgresBinaries } from './binaries.ts';
import { PostgresServerError } from './errors.ts';
import {
  freezeServerProcesses,
  killServerProcesses,
  type ServerProcessMarks,
  serverProcesses,
  signal,
  thawServerProcesses,
} from './server-processes.ts';
import { identifier, literal } from './settings.ts';

/** `primary` takes writes; `standby` replays those of a primary and takes reads. */
export type PostgresRole = 'primary' | 'standby';

/** How a server is stopped (PostgreSQL documentation, 18.5). */
export type StopMode =
  /** Waits until the last client has left. */
  | 'smart'
  /** Ends all sessions (57P01), sends standbys what is left, then ends in good order. */
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
   * What happens to `synchronous_standby_names`, which a standby has inherited from its primary and which names a server that
   * is not there: with `keep`, every commit on the promoted server waits, as it does in production where this was forgotten.
   * @defaultValue `remove`
   */
  synchronousStandbyNames?: 'keep' | 'remove' | undefined;
}

/** See {@link PostgresServer.demote}. */
export interface DemoteOptions extends ServerWaitOptions {
  /**
   * What happens to transactions that were open before: they are waited for until the deadline, or their sessions are ended
   * (57P01). A demotion whose deadline passes is taken back. @defaultValue `wait`
   */
  openTransactions?: 'wait' | 'terminate' | undefined;
}

/** What the pair hands to its servers. @internal */
export interface ServerSettings {
  readonly hostName: string;
  readonly address: string;
  readonly port: number;
  /** Holds socket, certificate, log and `data`. */
  readonly folder: string;
  readonly clusterName: string;
  readonly binaries: PostgresBinaries;
  readonly onPromoted: () => void;
  /** Whether the pair was closed: nothing starts again then. */
  readonly isClosed: () => boolean;
}

/**
 * One PostgreSQL server of a {@link PostgresPair}: real processes, which can be stopped, killed, frozen and promoted.
 *
 * Statements of this class run as superuser over a Unix socket, so faults of the network do not reach them.
 */
export class PostgresServer {
  readonly #settings: ServerSettings;
  #life: ServerLife = { state: 'down' };
  #starting: Promise<void> | undefined;
  /** How often the server was told to end. A start that has not come to the process yet looks whether it was meanwhile. */
  #ordersToEnd = 0;

  /** @internal */
  constructor(settings: ServerSettings) {
    this.#settings = settings;
  }

  /** The external name: what its certificate is made out to. */
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

  /** Process id of the postmaster, while there is one. */
  get processId(): number | undefined {
    return this.#life.state === 'up' ? this.#life.child.pid : undefined;
  }

  /** Whether its processes are there, frozen ones included. */
  isRunning(): boolean {
    return this.#life.state === 'up';
  }

  /** Whether {@link freeze} was called and {@link thaw} was not. */
  isFrozen(): boolean {
    return this.#life.state === 'up' && this.#life.frozen;
  }

  /**
   * Starts the server and resolves when it accepts connections. Does nothing where it runs, and joins a start that is under
   * way. After {@link kill} it recovers
   * what it had written, and comes back with the role that it had: a killed primary comes back as a second primary.
   *
   * @throws {@link PostgresServerError} (`ERR_EXTERNALNAME_POSTGRES_SERVER`) where it ends while it starts (`ended`, or
   * `address-in-use`); the message carries its log.
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`); the processes are killed then.
   */
  start(options: ServerWaitOptions = {}): Promise<void> {
    if (this.#starting === undefined) {
      if (this.#life.state === 'up') return Promise.resolve();
      this.#starting = this.#start(options).finally(() => {
        this.#starting = undefined;
      });
    }
    return this.#starting;
  }

  async #start(options: ServerWaitOptions): Promise<void> {
    this.#assertOpen();
    const { folder } = this.#settings;
    const ordersBefore = this.#ordersToEnd;
    // Processes whose postmaster was killed by somebody else may still hold the folder.
    await killServerProcesses(this.#marks);
    const log = await open(join(folder, 'log'), 'a', 0o600);
    let life: ServerUp;
    try {
      await this.#own(join(folder, 'log'));
      this.#assertOpen();
      if (this.#ordersToEnd !== ordersBefore) throw this.#error('ended', 'the server was ended before it had started');
      // From the last look to here nothing is waited for: whoever ends the server from now on finds it.
      life = this.#spawn(log.fd);
    } finally {
      await log.close();
    }
    try {
      await this.#within('start', options, (signal) => this.#untilReady(life, signal));
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /**
   * Stops the server in order and resolves when all its processes are gone. Does nothing where it is not running. A frozen
   * server is thawed first, as it could not stop otherwise.
   *
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`); the server goes on stopping.
   */
  async stop(mode: StopMode = 'fast', options: ServerWaitOptions = {}): Promise<void> {
    const name = stopSignals[mode];
    if (name === undefined)
      throw new InvalidArgumentError('mode', `use smart, fast or immediate, not ${JSON.stringify(mode)}`);
    this.#ordersToEnd++;
    const life = this.#life;
    if (life.state === 'up') {
      await this.thaw();
      if (life.child.pid !== undefined) signal(life.child.pid, name);
      await this.#within('stop', options, (signal) => abortable(life.ended, signal));
    }
    await this.#within('stop', options, async (signal) => {
      while ((await serverProcesses(this.#marks)).length > 0) await sleep(pollMillis, { signal });
    });
  }

  /**
   * Kills the postmaster and every other process of the server with SIGKILL, as a power cut would; connections break without a
   * word. Resolves when no process is left and the port refuses connections.
   */
  async kill(): Promise<void> {
    this.#ordersToEnd++;
    const life = this.#life;
    await killServerProcesses(this.#marks, life.state === 'up' ? life.child.pid : undefined);
    if (life.state === 'up') await life.ended;
    await this.#removeSharedMemory();
    while (await accepts(this.address, this.port)) await sleep(pollMillis);
  }

  /**
   * Stops all processes with SIGSTOP, as a machine that hangs: sockets stay open, the kernel still takes connections and
   * bytes, nothing answers. Resolves when no process runs.
   */
  async freeze(): Promise<void> {
    const life = this.#up();
    life.frozen = true;
    if (life.child.pid !== undefined) await freezeServerProcesses(this.#marks, life.child.pid);
  }

  /** Lets a frozen server go on. Does nothing where it is not frozen. */
  async thaw(): Promise<void> {
    const life = this.#life;
    if (life.state !== 'up' || !life.frozen) return;
    if (life.child.pid !== undefined) await thawServerProcesses(this.#marks, life.child.pid);
    life.frozen = false;
  }

  /**
   * Makes a standby the primary and resolves when it takes writes (`pg_promote()`).
   *
   * @throws {@link PostgresServerError} (`wrong-role`) where it is no standby.
   */
  async promote(options: PromoteOptions = {}): Promise<void> {
    const { synchronousStandbyNames = 'remove', timeoutMillis = usualTimeoutMillis } = options;
    await this.administrate(async (run) => {
      if ((await roleOf(run)) !== 'standby')
        throw this.#error('wrong-role', 'it is a primary already, so it cannot be promoted');
      if (synchronousStandbyNames === 'remove') await alterSystem(run, { synchronous_standby_names: '' });
      await run('select pg_reload_conf()');
      await run('select pg_promote(true, $1)', [Math.max(1, Math.ceil(timeoutMillis / 1000))]);
      while ((await roleOf(run)) !== 'primary') await sleep(pollMillis);
    }, options);
    this.#settings.onPromoted();
  }

  /**
   * Makes the server read only for everybody who does not ask otherwise (`default_transaction_read_only`) and resolves when
   * every transaction that starts from now on is. Survives a restart. Transactions that are open keep writing; a session that
   * says `BEGIN READ WRITE` or sets the parameter for itself does too.
   */
  async fence(options: ServerWaitOptions = {}): Promise<void> {
    await this.setParameters({ default_transaction_read_only: 'on' }, options);
  }

  /** Takes {@link fence} back. */
  async unfence(options: ServerWaitOptions = {}): Promise<void> {
    await this.setParameters({ default_transaction_read_only: null }, options);
  }

  /**
   * Fences the server and waits until every transaction that was open before has ended, so that nothing is written any more.
   *
   * @returns the position in the write-ahead log that a standby must have replayed to know everything.
   * @throws {@link DeadlineError} (`ERR_EXTERNALNAME_DEADLINE`) where transactions are still open then; the fence is taken back.
   */
  async demote(options: DemoteOptions = {}): Promise<string> {
    const { openTransactions = 'wait' } = options;
    await this.fence(options);
    try {
      return await this.administrate(async (run) => {
        const [started] = await run<{ at: string }>('select clock_timestamp()::text as at');
        while ((await openWriters(run, started?.at ?? '', openTransactions === 'terminate')) > 0)
          await sleep(pollMillis);
        return positionOf(run);
      }, options);
    } catch (error) {
      await this.unfence().catch(ignore);
      throw error;
    }
  }

  /**
   * Sets parameters for the whole server (`ALTER SYSTEM`) and has them read again. `null` takes a parameter back to what it
   * was at the start. Resolves when new sessions see them; a parameter that needs a restart waits for one.
   */
  async setParameters(
    parameters: Readonly<Record<string, string | null>>,
    options: ServerWaitOptions = {},
  ): Promise<void> {
    await this.#reload((run) => alterSystem(run, parameters), options);
  }

  /** Presents another certificate to connections that are made from now on. */
  async setCertificate(issued: IssuedCertificate, options: ServerWaitOptions = {}): Promise<void> {
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

  /** Asks the server for its role. */
  role(options: ServerWaitOptions = {}): Promise<PostgresRole> {
    return this.administrate(roleOf, options);
  }

  /** The position in the write-ahead log: what a primary has written, or a standby has replayed. Looks like `0/3000148`. */
  position(options: ServerWaitOptions = {}): Promise<string> {
    return this.administrate(positionOf, options);
  }

  /** Resolves when a standby has replayed the write-ahead log up to `position`. At once on a primary that is past it. */
  async waitForReplay(position: string, options: ServerWaitOptions = {}): Promise<void> {
    if (!/^[0-9a-f]{1,8}\/[0-9a-f]{1,8}$/i.test(position)) {
      throw new InvalidArgumentError('position', `${JSON.stringify(position)} is no position; position() returns one`);
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

  /** What the server has written to its log since it was made. */
  log(): Promise<string> {
    return readFile(join(this.#settings.folder, 'log'), 'utf8');
  }

  /** A session of the superuser. @internal */
  administrate<T>(work: (run: RunStatement) => Promise<T>, options: AdministrationOptions = {}): Promise<T> {
    if (this.isFrozen())
      return Promise.reject(this.#error('frozen', 'the server is frozen and cannot answer: thaw() it first'));
    const { folder, hostName, port } = this.#settings;
    return administrate({ hostName, port, socketFolder: folder }, work, options);
  }

  /** What the server shows from its next reload on. @internal */
  async writeCertificate({ certificate, privateKey }: IssuedCertificate): Promise<void> {
    await this.writeOwn('server.crt', certificate);
    await this.writeOwn('server.key', privateKey);
  }

  /** Writes a file into the server's folder that belongs to the server's account and that nobody else may read. @internal */
  async writeOwn(name: string, text: string): Promise<void> {
    const path = join(this.#settings.folder, name);
    await writeFile(path, text, { mode: 0o600 });
    await this.#own(path);
  }

  get #marks(): ServerProcessMarks {
    return { dataFolder: this.dataFolder, clusterName: this.#settings.clusterName };
  }

  // The postmaster reads its files, then tells the sessions that are open, then makes new ones. So a session that is made
  // later and knows of the reading proves that all others have been told.
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

  #spawn(log: number): ServerUp {
    const { binaries, folder } = this.#settings;
    const child = spawn(binaries.postgres, [`-D${this.dataFolder}`], {
      ...binaries.account.identity,
      cwd: folder,
      // Ctrl-C in the terminal is meant for this process, not for the server.
      detached: true,
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
    });
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    child.unref();
    const life: ServerUp = { state: 'up', child, ended, frozen: false };
    this.#life = life;
    ended.then(() => {
      if (this.#life === life) this.#life = { state: 'down' };
    }, ignore);
    return life;
  }

  #assertOpen(): void {
    if (this.#settings.isClosed()) throw new ClosedError('the PostgreSQL pair');
  }

  #up(): ServerUp {
    if (this.#life.state === 'up') return this.#life;
    throw this.#error('not-running', 'the server is not running: start() it first');
  }

  // pg_ctl looks at the same line: it says `ready` when connections are accepted.
  async #untilReady(life: ServerUp, signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#life !== life) throw await this.#endedWhileStarting();
      const file = await readFile(join(this.dataFolder, 'postmaster.pid'), 'utf8').catch(() => '');
      const lines = file.split('\n');
      if (lines[0]?.trim() === String(life.child.pid) && lines[7]?.trim() === 'ready') return;
      await sleep(pollMillis, { signal });
    }
  }

  async #endedWhileStarting(): Promise<PostgresServerError> {
    const log = await this.log().catch(() => '');
    const tail = log.trimEnd().split('\n').slice(-logTailLines);
    const inUse = tail.some((line) => /could not (?:bind|create any)|already in use/.test(line));
    return this.#error(
      inUse ? 'address-in-use' : 'ended',
      `the server ended while it was starting; its log says:\n${tail.join('\n')}`,
    );
  }

  /** A killed postmaster leaves a small segment of System V shared memory, of which a system has few. */
  async #removeSharedMemory(): Promise<void> {
    const path = join(this.dataFolder, 'postmaster.pid');
    const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
    const segment = /^\s*\d+\s+(\d+)\s*$/.exec(lines[6] ?? '')?.[1];
    if (segment !== undefined) {
      // Where there is no ipcrm, the next start in this folder takes the segment back.
      const removed = await new Promise<boolean>((resolve) => {
        execFile('ipcrm', ['-m', segment], (error) => resolve(error === null));
      });
      if (!removed) return;
    }
    await rm(path, { force: true });
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

interface ServerUp {
  readonly state: 'up';
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  frozen: boolean;
}

type ServerLife = ServerUp | { readonly state: 'down' };

async function roleOf(run: RunStatement): Promise<PostgresRole> {
  const [row] = await run<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  return row?.standby === true ? 'standby' : 'primary';
}

async function positionOf(run: RunStatement): Promise<string> {
  const [row] = await run<{ position: string }>(
    'select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as position',
  );
  return row?.position ?? '0/0';
}

async function alterSystem(run: RunStatement, parameters: Readonly<Record<string, string | null>>): Promise<void> {
  for (const [parameter, value] of Object.entries(parameters)) {
    const name = parameter.split('.').map(identifier).join('.');
    await run(value === null ? `alter system reset ${name}` : `alter system set ${name} = ${literal(value)}`);
  }
}

async function openWriters(run: RunStatement, since: string, terminate: boolean): Promise<number> {
  // Nobody is counted who started later: those transactions are read only.
  const rows = await run(
    `select pid${terminate ? ', pg_terminate_backend(pid)' : ''} from pg_stat_activity
     where backend_type = 'client backend' and pid <> pg_backend_pid() and xact_start < $1::timestamptz`,
    [since],
  );
  const [prepared] = await run<{ n: string }>('select count(*) as n from pg_prepared_xacts');
  return rows.length + Number(prepared?.n ?? 0);
}

function accepts(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

function ignore(): void {}

const stopSignals: Record<StopMode, NodeJS.Signals | undefined> = {
  smart: 'SIGTERM',
  fast: 'SIGINT',
  immediate: 'SIGQUIT',
};
const usualTimeoutMillis = 30_000;
const pollMillis = 5;
const logTailLines = 8;
