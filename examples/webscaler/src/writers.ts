import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Assignment, Report, WriterCommand, WriterMessage } from './writer-messages.ts';

/** What is heard from a process of writers. */
export interface WriterListener {
  report(report: Report): void;
  notice(at: number, text: string): void;
}

/** A process of writers, seen from the operator's side. */
export class Writers implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #stopped = false;

  /** Starts the process; resolves when it is at work. */
  static async start(
    assignment: Assignment,
    listener: WriterListener,
    { signal }: { signal: AbortSignal },
  ): Promise<Writers> {
    const writers = new Writers(listener);
    try {
      await writers.#untilReady(signal);
      writers.#tell({ kind: 'start', assignment });
      return writers;
    } catch (error) {
      await writers.close();
      throw error;
    }
  }

  private constructor(listener: WriterListener) {
    const program = fileURLToPath(new URL('./writer-process.ts', import.meta.url));
    this.#child = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#exited = once(this.#child, 'exit');
    this.#child.on('message', (message: WriterMessage) => {
      if (message.kind === 'report') listener.report(message);
      else if (message.kind === 'notice') listener.notice(message.at, message.text);
      else if (message.kind === 'stopped') this.#stopped = true;
    });
  }

  /** Whether the process is there. It is a failure of the demo where it is not. */
  isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Lets the writes that are under way settle, hears the last report, and ends the process.
   *
   * @returns false where they did not settle within `timeoutMillis`.
   */
  async stop(timeoutMillis: number): Promise<boolean> {
    this.#tell({ kind: 'stop' });
    await Promise.race([
      this.#exited,
      once(this.#child, 'disconnect', { signal: AbortSignal.timeout(timeoutMillis) }),
    ]).catch(() => undefined);
    await this.close();
    return this.#stopped;
  }

  /** Ends the process at once. */
  async close(): Promise<void> {
    if (this.isRunning()) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #untilReady(signal: AbortSignal): Promise<void> {
    const [message] = await Promise.race([
      once(this.#child, 'message', { signal }) as Promise<[WriterMessage]>,
      this.#exited.then(() => [undefined]),
    ]);
    if (message?.kind !== 'ready') throw new Error('the process of the workers ended before it was ready');
  }

  #tell(command: WriterCommand): void {
    if (this.#child.connected) this.#child.send(command);
  }
}
