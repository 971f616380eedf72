import type { Measurement } from './figures-file.ts';

/** What a benchmark measured, to be read by name. */
export class Runs {
  readonly #name: string;
  readonly #measurement: Measurement;

  constructor(name: string, measurement: Measurement) {
    this.#name = name;
    this.#measurement = measurement;
  }

  get command(): string {
    return this.#measurement.command;
  }

  get count(): number {
    return this.#measurement.load.length;
  }

  /** What a figure is: `One run`, or the middle of several. */
  get kind(): string {
    return this.count === 1 ? 'One run' : `The middle of ${this.count} runs (from the smallest to the largest)`;
  }

  /** When and where it was measured. */
  get place(): string {
    const { date, node, cpu, cores, load } = this.#measurement;
    return `${date}, Node.js ${node.replace(/^v/, '')}, ${cores} cores of ${cpu}, load before a run ${spread(load, { digits: 1 })}`;
  }

  /** Whether a figure was measured: some need a program that is not everywhere. */
  has(figure: string): boolean {
    return figure in this.#measurement.measured;
  }

  /** One value for each run. */
  values(figure: string): readonly (number | null)[] {
    const values = this.#measurement.measured[figure];
    if (values === undefined) {
      throw new Error(`docs/figures.json: ${this.#name} has no '${figure}': pnpm figures --only=${this.#name}`);
    }
    return values;
  }
}

/** The middle value of an odd number of runs, and the upper one of the two in the middle otherwise. `null` stands for never. */
export function middle(values: readonly (number | null)[]): number | null {
  return sorted(values)[Math.floor(values.length / 2)] ?? null;
}

/** `0.60 (0.57 to 0.64)`; the middle alone if all runs agree. */
export function spread(values: readonly (number | null)[], { unit = '', digits = 0 } = {}): string {
  const all = sorted(values);
  const word = (value: number | null | undefined) =>
    value === null || value === undefined ? 'never' : value.toFixed(digits);
  const [least, most] = [word(all[0]), word(all.at(-1))];
  const center = word(middle(values));
  const withUnit = center === 'never' || unit === '' ? center : `${center} ${unit}`;
  return least === most ? withUnit : `${withUnit} (${least} to ${most})`;
}

function sorted(values: readonly (number | null)[]): readonly (number | null)[] {
  return [...values].sort((one, other) => (one ?? Number.POSITIVE_INFINITY) - (other ?? Number.POSITIVE_INFINITY));
}
