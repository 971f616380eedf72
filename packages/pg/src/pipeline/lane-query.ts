import type { Timer } from '@externalname/core';
import type { HeldMessages } from '../driver/pipelining.ts';
import { KnownText, type RowShape } from './known-texts.ts';
import type { SharedConfig } from './shareable.ts';

/** A statement that a connection has prepared under a name of the pool. The name may get another one, while answers to this one still come. */
export interface PreparedStatement {
  /** What its rows look like, once that is known; `none` if it returns no rows. */
  rows: RowShape | 'none' | undefined;
  /** The number of its last use on the connection. */
  usedAt: number;
}

/** Where a query is sent. */
export interface QueryLane {
  send(query: LaneQuery): void;
}

/** One `pool.query()`, from the call to its answer. */
export class LaneQuery {
  readonly asked: string | SharedConfig;
  readonly values: unknown;
  readonly text: KnownText;
  /** How often it was sent so far. */
  attempts = 0;
  /** The name that the pool gave it. */
  name: string | undefined;
  /** What it runs under that name, and whether that was prepared before it. */
  prepared: PreparedStatement | undefined;
  isPreparedBefore = false;
  /** Whether the server has taken its parameters: from then on it runs. */
  hasBegun = false;
  /** Whether it gets no name any more. */
  isNameless = false;
  /** Whether it was the only one on its lane when it was sent. */
  wasFirst = false;
  sentAt = 0;
  /** What it leaves with, if it was held back. */
  heldIn: HeldMessages | undefined;
  /** Whether it has its answer, or has failed. */
  isOver = false;
  /** Whether its caller was told, and does not wait for it any more. */
  isTold = false;
  /** Whether it kept others waiting for long. */
  wasSlow = false;
  /** Whether the server was asked to end it. */
  isCancelled = false;
  timer: Timer | undefined;
  ended: ((result: 'answered' | 'failed' | 'unjudged') => void) | undefined;
  /** Called each time that it is sent. Returns what is to be called when it has ended. */
  readonly sent: (() => LaneQuery['ended']) | undefined;
  readonly #resolve: (result: unknown) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    asked: string | SharedConfig,
    values: unknown,
    text: KnownText,
    resolve: (result: unknown) => void,
    reject: (error: unknown) => void,
    sent?: LaneQuery['sent'],
  ) {
    this.asked = asked;
    this.values = values;
    this.text = text;
    this.sent = sent;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Whether it is the pool's own, and no caller waits for it. */
  get isOwn(): boolean {
    return this.text.uses === 0;
  }

  /** Tells its caller. Only the first answer counts. */
  tell(error: unknown, result?: unknown): void {
    if (this.isTold) return;
    this.isTold = true;
    if (error) this.#reject(error);
    else this.#resolve(result);
  }

  /** It is sent once more: nothing of it has run. */
  again(): void {
    this.isOver = false;
    this.hasBegun = false;
    this.wasSlow = false;
    this.timer = undefined;
    this.ended = undefined;
  }
}

/** A query of the pool's own, without a caller. */
export function ownQuery(text: string, answer: (result: unknown) => void): LaneQuery {
  return new LaneQuery(text, undefined, new KnownText(text), answer, () => answer(undefined));
}
