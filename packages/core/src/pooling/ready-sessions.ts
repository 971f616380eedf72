import { setMaxListeners } from 'node:events';
import { inBackground } from '../background.ts';
import { backoffMillis } from '../backoff.ts';
import type { Clock, Timer } from '../clock.ts';
import { abortable, withDeadline } from '../deadline.ts';
import { DeadlineError } from '../errors.ts';
import type { Target } from '../targets/index.ts';

/** An open connection. Its client says when it has ended. */
interface Open {
  readonly client: Pick<NodeJS.EventEmitter, 'once' | 'removeListener'>;
}

/** See {@link ReadySessions}. */
export interface ReadySessionsSettings {
  /** The hosts that the Service may come to point at. */
  readonly targets: readonly Target[];
  /** How many sessions are kept at each. */
  readonly count: number;
  /** How many connections are wanted at a target before the pool moves there. */
  readonly warmUp: number;
}

/** What {@link ReadySessions} needs from outside. */
export interface ReadySessionsDependencies<OpenConnection extends Open> {
  /** Opens a session to a target, whatever the role of its server. */
  readonly open: (target: Target, signal: AbortSignal) => Promise<OpenConnection>;
  /** Resolves if the server answers in this session, and has the wanted role. */
  readonly prove: (connection: OpenConnection, signal: AbortSignal) => Promise<void>;
  /** Whether the server said that it has the wanted role when it opened the session. */
  readonly isFit: (connection: OpenConnection) => boolean;
  /** When the server of the pool last became suspect, in `now()` milliseconds: no proof from before counts. */
  readonly suspectedAt: () => number;
  /** Ends a session. */
  readonly close: (client: OpenConnection['client']) => void;
  /** Whether the current server serves: without one, there is nothing that a move could wait for. */
  readonly serves: () => boolean;
  /** Whether `prove` failed because the server does not have the role yet. It answered: the session is as good as before. */
  readonly isEarly: (error: unknown) => boolean;
  readonly clock: Clock;
}

/**
 * Sessions kept ready at the targets that a Service may come to point at, so that a switch does not wait for TCP, TLS and
 * authentication: on a line of 50 ms these take 300 ms and more.
 *
 * They are not in a pool. A session waits at its server, standby or not, until the Service points there; then it proves its
 * role and becomes one of the pool's. A session that ends is replaced after a pause. An old one is replaced too, because
 * the name of its target may lead to another address by then.
 */
export class ReadySessions<OpenConnection extends Open> {
  readonly #settings: ReadySessionsSettings;
  readonly #dependencies: ReadySessionsDependencies<OpenConnection>;
  readonly #rooms = new Map<string, WaitingRoom<OpenConnection>>();
  readonly #closing = new AbortController();
  /** Where the pool is: there it opens its own connections. */
  #current: string | undefined;
  #vetted: OpenConnection | undefined;
  /** Where a planned switch leads. */
  #planned: Target | undefined;

