/** What many measurements of one thing say, in milliseconds. */
export interface Distribution {
  /** Half of them took at most this. */
  readonly p50: number;
  /** Nine in ten took at most this. */
  readonly p90: number;
  /** 99 in 100 took at most this. */
  readonly p99: number;
  /** The longest. */
  readonly max: number;
}

/** The percentiles of what was measured: each is a value that was measured (nearest rank). Undefined if nothing was. */
export function distribution(measured: readonly number[]): Distribution | undefined {
  const sorted = [...measured].sort((one, other) => one - other);
  const max = sorted.at(-1);
  if (max === undefined) return undefined;
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? max;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max };
}
