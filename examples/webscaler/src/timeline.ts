import type { Writable } from 'node:stream';
import { now } from './writer-messages.ts';

/** Where a timeline is written. A terminal has `isTTY` and `columns`. */
export type TimelineStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What the timeline's colours are for. */
export type Tone = 'plain' | 'dim' | 'good' | 'bad' | 'step';

/**
 * Tells what happens, as it happens, with the seconds since the start.
 *
 * In a terminal the last line is a status that is written over again and again; elsewhere the status is a line of its own, once a
 * second. Colours are used only in a terminal, and not where `NO_COLOR` is set (https://no-color.org).
 */
export class Timeline {
  readonly #stream: TimelineStream;
  readonly #colours: boolean;
  readonly #startedAt: number;
  readonly #now: () => number;
  #status = '';
  #lastPlainStatusAt = Number.NEGATIVE_INFINITY;

  constructor(stream: TimelineStream, environment: NodeJS.ProcessEnv = process.env, clock: () => number = now) {
    this.#stream = stream;
    this.#colours = stream.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';
    this.#now = clock;
    this.#startedAt = clock();
  }

  /** Something happened, now or at `at`. */
  event(text: string, tone: Tone = 'plain', at: number = this.#now()): void {
    this.#line(`${this.#seconds(at)}  ${this.paint(text, tone)}`);
  }

  /** A line without a time. */
  line(text = ''): void {
    this.#line(text);
  }

  /** How things are. */
  status(text: string): void {
    const at = this.#now();
    if (this.#stream.isTTY === true) {
      this.#clear();
      const width = Math.max(20, (this.#stream.columns ?? 80) - 1);
      this.#status = `${this.#seconds(at)}  ${text}`.slice(0, width);
      this.#stream.write(this.paint(this.#status, 'dim'));
      return;
    }
    if (at - this.#lastPlainStatusAt < plainStatusMillis) return;
    this.#lastPlainStatusAt = at;
    this.event(text, 'dim', at);
  }

  /** Takes the status away. */
  endStatus(): void {
    this.#clear();
  }

  /** The text in the colour of a tone, where colours are used. */
  paint(text: string, tone: Tone): string {
    return this.#colours && tone !== 'plain' ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text;
  }

  #line(text: string): void {
    const status = this.#status;
    this.#clear();
    this.#stream.write(`${text}\n`);
    if (status === '') return;
    this.#status = status;
    this.#stream.write(this.paint(status, 'dim'));
  }

  #clear(): void {
    if (this.#status === '') return;
    this.#status = '';
    this.#stream.write('\r\u001b[2K');
  }

  #seconds(at: number): string {
    return `${((at - this.#startedAt) / 1000).toFixed(2).padStart(6)} s`;
  }
}

const codes: Record<Exclude<Tone, 'plain'>, string> = { dim: '2', good: '32', bad: '31', step: '1' };
// The status comes ten times a second: one of ten is enough for a log, and a little early is not late.
const plainStatusMillis = 950;
