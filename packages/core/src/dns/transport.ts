import { randomInt } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { abortable, onAbort } from '../deadline.ts';
import { DnsQueryError } from './errors.ts';
import { decodeResponse, encodeQuery, MalformedMessageError, type Question, type ResponseMessage } from './message.ts';
import { type OpenChannel, tcpChannel, udpChannel } from './query-channel.ts';
import type { ServerAddress } from './server-address.ts';
import type { DnsCounters } from './statistics.ts';

/** One query to one server. See {@link Transport.exchange}. */
export interface ExchangeOptions {
  readonly question: Question;
  readonly server: ServerAddress;
  /** From sending a query to its answer; for connecting over TCP once more. Then the query is late, and not over. */
  readonly timeoutMillis: number;
  /** TCP from the start. */
  readonly useTcp: boolean;
  readonly edns0: boolean;
  readonly signal: AbortSignal;
  /** Called when the query is about to leave. Nothing that the server learns later is in the answer. */
  readonly onSend?: (() => void) | undefined;
  /** Called with what gives up a query, when that begins. One that goes on over TCP or without EDNS0 begins again. */
  readonly onBegin: (giveUp: () => void) => void;
  /** Called when a query is late. Its answer is still waited for, and taken when it comes, until it is given up or the signal fires. */
  readonly onLate: () => void;
}

/** An accepted response. */
export interface Exchange {
  readonly message: ResponseMessage;
  /** From sending the query that was answered to its answer. */
  readonly elapsedMillis: number;
}

/**
 * Sends queries and accepts their answers: UDP first, TCP where the answer is truncated (RFC 7766).
 *
 * Against forged answers (RFC 5452) every query has a socket of its own, hence a port that the kernel picks at random, and an id
 * from the system's secure randomness. The socket is connected, so the kernel drops what comes from other addresses or ports and
 * tells at once when nobody listens there. A and AAAA from two ports also keep clear of the conntrack race that costs glibc 5 s
 * (kubernetes/kubernetes#56903). Whatever does not fit the query is counted and dropped, and the query waits on.
 *
 * Sockets and timers here never keep the process alive; the waiting caller's own deadline does.
 */
export class Transport {
  readonly #clock: Clock;
  readonly #counters: DnsCounters;
  readonly #open = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  /** Gives up late queries, the oldest first. */
  readonly #late = new Set<() => void>();
  readonly #withoutEdns = new Map<string, number>();

  constructor(clock: Clock, counters: DnsCounters) {
    this.#clock = clock;
    this.#counters = counters;
  }

  /**
   * Puts one question to one server and resolves with its answer, whatever code that carries and however late it comes.
   *
   * @throws DnsQueryError where there can be none any more: the network failed, or it was given up.
   */
  async exchange(options: ExchangeOptions): Promise<Exchange> {
    const edns0 = options.edns0 && !this.#lacksEdns(options.server);
    const exchange = await this.#exchange({ ...options, edns0 });
    if (!edns0 || !ednsRefusals.has(exchange.message.rcode)) return exchange;
    // RFC 6891 section 7: a server that does not know EDNS0 says FORMERR (or NOTIMP, or stumbles otherwise). Asked plainly, it works.
    this.#counters.ednsFallbacks++;
    const plain = await this.#exchange({ ...options, edns0: false });
    if (!ednsRefusals.has(plain.message.rcode)) {
      this.#withoutEdns.set(options.server.text, this.#clock.now() + ednsMemoryMillis);
    }
    return plain;
  }

  /** Resolves when every socket is really closed. The queries themselves end through their signal. */
  async close(): Promise<void> {
    await Promise.all(this.#open);
  }

  async #exchange(options: ExchangeOptions): Promise<Exchange> {
    if (options.useTcp) return this.#send(options, tcpChannel);
    const exchange = await this.#send(options, udpChannel);
    return exchange.message.truncated ? this.#send(options, tcpChannel) : exchange;
  }

  /**
   * Ten thousand names at once must not take ten thousand sockets: the rest wait for their turn. Queries whose answers may never
   * come make room for those whose answers may be there in a moment.
   */
  async #turn(signal: AbortSignal): Promise<void> {
    while (this.#open.size >= mostSockets) {
      const [giveUpOldest] = this.#late;
      giveUpOldest?.();
      const { promise, resolve } = deferred();
      this.#waiting.push(resolve);
      await abortable(promise, signal);
    }
  }

  async #send(options: ExchangeOptions, channel: OpenChannel): Promise<Exchange> {
    if (this.#open.size >= mostSockets) await this.#turn(options.signal);
    return this.#sendNow(options, channel);
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
          this.#waiting.shift()?.();
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
        reject(new DnsQueryError('timeout', server.text, `${server.text} was given up`));
      };
      // After a long turn of the event loop timers come before the answers that have arrived meanwhile. Read those first.
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
    // Some servers leave the question out of an error. An error brings no records, so there is nothing to slip in.
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

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Queries of one resolver under way at a time, each with a socket. The rest wait for their turn. */
const mostSockets = 500;

const ednsRefusals = new Set(['FORMERR', 'NOTIMP', 'BADVERS']);

/** How long a server that does not know EDNS0 is asked without it. */
const ednsMemoryMillis = 300_000;

/** What fits into one packet on any path (DNS flag day 2020). */
const udpPayloadBytes = 1232;
