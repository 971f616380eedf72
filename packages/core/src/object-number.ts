/**
 * A number for an object, the same each time, so that a key of a map can name it. The object may still be collected.
 *
 * @internal
 */
export function numberOf(object: object): number {
  const known = numbers.get(object);
  if (known !== undefined) return known;
  lastNumber += 1;
  numbers.set(object, lastNumber);
  return lastNumber;
}

const numbers = new WeakMap<object, number>();
let lastNumber = 0;
