import type { Clock } from '../clock.ts';
import { sleep } from '../deadline.ts';
import { type Asked, type FailedAnswer, readAnswer } from './chain.ts';
import { dnsQueryChannel } from './channels.ts';
import { DnsQueryError } from './errors.ts';
import type { Question } from './message.ts';
import type { Hop } from './resolution.ts';
import type { ServerAddress } from './server-address.ts';
import type { DnsCounters } from './statistics.ts';
import type { Exchange, Transport } from './transport.ts';

/** How to ask. Read again for each question, so that a changed resolv.conf takes effect at once. */
export interface AskSettings {
  readonly nameservers: readonly ServerAddress[];
  readonly timeoutMillis: number;
  readonly attempts: number;
  readonly rotate: boolean;
  readonly useTcp: boolean;
  readonly edns0: boolean;
}

/** See {@link Questioner.ask}. */
export interface AskOptions {
  readonly settings: AskSettings;
  /** The aliases that led to the question's name. */
  readonly passed: readonly Hop[];
  readonly signal: AbortSignal;
  readonly onSend?: (() => void) | undefined;
}

/**
 * Asks one question until a server answers it: each server in turn, `attempts` times.
 *
 * A server that says SERVFAIL or REFUSED is not asked again; a silent one is, because UDP loses packets. A late answer to an earlier
 * query still counts, because a server that always takes longer than the timeout could never answer otherwise. A server that was
 * silent or unreachable comes last for a while, so that a dead first server costs one timeout, not one for each name.
 */
export class Questioner {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #counters: DnsCounters;
  readonly #silentUntil = new Map<string, number>();
  #turn = 0;

  constructor(transport: Transport, clock: Clock, counters: DnsCounters) {
    this.#transport = transport;
    this.#clock = clock;
    this.#counters = counters;
  }

  /** Rejects only with the signal's reason. A failure of the servers is a result, too. */
  async ask(question: Question, options: AskOptions): Promise<Asked> {
    const { settings, signal } = options;
    const failures: DnsQueryError[] = [];
    const queries = new Queries();
    let servers = this.#inTurn(settings);
    try {
      for (let attempt = 0; attempt < settings.attempts && servers.length > 0; attempt++) {
        const silent: ServerAddress[] = [];
        // An unreachable server fails at once, and three failures within a millisecond are one. Give a restarting server a moment.
        if (attempt > 0 && failures.slice(-servers.length).every((failure) => failure.failure === 'network')) {
          const pauseMillis = Math.min(settings.timeoutMillis, unreachablePauseMillis);
          await sleep(pauseMillis, { clock: this.#clock, signal, background: true });
        }
        for (const server of servers) {
          if (queries.hasRefused(server)) continue;
          const result = await queries.next(server, (query) => this.#query(question, options, query));
          if (result.kind === 'answer') return { question, answer: result.answer };
          failures.push(result.error);
          if (result.kind === 'refused') continue;
          silent.push(server);
          this.#silentUntil.set(server.text, this.#clock.now() + silenceMemoryMillis);
        }
        servers = silent;
      }
    } finally {
      queries.close();
    }
    return { question, answer: failed(failures) };
  }

  // Rejects only with the signal's reason.
  async #query(question: Question, options: AskOptions, query: Query): Promise<void> {
    const { settings, signal, passed, onSend } = options;
    const { server } = query;
    const { timeoutMillis, useTcp, edns0 } = settings;
    const begun = this.#clock.now();
    const report = (result: string) =>
      dnsQueryChannel.publish(() => ({
        ...question,
        server: server.text,
        elapsedMillis: this.#clock.now() - begun,
        result,
      }));
    let late = false;
    const onLate = () => {
      if (late) return;
      late = true;
      report('timeout');
      const message = `no answer from ${server.text} within ${timeoutMillis} ms`;
      query.settle({ kind: 'silent', error: new DnsQueryError('timeout', server.text, message) });
    };
    const onBegin = (giveUp: () => void) => query.begin(giveUp);
    let exchange: Exchange;
    try {
      exchange = await this.#transport.exchange({
        question,
        server,
        timeoutMillis,
        useTcp,
        edns0,
        signal,
        onSend,
        onBegin,
        onLate,
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!(error instanceof DnsQueryError)) throw error;
      // Not a query that was given up, because no caller waits for it.
      if (!late && error.failure === 'network') report(error.failure);
      query.settle({ kind: 'silent', error });
      return;
    }
    const { message, elapsedMillis } = exchange;
    // A late server counts as silent as long as there is another.
    if (!late) this.#silentUntil.delete(server.text);
    report(message.rcode);
    if (!answeringCodes.has(message.rcode)) {
      this.#counters.serverFailures++;
      const error = new DnsQueryError('refused', server.text, `${message.rcode} from ${server.text}`);
      query.settle({ kind: 'refused', error });
      return;
    }
    const answer = readAnswer(question, message, { server: server.text, elapsedMillis, passed });
    if (answer.kind === 'unusable') {
      this.#counters.serverFailures++;
      query.settle({ kind: 'refused', error: new DnsQueryError('refused', server.text, answer.detail) });
      return;
    }
    query.settle({ kind: 'answer', answer });
  }

  #inTurn(settings: AskSettings): readonly ServerAddress[] {
    const { nameservers, rotate } = settings;
    if (nameservers.length < 2) return nameservers;
    const first = rotate ? this.#turn++ % nameservers.length : 0;
    const ordered = [...nameservers.slice(first), ...nameservers.slice(0, first)];
    const now = this.#clock.now();
    const isSilent = (server: ServerAddress) => (this.#silentUntil.get(server.text) ?? 0) > now;
    return [...ordered.filter((server) => !isSilent(server)), ...ordered.filter(isSilent)];
  }
}

/** The result of a query. */
type Result =
  | { readonly kind: 'answer'; readonly answer: Asked['answer'] }
  | { readonly kind: 'refused'; readonly error: DnsQueryError }
  /** No answer, or none yet. */
  | { readonly kind: 'silent'; readonly error: DnsQueryError };

/** One query, as its sender sees it. */
interface Query {
  readonly server: ServerAddress;
  /** Called each time the query begins, with the function that gives it up. */
  begin(giveUp: () => void): void;
  /** Called with the result: that the query is late, and again if an answer comes. */
  settle(result: Result): void;
}

/**
 * The queries for one question. The newest is waited for; earlier ones are late, and their answers end the wait, too.
 *
 * Each equal query under way makes it easier to forge an answer (RFC 5452 section 5), so there are never more than a few.
 */
class Queries {
  /** Give up the queries under way, the oldest first. */
  readonly #underWay = new Map<Query, () => void>();
  readonly #refused = new Set<ServerAddress>();
  #current: { readonly query: Query; readonly resolve: (result: Result) => void } | undefined;
  /** A result that came while no query was waited for. */
  #answer: Result | undefined;

