import type { Writable } from 'node:stream';
import wrapAnsi from 'wrap-ansi';
import { type Dated, EventOrder, type EventSource } from './event-order.ts';
import { now } from './writer-messages.ts';

/** Where a timeline is written. A terminal has `isTTY` and `columns`. */
export type TimelineStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What the timeline's colours are for. */
export type Tone = 'plain' | 'dim' | 'good' | 'bad' | 'step' | 'primary' | 'secondary';

/** One line of a timeline, or more if it is wrapped. */
export interface TimelineEvent {
  /** Who did it, or saw it: the second column. */
  readonly who: string;
  readonly text: string;
  readonly tone?: Tone | undefined;
  /** When it happened. Left out: now. */
  readonly at?: number | undefined;
  /** A part of the story begins: an empty line precedes it. */
  readonly part?: boolean | undefined;
}

/** How one crew does. */
export interface StatusRow {
  readonly who: string;
  readonly text: string;
}

/**
 * Tells what happens, in the order in which it happened: the seconds since the start, who, and what.
 *
 * In a terminal, text is wrapped between words to its width, and a status is kept below the last line. Elsewhere an event is one line
 * however long it is, for `grep`, and the status is lines of its own, every few seconds. Colours are used only in a terminal, and not
 * if `NO_COLOR` is set (https://no-color.org).
 */
export class Timeline {
  readonly #stream: TimelineStream;
  readonly #live: boolean;
  readonly #colours: boolean;
  readonly #startedAt: number;
  readonly #now: () => number;
  readonly #order = new EventOrder<TimelineEvent & Dated>();
  #toldUntil = Number.NEGATIVE_INFINITY;
  #status: readonly StatusRow[] = [];
  #statusAt = 0;
  #statusHeight = 0;
  #plainStatusAt: number | undefined;
  #silent = false;

  constructor(stream: TimelineStream, environment: NodeJS.ProcessEnv = process.env, clock: () => number = now) {
    this.#stream = stream;
    this.#live = stream.isTTY === true && environment['TERM'] !== 'dumb';
    this.#colours = this.#live && !environment['NO_COLOR'];
    this.#now = clock;
    this.#startedAt = clock();
  }

  /** Columns for what is laid out: the terminal's but for the last, in which some terminals break the line; 80 elsewhere. */
  get width(): number {
    return this.#live ? Math.max(narrowest, (this.#stream.columns ?? 80) - 1) : 80;
  }

  /** Something happened. It is told by a later {@link tick}, when nothing that came before it can still be heard of. */
  event(event: TimelineEvent): void {
    if (!this.#silent) this.#order.add({ ...event, at: event.at ?? this.#now() });
  }

  /** Announces someone whose events are heard of with a delay. */
  source(): EventSource {
    return this.#order.source(this.#now());
  }

  /** Tells what is due. To be called often. */
  tick(): void {
    this.#tell(this.#order.take(this.#now()));
  }

  /** Tells everything now, and takes the status away. */
  flush(): void {
    this.#tell(this.#order.takeAll());
    this.#clearStatus();
    this.#status = [];
  }

  /** Tells everything now, this event last, and then hears of no event and no status any more. */
  end(event: TimelineEvent): void {
    this.event(event);
    this.flush();
    this.#silent = true;
  }

  /** A paragraph without a time. `lead` stands before its first line, and the others begin under its end. */
  paragraph(text: string, { lead = '', tone = 'plain' }: { readonly lead?: string; readonly tone?: Tone } = {}): void {
    this.#write(hanging(lead, this.paint(text, tone), this.#live ? this.width : undefined));
  }

  /** A line without a time, as it stands. */
  line(text = ''): void {
    this.#write([text.trimEnd()]);
  }

  /** How things are. */
  status(rows: readonly StatusRow[]): void {
    if (this.#silent) return;
    const at = this.#now();
    if (this.#live) {
      this.#clearStatus();
      this.#status = rows;
      this.#statusAt = at;
      this.#drawStatus();
      return;
    }
    this.#plainStatusAt ??= at;
    const everyMillis = rows.length > 1 ? plainStatusMillis.ofSeveral : plainStatusMillis.ofOne;
    if (at - this.#plainStatusAt < everyMillis) return;
    this.#plainStatusAt = at;
    for (const { who, text } of rows) this.event({ who, text, at });
  }

  /** The text in the colour of a tone, if colours are used. */
  paint(text: string, tone: Tone): string {
    return this.#colours && tone !== 'plain' ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text;
  }

  /** Seconds from the start to `at`, as the first column has them. */
  seconds(at: number): number {
    return (at - this.#startedAt) / 1000;
  }

  #tell(events: readonly (TimelineEvent & Dated)[]): void {
    for (const { who, text, tone = 'plain', at, part } of events) {
      // What was reported far too late is printed now, with the time when it happened.
      const late = at < this.#toldUntil;
      this.#toldUntil = Math.max(this.#toldUntil, at);
      const told = late ? `${text} (at ${this.seconds(at).toFixed(2)} s)` : text;
      const lead = `${this.#time(this.#toldUntil)}  ${who.padEnd(whoWidth)}  `;
      const lines = hanging(lead, this.paint(told, tone), this.#live ? this.width : undefined);
      this.#write(part ? ['', ...lines] : lines);
    }
  }

  #write(lines: readonly string[]): void {
    this.#clearStatus();
    this.#stream.write(`${lines.join('\n')}\n`);
    this.#drawStatus();
  }

  #drawStatus(): void {
    if (this.#status.length === 0) return;
    const [time, below] = [this.#time(this.#statusAt), ' '.repeat(timeWidth)];
    const lines = this.#status.map(({ who, text }, index) =>
      `${index === 0 ? time : below}  ${who.padEnd(whoWidth)}  ${text}`.slice(0, this.width),
    );
    this.#statusHeight = lines.length;
    this.#stream.write(lines.map((line) => this.paint(line, 'dim')).join('\n'));
  }

  #clearStatus(): void {
    if (this.#statusHeight === 0) return;
    const up = this.#statusHeight > 1 ? `\u001b[${this.#statusHeight - 1}A` : '';
    this.#statusHeight = 0;
    this.#stream.write(`\r${up}\u001b[J`);
  }

  #time(at: number): string {
    return `${this.seconds(at)
      .toFixed(2)
      .padStart(timeWidth - 2)} s`;
  }
}

/** `lead`, then the text, wrapped between words to lines of at most `width`; all but the first begin under the end of `lead`. */
function hanging(lead: string, text: string, width: number | undefined): readonly string[] {
  if (width === undefined) return [`${lead}${text}`.trimEnd()];
  const lines = wrapAnsi(text, Math.max(20, width - lead.length), { hard: true }).split('\n');
  return lines.map((line, index) => `${index === 0 ? lead : ' '.repeat(lead.length)}${line}`.trimEnd());
}

const codes: Record<Exclude<Tone, 'plain'>, string> = {
  dim: '2',
  good: '32',
  bad: '31',
  step: '1',
  primary: '36',
  secondary: '35',
};
const timeWidth = 8;
/** As long as the name of our package, which is one of those who act. */
const whoWidth = 16;
/** A terminal that is narrower than this breaks the lines itself. */
const narrowest = 60;
const plainStatusMillis = { ofOne: 2_000, ofSeveral: 5_000 } as const;
