import type { Clock } from '@externalname/core';
import { sleep, withDeadline } from '@externalname/core/internal';
import type { Activities, MonitoringSession, ServerIdentity } from './monitoring-session.ts';
import type { Observation } from './silence.ts';

/** See {@link HalfOpenSearch}. Milliseconds. */
export interface HalfOpenSettings {
  /** How long a connection must be owed an answer before its server is asked about it. */
  readonly afterMillis: number;
  /** How long an answer may take in a session that has answered before. */
  readonly intervalMillis: number;
  /** How many such times are waited for the answer to a statement that the server has worked on. */
  readonly failures: number;
}

/** What a {@link HalfOpenSearch} needs from outside. */
export interface HalfOpenDependencies {
  readonly clock: Clock;
  /** The connections to the one server. */
  readonly observations: ReadonlySet<Observation>;
  readonly openSession: (signal: AbortSignal) => Promise<MonitoringSession>;
  /** The server has given a sign of life. */
  readonly heard: () => void;
}

/**
 * Finds connections that are dead on a server that lives: a firewall or a NAT has forgotten them, or the server has. Nobody
 * is told, and what is sent vanishes.
 *
 * The server is asked in a session beside them what it does for each that it owes an answer. As long as it works on the
 * statement, that is left alone. Where it waits for its client, or has no such session, and says so again a moment later,
 * with nothing received, the connection is ended: the answer was lost, or the statement never arrived.
 *
 * One question a second at the most concerns all of them. The session is opened with the first and kept while there is something to ask.
 *
 * An address may lead to several servers, and then to ask one of them says nothing about the sessions of another. So an answer counts
 * where the address is the server's own, or where it has once told of that very session; otherwise two sessions that came to the
 * same server must agree. Who is found to be one of several is not asked any more.
 */
export class HalfOpenSearch {
  readonly #settings: HalfOpenSettings;
  readonly #dependencies: HalfOpenDependencies;
  readonly #clock: Clock;
  readonly #inquiries = new WeakMap<Observation, Inquiry>();
  /** Connections that the server has not heard of, and what they had received then. */
  readonly #missed = new WeakMap<Observation, number>();
  #informant: Informant | undefined;
  /** Fires when the round that is under way is of no use any more. */
  #round: AbortController | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Whom an answer came from last. */
  #server: ServerIdentity | undefined;
  /** Until when nobody is asked, because there was no answer, or one that said nothing. */
  #restUntil = Number.NEGATIVE_INFINITY;
  /** Sessions in a row that could not be had, or did not answer a second time. */
  #failures = 0;
  readonly #closing = new Set<Promise<void>>();

