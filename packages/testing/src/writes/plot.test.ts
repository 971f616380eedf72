import { describe, expect, it } from 'vitest';
import { plotWrites as plot } from './plot.ts';

/** So many moments a second, from one second to another. */
function every(perSecond: number, from: number, to: number): number[] {
  return Array.from({ length: Math.round((to - from) * perSecond) }, (_, index) => from + index / perSecond);
}

const one = (series: { name: string; at: readonly number[] }[]) => [{ title: 'one', series }];

describe('a plot of how often things happen a second', () => {
  it('has columns of equal time, rows on one scale, an axis, and marks', () => {
    const lines = plot({
      groups: one([
        { name: 'primary-db', at: every(100, 0, 4) },
        { name: 'secondary-db', at: every(50, 5, 10) },
        { name: 'failed', at: [4.1] },
      ]),
      marks: [
        { name: 'crash', at: 4 },
        { name: 'patch', at: 4.2 },
        { name: 'all is well', at: 9 },
      ],
      from: 0,
      to: 10,
      width: 46,
    });
    expect(lines).toEqual([
      'Writes a second, by server (a column is 0.5 s)',
      '  primary-db       100 │████████',
      '                       │████████',
      '                       │████████',
      '                       │████████',
      '  secondary-db  max 50 │          ██████████',
      '                       │          ██████████',
      '  failed         max 2 │        ▁',
      '                       └┬─────────┬─────────',
      '                        0 s       5 s',
      '                                12        3',
      '',
      '  1 crash 4.0 s   2 patch 4.2 s',
      '  3 all is well 9.0 s',
    ]);
  });

  it('gives each of several groups a heading, and one row to each of their series', () => {
    const lines = plot({
      groups: [
        { title: 'one', series: [{ name: 'primary-db', at: every(80, 0, 4) }] },
        { title: 'another', series: [{ name: 'failed', at: every(40, 0, 4) }] },
      ],
      marks: [],
      from: 0,
      to: 4,
      width: 42,
    });
    expect(lines.slice(0, 7)).toEqual([
      'Writes a second, by server (a full block is 80 a second, a column is 0.25 s)',
      '',
      'one',
      '  primary-db           │████████████████',
      '',
      'another',
      '  failed               │▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄',
    ]);
  });

  it.each([
    { seconds: 10, width: 80, column: 0.25 },
    { seconds: 20, width: 80, column: 0.5 },
    { seconds: 20, width: 120, column: 0.25 },
    { seconds: 100, width: 80, column: 2 },
    { seconds: 1_000, width: 80, column: 19 },
  ])('draws $seconds s in $width columns with $column s each, and no line is wider', ({ seconds, width, column }) => {
    const [heading, ...lines] = plot({
      groups: one([{ name: 'primary-db', at: every(10, 0.3, seconds) }]),
      marks: [{ name: 'end', at: seconds }],
      from: 0.3,
      to: seconds,
      width,
    });
    expect(heading).toBe(`Writes a second, by server (a column is ${column} s)`);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
  });

  it('draws nothing where nothing happened', () => {
    const lines = plot({ groups: one([{ name: 'failed', at: [] }]), marks: [], from: 0, to: 2, width: 60 });
    expect(lines[1]).toBe('  failed         max 0 │');
  });
});
