import { InvalidArgumentError } from './errors.ts';
import {
  checkBoolean,
  checkFunction,
  checkList,
  checkMethods,
  checkNumber,
  checkObject,
  checkSignal,
  checkText,
  describeValue,
  type NumberBounds,
} from './input.ts';
import { checkNames } from './option-names.ts';

/** Throws an InvalidArgumentError with the argument's path where a value is not of its kind. */
export type Shape = (argument: string, value: unknown) => void;

/** The kinds of values that options and arguments are made of, to be put together. */
export const aText: Shape = checkText;
export const aBoolean: Shape = checkBoolean;
export const aFunction: Shape = checkFunction;
export const aSignal: Shape = checkSignal;
export const anything: Shape = () => undefined;

export const aNumber =
  (bounds: NumberBounds = {}): Shape =>
  (argument, value) =>
    checkNumber(argument, value, bounds);

export const anObjectWith =
  (...methods: readonly string[]): Shape =>
  (argument, value) =>
    checkMethods(argument, value, methods);

export const optional =
  (shape: Shape): Shape =>
  (argument, value) => {
    if (value !== undefined) shape(argument, value);
  };

export const listOf =
  (shape: Shape): Shape =>
  (argument, value) => {
    checkList(argument, value);
    // By index, as forEach passes over holes.
    for (let index = 0; index < value.length; index++) shape(`${argument}[${index}]`, value[index]);
  };

export const recordOf =
  (shape: Shape): Shape =>
  (argument, value) => {
    checkObject(argument, value);
    for (const [name, each] of Object.entries(value)) shape(`${argument}.${name}`, each);
  };

/** One of several kinds. What fits none is refused in the words of the last. */
export const either =
  (first: Shape, ...others: readonly Shape[]): Shape =>
  (argument, value) => {
    const [next, ...rest] = others;
    if (next === undefined) {
      first(argument, value);
      return;
    }
    try {
      first(argument, value);
    } catch {
      either(next, ...rest)(argument, value);
    }
  };

export const oneOf =
  (...values: readonly unknown[]): Shape =>
  (argument, value) => {
    if (values.includes(value)) return;
    const known = values.map((each) => (typeof each === 'string' ? each : describeValue(each))).join(', ');
    throw new InvalidArgumentError(argument, `must be one of ${known}, got ${describeValue(value)}`);
  };

/** An object with these properties. What else it has is its own affair. */
export const objectOf =
  (properties: Readonly<Record<string, Shape>>): Shape =>
  (argument, value) => {
    checkObject(argument, value);
    for (const [name, shape] of Object.entries(properties)) {
      shape(`${argument}.${name}`, Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined);
    }
  };

/** The kind of every option. One that is new in the type and missing here is an error of types. */
export type Shapes<Options> = { readonly [Name in keyof Options]-?: Shape };

/** Options within options: as {@link objectOf}, and no other name may be set. */
export const optionsOf =
  <Options extends object>(properties: Shapes<Options>): Shape =>
  (argument, value) => {
    objectOf(properties as Readonly<Record<string, Shape>>)(argument, value);
    checkNames(value as object, properties, `${argument}.`);
  };

/**
 * Checks the options of a function, each by its bare name.
 *
 * @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` naming the first that is not of its kind, or is not an option
 */
export function checkOptions<Options extends object>(
  options: Options,
  properties: Shapes<NoInfer<Options>>,
  argument = 'options',
): void {
  checkProperties(options, properties as Readonly<Record<string, Shape>>, argument);
  checkNames(options, properties);
}

/** As {@link checkOptions}, for what may have more to it: a context, a resolver. */
export function checkProperties(options: object, properties: Readonly<Record<string, Shape>>, argument: string): void {
  checkObject(argument, options);
  for (const [name, shape] of Object.entries(properties)) {
    shape(name, Object.hasOwn(options, name) ? (options as Record<string, unknown>)[name] : undefined);
  }
}