  constructor(settings: HalfOpenSettings, dependencies: HalfOpenDependencies) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#clock = dependencies.clock;
  }

  /**
   * Asks where a question is due. To be called a few times a second. Says whether a session that has answered before was
   * asked now, so that a sign of life is on its way.
   */
  look(now: number): boolean {
    if (this.#round !== undefined) return false;
    const owed = this.#owed(now);
    if (owed.length === 0 && this.#informant !== undefined && now - this.#askedAt >= lingerMillis) this.#drop();
    const mayAsk = now >= this.#restUntil && now - this.#askedAt >= this.#spacingMillis;
    if (!mayAsk || !owed.some((each) => this.#isDue(each, now))) return false;
    const known = this.#informant?.session.isOpen === true;
    const round = new AbortController();
    this.#round = round;
    const over = () => {
      if (this.#round === round) this.#round = undefined;
    };
    this.#ask(round.signal).then(over, over);
    return known;
  }

  /** There is nothing to ask about any more. It may begin again. */
  rest(): void {
    this.#round?.abort(new Error('nothing to ask about'));
    this.#round = undefined;
    this.#drop();
  }

  /** Resolves when every session is closed. */
  async close(): Promise<void> {
    this.rest();
    await Promise.all(this.#closing);
  }

  /** Between two answers that must agree. */
  get #pauseMillis(): number {
    return this.#settings.intervalMillis / 2;
  }

  /** Between two questions about different statements. */
  get #spacingMillis(): number {
    return Math.min(this.#pauseMillis, this.#settings.afterMillis);
  }

  #owed(now: number): Observation[] {
    return [...this.#dependencies.observations].filter(
      (each) => each.connection.processId !== undefined && each.owedMillis(now) >= this.#settings.afterMillis,
    );
  }

  #isDue(observation: Observation, now: number): boolean {
    const inquiry = this.#inquiries.get(observation);
    const isNew = inquiry === undefined || inquiry.bytes !== observation.connection.bytesRead();
    return isNew || now - inquiry.askedAt >= this.#settings.afterMillis;
  }

  // Until nothing is in doubt. Rejects when the round is over.
  async #ask(signal: AbortSignal): Promise<void> {
    for (;;) {
      const now = this.#clock.now();
      const asked = this.#owed(now);
      if (asked.length === 0) return;
      this.#askedAt = now;
      for (const each of asked) this.#note(each, now);
      const activities = await this.#activities(signal);
      if (activities === undefined) return;
      this.#dependencies.heard();
      // What came in the same moment as the answer is read first.
      await nextTurn();
      signal.throwIfAborted();
      const doubtful = this.#judge(asked, activities);
      if (doubtful.length === 0) return;
      await sleep(this.#untilConfirmed(doubtful), { clock: this.#clock, background: true, signal });
      // Another session may be led to another server.
      if (!activities.direct && doubtful.some((each) => !this.#isKnown(each))) this.#drop();
    }
  }

  #note(observation: Observation, now: number): void {
    const bytes = observation.connection.bytesRead();
    const inquiry = this.#inquiries.get(observation);
    if (inquiry?.bytes === bytes) inquiry.askedAt = now;
    else this.#inquiries.set(observation, { bytes, askedAt: now, workedAt: undefined, doubt: undefined });
  }

  /** Fails what is dead, and returns what may be. */
  #judge(asked: readonly Observation[], activities: Activities): Observation[] {
    const informant = this.#informant;
    if (informant === undefined) return [];
    if (this.#isOneOfSeveral(activities)) {
      this.#giveUp();
      return [];
    }
    const doubtful: Observation[] = [];
    for (const observation of asked) {
      const { connection } = observation;
      const inquiry = this.#inquiries.get(observation);
      const { processId } = connection;
      // Answered meanwhile, or ended.
      if (!this.#dependencies.observations.has(observation) || processId === undefined) continue;
      if (inquiry === undefined || inquiry.bytes !== connection.bytesRead() || !connection.hasWork()) continue;
      const activity = activities.of(processId);
      if (activity === 'working' || activity === 'hidden') {
        inquiry.doubt = undefined;
        if (activity === 'hidden') continue;
        inquiry.workedAt = inquiry.askedAt;
        informant.known.add(processId);
        continue;
      }
      const now = this.#clock.now();
      const { doubt } = inquiry;
      inquiry.doubt ??= { informant, until: this.#deadAt(observation, inquiry, now) };
      const agreed = activities.direct || informant.known.has(processId) || doubt?.informant !== informant;
      if (doubt !== undefined && now >= doubt.until && agreed) connection.fail(now - observation.heardAt);
      else doubtful.push(observation);
    }
    return doubtful;
  }

  // An answer or a statement may be on its way, and is sent again where it was lost. Whoever has waited long for an answer
  // that was being worked on can wait a little longer for it.
  #deadAt(observation: Observation, { workedAt }: Inquiry, now: number): number {
    const { afterMillis, intervalMillis, failures } = this.#settings;
    const silentUntil =
      workedAt === undefined
        ? now - observation.owedMillis(now) + afterMillis + intervalMillis
        : workedAt + afterMillis + intervalMillis * failures;
    return Math.max(now + this.#pauseMillis, silentUntil);
  }

  #untilConfirmed(doubtful: readonly Observation[]): number {
    const until = doubtful.map((each) => this.#inquiries.get(each)?.doubt?.until ?? 0);
    return Math.max(this.#pauseMillis, Math.min(...until) - this.#clock.now()) + timerSlackMillis;
  }

  #isKnown({ connection: { processId } }: Observation): boolean {
    return processId !== undefined && this.#informant?.known.has(processId) === true;
  }

  // Either another server has answered, which was there before the last one answered for the last time; or a connection
  // that this server has never heard of goes on receiving.
  #isOneOfSeveral({ server, of }: Activities): boolean {
    const before = this.#server;
    this.#server = server;
    if (before !== undefined && before.name !== server.name && server.startedAt < before.at) return true;
    for (const observation of this.#dependencies.observations) {
      const { processId } = observation.connection;
      if (processId === undefined) continue;
      const bytes = observation.connection.bytesRead();
      const missedAt = this.#missed.get(observation);
      if (of(processId) !== 'absent') this.#missed.delete(observation);
      else if (missedAt === undefined) this.#missed.set(observation, bytes);
      else if (missedAt !== bytes) return true;
    }
    return false;
  }

  async #activities(signal: AbortSignal): Promise<Activities | undefined> {
    const processIds = [...this.#dependencies.observations].flatMap(({ connection }) => connection.processId ?? []);
    const { session } = this.#informant ?? {};
    if (session?.isOpen === true) {
      try {
        const answer = await this.#within(this.#settings.intervalMillis, signal, () => session.ask(processIds));
        this.#failures = 0;
        return answer ?? this.#giveUp();
      } catch {
        signal.throwIfAborted();
        // It may be as dead as what it was to find. Where that goes on, the server has other worries than new sessions.
        if (this.#fail() > 1) return undefined;
      }
    }
    try {
      const opened = await this.#open(signal);
      const { intervalMillis } = this.#settings;
      // Whoever has let us in just now is there, but may be busy.
      return (await this.#within(2 * intervalMillis, signal, () => opened.ask(processIds))) ?? this.#giveUp();
    } catch {
      signal.throwIfAborted();
      this.#fail();
      return undefined;
    }
  }

  async #open(signal: AbortSignal): Promise<MonitoringSession> {
    this.#drop();
    const session = await this.#within(openingMillis, signal, async (inner) => {
      const opened = await this.#dependencies.openSession(inner);
      if (!inner.aborted) return opened;
      this.#end(opened);
      throw inner.reason;
    });
    this.#informant = { session, known: new Set() };
    return session;
  }

  #fail(): number {
    this.#informant?.session.destroy();
    this.#drop();
    this.#failures += 1;
    const restMillis = Math.min(shortestRestMillis * 2 ** (this.#failures - 1), longestRestMillis);
    this.#restUntil = this.#clock.now() + restMillis;
    return this.#failures;
  }

  // Whoever is there has nothing to say.
  #giveUp(): undefined {
    this.#drop();
    this.#restUntil = this.#clock.now() + uselessMillis;
    return undefined;
  }

  #drop(): void {
    const informant = this.#informant;
    this.#informant = undefined;
    if (informant !== undefined) this.#end(informant.session);
  }

  #end(session: MonitoringSession): void {
    const ended = session.close().finally(() => this.#closing.delete(ended));
    this.#closing.add(ended);
  }

  #within<T>(timeoutMillis: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline(work, {
      timeoutMillis,
      onTimeout: () => new Error('no answer in time'),
      signal,
      clock: this.#clock,
      background: true,
    });
  }
}

/** A session, and of whom it has told. */
interface Informant {
  readonly session: MonitoringSession;
  /** The processes that it has seen at work: it leads to their server. */
  readonly known: Set<number>;
}

/** What was asked about one statement. */
interface Inquiry {
  /** What had been received. With more, the inquiry is over. */
  readonly bytes: number;
  askedAt: number;
  /** When the server was asked last of the times that it worked on it. */
  workedAt: number | undefined;
  /** Where the server does not work on it: the session that said so, and until when to go on hoping. */
  doubt: { readonly informant: Informant; readonly until: number } | undefined;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

// An analytical workload asks again soon, and a session costs more than a question.
const lingerMillis = 10_000;

// A handshake over a path of a second is one worth waiting for.
const openingMillis = 5_000;

// Timers may be early by a millisecond.
const timerSlackMillis = 5;

const shortestRestMillis = 1_000;
const longestRestMillis = 60_000;

// A pooler stays one, and so do several servers behind an address.
const uselessMillis = 3_600_000;
