import { createRequire } from 'node:module';
import { Interrupted, type InterruptingSignal } from './exit-codes.ts';
import { main } from './main.ts';

/**
 * Runs the command of this process. Ctrl-C, a closed terminal and a supervisor's request end it the same way: the command is told by its
 * signal, takes down what it opened, and the process ends by itself. A second Ctrl-C does not wait for that.
 */
export function runProgram(name: string, args: readonly string[]): void {
  const ending = new AbortController();
  const signals: readonly InterruptingSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  const end = (signal: InterruptingSignal) => {
    const interrupted = new Interrupted(signal);
    if (ending.signal.aborted) process.exit(interrupted.exitCode);
    ending.abort(interrupted);
  };
  for (const signal of signals) process.on(signal, end);
  // The reader of a pipe has read enough (`| head`): that is not a failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  const { version }: { version: string } = createRequire(import.meta.url)('../package.json');
  const { stdin, stdout, stderr, env: environment } = process;
  main({ name, version, args, stdin, stdout, stderr, environment, signal: ending.signal }).then(
    (code) => {
      process.exitCode = code;
      for (const signal of signals) process.off(signal, end);
    },
    (error: unknown) => {
      // A defect of the command itself: its stack is what a report needs.
      stderr.write(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exit(70);
    },
  );
}
