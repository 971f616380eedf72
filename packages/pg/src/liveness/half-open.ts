import type { Clock } from '@externalname/core';
import { backoffMillis, type Observation, sleep, withDeadline } from '@externalname/core/internal';
import type { Activities, MonitoringSession, ServerIdentity } from './monitoring-session.ts';

/** See {@link HalfOpenSearch}. Milliseconds. */
export interface HalfOpenSettings {
  /** How long a connection must wait for an answer before its server is asked about it. */
  readonly afterMillis: number;
  /** How long an answer may take in a session that has answered before. */
  readonly intervalMillis: number;
  /** How many times that long to wait for the answer to a statement that the server has worked on. */
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
 * Finds dead connections on a live server: a firewall, a NAT gateway or the server has forgotten them. Neither side
 * is told, and everything that is sent vanishes.
 *
 * In a separate session, the server is asked what it does for each connection that waits for an answer. As long as it works on the
 * statement, the connection is left alone. If it waits for its client, or has no such session, and says so again a moment later
 * with nothing received in between, the connection is ended: the answer was lost, or the statement never arrived.
 *
 * On a line that loses packets, a live connection is as silent as a dead one: TCP retransmits after 0.2, 0.6, 1.4
 * and 3 seconds. So the line is probed while there is doubt. If answers are late on it, or were lately, a connection is given ten
 * seconds: by then TCP has sent everything six times.
 *
 * At most one question a second covers all connections, if none is in doubt. The session is opened for the first question and
 * kept while there is something to ask.
 *
 * An address may lead to several servers, and then one of them knows nothing about the sessions of another. So an answer counts
 * only if the address is the server's own, or if the session has reported that very connection before; otherwise two sessions that
 * reached the same server must agree. A server that turns out to be one of several is not asked any more.
 */
export class HalfOpenSearch {
  readonly #settings: HalfOpenSettings;
  readonly #dependencies: HalfOpenDependencies;
  readonly #clock: Clock;
  readonly #inquiries = new WeakMap<Observation, Inquiry>();
  /** Connections that the server does not know, and what they had received then. */
  readonly #missed = new WeakMap<Observation, number>();
  #informant: Informant | undefined;
  /** Fires when the current round is not needed any more. */
  #round: AbortController | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Which server answered last. */
  #server: ServerIdentity | undefined;
  /** Until when no server is asked, because there was no answer, or one that said nothing. */
  #restUntil = Number.NEGATIVE_INFINITY;
  /** How many sessions in a row could not be opened, or did not answer a second time. */
  #failures = 0;
  /** Until when the line counts as lossy. */
  #lossyUntil = Number.NEGATIVE_INFINITY;
  /** The shortest time that a question took: what the line and the server need if nothing is lost. */
  #quickestMillis = Number.POSITIVE_INFINITY;
  readonly #closing = new Set<Promise<void>>();

  constructor(settings: HalfOpenSettings, dependencies: HalfOpenDependencies) {
    this.#settings = settings;
    this.#dependencies = dependencies;
    this.#clock = dependencies.clock;
  }

  /**
   * Asks if a question is due. Call it a few times a second. Returns whether a session that has answered before was
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

  /** There is nothing to ask any more. It may begin again. */
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
      // Bytes that arrived together with the answer are read first.
      await nextTurn();
      signal.throwIfAborted();
      const doubtful = this.#judge(asked, activities);
      if (doubtful.length === 0) return;
      await this.#tryLine(doubtful, signal);
      // Another session may reach another server.
      if (!activities.direct && doubtful.some((each) => !this.#isKnown(each))) this.#drop();
    }
  }

  #note(observation: Observation, now: number): void {
    const bytes = observation.connection.bytesRead();
    const inquiry = this.#inquiries.get(observation);
    if (inquiry?.bytes === bytes) inquiry.askedAt = now;
    else this.#inquiries.set(observation, { bytes, askedAt: now, workedAt: undefined, doubt: undefined });
  }

  /** Fails dead connections, and returns the suspect ones. */
  #judge(asked: readonly Observation[], activities: Activities): Observation[] {
    const informant = this.#informant;
    if (informant === undefined) return [];
    if (this.#isOneOfSeveral(activities)) {
      this.#giveUp();
      return [];
    }
    this.#noteAnswers(asked);
    const doubtful: Observation[] = [];
    for (const observation of asked) {
      const { connection } = observation;
      const inquiry = this.#inquiries.get(observation);
      const { processId } = connection;
      // Answered meanwhile, or ended.
      if (!this.#dependencies.observations.has(observation) || processId === undefined) continue;
      if (inquiry === undefined) continue;
      if (this.#hasReceived(observation) || !connection.hasWork()) continue;
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
      inquiry.doubt ??= { informant, since: now };
      const agreed = activities.direct || informant.known.has(processId) || doubt?.informant !== informant;
      const isOver = now >= this.#deadAt(observation, inquiry, now);
      if (doubt !== undefined && isOver && agreed) connection.fail(now - observation.heardAt);
      else doubtful.push(observation);
    }
    return doubtful;
  }

  // An answer or a statement may be on its way, or is retransmitted if it was lost. A caller that has waited long for an answer
  // can wait a little longer for it.
  #deadAt(observation: Observation, { workedAt, doubt }: Inquiry, now: number): number {
    const { afterMillis, intervalMillis, failures } = this.#settings;
    const owedSince = now - observation.owedMillis(now);
    const silentUntil =
      workedAt === undefined
        ? owedSince + afterMillis + intervalMillis
        : workedAt + afterMillis + intervalMillis * failures;
    const confirmedAt = (doubt?.since ?? now) + this.#pauseMillis;
    const sentAgainUntil = this.#isLossy(now) ? Math.max(owedSince, workedAt ?? 0) + lossyLineMillis : 0;
    return Math.max(confirmedAt, silentUntil, sentAgainUntil);
  }

