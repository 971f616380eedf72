import type { Outcome } from '@externalname/core';
import { recordOutcome } from '@externalname/core/internal';
import type { Dispatcher } from 'undici';
import type { LegacyHandler } from './legacy-handler.ts';
import { errors } from './undici-parts.ts';

/** What an {@link Exchange} needs of its dispatcher. */
export interface ExchangeHost {
  /** Sends the request to where the Service points now, and tells the exchange how it goes. */
  send(exchange: Exchange): void;
  /** Whether the attempt's target is still the one to go to. */
  isCurrent(exchange: Exchange): boolean;
  /** A connection broke under a request. */
  lost(): void;
  /** The request is about to be sent again. */
  repeats(exchange: Exchange, error: Error): void;
}

/**
 * One request of a caller, over as many attempts as are safe. It is sent again if nothing of it was sent, or if the server said that it
 * did not touch it; what was sent and not answered, only with an idempotent method and a body that is still at hand (RFC 9110 section
 * 9.2.2). It stands between undici's pool and the caller, and hands everything on as it comes.
 */
export class Exchange implements LegacyHandler {
  readonly options: Dispatcher.DispatchOptions;
  /** Where the running attempt goes. The host's. */
  place: WaitingLine | undefined;
  /** The neighbours in {@link WaitingLine}, which alone uses them. */
  before: Exchange | undefined;
  after: Exchange | undefined;
  /** How often the request was sent. */
  sent = 0;
  readonly #host: ExchangeHost;
  readonly #caller: LegacyHandler;
  /** Ends the attempt that is being sent or answered. */
  #abortAttempt: ((reason?: Error) => void) | undefined;
  /** Why an attempt that was sent got no answer: from then on the server may have done what was asked. */
  #loss: Error | undefined;
  #answered = false;
  #over = false;
  /** Goes on in its place; see {@link Exchange.move}. */
  #successor: Exchange | undefined;
  #waiting: AbortController | undefined;

  constructor(host: ExchangeHost, options: Dispatcher.DispatchOptions, caller: LegacyHandler) {
    this.#host = host;
    this.options = options;
    this.#caller = caller;
  }

