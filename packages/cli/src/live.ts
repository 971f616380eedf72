import type { Output } from './output.ts';

/**
 * Lines that stay, and below them a few that are written again and again. Where the output is not a terminal, there are only the lines
 * that stay.
 */
export class Live {
  readonly #output: Output;
  #rows: readonly string[] = [];
  #height = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Writes what stays. */
  line(write: () => void): void {
    this.#clear();
    write();
    this.#draw();
  }

  /** Replaces the rows below. Each is cut to the width of the terminal. */
  rows(rows: readonly string[]): void {
    if (this.#output.width === undefined) return;
    this.#clear();
    this.#rows = rows;
    this.#draw();
  }

  /** Takes the rows away. */
  end(): void {
    this.#clear();
    this.#rows = [];
  }

  #draw(): void {
    const { width } = this.#output;
    if (width === undefined || this.#rows.length === 0) return;
    this.#height = this.#rows.length;
    // A line as wide as the terminal would be broken by some.
    this.#output.raw(this.#rows.map((row) => this.#output.style('faint', row.slice(0, width - 1))).join('\n'));
  }

  #clear(): void {
    if (this.#height === 0) return;
    const up = this.#height > 1 ? `\u001b[${this.#height - 1}A` : '';
    this.#height = 0;
    this.#output.raw(`\r${up}\u001b[J`);
  }
}
