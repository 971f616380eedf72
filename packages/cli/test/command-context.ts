import { Readable } from 'node:stream';
import type { Command, CommandContext, OptionTable } from '../src/command.ts';
import { Output } from '../src/output.ts';

/** How a test runs a command that `called()` cannot reach: one that is not in the table. */
export interface ContextOptions {
  readonly args?: readonly string[];
  readonly stdin?: Readable & { readonly isTTY?: boolean };
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What a command is run with, its options read from texts as the command line has them. */
export function commandContext(
  { options }: Command,
  given: Readonly<Record<string, string | readonly string[]>>,
  { args = [], stdin = Readable.from([]), environment = {}, signal = new AbortController().signal }: ContextOptions,
): {
  readonly context: CommandContext<OptionTable>;
  readonly text: () => { readonly stdout: string; readonly stderr: string };
} {
  const written = { stdout: '', stderr: '' };
  const stream = (to: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[to] += text;
    },
  });
  for (const name of Object.keys(given)) if (!(name in options)) throw new TypeError(`${name} is not an option`);
  const values = Object.fromEntries(
    Object.entries(options).map(([name, option]) => [name, option.read([given[name] ?? []].flat())]),
  );
  const format = typeof values['output'] === 'string' ? values['output'] : undefined;
  const output = new Output({ stdout: stream('stdout'), stderr: stream('stderr'), environment, format });
  const context = { arguments: args, options: values, output, stdin, environment, programName: 'externalname', signal };
  return { context, text: () => ({ ...written }) };
}
