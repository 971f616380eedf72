import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';

/** What a program printed, and how it ended. */
export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

/** Whether a program can be started here. Tests that need it are skipped otherwise. */
export function isInstalled(program: string, args: readonly string[] = ['--version']): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore', timeout: 20_000 });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT' && (error as { status?: number }).status !== 127;
  }
}

/** Runs a program to its end. A code other than 0 is not an error. */
export function run(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args],
      { env: { ...process.env, ...options.env }, timeout: 25_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        if (typeof code === 'number') resolve({ stdout, stderr, code });
        else reject(error ?? new Error(`${program} was ended`));
      },
    );
    // A program that reads nothing may be gone before its input is written.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
  });
}

/** A program that goes on: what it prints can be waited for, and it is ended by its id. */
export class Running implements AsyncDisposable {
  readonly child: ChildProcess;
  #printed = '';
  #listeners = new Set<() => void>();
  readonly #ended: Promise<number | null>;

  constructor(program: string, args: readonly string[], env: Record<string, string> = {}) {
    this.child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#ended = new Promise((resolve) => {
      this.child.once('error', () => resolve(null));
      this.child.once('close', (code) => resolve(code));
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#printed += chunk.toString();
        for (const listener of this.#listeners) listener();
      });
    }
  }

  get printed(): string {
    return this.#printed;
  }

  /** Resolves as soon as it has printed a text that matches; rejects when it ends before. */
  prints(pattern: RegExp): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const match = this.#printed.match(pattern);
        if (match === null) return;
        this.#listeners.delete(check);
        resolve(match);
      };
      this.#listeners.add(check);
      this.#ended.then(() => {
        check();
        if (this.#listeners.delete(check)) reject(new Error(`ended before it printed ${pattern}: ${this.#printed}`));
      }, reject);
      check();
    });
  }

  /** The exit code, once it has ended by itself. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** Sends a signal, and gives the exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // So that it removes its files; by force if it does not react.
    const force = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await this.end('SIGTERM');
    clearTimeout(force);
  }
}
