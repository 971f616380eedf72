import { setTimeout as pause } from 'node:timers/promises';
import type { PostgresPair, PostgresServer } from '@externalname/testing';
import { hungAfterMillis, Ledger } from './ledger.ts';
import { countRows, makeTable } from './rows.ts';
import type { Timeline } from './timeline.ts';
import { duplicatedIds, judgeStage, lostIds, type StageFacts, type StageResult } from './verdict.ts';
import { type ClientKind, type Follow, now } from './writer-messages.ts';
import { Writers } from './writers.ts';

/** What a crew is made of. */
export interface CrewSettings {
  readonly client: ClientKind;
  /** What the timeline calls it. */
  readonly title: string;
  readonly workers: number;
  readonly connections: number;
  readonly pauseMillis: number;
  readonly table: string;
}

/** Where a crew works. */
export interface Workplace {
  readonly pair: PostgresPair;
  readonly service: { readonly name: string; readonly namespace: string };
  readonly follow: Follow;
  readonly timeline: Timeline;
  readonly signal: AbortSignal;
}

/** A stage of the scenario: from when, what was promoted, and when the Service was patched. */
export interface Stage {
  readonly from: number;
  readonly to: number;
  readonly patchedAt: number;
  readonly promoted: PostgresServer;
  readonly failuresAllowed: number;
}

/** The workers of one process, seen from the operator's side, and what becomes of their writes. */
export class Crew implements AsyncDisposable {
  readonly settings: CrewSettings;
  readonly ledger = new Ledger();
  readonly #place: Workplace;
  readonly #writers: Writers;
  readonly #facts: StageFacts[] = [];

  /** Makes the table and starts the process. */
  static async start(settings: CrewSettings, place: Workplace): Promise<Crew> {
    const { pair, timeline, signal } = place;
    await makeTable(pair, settings.table);
    const started: { crew?: Crew } = {};
    const { user, password, port, database, ca } = pair;
    const writers = await Writers.start(
      {
        ...settings,
        firstId: 1,
        database: {
          service: place.service.name,
          namespace: place.service.namespace,
          allowedTargets: pair.servers.map(({ hostName }) => hostName),
          port,
          user,
          password,
          database,
          ca,
        },
        follow: place.follow,
      },
      {
        report: (report) => started.crew?.ledger.enter(report, now()),
        notice: (at, text) => timeline.event(`${settings.title}: ${text}`, 'plain', at),
      },
      { signal },
    );
    const crew = new Crew(settings, place, writers);
    started.crew = crew;
    return crew;
  }

  private constructor(settings: CrewSettings, place: Workplace, writers: Writers) {
    this.settings = settings;
    this.#place = place;
    this.#writers = writers;
  }

  /** Resolves with true when `condition` holds after a report, with false after `timeoutMillis`. */
  async until(condition: () => boolean, timeoutMillis: number): Promise<boolean> {
    const { signal } = this.#place;
    const deadline = now() + timeoutMillis;
    while (!condition()) {
      if (now() > deadline) return false;
      if (!this.#writers.isRunning()) throw new Error(`the process of ${this.settings.title} has ended`);
      await pause(pollMillis, undefined, { signal });
    }
    return true;
  }

  /** Whether every worker has written to `server` after `since`. */
  writesTo(server: PostgresServer, since: number): boolean {
    return this.ledger.allWorkersAt(server.address, since, this.settings.workers) !== undefined;
  }

  /** Resolves when no write that began before `at` is under way, or hangs. */
  async settled(at: number): Promise<void> {
    await this.until(() => !this.ledger.underWay.some(({ beganAt }) => beganAt < at), hungAfterMillis);
  }

  /** Counts the rows on the promoted server and judges the stage. */
  async judge(stage: Stage): Promise<StageResult> {
    const { pair } = this.#place;
    const before = this.#facts.at(-1);
    const facts: StageFacts = {
      ...stage,
      ledger: this.ledger,
      workers: this.settings.workers,
      address: stage.promoted.address,
      rows: await countRows(stage.promoted, { database: pair.database, table: this.settings.table }),
      earlier:
        before === undefined
          ? undefined
          : { lost: new Set(lostIds(before)), duplicated: new Set(duplicatedIds(before)) },
    };
    this.#facts.push(facts);
    return judgeStage(facts);
  }

  /** Lets the last writes settle and ends the process. What does not settle hangs. */
  async stop(): Promise<void> {
    await this.#writers.stop(hungAfterMillis);
    this.ledger.close();
  }

  /** Ends the process at once. */
  close(): Promise<void> {
    return this.#writers.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const pollMillis = 20;
