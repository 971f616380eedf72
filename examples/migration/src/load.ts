import { setTimeout as pause } from 'node:timers/promises';

/** One request that has ended. */
export interface Request {
  readonly beganAt: number;
  readonly endedAt: number;
  /** The server that answered. Absent if the request was dropped. */
  readonly by?: string;
  /** Why it was dropped. */
  readonly error?: string;
}

/** Workers that send one request after the other, and remember each. */
export class RequestLoad {
  readonly requests: Request[] = [];
  readonly #send: (method: 'GET' | 'POST') => Promise<string>;
  readonly #workers: Promise<void>[];
  #stopping = false;

  /** Begins at once. @param send resolves with the name of the server that answered */
  constructor(workers: number, send: (method: 'GET' | 'POST') => Promise<string>) {
    this.#send = send;
    this.#workers = Array.from({ length: workers }, () => this.#work());
  }

  get dropped(): readonly Request[] {
    return this.requests.filter(({ by }) => by === undefined);
  }

  /** Waits until the last `count` requests were all answered by one of `servers`. */
  async until(servers: readonly string[], count = 30): Promise<void> {
    const from = this.requests.length;
    const deadline = performance.now() + longestWaitMillis;
    for (;;) {
      const last = this.requests.slice(from).slice(-count);
      if (last.length === count && last.every(({ by }) => by !== undefined && servers.includes(by))) return;
      if (performance.now() > deadline) throw new Error(`requests did not all come to ${servers.join(' and ')}`);
      await pause(10);
    }
  }

  /** Begins no more requests, and waits for those under way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    for (let count = 0; !this.#stopping; count++) {
      const beganAt = performance.now();
      try {
        const by = await this.#send(count % 2 === 0 ? 'GET' : 'POST');
        this.requests.push({ beganAt, endedAt: performance.now(), by });
      } catch (error) {
        const { cause, message } = error as Error;
        const reason = cause instanceof Error ? cause.message : message;
        this.requests.push({ beganAt, endedAt: performance.now(), error: reason });
      }
      await pause(pauseMillis);
    }
  }
}

const longestWaitMillis = 30_000;
const pauseMillis = 10;
