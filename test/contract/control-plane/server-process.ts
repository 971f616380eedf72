import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';

/** A server of the control plane, as a plain process that is ended by its id. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #log = '';

  constructor(binary: string, args: readonly string[]) {
    this.#child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString()).slice(-20_000);
      });
    }
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
    // Should the test runner die first, nothing of ours stays behind.
    process.once('exit', this.#killNow);
  }

  /** The end of what it printed. */
  get log(): string {
    return this.#log;
  }

  /** Asks until `ready` says yes; fails as soon as the process is gone. */
  async waitUntil(what: string, ready: () => Promise<boolean>, timeoutMillis: number): Promise<void> {
    const end = performance.now() + timeoutMillis;
    while (performance.now() < end) {
      if (this.#child.exitCode !== null) throw new Error(`${what}: the process ended.\n${this.#log.slice(-4_000)}`);
      if (await ready().catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${what}: not ready within ${timeoutMillis} ms.\n${this.#log.slice(-4_000)}`);
  }

  /** Ends it at once, as a crash would, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#killNow();
    process.removeListener('exit', this.#killNow);
    await this.#exited;
  }

  readonly #killNow = () => {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
  };
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no port'));
        else resolve(address.port);
      });
    });
  });
}
