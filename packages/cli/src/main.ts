import type { Readable } from 'node:stream';
import { InvalidArgumentError, isExternalNameError } from '@externalname/core';
import { Command as CommanderCommand, CommanderError, Option as CommanderOption } from 'commander';
import { type Command, type CommandEntry, type CommandGroup, isGroup, longFlag } from './command.ts';
import { commands } from './commands.ts';
import { exitCodeOf, exitCodes, Interrupted } from './exit-codes.ts';
import { Output, type OutputStream } from './output.ts';

/** What the program takes from its process, so that a test can be the process. */
export interface Surroundings {
  /** `externalname`, or `kubectl externalname` for the plugin. */
  readonly name: string;
  readonly version: string;
  readonly args: readonly string[];
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Runs the command of the command line, and returns the exit status. Rejects for a defect only. */
export async function main(surroundings: Surroundings): Promise<number> {
  const { name, version, args, signal, stderr } = surroundings;
  let code: number = exitCodes.ok;
  const finish = (status: number) => {
    code = status;
  };
  try {
    // Before commander, to which the options in the words would be options of this call.
    if (args[0] === '__complete') {
      const { complete } = await import('./complete.ts');
      return await complete(args.slice(1), root, surroundings);
    }
    const program = newProgram(surroundings).version(version, '-V, --version', 'print the version');
    await build(program, root, words(args), { surroundings, finish });
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      return ['commander.helpDisplayed', 'commander.version'].includes(error.code) ? exitCodes.ok : exitCodes.usage;
    }
    if (signal.aborted) return signal.reason instanceof Interrupted ? signal.reason.exitCode : exitCodes.interrupted;
    const status = exitCodeOf(error);
    if (status === undefined) throw error;
    stderr.write(`${name}: ${isExternalNameError(error) ? error.message : String(error)}\n`);
    return status;
  }
}

interface Building {
  readonly surroundings: Surroundings;
  readonly finish: (status: number) => void;
}

/** Declares the commands of a group by name, and the one that is called with all that it has. */
async function build(node: CommanderCommand, group: CommandGroup, called: readonly string[], building: Building) {
  describe(node, group, building.surroundings.name);
  for (const entry of group.commands) {
    const child = node.command(entry.name).summary(entry.summary);
    child.description(entry.summary);
    if (entry.name === called[0]) await buildCalled(child, entry, called.slice(1), building);
  }
}

async function buildCalled(
  node: CommanderCommand,
  entry: CommandEntry,
  called: readonly string[],
  building: Building,
): Promise<void> {
  const loaded = await entry.load();
  if (isGroup(loaded)) {
    await build(node, loaded, called, building);
    return;
  }
  describe(node, loaded, building.surroundings.name);
  for (const { name, summary } of loaded.arguments ?? []) node.argument(name, summary);
  const given = new Map<string, string[]>();
  for (const [key, option] of Object.entries(loaded.options)) {
    const collect = (text: string) => {
      given.set(key, [...(given.get(key) ?? []), text]);
      return true;
    };
    const declared = new CommanderOption(option.flags, option.summary);
    if (declared.required || declared.optional) declared.argParser(collect);
    // A flag is known by its event, because a negated one (`--no-probes`) has a value without being given.
    else node.on(`option:${declared.name()}`, () => collect(''));
    node.addOption(declared);
  }
  node.action(async () => {
    building.finish(await runCommand(loaded, given, node.args, building.surroundings));
  });
}

async function runCommand(
  loaded: Command,
  given: ReadonlyMap<string, readonly string[]>,
  args: readonly string[],
  { stdin, stdout, stderr, environment, signal, name: programName }: Surroundings,
): Promise<number> {
  const options = Object.fromEntries(
    Object.entries(loaded.options).map(([key, option]) => [key, option.read(given.get(key) ?? [])]),
  );
  const format = typeof options['output'] === 'string' ? options['output'] : undefined;
  const output = new Output({ stdout, stderr, environment, format });
  try {
    return await loaded.run({ arguments: args, options, output, stdin, environment, signal, programName });
  } catch (error) {
    throw byFlag(error, loaded);
  }
}

/** The same error with the flag in place of the option's name in the functions, which have it as the key of the table. */
function byFlag(error: unknown, { options }: Command): unknown {
  if (!(error instanceof InvalidArgumentError)) return error;
  // Of options in options, the name of the inner one: `canary.to`.
  const [name = ''] = /[^.]+$/.exec(error.argument) ?? [];
  if (!Object.hasOwn(options, name)) return error;
  const { flags = '' } = options[name] ?? {};
  const said = error.message.replace(`${error.argument}: `, '');
  return new InvalidArgumentError(longFlag(flags), said, { cause: error });
}

function newProgram({ name, stdout, stderr }: Surroundings): CommanderCommand {
  return new CommanderCommand(name)
    .exitOverride()
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .configureHelp({
      helpWidth: stdout.isTTY === true ? Math.max(40, stdout.columns || 80) : 100,
      showGlobalOptions: false,
    })
    .configureOutput({
      writeOut: (text) => void stdout.write(text),
      writeErr: (text) => void stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, `${name}: `)),
      // The help has no colours of its own.
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showSuggestionAfterError();
}

function describe(node: CommanderCommand, { about, examples }: Command | CommandGroup, program: string): void {
  if (about !== undefined) node.description(`${node.description()}${node.description() === '' ? '' : '.\n\n'}${about}`);
  const lines = examples.map(({ command, does }) => `  # ${does}\n  ${program} ${command}`);
  if (lines.length > 0) node.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/** The arguments without options, from the command on: `help create` asks for `create`. */
function words(args: readonly string[]): readonly string[] {
  const [first, ...others] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? others : first === undefined ? [] : [first, ...others];
}

const about =
  'Finds what is wrong with an ExternalName Service of Kubernetes, switches it to another target, and rehearses the failover.';

const examples = [
  { command: 'doctor webscaler-db', does: 'what is wrong with the Service, first things first' },
  { command: 'resolve webscaler-db --count 100', does: 'how fast and how reliably its name resolves' },
  { command: 'create service webscaler-db --to primary-db.example.com | kubectl apply -f -', does: 'make the Service' },
] as const;

/** Everything that can be called. */
const root: CommandGroup = { about, examples, commands };
