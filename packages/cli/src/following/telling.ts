import {
  type EngineState,
  engineStateChanged,
  type FollowerStatus,
  followerHeld,
  followerLease,
  followerSwitched,
} from '@externalname/engines';
import { inWords } from '../duration.ts';
import type { Live } from '../live.ts';
import type { Output, Tone } from '../output.ts';

/** One thing that happened, for people and for programs. */
interface Told {
  readonly event: 'engine' | 'lease' | 'held' | 'switched';
  readonly facts: object;
  readonly text: string;
  readonly tone: Tone;
}

/**
 * Writes a line for each thing that the follower of this process tells, until the returned function is called.
 *
 * @param changed called after each of them
 */
export function tellEvents(output: Output, live: Live, changed: () => void): () => void {
  const tell = ({ event, facts, text, tone }: Told) => {
    const at = new Date().toISOString();
    const first = `${at.slice(11, 23)}  ${event.padEnd(8)}  `;
    if (output.isText) live.line(() => output.paragraph(text, { indent: first.length, first, tone }));
    else output.line(JSON.stringify({ at, event, ...facts }));
    changed();
  };
  const ends = [
    engineStateChanged.subscribe((facts) =>
      tell({
        event: 'engine',
        facts,
        text: `${facts.engine}: ${stateInWords(facts as EngineState)}`,
        tone: facts.state === 'unknown' ? 'warning' : 'plain',
      }),
    ),
    followerLease.subscribe((facts) => {
      const { lease, identity, held, detail } = facts;
      const text = held ? `${identity} holds ${lease}` : `${identity} does not hold ${lease} any more: ${detail}`;
      tell({ event: 'lease', facts, text, tone: 'plain' });
    }),
    followerHeld.subscribe((facts) =>
      tell({
        event: 'held',
        facts,
        text: `not switched: ${facts.reason}, ${facts.detail}`,
        tone: toneOf(facts.reason),
      }),
    ),
    followerSwitched.subscribe((facts) => {
      const { from, to, member, elapsedMillis, dryRun } = facts;
      const what = `${from} -> ${to}, ${inWords(elapsedMillis)} after the engine named ${member}`;
      tell({ event: 'switched', facts, text: dryRun ? `would be: ${what}` : what, tone: dryRun ? 'plain' : 'good' });
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** How it is now, a row for each part. */
export function statusRows(status: FollowerStatus): readonly string[] {
  const { service, target, engine, engineHeardMillisAgo, holdsLease, settled, hold } = status;
  const heard = engineHeardMillisAgo === undefined ? 'no answer yet' : `heard ${inWords(engineHeardMillisAgo)} ago`;
  return [
    `engine   ${heard}${engine === undefined ? '' : `: ${stateInWords(engine)}`}`,
    `service  ${service} -> ${target ?? 'not known yet'}`,
    `state    ${settled ? 'points to the leader' : hold === undefined ? 'starts' : `${hold.reason}: ${hold.detail}`}${holdsLease ? '' : ' (no Lease)'}`,
  ];
}

/** What an engine tells, in words. */
export function stateInWords(state: EngineState): string {
  if (state.state === 'unknown') return `no leader to follow (${state.reason}): ${state.detail}`;
  if (state.state === 'releasing') {
    return `${state.member ?? 'the leader'} steps down${state.to === undefined ? '' : ` for ${state.to}`}`;
  }
  return `${state.member} leads${state.timeline === undefined ? '' : ` (timeline ${state.timeline})`}`;
}

function toneOf(reason: string): Tone {
  return reason === 'standby' || reason === 'releasing' ? 'faint' : 'warning';
}
