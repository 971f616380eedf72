import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Pod } from '../../../examples/webscaler/src/network/network.ts';
import type { PodCalls } from './pod-calls.ts';

/** A call, as it is sent. */
export interface Call {
  readonly id: number;
  readonly name: keyof PodCalls;
  readonly parameters: readonly unknown[];
}

/** What became of a call. The one with id 0 says that the program is ready. */
export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly failure?: Failure | undefined;
}

interface Failure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly outcome?: string | undefined;
  /** Codes and messages of the causes, down to the last one. */
  readonly causes?: readonly string[] | undefined;
}

/** An error that a call in the pod ended with. */
export class RemoteError extends Error implements Failure {
  readonly code: string | undefined;
  readonly outcome: string | undefined;
  readonly causes: readonly string[];

  constructor({ message, code, outcome, causes = [] }: Failure) {
    super(message);
    this.code = code;
    this.outcome = outcome;
    this.causes = causes;
  }
}

/** The program of a pod, called from the site. */
export class RemotePod implements AsyncDisposable {
  readonly pod: Pod;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 1;

  private constructor(pod: Pod, child: ChildProcess) {
    this.pod = pod;
    this.#child = child;
    child.on('message', ({ id, value, failure }: Answer) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (failure === undefined) waiting?.resolve(value);
      else waiting?.reject(new RemoteError(failure));
    });
    child.once('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`the program in the pod ended: ${code ?? signal}`));
      this.#waiting.clear();
    });
  }

  /** Starts a program in a pod, beside others that may be there. */
  static async start(pod: Pod, imports: readonly string[] = []): Promise<RemotePod> {
    const child = pod.fork(fileURLToPath(new URL('./pod-program.ts', import.meta.url)), imports);
    const remote = new RemotePod(pod, child);
    await new Promise((resolve, reject) => remote.#waiting.set(0, { resolve, reject }));
    return remote;
  }

  call<Name extends keyof PodCalls>(name: Name, ...parameters: Parameters<PodCalls[Name]>): ReturnType<PodCalls[Name]> {
    const id = this.#nextId++;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ id, name, parameters } satisfies Call, (error) => {
        if (error !== null) reject(error);
      });
    });
    return answer as ReturnType<PodCalls[Name]>;
  }

  /** Ends the program. The pod stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exited;
    }
  }
}
