import { setTimeout as pause } from 'node:timers/promises';
import { type PostgresPair, type PostgresServer, WriteLedger } from '@externalname/testing';
import type { EventSource } from './event-order.ts';
import { countRows, makeTable } from './rows.ts';
import type { Story } from './story.ts';
import { judgeStage, type StageResult } from './verdict.ts';
import { type ClientKind, type Follow, now, type Report } from './writer-messages.ts';
import { type Launch, Writers } from './writers.ts';

/** What a crew is made of. */
export interface CrewSettings {
  readonly client: ClientKind;
  /** What the timeline calls it. */
  readonly title: string;
  /** How it reaches the database, as the verdict says it. */
  readonly tls: string;
  readonly calls: string;
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
}

/** A stage of the scenario: from when to when, when the Service was patched, and what was promoted. */
export interface Stage {
  readonly from: number;
  readonly to: number;
  readonly patchedAt: number;
  readonly promoted: PostgresServer;
  readonly failuresAllowed: number;
}

/** The workers of one process, seen from the operator's side, and what happens to their writes. */
export class Crew implements AsyncDisposable {
  readonly settings: CrewSettings;
  readonly ledger = new WriteLedger({ hungAfterMillis });
  readonly #story: Story;
  readonly #signal: AbortSignal;
  readonly #writers: Writers;
  readonly #told = new Set<string>();
  #database = '';
  #source: EventSource | undefined;
  #before: StageResult | undefined;

  /** Starts the process, which has nothing to do yet: in a pod, or on this machine. */
  constructor(settings: CrewSettings, story: Story, signal: AbortSignal, launch?: Launch) {
    this.settings = settings;
    this.#story = story;
    this.#signal = signal;
    this.#writers = Writers.spawn(launch);
  }

  /** Makes the table, and lets the pool open its connections. */
  async connect({ pair, service, follow }: Workplace): Promise<void> {
    await makeTable(pair, this.settings.table);
    const { user, password, port, database, ca } = pair;
    const allowedTargets = pair.servers.map(({ hostName }) => hostName);
    const access = {
      service: service.name,
      namespace: service.namespace,
      allowedTargets,
      port,
      user,
      password,
      database,
      ca,
    };
    this.#database = database;
    await this.#writers.connect(
      { ...this.settings, firstId: 1, database: access, follow },
      {
        report: (report) => this.#hear(report),
        notice: (at, text) => this.#story.poolSays(this.settings, text, at),
      },
      this.#signal,
    );
  }

  /** Sets the workers to work. */
  write(): void {
    this.#source = this.#story.source();
    this.#writers.write();
  }

  /** Resolves with true when `condition` holds after a report, with false after `timeoutMillis` or when the process has ended. */
  async until(condition: () => boolean, timeoutMillis: number): Promise<boolean> {
    const deadline = now() + timeoutMillis;
    while (!condition()) {
      if (now() > deadline || !this.#writers.isRunning()) return false;
      await pause(pollMillis, undefined, { signal: this.#signal });
    }
    return true;
  }

  /** When every worker had written to `server` after `since`; `undefined` while one has not. */
  writesTo(server: PostgresServer, since: number): number | undefined {
    return this.ledger.allWorkersAt(server.address, since, this.settings.workers);
  }

  /** Waits for the writes that began before the stage's end, counts the rows on the promoted server, and judges the stage. */
  async judge(stage: Stage): Promise<StageResult> {
    await this.until(() => !this.ledger.underWay.some(({ beganAt }) => beganAt < stage.to), hungAfterMillis);
    const result = judgeStage({
      ...stage,
      ledger: this.ledger,
      workers: this.settings.workers,
      address: stage.promoted.address,
      rows: await countRows(stage.promoted, { database: this.#database, table: this.settings.table }),
      earlier: this.#before,
    });
    this.#before = result;
    this.#told.clear();
    return result;
  }

  /** Lets the last writes settle and ends the process. What does not settle hangs. */
  async stop(): Promise<void> {
    await this.#writers.stop(hungAfterMillis, this.#signal);
    this.#source?.close();
    this.ledger.close();
  }

  /** Ends the process at once. */
  close(): Promise<void> {
    this.#source?.close();
    return this.#writers.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hear(report: Report): void {
    this.ledger.enter(report, now());
    // The first failure of each kind has its own line; the others are only counted.
    for (const write of report.settled) {
      if (!('failure' in write) || this.#told.has(write.failure.code)) continue;
      this.#told.add(write.failure.code);
      this.#story.writeFails(this.settings, write.failure, write.settledAt);
    }
    this.#source?.heardUntil(report.at);
  }
}

const pollMillis = 20;
/** A write that has not settled for longer than this hangs. */
const hungAfterMillis = 15_000;
