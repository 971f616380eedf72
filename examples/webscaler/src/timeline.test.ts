import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Timeline, type TimelineStream } from './timeline.ts';

function recorder(properties: { isTTY?: boolean; columns?: number } = {}) {
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream: Object.assign(stream, properties) as TimelineStream, text: () => text };
}

function clockAt(start: number) {
  const clock = Object.assign(() => clock.at, { at: start });
  return clock;
}

describe('a timeline in a log', () => {
  it('has one line for each event, with the seconds since the start and no escape sequence', () => {
    const { stream, text } = recorder();
    const clock = clockAt(5_000);
    const timeline = new Timeline(stream, {}, clock);
    clock.at = 6_234;
    timeline.event('promoted', 'step');
    timeline.event('told late', 'bad', 5_500);
    expect(text()).toBe('  1.23 s  promoted\n  0.50 s  told late\n');
  });

  it('has a line of status once a second', () => {
    const { stream, text } = recorder();
    const clock = clockAt(0);
    const timeline = new Timeline(stream, {}, clock);
    for (let tenth = 0; tenth <= 20; tenth++) {
      clock.at = tenth * 100;
      timeline.status(`status ${tenth}`);
    }
    expect(text()).toBe('  0.00 s  status 0\n  1.00 s  status 10\n  2.00 s  status 20\n');
  });
});

describe('a timeline in a terminal', () => {
  it('writes the status over the last one, cut to the width of the terminal, and events above it', () => {
    const { stream, text } = recorder({ isTTY: true, columns: 30 });
    const timeline = new Timeline(stream, { NO_COLOR: '1' }, clockAt(0));
    timeline.status('one');
    timeline.status('two, and so much more that it does not fit');
    timeline.event('promoted');
    timeline.endStatus();
    const clear = '\r\u001b[2K';
    const cut = '  0.00 s  two, and so much mo';
    expect(cut).toHaveLength(29);
    expect(text()).toBe(`  0.00 s  one${clear}${cut}${clear}  0.00 s  promoted\n${cut}${clear}`);
  });

  it.each([
    { isTTY: true, environment: {}, coloured: true },
    { isTTY: true, environment: { NO_COLOR: '' }, coloured: true },
    { isTTY: true, environment: { NO_COLOR: '1' }, coloured: false },
    { isTTY: true, environment: { TERM: 'dumb' }, coloured: false },
    { isTTY: false, environment: {}, coloured: false },
  ])(
    'is coloured: $coloured, where isTTY is $isTTY and the environment $environment',
    ({ isTTY, environment, coloured }) => {
      const timeline = new Timeline(recorder({ isTTY }).stream, environment);
      expect(timeline.paint('text', 'good')).toBe(coloured ? '\u001b[32mtext\u001b[0m' : 'text');
    },
  );
});
