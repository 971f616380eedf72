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

/** How to ask. Taken anew for each question, so that a changed resolv.conf counts at once. */
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
  /** The aliases that were followed to the question's name. */
  readonly passed: readonly Hop[];
  readonly signal: AbortSignal;
  readonly onSend?: (() => void) | undefined;
}

/**
 * Puts one question until one server answers it: each server in turn, `attempts` times.
 *
 * A server that says SERVFAIL or REFUSED has said what it has to say and is not asked again; one that kept silent is, since UDP loses
 * packets. A server that kept silent or could not be reached comes last for a while, so that a dead first server costs one wait, not
 * one a name.
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

  /** Never rejects because of a server: that is an answer, too. Rejects with the signal's reason. */
  async ask(question: Question, options: AskOptions): Promise<Asked> {
    const { settings, signal, passed } = options;
    const failures: DnsQueryError[] = [];
    let servers = this.#inTurn(settings);
    for (let attempt = 0; attempt < settings.attempts && servers.length > 0; attempt++) {
      const silent: ServerAddress[] = [];
      // An unreachable server says so at once. Three times in a millisecond is one time: give one that restarts a moment.
      if (attempt > 0 && failures.slice(-servers.length).every((failure) => failure.failure === 'network')) {
        const pauseMillis = Math.min(settings.timeoutMillis, unreachablePauseMillis);
        await sleep(pauseMillis, { clock: this.#clock, signal, background: true });
      }
      for (const server of servers) {
        try {
          const { message, elapsedMillis } = await this.#query(question, server, options);
          if (!answeringCodes.has(message.rcode)) {
            this.#counters.serverFailures++;
            failures.push(new DnsQueryError('refused', server.text, `${message.rcode} from ${server.text}`));
            continue;
          }
          const answer = readAnswer(question, message, { server: server.text, elapsedMillis, passed });
          if (answer.kind !== 'unusable') return { question, answer };
          this.#counters.serverFailures++;
          failures.push(new DnsQueryError('refused', server.text, answer.detail));
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          if (!(error instanceof DnsQueryError)) throw error;
          failures.push(error);
          silent.push(server);
          this.#silentUntil.set(server.text, this.#clock.now() + silenceMemoryMillis);
        }
      }
      servers = silent;
    }
    return { question, answer: failed(failures) };
  }

  async #query(question: Question, server: ServerAddress, options: AskOptions): Promise<Exchange> {
    const { settings, signal, onSend } = options;
    const { timeoutMillis, useTcp, edns0 } = settings;
    const begun = this.#clock.now();
    const report = (result: string) =>
      dnsQueryChannel.publish(() => ({
        ...question,
        server: server.text,
        elapsedMillis: this.#clock.now() - begun,
        result,
      }));
    try {
      const exchange = await this.#transport.exchange({
        question,
        server,
        timeoutMillis,
        useTcp,
        edns0,
        signal,
        onSend,
      });
      this.#silentUntil.delete(server.text);
      report(exchange.message.rcode);
      return exchange;
    } catch (error) {
      if (error instanceof DnsQueryError) report(error.failure);
      throw error;
    }
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

/** The codes that say something about the name. */
const answeringCodes = new Set(['NOERROR', 'NXDOMAIN']);

/** The pause before servers that could not be reached are tried again. */
const unreachablePauseMillis = 100;

/** How long a silent server comes last. */
const silenceMemoryMillis = 30_000;
