import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ArrivalOrder, type Place } from './arrival-order.ts';

describe('an order of arrival', () => {
  test('keeps the first value available', () => {
    const order = new ArrivalOrder<string>();
    expect(order.first).toBeUndefined();
    const one = order.add('one');
    order.add('two');
    expect(order.first).toBe('one');
    order.leave(one);
    expect(order.first).toBe('two');
  });

  test('lets a value leave only once', () => {
    const order = new ArrivalOrder<string>();
    const one = order.add('one');
    order.add('two');
    expect(order.leave(one)).toBe(true);
    expect(order.leave(one)).toBe(false);
    expect(order.size).toBe(1);
  });

  test('may lose values while they are gone through', () => {
    const order = new ArrivalOrder<number>();
    const places = [1, 2, 3].map((value) => order.add(value));
    const seen: number[] = [];
    for (const value of order) {
      seen.push(value);
      for (const place of places) order.leave(place);
    }
    expect(seen).toEqual([1, 2, 3]);
    expect(order.size).toBe(0);
  });

  test('behaves as a Set does, for any order of adding and removing', () => {
    const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.nat({ max: 30 })), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (each) => {
        const order = new ArrivalOrder<number>();
        const model = new Set<number>();
        const places: Place<number>[] = [];
        for (const step of each) {
          if (step === 'add') {
            places.push(order.add(places.length));
            model.add(places.length - 1);
          } else {
            const place = places[step];
            if (place === undefined) continue;
            const isThere = model.delete(step);
            expect(order.leave(place)).toBe(isThere);
            expect(place.value).toBeUndefined();
          }
          expect([...order]).toEqual([...model]);
          expect(order.size).toBe(model.size);
          expect(order.first).toBe([...model][0]);
        }
      }),
    );
  });
});