  /** Tells the caller how to end it, also while it waits, and begins. */
  begin(): void {
    try {
      this.#caller.onConnect?.((reason) => this.#abort(reason), null);
    } catch (error) {
      this.fail(error as Error, 'not-executed');
    }
    if (!this.#over) this.#host.send(this);
  }

  /** Fires when the caller gives up, for what the exchange waits for before it is sent. */
  get signal(): AbortSignal {
    this.#waiting ??= new AbortController();
    return this.#waiting.signal;
  }

  /** Ends it: nothing was sent, or what is known of it is written on the error. */
  fail(error: Error, outcome: Outcome): void {
    if (this.#over) return;
    const loss = this.#loss;
    // An attempt before this one may have done the work, and only its error can say so.
    if (loss !== undefined && loss !== error && loss.cause === undefined) loss.cause = error;
    this.#end(loss ?? error, loss === undefined ? outcome : 'unknown');
  }

  /** Takes a request that was not sent out of the queue that it waits in, and sends it to where the Service points now. */
  move(error: Error): void {
    if (this.#over || this.#abortAttempt !== undefined) return;
    const successor = new Exchange(this.#host, this.options, this.#caller);
    successor.sent = this.sent;
    successor.#loss = this.#loss;
    this.#over = true;
    this.#successor = successor;
    successor.#again(error);
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.place?.remove(this);
    // What is thrown here ends the attempt before a byte is written, and leaves the connection alone.
    if (this.#over) throw new errors.RequestAbortedError();
    // Undici itself sends a request again that was pipelined behind another one.
    if (this.#abortAttempt !== undefined) this.#loss ??= new errors.SocketError('closed before the response');
    this.#abortAttempt = undefined;
    if (!this.#host.isCurrent(this)) throw new errors.InformationalError('the Service points elsewhere now');
    this.#abortAttempt = abort;
    this.sent += 1;
  }

  onUpgrade(statusCode: number, headers: Buffer[] | string[] | null, socket: unknown): void {
    this.#answered = true;
    this.#over = true;
    this.#caller.onUpgrade?.(statusCode, headers, socket);
  }

  onResponseStarted(): void {
    this.#caller.onResponseStarted?.();
  }

  onHeaders(statusCode: number, headers: Buffer[], resume: () => void, statusText: string): boolean | undefined {
    this.#answered = true;
    return this.#caller.onHeaders?.(statusCode, headers, resume, statusText);
  }

  onData(chunk: Buffer): boolean | undefined {
    return this.#caller.onData?.(chunk);
  }

  onComplete(trailers: string[] | null): void {
    this.#over = true;
    this.#caller.onComplete?.(trailers);
  }

  onBodySent(chunk: unknown, total?: number): void {
    this.#caller.onBodySent?.(chunk, total);
  }

  onRequestSent(): void {
    this.#caller.onRequestSent?.();
  }

  onError(error: Error): void {
    this.place?.remove(this);
    const wasSent = this.#abortAttempt !== undefined;
    this.#abortAttempt = undefined;
    if (this.#over) return;
    if (!wasSent) {
      // It waited for a connection to a host that the Service has left.
      if (!this.#host.isCurrent(this)) this.#again(error);
      else this.fail(error, 'not-executed');
      return;
    }
    const untouched = isUntouched(error);
    const lost = untouched || isLost(error);
    if (lost) this.#host.lost();
    const mayRepeat = untouched ? this.#bodyIsAtHand() : this.#isRepeatable();
    if (lost && !this.#answered && mayRepeat && this.sent <= mostRepeats) {
      if (!untouched) this.#loss = error;
      this.#again(error);
    } else this.fail(error, untouched ? 'not-executed' : 'unknown');
  }

  #again(error: Error): void {
    this.#host.repeats(this, error);
    this.#host.send(this);
  }

  #isRepeatable(): boolean {
    const { method, upgrade } = this.options;
    return idempotent.has(method) && !upgrade && this.#bodyIsAtHand();
  }

  // A stream, or an iterable, can be read once.
  #bodyIsAtHand(): boolean {
    const { body } = this.options;
    return (
      body == null || typeof body === 'string' || ArrayBuffer.isView(body) || (body as unknown) instanceof ArrayBuffer
    );
  }

  #abort(reason: Error = new errors.RequestAbortedError()): void {
    if (this.#successor !== undefined) {
      this.#successor.#abort(reason);
      return;
    }
    if (this.#over) return;
    const abort = this.#abortAttempt;
    if (abort !== undefined) {
      recordUnknown(reason);
      // Told by the attempt, which is not made again.
      this.#answered = true;
      abort(reason);
      return;
    }
    this.place?.remove(this);
    // The caller gets the reason of its signal, also if an earlier attempt was sent.
    this.#end(reason, this.#loss === undefined ? 'not-executed' : 'unknown');
    this.#waiting?.abort(reason);
  }

  #end(error: Error, outcome: Outcome): void {
    this.#over = true;
    if (outcome === 'unknown') recordUnknown(error);
    else recordOutcome(error, outcome);
    this.#caller.onError?.(error);
  }
}

/** Requests that are not sent yet, in their order. A list of neighbours, as each request enters one and leaves it. */
export class WaitingLine {
  #first: Exchange | undefined;
  #last: Exchange | undefined;

  add(exchange: Exchange): void {
    exchange.before = this.#last;
    if (this.#last === undefined) this.#first = exchange;
    else this.#last.after = exchange;
    this.#last = exchange;
  }

  /** Idempotent. */
  remove(exchange: Exchange): void {
    const { before, after } = exchange;
    if (before !== undefined) before.after = after;
    else if (this.#first === exchange) this.#first = after;
    else return;
    if (after !== undefined) after.before = before;
    else this.#last = before;
    exchange.before = undefined;
    exchange.after = undefined;
  }

  /** All of them, which leave it. */
  takeAll(): Exchange[] {
    const all: Exchange[] = [];
    for (let exchange = this.#first; exchange !== undefined; exchange = this.#first) {
      this.remove(exchange);
      all.push(exchange);
    }
    return all;
  }
}

// One error may end several requests, sent or not: that of a connection, or the reason of a signal. Then the weaker word stays.
function recordUnknown(error: unknown): void {
  recordOutcome(error, 'unknown');
  if (error instanceof Error && (error as { outcome?: unknown }).outcome !== 'unknown') {
    Reflect.set(error, 'outcome', 'unknown');
  }
}

// The server says so by itself (RFC 9113 section 8.7).
function isUntouched(error: Error): boolean {
  return codeOf(error) === 'ERR_HTTP2_STREAM_ERROR' && error.message.includes('REFUSED_STREAM');
}

function isLost(error: Error): boolean {
  return lostCodes.has(codeOf(error));
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const lostCodes: ReadonlySet<string> = new Set([
  'UND_ERR_SOCKET',
  // Of a request that was sent: its stream of HTTP/2 was closed.
  'UND_ERR_INFO',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ERR_HTTP2_GOAWAY_SESSION',
  'ERR_HTTP2_SESSION_ERROR',
  'ERR_HTTP2_STREAM_ERROR',
  'ERR_HTTP2_STREAM_CANCEL',
]);

// RFC 9110 section 9.2.2.
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

// A request that breaks its server must not break one after the other.
const mostRepeats = 2;
