import type { TLSSocket } from 'node:tls';
import { encode, RedisError, type Reply, ReplyReader } from './resp.ts';

/** The connection broke before the answer came, so that the command may have run. `cause` says why. */
export class AnswerLostError extends Error {
  override readonly name = 'AnswerLostError';
  readonly code = 'ANSWER_LOST';
  readonly outcome = 'unknown';

  constructor(cause: unknown) {
    super('the connection to Redis broke before its answer came: the command may have run', { cause });
  }
}

/** One connection: answers come in the order of the commands. */
export class RedisConnection {
  readonly #socket: TLSSocket;
  readonly #reader = new ReplyReader();
  readonly #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = [];
  readonly #answerTimeoutMillis: number;
  #error: unknown;
  #open = true;

  /** @param answerTimeoutMillis a server that takes longer for an answer is taken for dead */
  constructor(socket: TLSSocket, answerTimeoutMillis: number) {
    this.#socket = socket;
    this.#answerTimeoutMillis = answerTimeoutMillis;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => {
      this.#open = false;
      for (const { reject } of this.#waiting.splice(0)) reject(new AnswerLostError(this.#error));
    });
  }

  /** Whether commands may still be sent. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Sends a command. Rejects with a {@link RedisError} if Redis refuses it, and with an {@link AnswerLostError}. */
  async send(words: readonly string[]): Promise<Reply> {
    const late = setTimeout(() => {
      this.#socket.destroy(new Error(`Redis gave no answer within ${this.#answerTimeoutMillis} ms`));
    }, this.#answerTimeoutMillis);
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(encode(words));
    }).finally(() => clearTimeout(late));
    if (reply instanceof RedisError) throw reply;
    return reply;
  }

  /** Takes no more commands, and closes when the answers under way have come, or after `withinMillis`. */
  retire(withinMillis: number): void {
    this.#open = false;
    if (this.#waiting.length === 0) {
      this.#socket.end();
      return;
    }
    const late = setTimeout(() => this.#socket.destroy(), withinMillis);
    this.#socket.once('close', () => clearTimeout(late));
  }

  /** Closes at once. */
  destroy(): void {
    this.#open = false;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    try {
      for (const reply of this.#reader.read(chunk)) this.#waiting.shift()?.resolve(reply);
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
    if (!this.#open && this.#waiting.length === 0) this.#socket.end();
  }
}
