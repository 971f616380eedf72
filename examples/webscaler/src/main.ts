// The demo: `pnpm demo`. What it shows and what it prints is in docs/guides/demo.md.
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isExternalNameError } from '@externalname/core';
import { parseArguments, UsageError, usage } from './arguments.ts';
import { close } from './closing.ts';
import { isInOwnNetwork, networkProblem, runInOwnNetwork } from './network/enter.ts';
import { runScenario } from './scenario.ts';
import { Timeline } from './timeline.ts';
import { verdict } from './verdict.ts';

const takeDownMillis = 20_000;
const exitCodes = { held: 0, notHeld: 1, usage: 2, notRun: 3 } as const;

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const asked = readArguments(words);
  if (asked === undefined) return exitCodes.usage;
  if (asked.help) {
    process.stdout.write(usage);
    return exitCodes.held;
  }
  if (asked.site && !isInOwnNetwork()) return inOwnNetwork(words);
  const stream = asked.json ? process.stderr : process.stdout;
  const timeline = new Timeline(stream);
  const interruption = new AbortController();
  const interruptedBy = new Set<NodeJS.Signals>();
  const interrupt = (signal: NodeJS.Signals): void => {
    // More than one may come for one Ctrl-C: from the terminal, and from the package manager, which passes it on and adds a SIGTERM.
    interruptedBy.add(signal);
    if (interruptedBy.size > 1 || interruption.signal.aborted) return;
    timeline.end({ who: 'operator', text: 'interrupted: servers and workers are taken down', tone: 'bad', part: true });
    interruption.abort();
    // The watchdog of the servers then removes what is left, and the workers end with this process.
    setTimeout(() => process.exit(exitCodeOf(interruptedBy)), takeDownMillis).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
  // The reader has gone: `pnpm demo | head`.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => interrupt('SIGPIPE'));
  try {
    const { plainPg, push, site } = asked;
    const played = await runScenario({ timeline, plainPg, push, site, signal: interruption.signal });
    const [ours, ...plain] = played.crews;
    if (ours === undefined) return exitCodes.notRun;
    const result = verdict(ours, plain, played.polled);
    close(timeline, played);
    if (asked.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.held ? exitCodes.held : exitCodes.notHeld;
  } catch (error) {
    if (interruptedBy.size > 0) {
      const code = exitCodeOf(interruptedBy);
      timeline.paragraph(`All of it is gone: servers, workers, folders. ${afterInterruption(code)}`);
      return code;
    }
    process.stderr.write(`The demo could not be run: ${reasonOf(error)}\n`);
    return exitCodes.notRun;
  }
}

// The same program again, in a network that no packet leaves.
async function inOwnNetwork(words: readonly string[]): Promise<number> {
  const problem = networkProblem();
  if (problem === undefined) {
    return runInOwnNetwork([process.execPath, ...process.execArgv, fileURLToPath(import.meta.url), ...words]);
  }
  process.stderr.write(`The demo could not be run with --site: ${problem}\n`);
  return exitCodes.notRun;
}

function readArguments(words: readonly string[]) {
  try {
    return parseArguments(words);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`demo: ${error.message}\n\n${usage}`);
    return undefined;
  }
}

// The exit status that a shell reports for a process that a signal has ended. For Ctrl-C this is SIGINT, whatever else came with it.
function exitCodeOf(signals: ReadonlySet<NodeJS.Signals>): number {
  const [first = 'SIGINT'] = signals;
  return 128 + constants.signals[signals.has('SIGINT') ? 'SIGINT' : first];
}

// A package manager reports every exit status but 0 as a failure, and the program cannot prevent it.
function afterInterruption(code: number): string {
  const manager = /^(\w+)\//.exec(process.env['npm_config_user_agent'] ?? '')?.[1];
  if (process.env['npm_lifecycle_event'] !== 'demo' || manager === undefined) return '';
  return `If ${manager} now says that a command failed, it means the exit status, ${code}.`;
}

function reasonOf(error: unknown): string {
  if (isExternalNameError(error)) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
