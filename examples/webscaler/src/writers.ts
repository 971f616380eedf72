import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Assignment, Report, WriterCommand, WriterMessage } from './writer-messages.ts';

/** What is heard from a process of writers. */
export interface WriterListener {
  report(report: Report): void;
  notice(at: number, text: string): void;
}

/** Starts a Node.js program with a channel to this process. */
export type Launch = (program: string) => ChildProcess;

// Node's own options are passed on, so that the sources run there as they do here.
const launchHere: Launch = (program) => fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });

/** A process of writers, seen from the operator's side. */
export class Writers implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #ready: Promise<void>;
  readonly #connected: Promise<void>;
  #listener: WriterListener | undefined;

  private constructor(launch: Launch) {
    this.#child = launch(fileURLToPath(new URL('./writer-process.ts', import.meta.url)));
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
    this.#ready = this.#hears('ready');
    this.#connected = this.#hears('connected');
    this.#child.on('message', (message: WriterMessage) => {
      if (message.kind === 'report') this.#listener?.report(message);
      else if (message.kind === 'notice') this.#listener?.notice(message.at, message.text);
    });
  }

  /** Starts a process, which has nothing to do yet. */
  static spawn(launch: Launch = launchHere): Writers {
    return new Writers(launch);
  }

  /** Gives the process its work, and waits until its pool has its connections, or could not get them. */
  async connect(assignment: Assignment, listener: WriterListener, signal: AbortSignal): Promise<void> {
    await this.#until(this.#ready, signal);
    this.#listener = listener;
    this.#tell({ kind: 'connect', assignment });
    await this.#until(this.#connected, signal);
  }

  /** Sets the workers to work. */
  write(): void {
    this.#tell({ kind: 'write' });
  }

  isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Lets the writes that are under way settle, for up to `timeoutMillis`, hears the last report, and ends the process. */
  async stop(timeoutMillis: number, signal: AbortSignal): Promise<void> {
    this.#tell({ kind: 'stop' });
    // The channel is closed after everything that was said has been heard.
    const silent = this.#child.connected
      ? once(this.#child, 'disconnect', { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMillis)]) })
      : undefined;
    await silent?.catch(() => undefined);
    await this.close();
    signal.throwIfAborted();
  }

  /** Ends the process at once. */
  async close(): Promise<void> {
    if (this.isRunning()) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hears(kind: WriterMessage['kind']): Promise<void> {
    return new Promise((resolve) => {
      this.#child.on('message', (message: WriterMessage) => {
        if (message.kind === kind) resolve();
      });
    });
  }

  async #until(moment: Promise<void>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const listening = new AbortController();
    try {
      await Promise.race([moment, this.#exited, once(signal, 'abort', { signal: listening.signal })]);
    } finally {
      listening.abort();
    }
    signal.throwIfAborted();
    if (!this.isRunning()) throw new Error('a process of workers ended before its pool had connections');
  }

  #tell(command: WriterCommand): void {
    // A process that is just ending hears nothing any more; that it has ended is seen elsewhere.
    if (this.#child.connected) this.#child.send(command, () => undefined);
  }
}
