import type { Sight, SightedSource } from '@externalname/doctor';
import { describe, expect, it } from 'vitest';
import { recordedOutput, shown } from '../../test/screen.ts';
import { Live } from '../live.ts';
import { writeSight } from './watch.ts';

const time = (millis: number) => new Date(Date.UTC(2026, 10, 29, 11, 20, 0, millis));
const dns = (server: string, millis: number, target: string, address: string): Sight => ({
  source: `dns ${server}`,
  at: time(millis),
  target,
  addresses: [address],
  ttlSeconds: 5,
  elapsedMillis: 3,
});
const sights: readonly Sight[] = [
  { source: 'kubernetes', at: time(402), target: 'primary-db.example.com', stale: false },
  dns('10.244.0.3', 404, 'primary-db.example.com', '192.0.2.11'),
  dns('10.244.1.7', 405, 'primary-db.example.com', '192.0.2.11'),
  { source: 'kubernetes', at: time(31_007), target: 'secondary-db.example.com', stale: false },
  dns('10.244.0.3', 33_415, 'secondary-db.example.com', '192.0.2.12'),
  { source: 'dns 10.244.1.7', at: time(34_020), error: 'no server answered: 10.244.1.7:53 timed out' },
  { source: 'kubernetes', at: time(35_000), target: 'secondary-db.example.com', stale: true },
];

/** What is written of sights that all differ from the one before of their source. */
function watched(columns: number | undefined, all: readonly Sight[] = sights): string {
  const { output, text } = recordedOutput(columns);
  const live = new Live(output);
  const last = new Map<string, Sight>();
  const names = ['kubernetes', 'dns 10.244.0.3', 'dns 10.244.1.7'];
  for (const sight of all) {
    last.set(sight.source, sight);
    const sources = names.map((source): SightedSource => {
      const seen = last.get(source);
      return { source, sight: seen, since: seen?.at };
    });
    writeSight(output, live, { sight, differs: true, sources, at: sight.at });
  }
  return text();
}

describe('the screen of watch', () => {
  it.each([80, 120])('in a terminal of %i columns', async (columns) => {
    const { screen, broken } = await shown(watched(columns), columns);
    await expect(screen).toMatchFileSnapshot(`../screens/watch-${columns}.txt`);
    expect(broken).toEqual([]);
  });

  it('in a pipe, where only changes are written', async () => {
    await expect(watched(undefined)).toMatchFileSnapshot('../screens/watch-pipe.txt');
  });

  it('has a line for each change, which says what is in doubt and why nothing is seen', () => {
    const lines = watched(undefined, [
      { source: 'kubernetes', at: time(123), target: 'primary-db.example.com', stale: true },
      { source: 'dns 10.244.0.3', at: time(123), target: 'gone.example.com', error: 'the name does not exist' },
      { source: 'dns 10.244.0.3', at: time(123), error: 'no answer' },
    ]);
    expect(lines.trimEnd().split('\n')).toEqual([
      '11:20:00.123  kubernetes      primary-db.example.com  not confirmed at the moment',
      '11:20:00.123  dns 10.244.0.3  gone.example.com  the name does not exist',
      '11:20:00.123  dns 10.244.0.3  no answer',
    ]);
  });
});
