import { describe, expect, it } from 'vitest';
import { recordedOutput, shown } from '../../test/screen.ts';
import { Live } from '../live.ts';
import { type Sight, Sights } from './sights.ts';
import { writeSight } from './write-sight.ts';

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

function watched(columns: number | undefined): string {
  const { output, text } = recordedOutput(columns);
  const live = new Live(output);
  const seen = new Sights(['kubernetes', 'dns 10.244.0.3', 'dns 10.244.1.7']);
  for (const sight of sights) {
    if (seen.take(sight)) writeSight(output, live, seen.line(sight), 'plain');
    live.rows(seen.rows(sight.at));
  }
  return text();
}

describe('the screen of watch', () => {
  it.each([80, 120])('in a terminal of %i columns', async (columns) => {
    const { screen, broken } = await shown(watched(columns), columns);
    await expect(screen).toMatchFileSnapshot(`screens/watch-${columns}.txt`);
    expect(broken).toEqual([]);
  });

  it('in a pipe, where only changes are written', async () => {
    await expect(watched(undefined)).toMatchFileSnapshot('screens/watch-pipe.txt');
  });
});
