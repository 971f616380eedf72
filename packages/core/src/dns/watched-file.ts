import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../clock.ts';

/**
 * The parsed content of a small file that may change: read at first use, checked at most every five seconds, parsed again
 * only if it changed. There is no watcher and no timer to close.
 *
 * Synchronous on purpose: the file has a few hundred bytes, and libc does the same.
 */
export class WatchedFile<Content> {
  readonly #path: string;
  readonly #parse: (text: string) => Content;
  readonly #clock: Clock;
  #state: { content: Content; identity: string; checkedAt: number } | undefined;

  /** `parse` gets an empty string if the file cannot be read. */
  constructor(path: string, parse: (text: string) => Content, clock: Clock) {
    this.#path = path;
    this.#parse = parse;
    this.#clock = clock;
  }

  current(now: number = this.#clock.now()): Content {
    const state = this.#state;
    if (state !== undefined && now - state.checkedAt < checkIntervalMillis) return state.content;
    const identity = this.#identity();
    if (state !== undefined && state.identity === identity) {
      state.checkedAt = now;
      return state.content;
    }
    const content = this.#parse(this.#read());
    this.#state = { content, identity, checkedAt: now };
    return content;
  }

  #identity(): string {
    try {
      const stat = statSync(this.#path, { bigint: true });
      return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}`;
    } catch {
      return 'unreadable';
    }
  }

  #read(): string {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch {
      return ''; // A missing or unreadable file counts as empty, as in libc.
    }
  }
}

/** As in Go's resolver. */
const checkIntervalMillis = 5000;
