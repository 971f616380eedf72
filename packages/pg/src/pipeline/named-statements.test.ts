import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KnownText, KnownTexts, NamesOfCallers } from './known-texts.ts';
import { NamedStatements } from './named-statements.ts';

describe('the names of a connection', () => {
  it('are those of the texts, of which no two have the same, and fit into what PostgreSQL takes', () => {
    const names = Array.from({ length: 1_000 }, (_, number) => new KnownText(`select ${number}`).name);
    expect(new Set(names).size).toBe(1_000);
    expect(new KnownText('select 1').name).toBe(new KnownText('select 1').name);
    for (const name of names) expect(name.length).toBeLessThan(50);
  });

  it('are at most so many; the one used longest ago makes place; and never stand for two texts', () => {
    const asked = fc.array(fc.oneof({ weight: 20, arbitrary: fc.nat(8) }, fc.constant('forget' as const)), {
      maxLength: 200,
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), asked, (most, steps) => {
        const statements = new NamedStatements(most);
        const texts = Array.from({ length: 9 }, (_, number) => new KnownText(`select ${number}`));
        // What the server has, and in which order it was used.
        const server = new Map<string, string>();
        for (const step of steps) {
          const text = step === 'forget' ? undefined : texts[step];
          if (text === undefined) {
            expect([...statements.forgetAll()].sort()).toEqual([...server.keys()].sort());
            server.clear();
            continue;
          }
          const { name, fallsOut } = statements.use(text);
          const before = server.get(name);
          expect(before ?? text.text).toBe(text.text);
          server.delete(name);
          server.set(name, text.text);
          const [oldest] = server.keys();
          if (server.size > most) expect(fallsOut).toBe(oldest);
          else expect(fallsOut).toBeUndefined();
          if (fallsOut !== undefined) server.delete(fallsOut);
          expect(statements.size).toBe(server.size);
        }
      }),
    );
  });

  it('stay with one that is prepared once more after it had made place, and the next use makes up for it', () => {
    const statements = new NamedStatements(2);
    const texts = Array.from({ length: 3 }, (_, number) => new KnownText(`select ${number}`));
    const [first, second, third] = texts.map((text) => statements.use(text));
    expect(third?.fallsOut).toBe(first?.name);
    statements.replace(first?.name ?? '');
    expect(statements.size).toBe(3);
    const [again] = texts.map((text) => statements.use(text));
    expect(again).toEqual({ name: first?.name, fallsOut: second?.name });
    expect(statements.size).toBe(2);
  });

  it('are new ones after the server has lost one of them', () => {
    const statements = new NamedStatements(5);
    const text = new KnownText('select 1');
    const { name } = statements.use(text);
    expect(statements.forget('another')).toEqual([]);
    expect(statements.forget(name)).toEqual([name]);
    expect(statements.use(text).name).not.toBe(name);
    expect(statements.forget(name)).toEqual([]);
  });
});

describe('a name that callers give', () => {
  it('stands for the text that it was first given to', () => {
    const names = new NamesOfCallers(2);
    expect([names.isOf('a', 'select 1'), names.isOf('a', 'select 2'), names.isOf('a', 'select 1')]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('is kept among so many at most', () => {
    const names = new NamesOfCallers(2);
    for (const name of ['a', 'b', 'c']) expect(names.isOf(name, 'select 1')).toBe(true);
    expect(names.isOf('a', 'select 2')).toBe(true);
  });
});

describe('what is known of texts', () => {
  it('is quick once it has run, if no more than one run in 300 was slow, and the first one', () => {
    const texts = new KnownTexts(2);
    const [text, other] = [texts.of('select 1'), texts.of('select 2')];
    const ran = (wasSlow: boolean) => {
      text.ran(wasSlow);
      for (let run = 0; run < 9; run += 1) other.ran(false);
    };
    expect(text.isQuick).toBe(false);
    ran(true);
    expect(text.isQuick).toBe(false);
    for (let run = 0; run < 600; run += 1) ran(false);
    expect(text.isQuick).toBe(true);
    ran(true);
    expect(text.isQuick).toBe(true);
    for (let run = 0; run < 300; run += 1) ran(run % 30 === 0);
    expect(text.isQuick).toBe(false);
    for (let run = 0; run < 20_000; run += 1) ran(false);
    expect(text.isQuick).toBe(true);
  });

  it('is quick on a line that loses packets, where any text is slow now and then, unless it is slow much more often', () => {
    const texts = new KnownTexts(10);
    const [one, other, slower] = ['select 1', 'select 2', 'select 3'].map((text) => texts.of(text));
    for (let run = 0; run < 6_000; run += 1) {
      one?.ran(run % 100 === 0);
      other?.ran(run % 100 === 50);
      if (run % 20 === 0) slower?.ran(run % 120 === 0);
    }
    expect([one, other, slower].map((text) => text?.isQuick)).toEqual([true, true, false]);
  });

  it('is not made quick by others that are slow by themselves', () => {
    const texts = new KnownTexts(10);
    const [slow, sometimes] = ['select pg_sleep(1)', 'select 1'].map((text) => texts.of(text));
    for (let run = 0; run < 6_000; run += 1) {
      slow?.ran(true);
      sometimes?.ran(run % 100 === 0);
      texts.of('select 2').ran(false);
      texts.of('select 3').ran(false);
      texts.of('select 4').ran(false);
    }
    expect([slow, sometimes].map((text) => text?.isQuick)).toEqual([false, false]);
  });

  it('is forgotten with the oldest texts', () => {
    const texts = new KnownTexts(2);
    const [one, two] = [texts.of('select 1'), texts.of('select 2')];
    expect([texts.of('select 1'), texts.of('select 2')]).toEqual([one, two]);
    texts.of('select 3');
    expect(texts.of('select 1')).not.toBe(one);
  });

  it('is kept of no text that is too long to be read', () => {
    const texts = new KnownTexts(2);
    const short = texts.of('select 1');
    for (let number = 0; number < 5; number += 1) {
      expect(texts.of(`select ${number}, '${'x'.repeat(1_000_000)}'`).isShareable).toBe(false);
    }
    expect(texts.of('select 1')).toBe(short);
  });
});
