import { createEngine, type EngineReader, type EngineState, type HaEngine, type MemberWord } from '../../src/index.ts';

/** An engine whose words a test chooses: what it pushes, what it answers, and what each member says of itself. */
export class ScriptedEngine {
  readonly engine: HaEngine;
  /** What a look is answered with. */
  state: EngineState;
  /** What the next looks are answered with, before `state`. */
  readonly next: EngineState[] = [];
  readonly words = new Map<string, MemberWord>();
  reads = 0;
  isDown = false;
  /** Awaited by each look. */
  gate: Promise<void> | undefined;
  #changed = () => {};

  constructor(member: string, options: { isPolled?: boolean } = {}) {
    this.state = { state: 'leader', member };
    const push: EngineReader['push'] = ({ changed, opened, signal }) => {
      this.#changed = changed;
      opened();
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    };
    this.engine = createEngine(
      {
        name: 'scripted',
        read: async () => {
          this.reads += 1;
          await this.gate;
          if (this.isDown) throw new Error('connect ECONNREFUSED');
          return this.next.shift() ?? this.state;
        },
        ...(options.isPolled !== true && { push }),
        ask: async (name) => this.words.get(name) ?? { leads: true, detail: `${name} leads` },
      },
      { pollMillis: options.isPolled ? 20 : 60_000 },
    );
  }

  tell(state: EngineState): void {
    this.state = state;
    this.#changed();
  }

  lead(member: string): void {
    this.tell({ state: 'leader', member });
  }
}
