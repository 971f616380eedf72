import { DeadlineError } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import { outcomeOf } from '@externalname/pg';
import { measureWrites, WriteLedger, WriteLoad, type WriteMeasures } from '@externalname/testing';
import type { DrillKind, DrillServer, MakePool, Move, Place, Telling } from '../places/place.ts';

/** How a drill is played. Times are in milliseconds. */
export interface RehearsalSettings {
  readonly kind: DrillKind;
  readonly workers: number;
  readonly connections: number;
  readonly pauseMillis: number;
  /** How long all must be well before and after each switch. */
  readonly settleMillis: number;
  /** The longest wait for all workers to write to the new server. */
  readonly recoveryMillis: number;
}

/** The two switches of a drill: there, by a crash or planned, and back. */
export type StageName = 'crash' | 'planned switch' | 'switch back';

/** The writes before, during and after one switch. */
export interface RehearsedStage {
  readonly name: StageName;
  readonly move: Move;
  /** When the patch was sent: of {@link Rehearsal.now}, as all moments. */
  readonly patchedAt: number;
  /** The failures that are usual: what was in flight when a server died. */
  readonly failuresExpected: number;
  readonly measures: WriteMeasures;
}

/** What a drill has found. */
export interface Rehearsal {
  readonly ledger: WriteLedger;
  readonly stages: readonly RehearsedStage[];
  readonly writingFrom: number;
  readonly stoppedAt: number;
}

/** The moments of a drill are milliseconds of this clock. */
export function now(): number {
  return performance.now();
}

/** What a rehearsal is made of. */
export interface RehearsalParts {
  readonly place: Place;
  readonly settings: RehearsalSettings;
  readonly telling: Telling;
  readonly makePool: MakePool;
  /** Called with what is known after each report of the workers. */
  readonly onReport: (ledger: WriteLedger) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Writes through the Service, leaves the first server, comes back to it, and measures what became of the writes.
 *
 * @throws DeadlineError `ERR_EXTERNALNAME_DEADLINE` if the workers cannot even write at the start
 */
export async function rehearse(parts: RehearsalParts): Promise<Rehearsal> {
  const { place, settings, makePool } = parts;
  await place.begin();
  const pool = makePool({ ...place.poolOptions, max: settings.connections, application_name: 'externalname-drill' });
  // An error of an idle connection of a plain pool would end the process.
  pool.on('error', () => undefined);
  const text = `insert into ${place.table} (id, worker) values ($1, $2) returning host(inet_server_addr()) as address`;
  const load = new WriteLoad({
    workers: settings.workers,
    pauseMillis: settings.pauseMillis,
    outcomeOf,
    now,
    write: async (id, worker) => {
      const { rows } = await pool.query<{ address: string }>(text, [id, worker]);
      return rows[0]?.address ?? '';
    },
  });
  const scene = new Scene(parts, load, new WriteLedger({ hungAfterMillis }));
  try {
    return await scene.play();
  } finally {
    scene.close();
    // What hangs now is let go with the pool, and the pool with the process.
    await load.stop({ timeoutMillis: 0 }).catch(() => undefined);
    await Promise.race([pool.end().catch(() => undefined), sleep(endMillis, { background: true })]);
  }
}

class Scene {
  readonly #parts: RehearsalParts;
  readonly #load: WriteLoad;
  readonly #ledger: WriteLedger;
  readonly #reporting: NodeJS.Timeout;

  constructor(parts: RehearsalParts, load: WriteLoad, ledger: WriteLedger) {
    this.#parts = parts;
    this.#load = load;
    this.#ledger = ledger;
    this.#reporting = setInterval(() => this.#report(), reportMillis);
  }

