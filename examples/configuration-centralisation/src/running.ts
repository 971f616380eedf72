import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Command, Message } from './messages.ts';

type Kind = Message['kind'];

/** An application that runs in a process of its own. */
export class RunningApplication implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #heard = new Map<Kind, Promise<Message>>();
  readonly #ended: Promise<void>;

  /** @param env what its Deployment would set */
  constructor(name: string, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#child = fork(fileURLToPath(new URL('./application.ts', import.meta.url)), {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      execArgv: ['--conditions=@externalname/source', '--import', 'tsx'],
      env: { PATH: process.env['PATH'], ...env, PGAPPNAME: name },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#ended = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    for (const kind of ['ready', 'moved', 'stopped'] as const) this.#heard.set(kind, this.#next(kind));
  }

  /** The first message of a kind. Rejects if the process has ended, or nothing came within a minute. */
  hear<Wanted extends Kind>(kind: Wanted): Promise<Extract<Message, { kind: Wanted }>> {
    return this.#heard.get(kind) as Promise<Extract<Message, { kind: Wanted }>>;
  }

  tell(command: Command): void {
    this.#child.send(command);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #next(kind: Kind): Promise<Message> {
    const message = new Promise<Message>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`${this.name} did not tell "${kind}" in time`)),
        longestWaitMillis,
      );
      late.unref();
      this.#child.on('message', (heard: Message) => {
        if (heard.kind !== kind) return;
        clearTimeout(late);
        resolve(heard);
      });
      this.#child.once('error', reject);
      this.#child.once('exit', () => reject(new Error(`${this.name} has ended`)));
    });
    // It may be that it is never asked for.
    message.catch(() => undefined);
    return message;
  }
}

const longestWaitMillis = 60_000;
