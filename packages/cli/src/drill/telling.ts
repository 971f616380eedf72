import type { Tone } from '../output.ts';
import type { Telling } from './place.ts';
import { now } from './rehearsal.ts';

/** Something that happened, in seconds since the drill began. */
export interface ToldEvent {
  readonly at: number;
  readonly who: string;
  readonly text: string;
  readonly tone: Tone;
  /** A part of the story begins. */
  readonly part: boolean;
}

/** Keeps what happens in a drill, and hands each event on at once. */
export class Told implements Telling {
  readonly events: ToldEvent[] = [];
  readonly marks: { readonly name: string; readonly at: number }[] = [];
  readonly zero = now();
  readonly #onEvent: (event: ToldEvent) => void;

  constructor(onEvent: (event: ToldEvent) => void) {
    this.#onEvent = onEvent;
  }

  event(who: string, text: string, { tone = 'plain', part = false }: { tone?: Tone; part?: boolean } = {}): void {
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
