import { failuresInWords, figures } from '../result/figures.ts';
import type { DrillResult } from '../result/result.ts';
import { inWords } from '../result/words.ts';

/** The result as Markdown: for a pull request, or the summary of a CI job. `plot` is drawn with characters. */
export function markdownReport(result: DrillResult, plot: readonly string[]): string {
  const { passed, service, where, kind, startedAt, durationMillis, workers, stages, checks } = result;
  const failed = checks.filter((check) => !check.passed);
  const row = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  const lines = [
    `# Drill of ${cell(service)}: ${passed ? 'passed' : 'FAILED'}`,
    '',
    `${kind === 'crash' ? 'A crash' : 'A planned switch'} and the way back, with ${workers} workers writing, on ${cell(where)}. ` +
      `${startedAt}, ${inWords(durationMillis)}.`,
    '',
    ...failed.map(
      ({ stage, name, limit, found }) => `- **${stage}**: ${cell(name)}: ${cell(found)}, allowed: ${cell(limit)}`,
    ),
    ...(failed.length > 0 ? [''] : []),
    row(['', ...stages.map(({ name, to }) => `${name}, to ${to}`)]),
    row(['---', ...stages.map(() => '--:')]),
    ...figures.map(([name, of]) => row([name, ...stages.map(of)])),
    '',
    ...stages.flatMap((stage) => failuresInWords(stage).map((text) => `- ${stage.name}: ${cell(text)}`)),
    ...(stages.some(({ failures }) => failures.length > 0) ? [''] : []),
    '```text',
    ...plot,
    '```',
    '',
  ];
  return lines.join('\n');
}

// A message of a server could end the cell, or be a link or a mention.
function cell(text: string): string {
  return text.replaceAll(/[\\`*_[\]<>|#@]/g, (character) => `\\${character}`).replaceAll(/\s+/g, ' ');
}
