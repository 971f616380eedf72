// Loaded before a program: its wall clock is off by so many minutes (`shifted-clock.ts?minutes=-10`), as on a node without NTP.
// The monotonic clock is right, as it is there.
const { searchParams } = new URL(import.meta.url);
const offset = Number(searchParams.get('minutes')) * 60_000;
if (!(Math.abs(offset) > 0)) throw new Error(`no minutes in ${import.meta.url}`);
const TrueDate = Date;

class ShiftedDate extends TrueDate {
  constructor(...parameters: unknown[]) {
    super(...((parameters.length === 0 ? [TrueDate.now() + offset] : parameters) as [number]));
  }

  static override now(): number {
    return TrueDate.now() + offset;
  }
}

globalThis.Date = ShiftedDate as DateConstructor;
