import type { DrillTone, Telling } from '../places/place.ts';
import { now } from './rehearsal.ts';

/** Something that happened, in seconds since the drill began. */
export interface DrillEvent {
  /** Seconds since the drill began. */
  readonly at: number;
  /** `operator`, `servers`, `cluster`, `workers` or `pool` */
  readonly who: string;
  /** What it was. */
  readonly text: string;
  /** How it is meant. */
  readonly tone: DrillTone;
  /** A part of the story begins. */
  readonly part: boolean;
}

/** Keeps what happens in a drill, and hands each event on at once. */
export class Told implements Telling {
  readonly events: DrillEvent[] = [];
  readonly marks: { readonly name: string; readonly at: number }[] = [];
  readonly zero = now();
  readonly #onEvent: (event: DrillEvent) => void;

  constructor(onEvent: (event: DrillEvent) => void) {
    this.#onEvent = onEvent;
  }

  event(who: string, text: string, { tone = 'plain', part = false }: { tone?: DrillTone; part?: boolean } = {}): void {
    const event = { at: this.seconds(now()), who, text, tone, part };
    this.events.push(event);
    this.#onEvent(event);
  }

  mark(name: string): void {
    this.marks.push({ name, at: this.seconds(now()) });
  }

  /** Seconds since the drill began, to the millisecond. */
  seconds(at: number): number {
    return Math.round(at - this.zero) / 1_000;
  }
}
