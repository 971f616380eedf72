import { randomInt } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { onAbort } from '../deadline.ts';
import { DnsQueryError } from './errors.ts';
import { decodeResponse, encodeQuery, MalformedMessageError, type Question, type ResponseMessage } from './message.ts';
import { type OpenChannel, tcpChannel, udpChannel } from './query-channel.ts';
import type { ServerAddress } from './server-address.ts';
import type { DnsCounters } from './statistics.ts';

/** One query to one server. See {@link Transport.exchange}. */
export interface ExchangeOptions {
  readonly question: Question;
  readonly server: ServerAddress;
  /** The time from sending a query to its answer, and again for connecting over TCP. After it, the query is late but not over. */
  readonly timeoutMillis: number;
  /** Whether to use TCP from the start. */
  readonly useTcp: boolean;
  readonly edns0: boolean;
  readonly signal: AbortSignal;
  /** Called when the query is about to leave. The answer may lack what the server learns after that. */
  readonly onSend?: (() => void) | undefined;
  /** Called when a query begins, with the function that gives it up. A query that goes on over TCP or without EDNS0 begins again. */
  readonly onBegin: (giveUp: () => void) => void;
  /** Called when a query is late. Its answer is still accepted until the query is given up or the signal fires. */
  readonly onLate: () => void;
}

/** An accepted response. */
export interface Exchange {
  readonly message: ResponseMessage;
  /** The time from sending the answered query to its answer. */
  readonly elapsedMillis: number;
}

/**
 * Sends queries and accepts their answers: UDP first, TCP if the answer is truncated (RFC 7766).
 *
 * Against forged answers (RFC 5452), every query has its own socket, so the kernel picks a random port, and an id from the
 * system's secure randomness. The socket is connected, so the kernel drops messages from other addresses and ports, and reports at
 * once if no server listens. Two ports for A and AAAA also avoid the conntrack race that costs glibc 5 s
 * (kubernetes/kubernetes#56903). A message that does not fit the query is counted and dropped, and the query goes on waiting.
 *
 * Sockets and timers never keep the process alive; the deadline of the waiting caller does.
 */
export class Transport {
  readonly #clock: Clock;
  readonly #counters: DnsCounters;
  readonly #open = new Set<Promise<void>>();
  /** Queries that wait for their turn, first come, first served. Each function gives one its turn. */
  readonly #waiting = new Set<() => void>();
  /** Places given to queries that are about to open their sockets. */
  #given = 0;
  /** Gives up late queries, the oldest first. */
  readonly #late = new Set<() => void>();
  readonly #withoutEdns = new Map<string, number>();

  constructor(clock: Clock, counters: DnsCounters) {
    this.#clock = clock;
    this.#counters = counters;
  }

  /**
   * Sends one question to one server and resolves with its answer, whatever its code and however late.
   *
   * @throws DnsQueryError if no answer can come any more: the network failed, or the query was given up.
   */
  async exchange(options: ExchangeOptions): Promise<Exchange> {
    const edns0 = options.edns0 && !this.#lacksEdns(options.server);
    const exchange = await this.#exchange({ ...options, edns0 });
    if (!edns0 || !ednsRefusals.has(exchange.message.rcode)) return exchange;
    // RFC 6891 section 7: a server that does not know EDNS0 says FORMERR, NOTIMP or the like. Without EDNS0 it answers.
    this.#counters.ednsFallbacks++;
    const plain = await this.#exchange({ ...options, edns0: false });
    if (!ednsRefusals.has(plain.message.rcode)) {
      this.#withoutEdns.set(options.server.text, this.#clock.now() + ednsMemoryMillis);
    }
    return plain;
  }

  /** Resolves when every socket is closed. The signals of the queries end them. */
  async close(): Promise<void> {
    await Promise.all(this.#open);
  }

  async #exchange(options: ExchangeOptions): Promise<Exchange> {
    if (options.useTcp) return this.#send(options, tcpChannel);
    const exchange = await this.#send(options, udpChannel);
    return exchange.message.truncated ? this.#send(options, tcpChannel) : exchange;
  }