  /** Sends a query to a server and waits for its answer, its timeout, or the answer to an earlier query. */
  next(server: ServerAddress, send: (query: Query) => Promise<void>): Promise<Result> {
    if (this.#answer !== undefined) return Promise.resolve(this.#answer);
    return new Promise((resolve, reject) => {
      const query: Query = {
        server,
        begin: (giveUp) => {
          if (this.#underWay.has(query)) this.#underWay.set(query, giveUp);
          else giveUp();
        },
        settle: (result) => this.#settle(query, result),
      };
      this.#current = { query, resolve };
      this.#underWay.set(query, noop);
      if (this.#underWay.size > mostUnderWay) this.#giveUpOldest();
      send(query).then(() => this.#underWay.delete(query), reject);
    });
  }

  /** Whether the server has said, even if late, that it has no answer. */
  hasRefused(server: ServerAddress): boolean {
    return this.#refused.has(server);
  }

  /** Gives up all queries under way. */
  close(): void {
    this.#current = undefined;
    while (this.#underWay.size > 0) this.#giveUpOldest();
  }

  #settle(query: Query, result: Result): void {
    const { server } = query;
    if (result.kind === 'answer') this.#answer = result;
    if (result.kind === 'refused') this.#refused.add(server);
    // Asking a server that refuses late again would not help.
    const waited = this.#current?.query;
    const concerns = result.kind === 'refused' ? waited?.server === server : waited === query;
    if (concerns || result.kind === 'answer') this.#current?.resolve(result);
  }

  #giveUpOldest(): void {
    for (const [query, giveUp] of this.#underWay) {
      this.#underWay.delete(query);
      giveUp();
      return;
    }
  }
}

function noop(): void {}

function failed(failures: readonly DnsQueryError[]): FailedAnswer {
  if (failures.length === 0) {
    const detail = 'no DNS server is configured: resolv.conf names none by its address';
    return { kind: 'failed', detail, cause: undefined, reachable: false };
  }
  const details = new Set(failures.map((failure) => failure.message));
  const cause = failures.length === 1 ? failures[0] : new AggregateError(failures, 'no DNS server answered');
  const reachable = failures.some((failure) => failure.failure !== 'network');
  return { kind: 'failed', detail: [...details].join('; '), cause, reachable };
}

/** The response codes that say something about the name. */
const answeringCodes = new Set(['NOERROR', 'NXDOMAIN']);

/** The pause before unreachable servers are tried again. */
const unreachablePauseMillis = 100;

/** How long a silent server comes last. */
const silenceMemoryMillis = 30_000;

/** How many queries for one question are open at a time, late ones included. */
const mostUnderWay = 4;
