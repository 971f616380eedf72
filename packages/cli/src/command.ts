import type { Readable } from 'node:stream';
import { InvalidArgumentError } from '@externalname/core';
import { checkNumber, type NumberBounds } from '@externalname/core/internal';
import type { Output } from './output.ts';

/**
 * A command, as its module in `commands/` makes it. The table in `commands.ts` has its name and summary, and loads the module when the
 * command is called, completed, or asked for its help.
 */
export interface Command<Options extends OptionTable = OptionTable> {
  /** What comes after the name. */
  readonly arguments?: readonly Argument[];
  /** A paragraph for the help, where the summary does not say enough. */
  readonly about?: string;
  /** By the name that `run` reads them with. */
  readonly options: Options;
  /** At least one: the help shows them. */
  readonly examples: readonly Example[];
  /** Does it, and returns the exit status: see `exit-codes.ts`. Ends soon after the signal fires, with everything closed that it opened. */
  run(context: CommandContext<Options>): Promise<number>;
}

/** Commands below a command: `create service`, `create role`. */
export interface CommandGroup {
  readonly about?: string;
  readonly examples: readonly Example[];
  readonly commands: readonly CommandEntry[];
}

/** One line of a table of commands. */
export interface CommandEntry {
  readonly name: string;
  /** One line for the list of commands, without a full stop. */
  readonly summary: string;
  load(): Promise<Command | CommandGroup>;
}

/** An argument, as commander writes it: `<service>`, `[file]`, `[words...]`. */
export interface Argument {
  readonly name: string;
  readonly summary: string;
  /** What completion offers. */
  readonly complete?: Completion | undefined;
}

/** What a word can be completed to: words, the Services of the cluster, or files. */
export type Completion = readonly string[] | 'services' | 'files';

/** How the command is used for one thing. `command` is written without the program's name. */
export interface Example {
  readonly command: string;
  readonly does: string;
}

/** What a command is run with. */
export interface CommandContext<Options extends OptionTable> {
  readonly arguments: readonly string[];
  readonly options: OptionValues<Options>;
  readonly output: Output;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The program, as it was called: `externalname` or `kubectl externalname`. For commands that a user is told to run. */
  readonly programName: string;
  /** Fires when the command should end. Its reason is an `Interrupted`. */
  readonly signal: AbortSignal;
}

/** One option. Made by {@link flag}, {@link text}, {@link texts}, {@link number} and {@link choice}. */
export interface Option<Value> {
  /** As commander writes it: `-n, --namespace <name>`. */
  readonly flags: string;
  readonly summary: string;
  readonly complete?: Completion | undefined;
  /** The value, of the texts that were given, in their order; a flag that was given counts as one empty text. */
  read(given: readonly string[]): Value;
}

/** Options by name. */
export type OptionTable = Readonly<Record<string, Option<unknown>>>;

/** The values of a table of options. */
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Option<infer Value> ? Value : never;
};

/** Declares a command, with the types of its options. */
export function command<const Options extends OptionTable>(given: Command<Options>): Command {
  return given as unknown as Command;
}

/** Whether an entry has commands below it. */
export function isGroup(loaded: Command | CommandGroup): loaded is CommandGroup {
  return 'commands' in loaded;
}

/** An option without a value: `--watch`. */
export function flag(flags: string, summary: string): Option<boolean> {
  return { flags, summary, read: (given) => given.length > 0 };
}

/** An option with a text: `--to <name>`. If it is given twice, the last one counts. */
export function text(flags: string, summary: string, complete?: Completion): Option<string | undefined> {
  return { flags, summary, complete, read: (given) => given.at(-1) };
}

/** An option that may be given several times, with one value or a list with commas each time: `--server <address,...>`. */
export function texts(flags: string, summary: string, complete?: Completion): Option<readonly string[]> {
  const split = (value: string) => value.split(',').map((part) => part.trim());
  return { flags, summary, complete, read: (given) => given.flatMap(split).filter((part) => part !== '') };
}

/** An option that may be given several times, each time with one value that is taken as it is: `--label <key=value>`. */
export function list(flags: string, summary: string, complete?: Completion): Option<readonly string[]> {
  return { flags, summary, complete, read: (given) => given };
}

/** An option with a number: `--count <n>`. */
export function number(flags: string, summary: string, bounds: NumberBounds): Option<number | undefined> {
  return {
    flags,
    summary,
    read(given) {
      const written = given.at(-1);
      if (written === undefined) return undefined;
      const value: unknown = /^-?\d+(\.\d+)?$/.test(written) ? Number(written) : written;
      checkNumber(longFlag(flags), value, bounds);
      return value;
    },
  };
}

/** An option with one of a few words: `--protocol <name>`. */
export function choice<const Word extends string>(
  flags: string,
  summary: string,
  words: readonly Word[],
): Option<Word | undefined> {
  return {
    flags,
    summary: `${summary} (${words.join(', ')})`,
    complete: words,
    read(given) {
      const written = given.at(-1);
      const word = words.find((each) => each === written);
      if (written === undefined || word !== undefined) return word;
      throw new InvalidArgumentError(longFlag(flags), `must be ${words.join(' or ')}, got ${JSON.stringify(written)}`);
    },
  };
}

/** The option, with its value changed. */
export function mapped<Value, Result>(
  option: Option<Value>,
  map: (value: Value, flag: string) => Result,
): Option<Result> {
  return { ...option, read: (texts) => map(option.read(texts), longFlag(option.flags)) };
}

/** An option that may be given several times, each time with one or more of a few words: `--accept <objection,...>`. */
export function words<const Word extends string>(
  flags: string,
  summary: string,
  known: readonly Word[],
): Option<readonly Word[]> {
  return mapped({ ...texts(flags, summary), complete: known }, (written, flag) =>
    written.map((each) => {
      const word = known.find((one) => one === each);
      if (word !== undefined) return word;
      throw new InvalidArgumentError(flag, `must be ${known.join(', ')}, got ${JSON.stringify(each)}`);
    }),
  );
}

/** `--count` of `-c, --count <n>`. */
export function longFlag(flags: string): string {
  return /--[\w-]+/.exec(flags)?.[0] ?? flags;
}
