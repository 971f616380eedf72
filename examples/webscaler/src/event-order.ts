/** Something with a moment: milliseconds of one clock. */
export interface Dated {
  readonly at: number;
}

/** Someone whose events are heard of with a delay, in their order. */
export interface EventSource {
  /** Everything that happened to it before `at` has been heard. */
  heardUntil(at: number): void;
  /** Nothing more comes from it. */
  close(): void;
}

/**
 * Puts events in the order of their moments, although some are heard of later than others that came after them: a process of workers
 * reports ten times a second.
 */
export class EventOrder<Event extends Dated> {
  #waiting: Event[] = [];
  readonly #sources = new Map<symbol, number>();

  add(event: Event): void {
    this.#waiting.push(event);
  }

  /** From now on no event is taken before this source has been heard up to the event's moment. */
  source(at: number): EventSource {
    const key = Symbol();
    this.#sources.set(key, at);
    return {
      heardUntil: (until) => {
        const before = this.#sources.get(key);
        if (before !== undefined) this.#sources.set(key, Math.max(before, until));
      },
      close: () => void this.#sources.delete(key),
    };
  }

  /** Takes the events that no earlier one can still come before. */
  take(now: number): readonly Event[] {
    const heard = [...this.#sources.values()].map((until) => Math.max(until, now - silentMillis));
    const settled = Math.min(now - settleMillis, ...heard);
    const taken = inOrder(this.#waiting.filter(({ at }) => at <= settled));
    this.#waiting = this.#waiting.filter(({ at }) => at > settled);
    return taken;
  }

  /** Takes all events. */
  takeAll(): readonly Event[] {
    return inOrder(this.#waiting.splice(0));
  }
}

function inOrder<Event extends Dated>(events: readonly Event[]): readonly Event[] {
  return [...events].sort((a, b) => a.at - b.at);
}

/** Time for what this process itself sees a little late: it looks at the reports fifty times a second. */
const settleMillis = 150;
/** A source that is silent for longer than this is not waited for. */
const silentMillis = 3_000;
