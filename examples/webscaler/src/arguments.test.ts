import { describe, expect, it } from 'vitest';
import { parseArguments, UsageError, usage } from './arguments.ts';

describe('the command line', () => {
  it.each([
    { words: [], asked: { help: false, json: false, plainPg: false, push: false, site: false } },
    { words: ['--json'], asked: { help: false, json: true, plainPg: false, push: false, site: false } },
    { words: ['--plain-pg', '--json'], asked: { help: false, json: true, plainPg: true, push: false, site: false } },
    { words: ['--push'], asked: { help: false, json: false, plainPg: false, push: true, site: false } },
    { words: ['--site'], asked: { help: false, json: false, plainPg: false, push: false, site: true } },
    { words: ['--', '--json'], asked: { help: false, json: true, plainPg: false, push: false, site: false } },
    { words: ['--help'], asked: { help: true, json: false, plainPg: false, push: false, site: false } },
    { words: ['-h', '--json'], asked: { help: true, json: true, plainPg: false, push: false, site: false } },
  ])('$words is understood', ({ words, asked }) => {
    expect(parseArguments(words)).toEqual(asked);
  });

  it.each([
    { words: ['--jsno'], message: 'unknown option --jsno' },
    { words: ['--toString'], message: 'unknown option --toString' },
    { words: ['-j'], message: 'unknown option -j' },
    { words: ['--json=yes'], message: '--json takes no value' },
    { words: ['json'], message: 'unexpected argument "json"' },
    { words: ['--json', '--', 'more'], message: 'unexpected argument "--"' },
  ])('$words is refused: $message', ({ words, message }) => {
    expect(() => parseArguments(words)).toThrow(new UsageError(message));
  });

  it('tells of every option', () => {
    for (const option of ['--json', '--plain-pg', '--push', '--site', '--help']) expect(usage).toContain(option);
  });

  it('tells it in lines that a terminal of 80 columns does not break', () => {
    for (const line of usage.split('\n')) expect(line.length, line).toBeLessThan(80);
  });
});
