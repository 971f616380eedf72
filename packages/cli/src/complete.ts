import { listServices } from '@externalname/kubernetes';
import { chosenCluster } from './cluster.ts';
import {
  type Command,
  type CommandEntry,
  type CommandGroup,
  type Completion,
  isGroup,
  longFlag,
  type Option,
} from './command.ts';
import { exitCodes } from './exit-codes.ts';
import type { OutputStream } from './output.ts';

/** See {@link complete}. */
export interface CompletionSurroundings {
  readonly stdout: OutputStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/**
 * Prints what the last of the words can be completed to: a candidate a line, then `:4`, or `:0` where names of files are meant as well.
 * Shells are given it by their scripts, and kubectl asks for it in this form for its plugins (the directives of Cobra). Never an error: a
 * shell would print it into the line that is being written.
 */
export async function complete(
  words: readonly string[],
  root: CommandGroup,
  surroundings: CompletionSurroundings,
): Promise<number> {
  const { stdout } = surroundings;
  const current = words.at(-1) ?? '';
  const { completion, options } = await wantedAt(words.slice(0, -1), current, root);
  const candidates =
    completion === 'services' ? await services(options, surroundings) : completion === 'files' ? [] : completion;
  for (const candidate of candidates) if (candidate.startsWith(current)) stdout.write(`${candidate}\n`);
  stdout.write(completion === 'files' ? ':0\n' : ':4\n');
  return exitCodes.ok;
}

interface Wanted {
  readonly completion: Completion;
  /** What was given to the options before, by their key. */
  readonly options: ReadonlyMap<string, string>;
}

async function wantedAt(before: readonly string[], current: string, root: CommandGroup): Promise<Wanted> {
  let node: Command | CommandGroup = root;
  const options = new Map<string, string>();
  let position = 0;
  for (let index = 0; index < before.length; index++) {
    const word: string = before[index] ?? '';
    if (word.startsWith('-')) {
      const [key, option] = isGroup(node) ? [] : (optionCalled(word, node) ?? []);
      if (key === undefined || option === undefined || !takesValue(option)) continue;
      if (index + 1 === before.length) return { completion: option.complete ?? [], options };
      options.set(key, before[++index] ?? '');
    } else if (isGroup(node)) {
      const entry: CommandEntry | undefined = node.commands.find(({ name }) => name === word);
      if (entry === undefined) return { completion: [], options };
      node = await entry.load();
    } else position++;
  }
  if (current.startsWith('-')) return { completion: isGroup(node) ? ['--help'] : flagsOf(node), options };
  if (isGroup(node)) return { completion: node.commands.map(({ name }) => name), options };
  const declared = node.arguments ?? [];
  const argument = declared[position] ?? (declared.at(-1)?.name.includes('...') ? declared.at(-1) : undefined);
  return { completion: argument?.complete ?? [], options };
}

function optionCalled(word: string, { options }: Command): [string, Option<unknown>] | undefined {
  return Object.entries(options).find(([, { flags }]) => flags.split(/[ ,]+/).includes(word));
}

function takesValue({ flags }: Option<unknown>): boolean {
  return /[<[]/.test(flags);
}

function flagsOf({ options }: Command): readonly string[] {
  return [...Object.values(options).map(({ flags }) => longFlag(flags)), '--help'];
}

async function services(
  options: ReadonlyMap<string, string>,
  { environment, signal }: CompletionSurroundings,
): Promise<readonly string[]> {
  const [namespace, context, kubeconfig] = ['namespace', 'context', 'kubeconfig'].map((key) => options.get(key));
  try {
    const { kubeConfig } = await chosenCluster(
      { namespace, context, kubeconfig, clusterDomain: undefined },
      environment,
    );
    const listed = await listServices({ kubeConfig, namespace, requestTimeoutMillis: patienceMillis, signal });
    return listed.map(({ name }) => name);
  } catch {
    return [];
  }
}

/** A shell waits for the completion with the line that is being written. */
const patienceMillis = 2_000;
