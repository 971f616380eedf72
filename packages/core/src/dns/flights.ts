import type { Clock } from '../clock.ts';
import type { Settled } from './cache.ts';
import type { Hop } from './resolution.ts';

/** Queries under way for one name and family, shared by all waiting callers (single flight). */
export interface Flight {
  /** In the clock's milliseconds. */
  readonly begunAt: number;
  /** Whether a query has left. Its answer may then be older than a call that comes now. */
  sent: boolean;
  /** Whether the answer must not be kept, because the name was invalidated meanwhile. */
  obsolete: boolean;
  /** The aliases found so far, for the message of a caller whose deadline passes. */
  chain: readonly Hop[];
  readonly landed: Promise<Settled>;
}

/** The callbacks of a flight under way. */
export type FlightState = Omit<Flight, 'landed'>;

/** Begins the queries. */
export type Launch = (state: FlightState) => Promise<Settled>;

/** A flight to wait for. */
export interface Boarding {
  readonly flight: Flight;
  /** Whether another call began it. */
  readonly shared: boolean;
}

/**
 * Which callers wait for which queries.
 *
 * A plain caller shares whatever is under way. A fresh caller needs an answer to a query sent after its call, so it shares only
 * queries that have not left yet. Otherwise it waits for the next round, together with all fresh callers that come meanwhile. That
 * round begins when the current one is over, and after 100 ms at the latest, so that a silent server delays no caller. 10,000
 * fresh calls at once are one round; 10,000 spread over a second of silence are ten.
 *
 * A flight goes on after its callers have given up: the next caller finds its answer in the cache.
 */
export class Flights {
  readonly #clock: Clock;
  readonly #plain = new Map<string, Flight>();
  readonly #fresh = new Map<string, FreshRounds>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The flight under way, or a new one. */
  board(key: string, launch: Launch): Boarding {
    const [underWay] = [this.#plain.get(key), ...(this.#fresh.get(key)?.running ?? [])].filter(isCurrent);
    if (underWay !== undefined) return { flight: underWay, shared: true };
    const flight = this.#takeOff(launch);
    this.#plain.set(key, flight);
    onceOver(flight, () => {
      if (this.#plain.get(key) === flight) this.#plain.delete(key);
    });
    return { flight, shared: false };
  }

  /** A flight whose queries have not left yet. */
  boardFresh(key: string, launch: Launch): Boarding {
    const rounds = this.#fresh.get(key) ?? { running: new Set(), next: undefined };
    this.#fresh.set(key, rounds);
    const waiting = [...rounds.running].find((flight) => isCurrent(flight) && !flight.sent) ?? rounds.next;
    if (waiting !== undefined) return { flight: waiting, shared: true };
    const latest = [...rounds.running].at(-1);
    if (latest === undefined) {
      const flight = this.#takeOff(launch);
      this.#run(key, rounds, flight);
      return { flight, shared: false };
    }
    const turn = this.#overOrLate(latest);
    const flight = this.#takeOff(async (state) => {
      await turn;
      return launch(state);
    });
    rounds.next = flight;
    onceOver({ landed: turn }, () => {
      rounds.next = undefined;
      this.#run(key, rounds, flight);
    });
    return { flight, shared: false };
  }

  /** Whether anything is under way for `key`. */
  has(key: string): boolean {
    return this.#plain.has(key) || this.#fresh.has(key);
  }

  /** Completes the flights under way for the callers that already wait, and for no new ones. */
  abandon(): void {
    const fresh = [...this.#fresh.values()].flatMap(({ running, next }) => (next ? [...running, next] : [...running]));
    for (const flight of [...this.#plain.values(), ...fresh]) flight.obsolete = true;
    this.#plain.clear();
  }

  #takeOff(launch: Launch): Flight {
    const state: FlightState = { begunAt: this.#clock.now(), sent: false, obsolete: false, chain: [] };
    const landed = launch(state);
    // Waiting callers get the error. A refresh in the background has none.
    landed.catch(() => undefined);
    return Object.assign(state, { landed });
  }

  #run(key: string, rounds: FreshRounds, flight: Flight): void {
    rounds.running.add(flight);
    onceOver(flight, () => {
      rounds.running.delete(flight);
      if (rounds.running.size === 0 && rounds.next === undefined) this.#fresh.delete(key);
    });
  }

  #overOrLate(flight: Flight): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.schedule(resolve, longestTurnMillis, { background: true });
      onceOver(flight, () => {
        timer.cancel();
        resolve();
      });
    });
  }
}

interface FreshRounds {
  /** In the order in which they began. */
  readonly running: Set<Flight>;
  next: Flight | undefined;
}

function onceOver({ landed }: { readonly landed: Promise<unknown> }, callback: () => void): void {
  landed.then(callback, callback);
}

function isCurrent(flight: Flight | undefined): flight is Flight {
  return flight !== undefined && !flight.obsolete;
}

/** How long a fresh caller waits, at most, before its own queries are sent. */
const longestTurnMillis = 100;
