import type { Live } from '../live.ts';
import type { Output, Tone } from '../output.ts';

/** Writes the line of a sight, wrapped on a terminal, above the rows that are kept. */
export function writeSight(output: Output, live: Live, [first, text]: readonly [string, string], tone: Tone): void {
  live.line(() => output.paragraph(text, { indent: first.length, first, tone }));
}
