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

/** Throws an InvalidArgumentError with the argument's path if a value is not of the kind. */
export type Shape = (argument: string, value: unknown) => void;

/** The kinds of values that make up options and arguments. They can be combined. */
export const aText: Shape = checkText;
export const aBoolean: Shape = checkBoolean;
export const aFunction: Shape = checkFunction;
export const aSignal: Shape = checkSignal;
export const anything: Shape = () => undefined;

export const aDate: Shape = (argument, value) => {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return;
  throw new InvalidArgumentError(argument, `must be a valid Date, got ${describeValue(value)}`);
};

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
    // By index, because forEach skips holes.
    for (let index = 0; index < value.length; index++) shape(`${argument}[${index}]`, value[index]);
  };

export const recordOf =
  (shape: Shape): Shape =>
  (argument, value) => {
    checkObject(argument, value);
    for (const [name, each] of Object.entries(value)) shape(`${argument}.${name}`, each);
  };

/** One of several kinds. If none fits, the error is the last one's. */
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

/** An object with these properties. It may have others. */
export const objectOf =
  (properties: Readonly<Record<string, Shape>>): Shape =>
  (argument, value) => {
    checkObject(argument, value);
    for (const [name, shape] of Object.entries(properties)) {
      shape(`${argument}.${name}`, Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined);
    }
  };

/** The kind of every option. The compiler reports an option that is in the type and missing here. */
export type Shapes<Options> = { readonly [Name in keyof Options]-?: Shape };

/** Options within options: like {@link objectOf}, but other names are refused. */
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

/**
 * Like {@link checkOptions}, for calls that may come a million times a second: looks at nothing but the options that are there, so each
 * of them must be optional.
 */
export function checkCallOptions<Options extends object>(options: Options, properties: Shapes<NoInfer<Options>>): void {
  checkObject('options', options);
  for (const name of Object.keys(options) as (keyof Options & string)[]) {
    if (Object.hasOwn(properties, name)) properties[name](name, options[name]);
    else checkNames(options, properties);
  }
}

/** Like {@link checkOptions}, for objects that may have other properties: a context, a resolver. */
export function checkProperties(options: object, properties: Readonly<Record<string, Shape>>, argument: string): void {
  checkObject(argument, options);
  for (const [name, shape] of Object.entries(properties)) {
    shape(name, Object.hasOwn(options, name) ? (options as Record<string, unknown>)[name] : undefined);
  }
}
