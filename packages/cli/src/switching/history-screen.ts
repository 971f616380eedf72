import type { SwitchHistory } from '@externalname/kubernetes';
import type { Output } from '../output.ts';

/** Writes where a Service points, and who switched it, when and why: the newest first. */
export function writeHistory(
  output: Output,
  { reference, target, switches, changedSince, owners, writers, warnings }: SwitchHistory,
): void {
  output.line(output.style('strong', `${reference.namespace}/${reference.name}`));
  output.paragraph(`points to ${target ?? 'no host: it is not of type ExternalName'}`, { indent: 2, first: '' });
  if (changedSince) {
    const who = writers.map(({ manager }) => manager).join(', ');
    const by = who === '' ? '' : `: spec.externalName was last written by ${who}`;
    output.paragraph(`It was changed after the last recorded switch${by}.`, { indent: 2, tone: 'warning' });
  }
  for (const owner of owners) {
    output.paragraph(`${owner} manages it, and will undo a switch that its source does not have.`, {
      indent: 2,
      tone: 'warning',
    });
  }
  output.line();
  if (switches.length === 0) output.line('No switch was recorded.');
  for (const { at, previous, target: to, by, reason, recordedIn } of switches) {
    output.paragraph(`${previous} -> ${to}`, { indent: timeWidth, first: `${withoutFraction(at)}  ` });
    const why = reason === undefined ? '' : `: ${reason}`;
    const where = recordedIn === 'event' ? ' (from an Event)' : '';
    output.paragraph(`by ${by === '' ? 'unknown' : by}${why}${where}`, { indent: timeWidth, tone: 'faint' });
  }
  for (const warning of warnings) output.warn(`Warning: ${warning}`);
}

function withoutFraction(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z').padEnd(timeWidth - 2);
}

const timeWidth = 22;
