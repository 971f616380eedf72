import { type Diagnosis, type Finding, isCommand, type Severity } from '@externalname/doctor';
import type { Output, Tone } from '../output.ts';

/** Shows what is wrong, first things first, and then everything that was looked at. */
export function showPage(output: Output, { service, target, healthy, findings, lookedAt, facts }: Diagnosis): void {
  const { asked } = facts;
  output.line(output.style('strong', service));
  output.line(`-> ${target ?? 'no target'}  port ${asked.port}, ${asked.protocol}`);
  output.line();
  if (healthy) {
    output.line(output.style('good', 'OK     Nothing is wrong.'));
    output.line();
  }
  for (const finding of findings) showFinding(output, finding);
  output.line(output.style('strong', 'Looked at'));
  output.table(
    lookedAt.map(({ subject, state, text }) => [subject, state, text]),
    { tones: lookedAt.map(({ state }) => ({ bad: 'bad', '-': 'faint', ok: 'plain' })[state] as Tone) },
  );
}

/** One finding, with its parts in a margin. */
export function showFinding(output: Output, { severity, says, means, users, mend, rule }: Finding): void {
  const { word, tone } = marks[severity];
  output.paragraph(says, { indent: margin, first: word, tone });
  output.paragraph(means, { indent: margin });
  output.paragraph(`Users see: ${users}`, { indent: margin });
  for (const command of mend) {
    // A command is one line, so that it can be copied.
    if (isCommand(command)) output.line(`${' '.repeat(margin)}$ ${command}`);
    else output.paragraph(`Mend it: ${command}`, { indent: margin });
  }
  output.line(`${' '.repeat(margin)}${output.style('faint', `[${rule}]`)}`);
  output.line();
}

const margin = 7;
const marks: Readonly<Record<Severity, { readonly word: string; readonly tone: Tone }>> = {
  error: { word: 'WRONG', tone: 'bad' },
  warning: { word: 'WARN', tone: 'warning' },
  note: { word: 'NOTE', tone: 'plain' },
};