  constructor(settings: ReadySessionsSettings, dependencies: ReadySessionsDependencies<OpenConnection>) {
    this.#settings = settings;
    // Each session that is being opened listens to it.
    setMaxListeners(0, this.#closing.signal);
    this.#dependencies = dependencies;
    for (const target of settings.targets) {
      this.#rooms.set(target.externalName, roomAt(target, settings.count));
    }
  }

  /** How many sessions wait at a target. */
  waitingAt(externalName: string): number {
    return this.#rooms.get(externalName)?.sessions.length ?? 0;
  }

  /** How many sessions wait at each target, by its `externalName`. Empty if none are to be kept. */
  counts(): Readonly<Record<string, number>> {
    const kept = [...this.#rooms].filter(([, { wanted }]) => wanted > 0);
    return Object.fromEntries(kept.map(([externalName, { sessions }]) => [externalName, sessions.length]));
  }

  /**
   * Keeps at least that many sessions at a target that the pool is about to move to; 0 if it is not any more. Resolves when each of them is
   * there or has failed once.
   */
  async prepare(target: Target, count: number): Promise<void> {
    const { externalName } = target;
    const room = this.#rooms.get(externalName) ?? roomAt(target, 0);
    this.#rooms.set(externalName, room);
    room.wanted = Math.max(count, this.#keptAt(room));
    for (const session of room.sessions.slice(room.wanted)) session.end();
    await Promise.all(this.#fill(room));
  }

  /** The pool is at that target: sessions are kept at all others. Sessions left there wait for their turn in {@link take}. */
  poolIsAt(externalName: string): void {
    if (this.#current === externalName || this.#closing.signal.aborted) return;
    this.#current = externalName;
    const arrived = this.#rooms.get(externalName);
    if (arrived !== undefined) arrived.wanted = this.#keptAt(arrived);
    for (const room of this.#rooms.values()) this.#fill(room);
  }

  /**
   * Asks all sessions at a target for their proof at once, because the pool is about to move there, and each caller needs one: a caller who
   * takes one then waits for no round trip of its own. A session that does not answer is replaced. A server that does not have the role yet
   * is asked so once a second at most.
   */
  proveAll(externalName: string): void {
    const room = this.#rooms.get(externalName);
    const { clock, isEarly } = this.#dependencies;
    if (room === undefined || clock.now() - room.earlyAt < proofMillis) return;
    for (const session of room.sessions) {
      this.#proofOf(session).catch((error: unknown) => {
        if (isEarly(error)) {
          room.earlyAt = clock.now();
        } else if (room.sessions.includes(session)) {
          session.end();
          this.#fillLater(room);
        }
      });
    }
  }

  /**
   * A session at that target that was just checked, or was opened or checked within the last second; `undefined` if none is left.
   *
   * @throws why the server there is not acceptable. Its session keeps waiting.
   */
  async take(externalName: string, signal: AbortSignal): Promise<OpenConnection | undefined> {
    const room = this.#rooms.get(externalName);
    for (;;) {
      const session = room?.sessions.shift();
      if (room === undefined || session === undefined) return undefined;
      try {
        if (!this.#isProven(session)) await abortable(this.#proofOf(session), signal);
        session.leave();
        return session.connection;
      } catch (error) {
        const hasOtherRole = this.#dependencies.isEarly(error);
        // While it was asked, no list contained it, so a pool that closed meanwhile has not ended it.
        if (hasOtherRole && !this.#closing.signal.aborted) room.sessions.push(session);
        else session.end();
        if (hasOtherRole) throw error;
        signal.throwIfAborted();
      }
    }
  }

  /**
   * Makes the connection that proves the next target, keeps it until the pool moves there, and warms up as many others. The pool waits for
   * these for a second at most, and moves at once when its current server is lost.
   *
   * @throws what `connect` throws, or the reason of the signal, which fires when that target is not the next one any more
   */
  async vet(target: Target, signal: AbortSignal, connect: () => Promise<OpenConnection>): Promise<void> {
    const { clock, close, serves } = this.#dependencies;
    const { externalName } = target;
    this.#dropVetted();
    this.proveAll(externalName);
    const vetted = await connect();
    if (signal.aborted) {
      close(vetted.client);
      throw signal.reason;
    }
    this.#vetted = vetted;
    const { warmUp } = this.#settings;
    if (warmUp === 1 || !serves()) return;
    // The sessions that were opened for an announced switch stay, even if they are more.
    const count = Math.max(warmUp - 1, this.waitingAt(externalName));
    await withDeadline(() => this.prepare(target, count), {
      signal,
      timeoutMillis: longestWarmUpMillis,
      onTimeout: () => new DeadlineError('warming up', longestWarmUpMillis),
      clock,
      background: true,
    }).catch(() => undefined);
    if (!signal.aborted) return;
    // Nothing is left of it if the pool has moved there.
    this.#dropVetted(vetted);
    if (this.#current !== externalName) this.#forget(target);
  }

  /**
   * A switch to that target is planned, or none is any more: sessions are opened there meanwhile, also at a standby before it is promoted, so
   * that callers who are held for it do not wait for TCP, TLS and authentication.
   */
  plan(target: Target | undefined, count: number): void {
    const left = this.#planned;
    this.#planned = target;
    if (left !== undefined && left.externalName !== target?.externalName) this.#forget(left);
    if (target !== undefined) this.prepare(target, count).catch(() => undefined);
  }

  /** The connection that proved the next target, which belongs to the caller from now on. */
  takeVetted(): OpenConnection | undefined {
    const vetted = this.#vetted;
    this.#vetted = undefined;
    return vetted;
  }

  /** Ends all of them. Idempotent. */
  close(): void {
    this.#closing.abort(new Error('the pool is closed'));
    this.#dropVetted();
    for (const room of this.#rooms.values()) {
      room.timer?.cancel();
      for (const session of room.sessions.splice(0)) session.end();
    }
  }

  // Ends that connection, or only `which`: the pool does not move.
  #dropVetted(which: OpenConnection | undefined = this.#vetted): void {
    const vetted = this.#vetted === which ? this.takeVetted() : undefined;
    if (vetted !== undefined) this.#dependencies.close(vetted.client);
  }

  #forget(target: Target): void {
    this.prepare(target, 0).catch(() => undefined);
  }

  #isProven({ provenAt }: Session<OpenConnection>): boolean {
    const { clock, suspectedAt } = this.#dependencies;
    return clock.now() - provenAt < proofMillis && provenAt > suspectedAt();
  }

  // One at a time for each session.
  #proofOf(session: Session<OpenConnection>): Promise<void> {
    const { clock, prove } = this.#dependencies;
    session.proof ??= prove(session.connection, this.#closing.signal)
      .then(() => {
        session.provenAt = clock.now();
      })
      .finally(() => {
        session.proof = undefined;
      });
    return session.proof;
  }

  // How many are kept there without a plan.
  #keptAt({ target }: WaitingRoom<OpenConnection>): number {
    return this.#settings.targets.includes(target) ? this.#settings.count : 0;
  }

  // The attempts under way. They never reject.
  #fill(room: WaitingRoom<OpenConnection>): readonly Promise<void>[] {
    room.timer?.cancel();
    room.timer = undefined;
    const attempts: Promise<void>[] = [];
    if (this.#closing.signal.aborted || room.target.externalName === this.#current) return attempts;
    while (room.sessions.length + room.opening < room.wanted) {
      room.opening += 1;
      const attempt = inBackground(() => this.#open(room)).then(
        () => {
          room.failures = 0;
        },
        // A target without a server is not a failure of the pool: the session is retried, less and less often.
        () => {
          room.failures += 1;
          this.#fillLater(room);
        },
      );
      attempts.push(attempt);
    }
    return attempts;
  }

  async #open(room: WaitingRoom<OpenConnection>): Promise<void> {
    const { signal } = this.#closing;
    let connection: OpenConnection;
    try {
      connection = await this.#dependencies.open(room.target, signal);
    } finally {
      room.opening -= 1;
    }
    // It was closed, or the pool has arrived here and opens its own.
    const isPointless = signal.aborted || room.target.externalName === this.#current;
    if (isPointless) this.#dependencies.close(connection.client);
    else room.sessions.push(this.#session(room, connection));
  }

  #session(room: WaitingRoom<OpenConnection>, connection: OpenConnection): Session<OpenConnection> {
    const { clock, close, isFit } = this.#dependencies;
    const { client } = connection;
    const gone = () => {
      session.leave();
      this.#fillLater(room);
    };
    const session: Session<OpenConnection> = {
      connection,
      provenAt: isFit(connection) ? clock.now() : Number.NEGATIVE_INFINITY,
      proof: undefined,
      leave: () => {
        lifetime.cancel();
        client.removeListener('end', gone);
        const index = room.sessions.indexOf(session);
        if (index >= 0) room.sessions.splice(index, 1);
      },
      end: () => {
        session.leave();
        close(client);
      },
    };
    const lifetime = clock.schedule(
      () => {
        session.end();
        this.#fill(room);
      },
      lifetimeMillis,
      { background: true },
    );
    client.once('end', gone);
    return session;
  }

  #fillLater(room: WaitingRoom<OpenConnection>): void {
    if (room.timer !== undefined || this.#closing.signal.aborted) return;
    const delayMillis = backoffMillis(room.failures, retryBounds);
    room.timer = this.#dependencies.clock.schedule(() => this.#fill(room), delayMillis, { background: true });
  }
}

/** A target, and the sessions that wait there. */
interface WaitingRoom<OpenConnection> {
  readonly target: Target;
  /** Oldest first. */
  readonly sessions: Session<OpenConnection>[];
  /** How many are to be kept. */
  wanted: number;
  opening: number;
  /** When its server last said that it does not have the wanted role yet, in `now()` milliseconds. */
  earlyAt: number;
  /** How many sessions in a row could not be opened. */
  failures: number;
  timer: Timer | undefined;
}

function roomAt(target: Target, wanted: number) {
  const earlyAt = Number.NEGATIVE_INFINITY;
  return { target, sessions: [], wanted, opening: 0, earlyAt, failures: 0, timer: undefined as Timer | undefined };
}

interface Session<OpenConnection> {
  readonly connection: OpenConnection;
  /** When its server last said that it has the wanted role, in `now()` milliseconds. */
  provenAt: number;
  /** While it is asked. */
  proof: Promise<void> | undefined;
  /** The session does not belong to this object any more. */
  leave(): void;
  end(): void;
}

const retryBounds = { shortestMillis: 5_000, longestMillis: 300_000 };
const lifetimeMillis = 600_000;

// While the pool waits, its old server may acknowledge writes that are lost.
const longestWarmUpMillis = 1_000;

// A move and the callers who waited for it take less.
const proofMillis = 1_000;
