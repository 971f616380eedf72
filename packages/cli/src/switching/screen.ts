import type { SwitchProgress, SwitchRefusedError, SwitchReport } from '@externalname/kubernetes';
import { inWords } from '../duration.ts';
import type { Output, Tone } from '../output.ts';

/** Writes one step of a switch, as soon as it is over, with what each probe found. */
export function writeStep(output: Output, { step, state, detail, elapsedMillis, probes }: SwitchProgress): void {
  if (state === 'running') return;
  const [word, tone] = states[state];
  // Those of this step have a line each.
  // Functions say it with the names of their options.
  const said = detail.replace('name the servers in dnsServers', '--dns-server names the servers to wait for');
  const text = probes.length === 0 ? said : `${probes.length} probes`;
  writeRow(output, [step, word, elapsedMillis], text, tone);
  for (const { probe, host, ok, detail: found, elapsedMillis: millis } of probes) {
    // Those of the new target come first. An old one that does not answer is the usual reason for a switch.
    const isOld = host !== probes[0]?.host;
    const verdict = ok ? 'ok' : isOld ? 'gone' : 'FAILED';
    writeRow(output, ['', verdict, millis], `${probe} of ${host}: ${found}`, ok || isOld ? 'plain' : 'bad');
  }
}

function writeRow(
  output: Output,
  [step, word, millis]: readonly [string, string, number],
  text: string,
  tone: Tone,
): void {
  const first = `  ${step.padEnd(stepWidth)}${word.padEnd(stateWidth)}${inWords(millis).padStart(timeWidth)}  `;
  output.paragraph(text, { indent: first.length, first, tone });
}

/** Writes what is to be changed, where, and what speaks against it. */
export function writePlan(output: Output, report: SwitchReport): void {
  const { cluster } = report;
  output.table(
    [
      ['Service', report.service],
      [
        'Cluster',
        cluster === undefined ? 'unknown' : `${cluster.server} (context ${cluster.context}, cluster ${cluster.name})`,
      ],
      ['From', report.from ?? 'unknown'],
      ['To', report.to],
      ...(report.by === undefined ? [] : [['By', report.by]]),
      ...(report.reason === undefined ? [] : [['Reason', report.reason]]),
    ],
    { indent: 2 },
  );
  writeRemarks(output, report);
}

/** Writes what was accepted and what the operator should know. */
export function writeRemarks(output: Output, { accepted, warnings }: SwitchReport): void {
  for (const { kind, message } of accepted) {
    output.paragraph(`${message} (${kind})`, { indent: 11, first: '  Despite  ', tone: 'warning' });
  }
  for (const warning of warnings) output.paragraph(warning, { indent: 11, first: '  Warning  ', tone: 'warning' });
}

/** Writes why a switch was refused, and how each objection is ignored. */
export function writeRefusal(output: Output, { objections, report }: SwitchRefusedError): void {
  output.line();
  output.paragraph(`Refused: ${report.service} still points to ${report.from ?? 'its target'}, nothing was changed.`, {
    tone: 'bad',
  });
  for (const { kind, message } of objections) output.paragraph(`${message} (${kind})`, { indent: 2, first: '- ' });
  const kinds = objections
    .map(({ kind }) => kind)
    .filter((kind) => !['unexpected-target', 'nothing-to-roll-back'].includes(kind));
  if (kinds.length === objections.length) {
    output.paragraph(`To do it all the same: --accept ${[...new Set(kinds)].join(',')}`, { tone: 'faint' });
  }
}

const states: Readonly<Record<Exclude<SwitchProgress['state'], 'running'>, readonly [string, Tone]>> = {
  done: ['done', 'plain'],
  skipped: ['skipped', 'faint'],
  failed: ['FAILED', 'bad'],
};
const stepWidth = 9;
const stateWidth = 8;
const timeWidth = 7;
