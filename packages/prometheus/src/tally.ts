import { labelBounds, type MetricRow, type ValuesOf } from './metrics.ts';

/** What was counted for one set of label values. */
export interface Cell {
  readonly labels: Readonly<Record<string, string>>;
  count: number;
  /** Of a histogram, in seconds. */
  sum: number;
  /** Of a histogram: how many fell into each bucket, and at the end how many were beyond the last. */
  readonly buckets: number[];
}

/**
 * The counts of one row, in plain numbers. Exporters read them when they are asked. A pool with small statements counts tens of
 * thousands a second, and to hash an object of labels for each is what would cost most.
 */
export class Tally<Row extends MetricRow = MetricRow> {
  readonly row: Row;
  /** Called for each that is counted, for exporters that take them one by one. */
  heard: ((cell: Cell, amount: number) => void) | undefined;
  readonly #bounds: Bounds;
  readonly #ends: readonly number[];
  readonly #cells = new Map<string, Cell>();
  #root: Branch = new Map();
  /** Where the last one was: most often the next one is there, too. */
  #last: { readonly values: readonly string[]; readonly cell: Cell } | undefined;

  constructor(row: Row, bounds: Bounds) {
    this.row = row;
    this.#bounds = bounds;
    this.#ends = row.buckets ?? [];
  }

  /** @param amount seconds, for a histogram */
  add(values: ValuesOf<Row>, amount = 1): void {
    const cell = this.#find(values as readonly string[]);
    cell.count += 1;
    cell.sum += amount;
    // Most fall into the first few.
    let bucket = 0;
    while (amount > (this.#ends[bucket] ?? Number.POSITIVE_INFINITY)) bucket += 1;
    cell.buckets[bucket] = (cell.buckets[bucket] ?? 0) + 1;
    this.heard?.(cell, amount);
  }

  /**
   * Begins with 0, if nothing was counted yet. A counter that begins with 1 has not increased, as Prometheus sees it: the first switch
   * of a process would go unseen.
   */
  begin(values: ValuesOf<Row>): void {
    this.#find(values as readonly string[]);
  }

  cells(): Iterable<Cell> {
    return this.#cells.values();
  }

  clear(): void {
    this.#cells.clear();
    this.#root = new Map();
    this.#last = undefined;
  }

  #find(values: readonly string[]): Cell {
    if (this.#last !== undefined && isSame(this.#last.values, values)) return this.#last.cell;
    let at: Branch | Cell | undefined = this.#root;
    for (const value of values) at = (at as Branch | undefined)?.get(value);
    const cell = (at as Cell | undefined) ?? this.#grow(values);
    this.#last = { values, cell };
    return cell;
  }

  #grow(values: readonly string[]): Cell {
    const { labels } = this.row;
    const admitted = values.map((value, index) => this.#bounds.admit(labels[index] as keyof typeof labelBounds, value));
    const key = admitted.join('\n');
    const cell = this.#cells.get(key) ?? {
      labels: Object.fromEntries(labels.map((label, index) => [label, admitted[index] ?? ''])),
      count: 0,
      sum: 0,
      buckets: [...this.#ends, 0].map(() => 0),
    };
    this.#cells.set(key, cell);
    // What is beyond a bound is found through `other`, or the paths to it would have none.
    let branch = this.#root;
    for (const value of admitted.slice(0, -1)) {
      const next = (branch.get(value) ?? new Map()) as Branch;
      branch.set(value, next);
      branch = next;
    }
    branch.set(admitted.at(-1) ?? '', cell);
    return cell;
  }
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

type Branch = Map<string, Branch | Cell>;

/** The first values of a label that come keep their names, and all others share one. */
export class Bounds {
  readonly #known = new Map<keyof typeof labelBounds, Set<string>>();

  admit(label: keyof typeof labelBounds, value: string): string {
    const known = this.#known.get(label) ?? new Set<string>();
    if (known.has(value)) return value;
    if (known.size >= labelBounds[label].most) return 'other';
    this.#known.set(label, known.add(value));
    return value;
  }
}
