import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { Output, type OutputOptions, wrapped } from './output.ts';

function written(options: Partial<OutputOptions> & { columns?: number } = {}) {
  const { columns, environment = {}, format } = options;
  const texts = { stdout: '', stderr: '' };
  const stream = (to: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      texts[to] += text;
    },
    ...(columns !== undefined && { isTTY: true, columns }),
  });
  const output = new Output({ stdout: stream('stdout'), stderr: stream('stderr'), environment, format });
  return { output, texts };
}

describe('the output', () => {
  it('is plain, and one line a paragraph, in a pipe', () => {
    const { output, texts } = written();
    output.paragraph('word '.repeat(60).trim(), { tone: 'bad' });
    expect(texts.stdout).toBe(`${'word '.repeat(60).trim()}\n`);
  });

  it('is wrapped between words and may be coloured on a terminal', () => {
    const { output, texts } = written({ columns: 40 });
    output.paragraph('word '.repeat(20).trim(), { indent: 2, first: '>', tone: 'bad' });
    const lines = texts.stdout.trimEnd().split('\n');
    expect(lines[0]?.startsWith('> \u001b[31mword')).toBe(true);
    for (const line of lines) expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(40);
  });

  it.each([
    [{ NO_COLOR: '1' }, 80, false],
    [{ NO_COLOR: '' }, 80, true],
    [{ TERM: 'dumb' }, 80, false],
    [{ FORCE_COLOR: '1' }, undefined, true],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, undefined, true],
    [{ FORCE_COLOR: '0' }, 80, false],
    [{}, undefined, false],
    [{}, 80, true],
  ])('with %j and %s columns has colours: %s', (environment, columns, coloured) => {
    const { output } = written({ environment, ...(columns !== undefined && { columns }) });
    expect(output.style('good', 'x') !== 'x').toBe(coloured);
  });

  it('puts the cells of a table below each other, and wraps the last one', () => {
    const { output, texts } = written({ columns: 40, environment: { NO_COLOR: '1' } });
    output.table([
      ['a', 'bb', 'one two three four five six seven eight nine ten'],
      ['aaaa', 'b', 'short'],
    ]);
    expect(texts.stdout).toBe(
      'a     bb  one two three four five six\n          seven eight nine ten\naaaa  b   short\n',
    );
  });

  it('is one object, as JSON or YAML', () => {
    const json = written({ format: 'json' });
    json.output.data({ at: 1n, list: ['a'] });
    expect(JSON.parse(json.texts.stdout)).toEqual({ at: '1', list: ['a'] });
    const yaml = written({ format: 'yaml' });
    yaml.output.data({ at: 'x', none: undefined });
    expect(yaml.texts.stdout).toBe('at: x\n');
  });
});

describe('progress', () => {
  it('is told on a terminal after a second, and gone when the work is done', async () => {
    vi.useFakeTimers();
    try {
      const { output, texts } = written({ columns: 80 });
      let done: (value: number) => void = () => undefined;
      const result = output.progress('asking', () => new Promise<number>((resolve) => (done = resolve)));
      await vi.advanceTimersByTimeAsync(900);
      expect(texts.stderr).toBe('');
      await vi.advanceTimersByTimeAsync(200);
      expect(texts.stderr).toBe('\r\u001b[Kasking (1 s)');
      done(5);
      expect(await result).toBe(5);
      expect(texts.stderr.endsWith('\r\u001b[K')).toBe(true);
      expect(texts.stdout).toBe('');
    } finally {
      vi.useRealTimers();
    }
  });

  it('is silent in a pipe', async () => {
    const { output, texts } = written();
    expect(await output.progress('asking', async () => 1)).toBe(1);
    expect(texts.stderr).toBe('');
  });
});

describe('wrapping', () => {
  it('leaves a word longer than the line whole', () => {
    expect(wrapped('a looooooong b', 5)).toEqual(['a', 'looooooong', 'b']);
  });
});
