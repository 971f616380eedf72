import type { DrillStage } from './result.ts';
import { inWords } from './words.ts';

/** The figures of a switch, as every report has them: a name, and the value in words. */
export const figures: readonly (readonly [name: string, of: (stage: DrillStage) => string])[] = [
  ['patch to first write', ({ patchToFirstWriteMillis }) => inWordsOrNever(patchToFirstWriteMillis)],
  ['patch to all workers writing', ({ patchToAllWorkersMillis }) => inWordsOrNever(patchToAllWorkersMillis)],
  ['last write to first after', ({ outageMillis }) => inWordsOrNever(outageMillis)],
  ['longest pause without a write', ({ longestPause }) => inWords(longestPause?.millis ?? 0)],
  ['writes acknowledged', ({ writes }) => String(writes.acknowledged)],
  ['acknowledged and lost', ({ writes }) => String(writes.lost)],
  ['done twice', ({ writes }) => String(writes.duplicated)],
  ['hung', ({ writes }) => String(writes.hung)],
  ['failed', ({ writes }) => String(writes.failed)],
];

/** `10 with ECONNRESET, outcome unknown, 2 of them executed`: an entry for each kind of failure. */
export function failuresInWords({ failures }: DrillStage): readonly string[] {
  return failures.map(({ code, outcome, count, stored }) => {
    const said = outcome === 'unsaid' ? 'outcome not said' : outcome === 'unknown' ? 'outcome unknown' : 'not executed';
    return `${count} with ${code}, ${said}, ${stored} of them executed`;
  });
}

function inWordsOrNever(millis: number | null): string {
  return millis === null ? 'never' : inWords(millis);
}
