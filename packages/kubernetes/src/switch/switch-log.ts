import type { Clock } from '@externalname/core';
import type { SwitchReport, SwitchStep, SwitchStepName } from './report.ts';

/** The part of the report that a running switch may still change. */
export type SwitchFacts = {
  -readonly [Field in Exclude<keyof SwitchReport, 'steps' | 'warnings'>]: SwitchReport[Field];
} & { readonly warnings: string[] };

/** What a step may report about itself. */
export interface StepNote {
  detail: string;
  /** Marks the step as skipped. */
  skipped(detail: string): void;
}

/** Records what was done, so that a failure at any step can report it. */
export class SwitchLog {
  readonly facts: SwitchFacts;
  readonly #clock: Clock;
  readonly #steps = new Map<SwitchStepName, SwitchStep>();

  constructor(clock: Clock, about: { service: string; id: string; reason: string | undefined }) {
    this.#clock = clock;
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
    let state: SwitchStep['state'] = 'done';
    const note: StepNote = {
      detail: '',
      skipped(detail) {
        state = 'skipped';
        note.detail = detail;
      },
    };
    const record = () => {
      const elapsedMillis = Math.round(this.#clock.now() - startedAt);
      this.#steps.set(step, { step, state, detail: note.detail, elapsedMillis });
    };
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
    for (const step of steps) this.#steps.set(step, { step, state: 'skipped', detail, elapsedMillis: 0 });
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
}

const order: readonly SwitchStepName[] = ['read', 'probe', 'dry-run', 'patch', 'event', 'watch', 'dns'];
