import type { CrewResult } from './scenario.ts';
import type { Timeline } from './timeline.ts';
import type { Polled, StageResult } from './verdict.ts';

/** Tells what came of it, for people. */
export function tellVerdict(
  timeline: Timeline,
  ours: CrewResult,
  plain: readonly CrewResult[],
  polled: Polled | undefined,
): void {
  const { crash, planned } = ours;
  timeline.line();
  table(timeline, ours);
  for (const result of plain) table(timeline, result);
  if (polled !== undefined) {
    timeline.line();
    tellPush(timeline, 'crash', crash.patchToFirstWriteMillis, polled.crash);
    tellPush(timeline, 'planned switch', planned.patchToFirstWriteMillis, polled.planned);
  }
  timeline.line();
  const objections = [
    ...crash.objections.map((text) => `crash: ${text}`),
    ...planned.objections.map((text) => `planned switch: ${text}`),
  ];
  if (objections.length === 0) {
    timeline.line(timeline.paint('The verdict holds: nothing lost, nothing done twice, nothing hung.', 'good'));
    return;
  }
  timeline.line(timeline.paint('The verdict does not hold:', 'bad'));
  for (const text of objections) timeline.line(timeline.paint(`- ${text}`, 'bad'));
}

function table(timeline: Timeline, { settings, crash, planned }: CrewResult): void {
  const row = (what: string, of: (stage: StageResult) => string, tone: 'plain' | 'step' = 'plain') =>
    timeline.line(
      timeline.paint(`${what.padEnd(44)}${of(crash).padStart(12)}${of(planned).padStart(16)}`.trimEnd(), tone),
    );
  const heading: Record<string, string> = { crash: 'crash', planned: 'planned switch' };
  row(settings.title, (stage) => heading[stage === crash ? 'crash' : 'planned'] ?? '', 'step');
  row('  patch to first write', ({ patchToFirstWriteMillis }) => millis(patchToFirstWriteMillis));
  row('  patch to all workers writing', ({ patchToAllWorkersMillis }) => millis(patchToAllWorkersMillis));
  row('  last write before to first after', ({ outageMillis }) => millis(outageMillis));
  row('  writes acknowledged', ({ writes }) => String(writes.acknowledged));
  row('  of these lost', ({ writes }) => String(writes.lost));
  row('  done twice', ({ writes }) => String(writes.duplicated));
  row('  hung', ({ writes }) => String(writes.hung));
  row('  failed', ({ writes }) => String(writes.failed));
  for (const [name, stage] of [
    ['crash', crash],
    ['planned switch', planned],
  ] as const) {
    for (const { code, outcome, count, stored } of stage.failures) {
      timeline.line(`  ${name}: ${count} failed with ${code}, outcome ${outcome}; ${stored} of them are stored`);
    }
  }
}

function tellPush(timeline: Timeline, stage: string, pushed: number | null, polled: number | null): void {
  const sooner =
    pushed === null || polled === null
      ? ''
      : `, ${Math.abs(polled - pushed)} ms ${polled < pushed ? 'before' : 'after'} that`;
  timeline.line(
    `  ${stage}: pushed, the first write came ${millis(pushed)} after the patch; a DNS poll saw the patch ${millis(polled)} after it${sooner}`,
  );
}

function millis(value: number | null): string {
  return value === null ? 'never' : `${value} ms`;
}
