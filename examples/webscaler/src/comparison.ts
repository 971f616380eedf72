import type { CrewResult } from './scenario.ts';

/** What a run says of one crew. */
export interface Conclusion {
  readonly who: string;
  readonly text: string;
}

type Compared = Pick<CrewResult, 'settings' | 'crash' | 'planned' | 'left'>;

/** What a run with plain `pg.Pool`s says of each of them, and of ours: by the figures of this run alone. */
export function conclusions(ours: Compared, plain: readonly Compared[], leftServer: string): readonly Conclusion[] {
  return [
    ...plain.map((each) => ({ who: each.settings.title, text: ofPlain(each, ours, leftServer) })),
    { who: ours.settings.title, text: `${failures(ours)}. ${tls(ours)}` },
  ];
}

/** The same in two sentences. */
export function summary(ours: Compared, plain: readonly Compared[]): string {
  const parts = plain.map((each) => {
    const { tls, calls } = each.settings;
    const way = tls === 'no TLS' ? 'without TLS' : `with ${tls}`;
    return wroteNothing(each)
      ? `${way} it wrote nothing`
      : `${way} and with ${calls} ${counted(failedOf(each), 'write')} failed`;
  });
  const own = `${counted(failedOf(ours), 'write')} failed`;
  return `With pg.Pool in this run: ${parts.join('; ')}. With @externalname/pg, over ${ours.settings.tls}, ${own}.`;
}

function ofPlain(each: Compared, ours: Compared, leftServer: string): string {
  if (wroteNothing(each)) {
    const [most] = [...each.crash.failures, ...each.planned.failures].sort((a, b) => b.count - a.count);
    const reason =
      most?.code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        ? ': pg asks for a certificate of the Service, and the database has one of its own name'
        : most === undefined
          ? ''
          : `, most of them with ${most.code}`;
    return `Wrote nothing. All of its ${counted(failedOf(each), 'write')} failed${reason}.`;
  }
  return [`${failures(each)}. ${tls(each)}`, stays(each, leftServer), sooner(each, ours)]
    .filter((text) => text !== '')
    .join(' ');
}

function stays({ planned, left }: Compared, leftServer: string): string {
  if (planned.patchToFirstWriteMillis !== null) return '';
  const sessions = `${left.sessions} of its sessions were still on ${leftServer}`;
  return `After the planned switch it wrote nothing to the promoted server: ${sessions} ${seconds(left.afterMillis)} later.`;
}

/** Why plain `pg` is quicker, if it is: its callers pay for what looks like an advantage. */
function sooner(each: Compared, ours: Compared): string {
  const stages = [
    { after: 'the crash', millis: gain(ours.crash, each.crash), theirs: each.crash, own: ours.crash },
    { after: 'the planned switch', millis: gain(ours.planned, each.planned), theirs: each.planned, own: ours.planned },
  ].filter(({ millis, theirs }) => millis > 0 && theirs.writes.failed > 0);
  if (stages.length === 0) return '';
  const said = listed(stages.map(({ after, millis }) => `${millis} ms after ${after}`));
  const errors = stages.reduce((sum, { theirs }) => sum + theirs.writes.failed, 0);
  const spared = stages.reduce((sum, { own }) => sum + own.writes.failed, 0);
  return (
    `Its first write came sooner than ours, by ${said}: its workers were given ${counted(errors, 'error')} there and tried again ` +
    `${each.settings.pauseMillis} ms after each, while ours waited inside the pool and were given ${spared}.`
  );
}

function gain(ours: Compared['crash'], theirs: Compared['crash']): number {
  if (ours.patchToFirstWriteMillis === null || theirs.patchToFirstWriteMillis === null) return 0;
  return ours.patchToFirstWriteMillis - theirs.patchToFirstWriteMillis;
}

function failures({ crash, planned }: Compared): string {
  const [inCrash, inPlanned] = [crash.writes.failed, planned.writes.failed];
  if (inCrash + inPlanned === 0) return 'No write failed';
  return `${counted(inCrash + inPlanned, 'write')} failed: ${inCrash} in the crash, ${inPlanned} in the planned switch`;
}

function tls({ settings }: Compared): string {
  return settings.tls === 'no TLS'
    ? 'Nothing was encrypted.'
    : 'Every connection was encrypted, and its host verified.';
}

function wroteNothing({ crash, planned }: Compared): boolean {
  return crash.writes.acknowledged + planned.writes.acknowledged === 0;
}

function failedOf({ crash, planned }: Compared): number {
  return crash.writes.failed + planned.writes.failed;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function seconds(millis: number): string {
  return `${(millis / 1000).toFixed(0)} s`;
}

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join('') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}
