import { describe, expect, it } from 'vitest';
import { EventOrder } from './event-order.ts';

const texts = (events: readonly { readonly text: string }[]) => events.map(({ text }) => text);

describe('the order of events', () => {
  it('is that of their moments, not that in which they were heard of', () => {
    const order = new EventOrder<{ at: number; text: string }>();
    order.add({ at: 300, text: 'second' });
    order.add({ at: 200, text: 'first' });
    order.add({ at: 300, text: 'third, of the same moment' });
    expect(texts(order.take(10_000))).toEqual(['first', 'second', 'third, of the same moment']);
    expect(order.take(10_000)).toEqual([]);
  });

  it('holds an event back until every source has been heard up to its moment', () => {
    const order = new EventOrder<{ at: number; text: string }>();
    const [quick, slow] = [order.source(0), order.source(0)];
    order.add({ at: 500, text: 'of the quick one' });
    quick.heardUntil(600);
    slow.heardUntil(400);
    expect(order.take(1_000)).toEqual([]);
    order.add({ at: 450, text: 'of the slow one' });
    slow.heardUntil(600);
    expect(texts(order.take(1_000))).toEqual(['of the slow one', 'of the quick one']);
  });

  it('gives what this process itself sees the time in which it sees it', () => {
    const order = new EventOrder<{ at: number; text: string }>();
    order.add({ at: 1_000, text: 'just now' });
    expect(order.take(1_149)).toEqual([]);
    expect(texts(order.take(1_150))).toEqual(['just now']);
  });

  it('waits neither for a source that is closed nor for one that is silent for longer than three seconds', () => {
    const order = new EventOrder<{ at: number; text: string }>();
    const closed = order.source(0);
    order.source(0);
    closed.close();
    order.add({ at: 1_000, text: 'an event' });
    expect(order.take(3_999)).toEqual([]);
    expect(texts(order.take(4_000))).toEqual(['an event']);
  });

  it('is kept by what is taken in the end, whatever has been heard', () => {
    const order = new EventOrder<{ at: number; text: string }>();
    order.source(0);
    order.add({ at: 300, text: 'second' });
    order.add({ at: 200, text: 'first' });
    expect(texts(order.takeAll())).toEqual(['first', 'second']);
  });
});
