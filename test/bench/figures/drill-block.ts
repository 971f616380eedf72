import type { KeptDrill } from './drills.ts';

/** The plot of a drill on a page, and below it what was counted. */
export function drillBlock(drill: KeptDrill | undefined, picture: string): string {
  if (drill === undefined) throw new Error(`docs/drills has no report for ${picture}: pnpm figures --only=drills`);
  const { command, stages, kind, startedAt, workers, connections, ttlSeconds, node, cores, cpu, load } = drill;
  const sum = (what: 'acknowledged' | 'lost' | 'duplicated' | 'failed') =>
    stages.reduce((total, { writes }) => total + writes[what], 0);
  const parts = stages.map(({ name, longestPause, patchToAllWorkersMillis }) => {
    const pause = `${((longestPause?.millis ?? 0) / 1_000).toFixed(1)} s`;
    return `${name}: longest pause ${pause}, all workers moved ${seconds(patchToAllWorkersMillis)} after the patch`;
  });
  const what = kind === 'crash' ? 'A crash' : 'A planned switch';
  return [
    '',
    `![${what}, and the way back: writes a second by server](${picture})`,
    '',
    `\`${command}\`: ${workers} workers over ${connections} connections, DNS with TTL ${ttlSeconds} s. ${sum('acknowledged').toLocaleString('en')} writes acknowledged, ` +
      `${sum('lost')} lost, ${sum('duplicated')} done twice, ${sum('failed')} failed. ${parts.join('; ')}. ` +
      `One run, ${startedAt.slice(0, 10)}, Node.js ${node.replace(/^v/, '')}, ${cores} cores of ${cpu}, load before it ${load}.`,
    '',
  ].join('\n');
}

function seconds(millis: number | null): string {
  return millis === null ? 'never' : `${(millis / 1_000).toFixed(2)} s`;
}