  async #send(options: ExchangeOptions, channel: OpenChannel): Promise<Exchange> {
    if (this.#isFull()) {
      await this.#turn(options.signal);
      this.#given--;
    }
    const exchange = this.#sendNow(options, channel);
    // A query that was over before it could begin leaves its place to the next.
    this.#giveTurns();
    return exchange;
  }

  /**
   * Ten thousand names at once must not need ten thousand sockets: the rest wait for their turn. Late queries make room for new
   * ones.
   */
  #turn(signal: AbortSignal): Promise<void> {
    const [giveUpOldest] = this.#late;
    giveUpOldest?.();
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const begin = () => {
        stopListening();
        resolve();
      };
      const stopListening = onAbort(signal, () => {
        this.#waiting.delete(begin);
        reject(signal.reason);
      });
      this.#waiting.add(begin);
    });
  }

  // A place is given away together with the turn. A query that comes in the moment between the two would take it as well.
  #giveTurns(): void {
    for (const begin of this.#waiting) {
      if (this.#isFull()) return;
      this.#waiting.delete(begin);
      this.#given++;
      begin();
    }
  }

  #isFull(): boolean {
    return this.#open.size + this.#given >= mostSockets;
  }

  #sendNow(options: ExchangeOptions, channel: OpenChannel): Promise<Exchange> {
    const { question, server, timeoutMillis, signal, edns0, onSend, onBegin, onLate } = options;
    const counters = this.#counters;
    return new Promise<Exchange>((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      const id = randomInt(0x10000);
      const query = encodeQuery(question, { id, udpPayloadBytes: edns0 ? udpPayloadBytes : undefined });
      let sentAt = this.#clock.now();
      const open = channel(server, query, {
        sending: () => {
          counters.queries++;
          if (channel === tcpChannel) counters.tcpQueries++;
          sentAt = this.#clock.now();
          timer.cancel();
          timer = limit();
          onSend?.();
        },
        received: (bytes) => {
          const message = over ? undefined : this.#accept(bytes, id, question);
          if (message === undefined) return;
          counters.answers++;
          if (late) counters.lateAnswers++;
          disarm();
          resolve({ message, elapsedMillis: this.#clock.now() - sentAt });
          // The caller first, then the socket.
          setImmediate(() => open.close());
        },
        failed: (cause) => {
          if (over) return;
          counters.networkErrors++;
          end();
          reject(new DnsQueryError('network', server.text, `cannot reach ${server.text}: ${cause.message}`, { cause }));
        },
      });
      this.#open.add(open.closed);
      open.closed
        .then(() => {
          this.#open.delete(open.closed);
          this.#giveTurns();
        })
        .catch(() => undefined);
      let over = false;
      let late = false;
      const expire = () => {
        if (over) return;
        counters.timeouts++;
        late = true;
        this.#late.add(giveUp);
        onLate();
      };
      const giveUp = () => {
        if (over) return;
        end();
        reject(new DnsQueryError('timeout', server.text, `the query to ${server.text} was given up`));
      };
      // After a long turn of the event loop, timers run before the answers that have arrived. Read those first.
      const limit = () => this.#clock.schedule(() => setImmediate(expire), timeoutMillis, { background: true });
      let timer = limit();
      const abort = () => {
        end();
        reject(signal.reason);
      };
      const stopListening = onAbort(signal, abort);
      const disarm = () => {
        over = true;
        timer.cancel();
        this.#late.delete(giveUp);
        stopListening();
      };
      const end = () => {
        disarm();
        open.close();
      };
      onBegin(giveUp);
    });
  }

  #accept(bytes: Uint8Array, id: number, question: Question): ResponseMessage | undefined {
    let message: ResponseMessage;
    try {
      message = decodeResponse(bytes);
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      this.#counters.malformed++;
      return undefined;
    }
    if (message.id !== id) {
      this.#counters.wrongId++;
      return undefined;
    }
    // Some servers omit the question in an error. An error has no records, so none can be forged.
    const asked = message.question;
    const fits =
      asked === undefined
        ? message.rcode !== 'NOERROR' && message.rcode !== 'NXDOMAIN'
        : asked.name === question.name && asked.type === question.type;
    if (!fits) {
      this.#counters.wrongQuestion++;
      return undefined;
    }
    return message;
  }

  #lacksEdns(server: ServerAddress): boolean {
    const until = this.#withoutEdns.get(server.text);
    if (until === undefined) return false;
    if (until > this.#clock.now()) return true;
    this.#withoutEdns.delete(server.text);
    return false;
  }
}

/** The most queries of one resolver at a time, each with a socket. The rest wait for their turn. */
const mostSockets = 500;

const ednsRefusals = new Set(['FORMERR', 'NOTIMP', 'BADVERS']);

/** How long EDNS0 is left out for a server that does not know it. */
const ednsMemoryMillis = 300_000;

/** What fits into one packet on any path (DNS flag day 2020). */
const udpPayloadBytes = 1232;
