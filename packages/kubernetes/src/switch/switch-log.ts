import type { Clock } from '@externalname/core';
import type { ProbeResult } from '../probes/probe.ts';
import type { SwitchProgress, SwitchReport, SwitchStep, SwitchStepName } from './report.ts';

/** The part of the report that a running switch may still change. */
export type SwitchFacts = {
  -readonly [Field in Exclude<keyof SwitchReport, 'steps' | 'warnings'>]: SwitchReport[Field];
} & { readonly warnings: string[] };

/** What a step may report about itself. */
export interface StepNote {
  detail: string;
  /** What the probes of this step found. */
  probes: readonly ProbeResult[];
  /** Marks the step as skipped. */
  skipped(detail: string): void;
  /** Says what the step waits for. */
  waiting(detail: string): void;
}

/** Records what was done, so that a failure at any step can report it. */
export class SwitchLog {
  readonly facts: SwitchFacts;
  readonly #clock: Clock;
  readonly #onProgress: ((progress: SwitchProgress) => void) | undefined;
  readonly #steps = new Map<SwitchStepName, SwitchStep>();

  constructor(
    clock: Clock,
    about: { service: string; id: string; reason: string | undefined },
    onProgress?: (progress: SwitchProgress) => void,
  ) {
    this.#clock = clock;
    this.#onProgress = onProgress;
    this.facts = {
      service: about.service,
      cluster: undefined,
      from: undefined,
      to: '',
      result: 'not-switched',
      id: about.id,
      by: undefined,
      at: clock.date().toISOString(),
      reason: about.reason,
      probes: [],
      accepted: [],
      warnings: [],
      dns: [],
    };
  }

  async step<T>(step: SwitchStepName, work: (note: StepNote) => Promise<T>): Promise<T> {
    const startedAt = this.#clock.now();
    let state: 'done' | 'skipped' | 'failed' = 'done';
    const note: StepNote = {
      detail: '',
      probes: [],
      skipped(detail) {
        state = 'skipped';
        note.detail = detail;
      },
      waiting: (detail) =>
        this.#tell({ step, state: 'running', detail, elapsedMillis: elapsedMillis(), probes: note.probes }),
    };
    const elapsedMillis = () => Math.round(this.#clock.now() - startedAt);
    const record = () =>
      this.#record({ step, state, detail: note.detail, elapsedMillis: elapsedMillis() }, note.probes);
    note.waiting('');
    try {
      const result = await work(note);
      record();
      return result;
    } catch (error) {
      state = 'failed';
      note.detail = error instanceof Error ? error.message : String(error);
      record();
      throw error;
    }
  }

  skip(steps: readonly SwitchStepName[], detail: string): void {
    for (const step of steps) this.#record({ step, state: 'skipped', detail, elapsedMillis: 0 });
  }

  report(): SwitchReport {
    const notReached = (step: SwitchStepName): SwitchStep => ({
      step,
      state: 'not-reached',
      detail: '',
      elapsedMillis: 0,
    });
    return {
      ...this.facts,
      warnings: [...this.facts.warnings],
      steps: order.map((step) => this.#steps.get(step) ?? notReached(step)),
    };
  }

  #record(step: SwitchStep & Pick<SwitchProgress, 'state'>, probes: readonly ProbeResult[] = []): void {
    this.#steps.set(step.step, step);
    this.#tell({ ...step, probes });
  }

  #tell(progress: SwitchProgress): void {
    try {
      this.#onProgress?.(progress);
    } catch (error) {
      // As with listeners of Node.js: a defect of the caller's is reported, and the switch goes on.
      process.nextTick(() => {
        throw error;
      });
    }
  }
}

const order: readonly SwitchStepName[] = ['read', 'probe', 'dry-run', 'patch', 'event', 'watch', 'dns'];