  #untilConfirmed(doubtful: readonly Observation[]): number {
    const now = this.#clock.now();
    const until = doubtful.map((each) => {
      const inquiry = this.#inquiries.get(each);
      return inquiry === undefined ? now : this.#deadAt(each, inquiry, now);
    });
    return Math.max(this.#pauseMillis, Math.min(...until) - now) + timerSlackMillis;
  }

  /** Whether anything has arrived since its server was asked about it. */
  #hasReceived(observation: Observation): boolean {
    return this.#inquiries.get(observation)?.bytes !== observation.connection.bytesRead();
  }

  #isLossy(now: number): boolean {
    return now < this.#lossyUntil;
  }

  // An answer that was on its way when the server was asked takes no longer than the line does. A later one was lost, or its
  // statement was, and TCP has retransmitted it.
  #noteAnswers(observations: readonly Observation[]): void {
    const now = this.#clock.now();
    for (const observation of observations) {
      const inquiry = this.#inquiries.get(observation);
      if (inquiry?.doubt === undefined || !this.#hasReceived(observation)) continue;
      if (now - inquiry.doubt.since >= this.#quickestMillis + retransmissionMillis) this.#losesPackets();
      inquiry.doubt = undefined;
    }
  }

  #losesPackets(): void {
    this.#lossyUntil = this.#clock.now() + lossyMemoryMillis;
  }

  // Waits until a suspicion may be confirmed, and probes the line meanwhile: a lost packet
  // makes one of the probes late.
  async #tryLine(doubtful: readonly Observation[], signal: AbortSignal): Promise<void> {
    const until = this.#clock.now() + this.#untilConfirmed(doubtful);
    const mayTakeUntil = this.#clock.now() + this.#pauseMillis;
    for (;;) {
      this.#noteAnswers(doubtful);
      const now = this.#clock.now();
      // On the way to ten seconds the server is asked about the connections now and then.
      const isOver = now >= until || (this.#isLossy(now) && now >= mayTakeUntil);
      if (isOver) return;
      const { session } = this.#informant ?? {};
      if (!this.#isLossy(now) && session?.isOpen === true) await this.#ping(session, signal);
      const left = until - this.#clock.now();
      if (left > 0) await sleep(Math.min(left, pulseMillis), { clock: this.#clock, background: true, signal });
    }
  }

  async #ping(session: MonitoringSession, signal: AbortSignal): Promise<void> {
    const begun = this.#clock.now();
    const answered = await this.#within(this.#settings.intervalMillis, signal, () => session.ping()).then(
      () => true,
      () => false,
    );
    signal.throwIfAborted();
    const took = this.#clock.now() - begun;
    if (answered) this.#quickestMillis = Math.min(this.#quickestMillis, took);
    if (!answered || took >= this.#quickestMillis + retransmissionMillis) this.#losesPackets();
  }

  #isKnown({ connection: { processId } }: Observation): boolean {
    return processId !== undefined && this.#informant?.known.has(processId) === true;
  }

  // Either another server has answered, which was there before the last answer of the former one; or a connection
  // that this server does not know keeps receiving.
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
        // The session may be as dead as what it was to find. If that repeats, the server has other problems than new sessions.
        if (this.#fail() > 1) return undefined;
      }
    }
    try {
      const opened = await this.#open(signal);
      const { intervalMillis } = this.#settings;
      // A server that has just let us in is there, but may be busy.
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
    this.#restUntil = this.#clock.now() + backoffMillis(this.#failures, rests);
    return this.#failures;
  }

  // The server is there, but has nothing to say.
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

/** A session, and the processes that it has reported. */
interface Informant {
  readonly session: MonitoringSession;
  /** The processes that it has seen at work: it is connected to their server. */
  readonly known: Set<number>;
}

/** What was asked about one statement. */
interface Inquiry {
  /** What had been received. If there is more, the inquiry is over. */
  readonly bytes: number;
  askedAt: number;
  /** When the server last answered that it works on the statement. */
  workedAt: number | undefined;
  /** If the server does not work on it: the session that said so, and since when. */
  doubt: { readonly informant: Informant; readonly since: number } | undefined;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

// An analytical workload asks again soon, and a session costs more than a question.
const lingerMillis = 10_000;

// A handshake over a line with one second of delay is worth waiting for.
const openingMillis = 5_000;

// TCP retransmits after 200 ms at the earliest (Linux, TCP_RTO_MIN), and after twice as long each time: by then it has sent six times.
const retransmissionMillis = 150;
const lossyLineMillis = 10_000;

// A lossy line stays lossy for a while.
const lossyMemoryMillis = 300_000;

// Between two probes of the line.
const pulseMillis = 20;

// Timers may be early by a millisecond.
const timerSlackMillis = 5;

const rests = { shortestMillis: 1_000, longestMillis: 60_000 };

// A pooler stays a pooler, and several servers behind an address stay several.
const uselessMillis = 3_600_000;
