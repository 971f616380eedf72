import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { isShareableText, longestText } from './shareable.ts';

/** A column, as the server describes it. */
export interface RowField {
  readonly dataTypeID: number;
  readonly format?: string;
}

/** What the rows of a text look like. */
export interface RowShape {
  readonly fields: readonly RowField[];
  /** A row of which all values are `null`, as `pg` makes it once for each description. */
  readonly emptyRow: object | undefined;
}

/** What a pool knows about a text that it was asked for. */
export class KnownText {
  readonly text: string;
  readonly isShareable: boolean;
  readonly #usual: UsualRuns;
  /** How often it was asked for. */
  uses = 0;
  #runs = 0;
  #slowRuns = 0;
  #name: string | undefined;
  #shape: RowShape | undefined;

  constructor(text: string, usual = new UsualRuns(), isShareable = isShareableText(text)) {
    this.text = text;
    this.#usual = usual;
    this.isShareable = isShareable;
  }

  /** The name of its prepared statement: that of no other text, in any process. `pg` leaves the types of parameters to the server, which takes them from the text. */
  get name(): string {
    this.#name ??= `externalname_${createHash('sha256').update(this.text).digest('base64url').slice(0, 32)}`;
    return this.#name;
  }

  /** The same shape: in one copy for all connections, because nearly always each says the same of a text. */
  inOneCopy(shape: RowShape): RowShape {
    if (this.#shape === undefined || !isDeepStrictEqual(shape, this.#shape)) this.#shape = shape;
    return this.#shape;
  }

  /** Whether others may wait behind it: it has run, and seldom was slow. */
  get isQuick(): boolean {
    if (this.#slowRuns === 0) return this.#runs > 0;
    if (this.#runs < runsBeforeForgiving) return false;
    // Where packets are lost, any text has slow runs, and without sharing everybody waits longer.
    const mostSlow = Math.min(Math.max(shareOfSlowRuns, timesTheUsual * this.#usual.shareOfSlow), shareOfSlowTexts);
    return this.#slowRuns - 1 <= mostSlow * this.#runs;
  }

  /** Whether it was slow too often. */
  get isSlow(): boolean {
    return this.#slowRuns > 0 && !this.isQuick;
  }

  /** It has run. What happened long ago counts less and less. */
  ran(wasSlow: boolean): void {
    this.#runs += 1;
    if (wasSlow) this.#slowRuns += 1;
    if (this.#slowRuns <= 1 + shareOfSlowTexts * this.#runs) this.#usual.ran(wasSlow);
    if (this.#runs < rememberedRuns) return;
    this.#runs /= 2;
    this.#slowRuns = this.#slowRuns < 1 ? 0 : this.#slowRuns / 2;
  }
}

/** How often any text of a pool is slow that is not slow by itself: where the way to the server is bad, all of them are. */
class UsualRuns {
  /** From 0 to 1. What happened long ago counts less and less. */
  shareOfSlow = 0;

  ran(wasSlow: boolean): void {
    this.shareOfSlow += ((wasSlow ? 1 : 0) - this.shareOfSlow) / rememberedRuns;
  }
}

/** The texts that a pool was asked for lately, so that each is read once. */
export class KnownTexts {
  readonly #most: number;
  readonly #usual = new UsualRuns();
  readonly #texts = new Map<string, KnownText>();

  constructor(most: number) {
    this.#most = most;
  }

  /** @param isShareable if that was read elsewhere */
  of(text: string, isShareable?: boolean): KnownText {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const made = new KnownText(text, this.#usual, isShareable);
    // Texts with all their values in them are often new, and may have megabytes.
    if (text.length > longestText) return made;
    this.#texts.set(text, made);
    if (this.#texts.size > this.#most) this.#forgetOldest();
    return made;
  }

  // A text in use comes back with its next use. To note each use would cost every query.
  #forgetOldest(): void {
    for (const text of this.#texts.keys()) {
      this.#texts.delete(text);
      return;
    }
  }
}

/** The texts to which an application gave names of its own. */
export class NamesOfCallers {
  readonly #most: number;
  readonly #texts = new Map<string, string>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Whether a name stands for that text, and for no other one so far. */
  isOf(name: string, text: string): boolean {
    const known = this.#texts.get(name);
    if (known !== undefined) return known === text;
    if (this.#texts.size >= this.#most) this.#texts.clear();
    this.#texts.set(name, text);
    return true;
  }
}

// One slow run in 300: at the 99th percentile, callers must not notice what others ask for.
const shareOfSlowRuns = 1 / 300;
/** What is slow so much more often than others is slow by itself. */
const timesTheUsual = 3;
/** Whatever others do, no query waits behind a text of which so many runs are slow. */
const shareOfSlowTexts = 1 / 5;
const rememberedRuns = 1_024;
// The first time, much is read from the disk. After so many other runs, one slow run counts no more.
const runsBeforeForgiving = 30;
