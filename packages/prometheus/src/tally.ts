import type { Bounds, LabelName } from './labels.ts';
import type { Reading } from './rows.ts';

/** What was counted for one set of label values. */
export interface Cell {
  readonly labels: Readonly<Record<string, string>>;
  count: number;
  /** What was added up: of a histogram in seconds, of a counter the same as `count`. Of a gauge its value. */
  sum: number;
  /** Of a histogram: how many fell into each bucket, and at the end how many were beyond the last. */
  readonly buckets: number[];
}

/**
 * The counts of one metric, in plain numbers. Exporters read them when they are asked. A pool with small statements counts tens of
 * thousands a second, and to hash an object of labels for each is what would cost most.
 */
export class Tally {
  /** Called for each that is counted, for exporters that take them one by one. */
  readonly heard = new Set<(cell: Cell, amount: number) => void>();
  readonly cells: Cell[] = [];
  readonly #labels: readonly LabelName[];
  readonly #ends: readonly number[];
  readonly #bounds: Bounds;
  readonly #root: Branch = new Map();

  constructor(labels: readonly LabelName[], ends: readonly number[], bounds: Bounds) {
    this.#labels = labels;
    this.#ends = ends;
    this.#bounds = bounds;
  }

  /** @param amount seconds, for a histogram */
  add(cell: Cell, amount: number): void {
    cell.count += 1;
    cell.sum += amount;
    // Most fall into the first few.
    let bucket = 0;
    while (bucket < this.#ends.length && amount > (this.#ends[bucket] as number)) bucket += 1;
    cell.buckets[bucket] = (cell.buckets[bucket] ?? 0) + 1;
    if (this.heard.size > 0) for (const hear of this.heard) hear(cell, amount);
  }

  /** The cell of a reading's labels, which begins with 0. */
  cell(reading: Reading): Cell {
    let at: Branch | Cell | undefined = this.#root;
    for (let index = 1; index <= this.#labels.length; index++)
      at = (at as Branch | undefined)?.get(reading[index] ?? '');
    return (at as Cell | undefined) ?? this.#grow(reading);
  }

  #grow([, ...values]: Reading): Cell {
    const admitted = this.#labels.map((label, index) => this.#bounds.admit(label, values[index] ?? ''));
    // What is beyond a bound is found through `other`, or the paths to it would have none.
    if (admitted.some((value, index) => value !== (values[index] ?? ''))) return this.cell([0, ...admitted]);
    let branch = this.#root;
    for (const value of admitted.slice(0, -1)) {
      const next = (branch.get(value) ?? new Map()) as Branch;
      branch.set(value, next);
      branch = next;
    }
    const labels = Object.fromEntries(this.#labels.map((label, index) => [label, admitted[index] ?? '']));
    const cell: Cell = { labels, count: 0, sum: 0, buckets: [...this.#ends, 0].map(() => 0) };
    branch.set(admitted.at(-1) ?? '', cell);
    this.cells.push(cell);
    return cell;
  }
}

type Branch = Map<string | number, Branch | Cell>;
