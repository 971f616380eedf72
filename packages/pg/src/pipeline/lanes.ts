import type { Clock, Timer } from '@externalname/core';
import type { Lane, LaneConnection } from './lane.ts';
import type { LaneQuery } from './lane-query.ts';

/** What {@link Lanes} needs. */
export interface LanesParts<Connection extends LaneConnection> {
  readonly clock: Clock;
  /** Whether a connection may take one more: it is current, of the wanted role, and nothing speaks against its server. */
  fits(lane: Lane<Connection>): boolean;
  /** Chooses among several, the best of which is the last; left out if the last is always chosen. */
  readonly choice: ((connections: readonly Connection[]) => Connection | undefined) | undefined;
  /** A server was heard from. */
  heard(lane: Lane<Connection>): void;
  /** Called every few milliseconds while lanes are in use. */
  looked?(): void;
}

/**
 * The lanes of a pool that are in use, and which of them takes the next query: the one whose oldest query is youngest, so that none
 * waits behind a slow one. A lane on which nothing was answered for long takes none until something is.
 */
export class Lanes<Connection extends LaneConnection> {
  readonly #parts: LanesParts<Connection>;
  readonly #lanes: Lane<Connection>[] = [];
  #timer: Timer | undefined;
  #isLooking = false;
  /** What an answer takes if no other is ahead: as often more as less. */
  #typicalMillis: number | undefined;

  constructor(parts: LanesParts<Connection>) {
    this.#parts = parts;
  }

  /** Those in use. */
  all(): readonly Lane<Connection>[] {
    return this.#lanes;
  }

  /** The lane for one more query; `undefined` if none has room. */
  choose(): Lane<Connection> | undefined {
    const { fits, choice } = this.#parts;
    for (;;) {
      const best = choice === undefined ? this.#youngest() : this.#chosen(choice);
      if (best === undefined || fits(best)) return best;
      // It is given back when it is empty, and looked at closely then.
      best.isLeaving = true;
    }
  }

  opened(lane: Lane<Connection>): void {
    this.#lanes.push(lane);
    this.#look();
  }

  closed(lane: Lane<Connection>): void {
    const index = this.#lanes.indexOf(lane);
    if (index >= 0) this.#lanes.splice(index, 1);
  }

  /**
   * So many callers wait for a connection of their own: as many lanes take no more queries, and are given back when they are empty. Lanes that
   * leave for another reason do not count: a long query, behind which no other may wait, would keep such a caller waiting, and let others overtake.
   */
  reserve(count: number): void {
    let missing = count;
    for (const { isReserved } of this.#lanes) if (isReserved) missing -= 1;
    for (; missing > 0; missing -= 1) {
      let soonest: Lane<Connection> | undefined;
      for (const lane of this.#lanes) {
        if (lane.isLeaving || (soonest !== undefined && !isEmptySooner(lane, soonest))) continue;
        soonest = lane;
      }
      if (soonest === undefined) return;
      soonest.isReserved = true;
      soonest.isLeaving = true;
    }
  }

  /** A query was answered. */
  answered(query: LaneQuery, now: number): void {
    if (!query.wasFirst) return;
    const took = now - query.sentAt;
    if (this.#typicalMillis === undefined) this.#typicalMillis = took;
    else this.#typicalMillis *= took > this.#typicalMillis ? 1 + learningStep : 1 - learningStep;
  }

  #youngest(): Lane<Connection> | undefined {
    let youngest: Lane<Connection> | undefined;
    for (const lane of this.#lanes) {
      if ((youngest === undefined || lane.progressAt > youngest.progressAt) && lane.hasRoom) youngest = lane;
    }
    return youngest;
  }

  #chosen(choice: NonNullable<LanesParts<Connection>['choice']>): Lane<Connection> | undefined {
    const withRoom = this.#lanes
      .filter(({ hasRoom }) => hasRoom)
      .sort((one, other) => one.progressAt - other.progressAt);
    const connection = choice(withRoom.map((lane) => lane.connection));
    return withRoom.find((lane) => lane.connection === connection);
  }

  // ---- Slow queries

  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    if (this.#timer === undefined) {
      this.#timer = this.#parts.clock.schedule(() => this.#lookNow(), laneLookMillis, { background: true });
    } else this.#timer.restart();
  }

  // Slow is what takes several times as long as is typical, while others are answered: if nothing is, then the server, the way there, or this
  // process is slow, and not the query. Counted in looks as well as in time, for the same reason.
  #lookNow(): void {
    this.#isLooking = false;
    const now = this.#parts.clock.now();
    const { length } = this.#lanes;
    const still: Lane<Connection>[] = [];
    for (const lane of this.#lanes) {
      if (lane.answers === lane.seen) {
        still.push(lane);
        continue;
      }
      lane.seen = lane.answers;
      this.#parts.heard(lane);
    }
    const slowAfter = this.#typicalMillis === undefined ? slowAtFirstMillis : slowestMillis + 4 * this.#typicalMillis;
    const othersMove = still.length < length || length === 1;
    for (const lane of othersMove ? still : []) {
      lane.stillLooks += 1;
      if (lane.isSlow || lane.stillLooks < 2 || now - lane.progressAt < slowAfter) continue;
      lane.isSlow = true;
      if (lane.oldest !== undefined) lane.oldest.wasSlow = true;
    }
    this.#parts.looked?.();
    if (length > 0) this.#look();
  }
}

function isEmptySooner(one: Lane<LaneConnection>, other: Lane<LaneConnection>): boolean {
  if (one.isSlow !== other.isSlow) return other.isSlow;
  return one.size < other.size;
}

/** Between two looks at the lanes in use. */
export const laneLookMillis = 5;
/** Beyond what is typical, four times. */
const slowestMillis = 10;
const slowAtFirstMillis = 100;
const learningStep = 0.02;