  close(): void {
    clearInterval(this.#reporting);
  }

  async play(): Promise<Rehearsal> {
    const { place, settings, telling, signal } = this.#parts;
    const { workers, connections, kind, settleMillis, recoveryMillis } = settings;
    const [first, second] = place.servers;
    telling.event('workers', `${workers} workers write through ${place.service}, over ${connections} connections`, {
      tone: 'strong',
      part: true,
    });
    this.#load.start();
    const writingFrom = await this.#allWrite(first, 0);
    if (writingFrom === undefined) {
      const last = this.#ledger.failed.at(-1)?.failure.message ?? 'none has failed yet';
      throw new DeadlineError(`the first write of every worker to ${first.host} (${last})`, recoveryMillis);
    }
    telling.event('workers', `every worker writes to ${first.host}`, { tone: 'good' });
    await this.#wait(settleMillis + this.#fairMillis());

    const there = { from: first, to: second };
    const left = await this.#leave(kind, there);
    await place.rebuild(there);
    const measuredAt = now();
    const one = await this.#measure(left, { from: writingFrom, to: measuredAt });
    await this.#wait(this.#fairMillis());

    const back = await this.#leave('planned', { from: second, to: first });
    telling.event('operator', 'the workers stop; then the rows are counted', { tone: 'strong', part: true });
    const stoppedAt = now();
    await this.#load.stop({ timeoutMillis: hungAfterMillis, signal }).catch((error: unknown) => {
      // What has not settled by then hangs, and is counted so.
      if (!(error instanceof DeadlineError)) throw error;
    });
    this.#report();
    this.#ledger.close();
    const two = await this.#measure(back, { from: measuredAt, to: stoppedAt }, one);
    const stages = [
      { ...one, name: kind === 'crash' ? 'crash' : 'planned switch' },
      { ...two, name: 'switch back' },
    ] as const;
    return { ledger: this.#ledger, stages, writingFrom, stoppedAt };
  }

  /** Lets the other server take over, patches the Service, and waits until all workers have moved. */
  async #leave(kind: DrillKind, move: Move): Promise<Left> {
    const { place, settings, telling } = this.#parts;
    await place.takeOver(kind, move);
    let patchedAt = now();
    await place.patch(move, () => {
      patchedAt = now();
      telling.mark('patch');
    });
    const moved = await this.#allWrite(move.to, patchedAt);
    if (moved === undefined) {
      const seconds = settings.recoveryMillis / 1_000;
      telling.event('workers', `not every worker writes to ${move.to.host} after ${seconds} s`, { tone: 'bad' });
    } else {
      const millis = Math.round(moved - patchedAt);
      telling.event('workers', `every worker writes to ${move.to.host}, ${millis} ms after the patch`, {
        tone: 'good',
      });
    }
    await this.#wait(settings.settleMillis);
    return { move, patchedAt, failuresExpected: kind === 'crash' ? settings.connections : 0 };
  }

  async #measure(
    left: Left,
    span: { readonly from: number; readonly to: number },
    earlier?: { readonly measures: WriteMeasures },
  ) {
    const { place, settings } = this.#parts;
    await this.#until(() => !this.#ledger.underWay.some(({ beganAt }) => beganAt < span.to), hungAfterMillis);
    const measures = measureWrites({
      ...span,
      ledger: this.#ledger,
      workers: settings.workers,
      patchedAt: left.patchedAt,
      address: left.move.to.address,
      rows: await place.rows(left.move),
      earlier: earlier?.measures,
    });
    return { ...left, measures };
  }

  /** When the last worker had written to a server since then; undefined if one has not in time. */
  async #allWrite({ address }: DrillServer, since: number): Promise<number | undefined> {
    const { workers, recoveryMillis } = this.#parts.settings;
    const moved = () => this.#ledger.allWorkersAt(address, since, workers);
    await this.#until(() => moved() !== undefined, recoveryMillis);
    return moved();
  }

  /** Resolves when the condition holds after a report, or when the time is up. */
  async #until(condition: () => boolean, timeoutMillis: number): Promise<void> {
    const deadline = now() + timeoutMillis;
    while (!condition() && now() < deadline) await this.#wait(reportMillis / 2);
  }

  #report(): void {
    this.#ledger.enter(this.#load.report(), now());
    this.#parts.onReport(this.#ledger);
  }

  /**
   * A wait of 0 to one TTL: what is written in DNS is seen between at once and one TTL later. By chance, so that no drill is better than
   * what an operator gets, who does not know when applications will ask again.
   */
  #fairMillis(): number {
    return Math.random() * this.#parts.place.ttlSeconds * 1_000;
  }

  async #wait(millis: number): Promise<void> {
    await sleep(millis, { signal: this.#parts.signal });
  }
}

type Left = Pick<RehearsedStage, 'move' | 'patchedAt' | 'failuresExpected'>;

/** A write that has not settled for longer than this hangs. */
export const hungAfterMillis = 15_000;
const reportMillis = 50;
/** How long the end of the pool may take. */
const endMillis = 5_000;
