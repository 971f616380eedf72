import type { DrillEvent, DrillReport, DrillStatus } from '@externalname/drill';
import type { Live } from '../live.ts';
import type { Output } from '../output.ts';

/** Something that happened, in one line: when, who, and what. */
export function eventLine({ at, who, text }: DrillEvent): string {
  return `${lead(at, who)}${text}`;
}

/** Writes something that happened, wrapped on a terminal. */
export function writeEvent(output: Output, live: Live, { at, who, text, tone, part }: DrillEvent): void {
  live.line(() => {
    if (part) output.line();
    const first = lead(at, who);
    output.paragraph(text, { indent: first.length, first, tone });
  });
}

/** How the workers do at the moment: what has failed, who waits, and writes a second and to which server. */
export function statusRow({ at, failed, waiting, rates }: DrillStatus): string {
  const written = rates.map(({ host, perSecond }) => `${perSecond}/s to ${host.split('.')[0]}`);
  const parts = [`${failed} failed`, `${waiting} waiting`, written.join(', ') || 'no writes'];
  return `${lead(at, 'workers')}${parts.join('   ')}`;
}

/** Writes the result: the plot, the figures, what was over its threshold, and the verdict. */
export function writeResult(output: Output, { result, figures, failures, plot }: DrillReport): void {
  const { stages, checks, passed } = result;
  const row = (name: string, cells: readonly string[]) =>
    output.line(`${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(cellWidth)).join('')}`);
  output.line();
  for (const line of plot(output.width)) output.line(line);
  output.line();
  const head = stages.map(({ name }) => name.padStart(cellWidth)).join('');
  output.line(output.style('strong', `${' '.repeat(nameWidth)}${head}`));
  for (const { name, cells } of figures) row(`  ${name}`, cells);
  if (failures.length > 0) output.line();
  for (const text of failures) output.paragraph(text, { indent: 2, first: '  ' });
  output.line();
  const over = checks.filter((check) => !check.passed);
  for (const { stage, name, found, limit } of over) {
    output.paragraph(`${stage}: ${name}: ${found}, allowed: ${limit}`, { indent: 2, first: '- ', tone: 'bad' });
  }
  const verdict = passed
    ? `The drill passed: ${checks.length} checks, nothing over its threshold.`
    : `The drill failed: ${over.length} of ${checks.length} checks ${over.length === 1 ? 'is over its threshold' : 'are over their thresholds'}.`;
  output.paragraph(verdict, { tone: passed ? 'good' : 'bad' });
}

function lead(at: number, who: string): string {
  return `${at.toFixed(2).padStart(6)} s  ${who.padEnd(whoWidth)}  `;
}

const whoWidth = 8;
const nameWidth = 32;
/** As long as the name of a stage. */
const cellWidth = 14;
