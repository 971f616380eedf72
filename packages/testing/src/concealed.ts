import { inspect } from 'node:util';

/**
 * Keeps members of an object out of what `console.log` and `util.inspect` print. They stay ordinary members otherwise, so that
 * a copy with `{ ...object }` has them.
 */
export function concealed<T extends object>(object: T, ...members: readonly (keyof T)[]): T {
  return Object.defineProperty(object, inspect.custom, {
    enumerable: false,
    value: () => ({ ...object, ...Object.fromEntries(members.map((member) => [member, '[concealed]'])) }),
  });
}
