import { aNumber, checkOptions, listOf } from '@externalname/core/internal';

/** See {@link writeRates}. */
export interface WriteRatesOptions {
  /** For each series, when it happened each time: seconds. */
  series: readonly (readonly number[])[];
  /** Where the span begins: seconds. */
  from: number;
  /** Where it ends. */
  to: number;
  /** The most columns that the span is cut into. */
  columns: number;
}

/** How often things happened a second, in columns of equal time. */
export interface WriteRates {
  /** Where the first column begins: seconds. */
  readonly from: number;
  /** How long a column is: seconds. */
  readonly seconds: number;
  /** For each series, how often a second it happened, by column. */
  readonly rates: readonly (readonly number[])[];
}

/** Counts how often things happened a second, for a plot of your own. {@link plotWrites} draws one for a terminal. */
export function writeRates(options: WriteRatesOptions): WriteRates {
  checkOptions(options, {
    series: listOf(listOf(aNumber())),
    from: aNumber({ least: 0 }),
    to: aNumber({ least: 0 }),
    columns: aNumber({ least: 1, whole: true }),
  });
  const bins = new Bins(options.from, options.to, options.columns);
  return { from: bins.from, seconds: bins.seconds, rates: options.series.map((moments) => bins.rates(moments)) };
}

/** Columns of equal time. */
export class Bins {
  readonly from: number;
  readonly seconds: number;
  readonly count: number;

  constructor(from: number, to: number, columns: number) {
    const fits = (seconds: number) => Math.floor(to / seconds) - Math.floor(from / seconds) <= columns;
    this.seconds = columnSeconds.find(fits) ?? Math.ceil((to - from) / columns) + 1;
    // A column begins at a whole number of its own length. The last one, which is not full, is left out.
    this.from = Math.floor(from / this.seconds) * this.seconds;
    this.count = Math.max(1, Math.floor((to - this.from) / this.seconds));
  }

  columnOf(at: number): number {
    return Math.floor((at - this.from) / this.seconds);
  }

  rates(moments: readonly number[]): readonly number[] {
    const counts = Array.from({ length: this.count }, () => 0);
    for (const at of moments) {
      const column = this.columnOf(at);
      const count = counts[column];
      if (count !== undefined) counts[column] = count + 1;
    }
    return counts.map((count) => count / this.seconds);
  }
}

const columnSeconds = [0.25, 0.5, 1, 2, 5] as const;
