import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const root = resolve(import.meta.dirname, '../..');

/** How a demo ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The demo as a process of its own, run as `pnpm demo` runs it, with a folder of its own for temporary files. */
export class DemoProcess implements AsyncDisposable {
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  readonly #temporaryFolder: string;
  #stdout = '';
  #stderr = '';
  readonly #waiting = new Set<() => void>();

  static async start(words: readonly string[]): Promise<DemoProcess> {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { scripts: { demo: string } };
    const [program = '', ...parameters] = scripts.demo.split(' ');
    const temporaryFolder = await mkdtemp(join(await realpath('/tmp'), 'xn-demo-'));
    // Servers that root starts run as another user, who must get through.
    await chmod(temporaryFolder, 0o755);
    // tsx keeps what it compiled among the temporary files: once is enough for all runs.
    const compiled = `tsx-${process.geteuid?.() ?? 0}`;
    await mkdir(join(tmpdir(), compiled), { recursive: true });
    await symlink(join(tmpdir(), compiled), join(temporaryFolder, compiled));
    const child = spawn(program === 'node' ? process.execPath : program, [...parameters, ...words], {
      cwd: root,
      env: { ...process.env, TMPDIR: temporaryFolder, NODE_OPTIONS: '' },
      // A process group of its own, as a shell gives it to what it runs in the foreground.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new DemoProcess(child, temporaryFolder);
  }

  private constructor(child: ChildProcess, temporaryFolder: string) {
    this.#child = child;
    this.#temporaryFolder = temporaryFolder;
    child.stdout?.on('data', (chunk) => {
      this.#stdout += String(chunk);
      for (const wake of [...this.#waiting]) wake();
    });
    child.stderr?.on('data', (chunk) => {
      this.#stderr += String(chunk);
      for (const wake of [...this.#waiting]) wake();
    });
    this.ended = new Promise((settle) => {
      child.once('close', (code, signal) => {
        settle({ code, signal });
        for (const wake of [...this.#waiting]) wake();
      });
    });
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves with what matched as soon as the demo has said so, on stdout or stderr. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
      if (found !== null) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`the demo ended and had not said ${pattern}:\n${this.#stdout}${this.#stderr}`);
      }
      await new Promise<void>((settle) => {
        const wake = () => {
          this.#waiting.delete(wake);
          settle();
        };
        this.#waiting.add(wake);
      });
    }
  }

  /** Ctrl-C in a terminal: a signal to every process of the group. */
  interrupt(): void {
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGINT');
  }

  /** Sends a signal to the demo's own process, and no other. */
  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends the demo's own process, and no other, without a word to it. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /**
   * The demo's process and all that it started, and these started, down to the last one. Waits until there is one besides
   * the demo's own, for at most ten seconds: a line on the terminal may come before the process that it speaks of.
   */
  async processes(): Promise<readonly number[]> {
    for (let tries = 1; ; tries++) {
      const found = await this.#descendants();
      if (found.length > 1 || tries === 500) return found;
      await pause(20);
    }
  }

  async #descendants(): Promise<readonly number[]> {
    const rows = await processTable();
    const found = new Set([this.#child.pid]);
    for (let grown = true; grown; ) {
      grown = false;
      for (const { pid, parent } of rows) {
        if (!found.has(parent) || found.has(pid)) continue;
        found.add(pid);
        grown = true;
      }
    }
    return [...found].filter((pid) => pid !== undefined);
  }

  /** The demo's folders that are there. */
  async folders(): Promise<readonly string[]> {
    return (await readdir(this.#temporaryFolder)).filter((name) => !name.startsWith('tsx-'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.interrupt();
    await this.ended;
    await rm(this.#temporaryFolder, { recursive: true, force: true });
  }
}

/** Which of these processes live. Asks for up to ten seconds: the last ones learn of the demo's end by a pipe that closes. */
export async function survivors(processes: readonly number[]): Promise<readonly number[]> {
  for (let tries = 1; ; tries++) {
    const living = new Set((await processTable()).filter(({ state }) => !/^[ZX]/.test(state)).map(({ pid }) => pid));
    const left = processes.filter((pid) => living.has(pid));
    if (left.length === 0 || tries === 100) return left;
    await pause(100);
  }
}

/** What a connection attempt gets: `connected`, or the error's code. */
export function knock(address: string, port: number): Promise<string> {
  return new Promise((settle) => {
    const socket = connect({ host: address, port });
    const end = (answer: string) => {
      socket.destroy();
      settle(answer);
    };
    socket.once('connect', () => end('connected'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

function processTable(): Promise<readonly ProcessRow[]> {
  return new Promise((settle, reject) => {
    execFile('ps', ['-axo', 'pid=,ppid=,state='], { maxBuffer: 16 * 2 ** 20 }, (error, stdout) => {
      if (error !== null) reject(error);
      else
        settle(
          stdout
            .split('\n')
            .map((line) => line.trim().split(/\s+/))
            .filter(([pid]) => /^\d+$/.test(pid ?? ''))
            .map(([pid, parent, state = '']) => ({ pid: Number(pid), parent: Number(parent), state })),
        );
    });
  });
}
