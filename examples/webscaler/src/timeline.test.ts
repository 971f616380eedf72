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
  it('has one line for each event, however long: seconds since the start, who, what, and no escape sequence', () => {
    const { stream, text } = recorder();
    const clock = clockAt(5_000);
    const timeline = new Timeline(stream, {}, clock);
    clock.at = 6_234;
    timeline.event({ who: 'operator', text: `promoted${' and more'.repeat(20)}`, tone: 'step', part: true });
    timeline.event({ who: 'workers', text: 'heard of late', tone: 'bad', at: 5_500 });
    timeline.flush();
    expect(text()).toBe(
      [
        '  0.50 s  workers           heard of late',
        '',
        `  1.23 s  operator          promoted${' and more'.repeat(20)}`,
        '',
      ].join('\n'),
    );
  });

  it('tells an event when nothing that came before it can be heard of any more', () => {
    const { stream, text } = recorder();
    const clock = clockAt(0);
    const timeline = new Timeline(stream, {}, clock);
    const source = timeline.source();
    clock.at = 1_000;
    timeline.event({ who: 'operator', text: 'promoted' });
    clock.at = 2_000;
    timeline.tick();
    expect(text()).toBe('');
    source.heardUntil(1_900);
    timeline.tick();
    expect(text()).toBe('  1.00 s  operator          promoted\n');
  });

  it('puts what it heard of far too late in its place by words', () => {
    const { stream, text } = recorder();
    const timeline = new Timeline(stream, {}, clockAt(0));
    timeline.event({ who: 'operator', text: 'promoted', at: 2_000 });
    timeline.flush();
    timeline.event({ who: 'workers', text: 'a write fails', at: 1_500 });
    timeline.flush();
    expect(text().split('\n')[1]).toBe('  2.00 s  workers           a write fails (at 1.50 s)');
  });

  it('has the status every two seconds, or every five where it has several lines', () => {
    const rows = ['one', 'another'].map((who) => ({ who, text: 'writes' }));
    const seconds = (several: boolean) => {
      const { stream, text } = recorder();
      const clock = clockAt(0);
      const timeline = new Timeline(stream, {}, clock);
      for (; clock.at <= 11_000; clock.at += 100) timeline.status(several ? rows : rows.slice(0, 1));
      timeline.flush();
      return [...text().matchAll(/^ *(\d+)\.00 s {2}one/gm)].map(([, second]) => Number(second));
    };
    expect(seconds(false)).toEqual([2, 4, 6, 8, 10]);
    expect(seconds(true)).toEqual([5, 10]);
  });
});

describe('a timeline in a terminal', () => {
  it('wraps between words, and begins the next line under the first', () => {
    const { stream, text } = recorder({ isTTY: true, columns: 61 });
    const timeline = new Timeline(stream, { NO_COLOR: '1' }, clockAt(0));
    timeline.event({ who: 'operator', text: 'REBUILD: primary-db.example.com becomes a standby' });
    timeline.flush();
    expect(text()).toBe(
      [
        '  0.00 s  operator          REBUILD: primary-db.example.com',
        '                            becomes a standby',
        '',
      ].join('\n'),
    );
  });

  it('writes the status over the last one, cut to the width of the terminal, and events above it', () => {
    const { stream, text } = recorder({ isTTY: true, columns: 61 });
    const timeline = new Timeline(stream, { NO_COLOR: '1' }, clockAt(0));
    timeline.status([{ who: 'one', text: 'writes' }]);
    timeline.status([
      { who: 'one', text: 'writes, and so much more that it does not fit' },
      { who: 'another', text: 'waits' },
    ]);
    timeline.event({ who: 'operator', text: 'promoted' });
    timeline.flush();
    const first = '  0.00 s  one               writes, and so much more that it do';
    expect(first.slice(0, 60)).toHaveLength(60);
    const block = `${first.slice(0, 60)}\n          another           waits`;
    expect(text()).toBe(
      [
        '  0.00 s  one               writes',
        `\r\u001b[J${block}`,
        `\r\u001b[1A\u001b[J  0.00 s  operator          promoted\n${block}`,
        '\r\u001b[1A\u001b[J',
      ].join(''),
    );
  });

  it('says nothing any more once it has ended', () => {
    const { stream, text } = recorder({ isTTY: true, columns: 80 });
    const timeline = new Timeline(stream, { NO_COLOR: '1' }, clockAt(0));
    timeline.end({ who: 'operator', text: 'interrupted' });
    timeline.event({ who: 'servers', text: 'one is dead' });
    timeline.status([{ who: 'one', text: 'writes' }]);
    timeline.flush();
    expect(text()).toBe('  0.00 s  operator          interrupted\n');
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
