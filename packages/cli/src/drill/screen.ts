import type { WriteLedger } from '@externalname/testing';
import type { Live } from '../live.ts';
import type { Output } from '../output.ts';
import { failuresInWords, figures } from './figures.ts';
import type { DrillServer } from './place.ts';
import type { DrillResult } from './result.ts';
import type { ToldEvent } from './telling.ts';

/** Writes something that happened: when, who, and what. */
export function writeEvent(output: Output, live: Live, { at, who, text, tone, part }: ToldEvent): void {
  live.line(() => {
    if (part) output.line();
    const first = `${at.toFixed(2).padStart(6)} s  ${who.padEnd(whoWidth)}  `;
    output.paragraph(text, { indent: first.length, first, tone });
  });
}

/** How the workers do at the moment: what has failed, who waits, and writes a second and to which server. */
export function statusRow(ledger: WriteLedger, servers: readonly DrillServer[], seconds: number, at: number): string {
  const counts = ledger.countByAddress(at - 1_000, at);
  const rates = servers
    .map(({ host, address }) => ({ host, count: counts.get(address) ?? 0 }))
    .filter(({ count }) => count > 0)
    .map(({ host, count }) => `${count}/s to ${shortName(host)}`);
  const waiting = ledger.underWay.filter(({ beganAt }) => at - beganAt > waitingMillis).length;
  const parts = [`${ledger.failed.length} failed`, `${waiting} waiting`, rates.join(', ') || 'no writes'];
  return `${seconds.toFixed(2).padStart(6)} s  ${'workers'.padEnd(whoWidth)}  ${parts.join('   ')}`;
}

/** Writes the result: the plot, the figures, what was over its threshold, and the verdict. */
export function writeResult(output: Output, result: DrillResult, plot: readonly string[]): void {
  const { stages, checks, passed } = result;
  output.line();
  for (const line of plot) output.line(line);
  output.line();
  const row = (name: string, cells: readonly string[]) =>
    `${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(cellWidth)).join('')}`;
  output.line(
    output.style(
      'strong',
      row(
        '',
        stages.map(({ name }) => name),
      ),
    ),
  );
  for (const [name, of] of figures) output.line(row(`  ${name}`, stages.map(of)));
  const failures = stages.flatMap((stage) => failuresInWords(stage).map((text) => `${stage.name}: ${text}`));
  if (failures.length > 0) output.line();
  for (const text of failures) output.paragraph(text, { indent: 2, first: '  ' });
  output.line();
  for (const { stage, name, found, limit } of checks.filter((check) => !check.passed)) {
    output.paragraph(`${stage}: ${name}: ${found}, allowed: ${limit}`, { indent: 2, first: '- ', tone: 'bad' });
  }
  const over = checks.filter((check) => !check.passed).length;
  const verdict = passed
    ? `The drill passed: ${checks.length} checks, nothing over its threshold.`
    : `The drill failed: ${over} of ${checks.length} checks ${over === 1 ? 'is over its threshold' : 'are over their thresholds'}.`;
  output.paragraph(verdict, { tone: passed ? 'good' : 'bad' });
}

/** The first label of a host name, which is enough where there are two. */
export function shortName(host: string): string {
  return host.split('.')[0] ?? host;
}

const whoWidth = 8;
const nameWidth = 32;
/** As long as the name of a stage. */
const cellWidth = 14;
/** A write that takes longer than this is told to wait: usually one takes a few milliseconds. */
const waitingMillis = 250;
