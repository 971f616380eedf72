import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folder that test/engines/install.mjs fills; undefined where `EXTERNALNAME_ENGINES` names none. */
const engines = process.env['EXTERNALNAME_ENGINES'];
const controlPlane = process.env['KUBEBUILDER_ASSETS'];
export const python = process.env['EXTERNALNAME_PYTHON'] ?? '/usr/bin/python3';

/** Patroni's Python packages. */
export const patroniPackages = folderOf('patroni-');
/** The files of Debian's packages of pg_auto_failover. */
export const pgAutoFailover =
  existing(engines && join(engines, 'pg-auto-failover-2.0', 'usr', 'bin', 'pg_autoctl')) &&
  folderOf('pg-auto-failover-');
/** PostgreSQL with all its programs: Patroni needs `pg_basebackup` and others that the npm package lacks. */
export const postgresPrograms = existing(process.env['EXTERNALNAME_POSTGRES_BIN'] ?? '/usr/lib/postgresql/15/bin');
export const etcdBinary = existing(controlPlane && join(controlPlane, 'etcd'));
export const kubernetesAssets = existing(controlPlane && join(controlPlane, 'kube-apiserver')) && controlPlane;

/** Says in one line what is missing, or returns undefined. */
export function missing(...needed: readonly (readonly [what: string, found: unknown])[]): string | undefined {
  const absent = needed.filter(([, found]) => !found).map(([what]) => what);
  if (absent.length === 0) return undefined;
  const text = `engines: skipped without ${absent.join(', ')}. Run test/engines/install.mjs and test/controlplane/build.mjs, and export what they print`;
  console.warn(text);
  return text;
}

/** PostgreSQL and etcd refuse root, so servers run as an account without privileges. */
export const account =
  process.getuid?.() === 0
    ? { uid: Number(execFileSync('id', ['-u', 'nobody'])), gid: Number(execFileSync('id', ['-g', 'nobody'])) }
    : {};

/** A server in a process group of its own, which ends with it. */
export class Program {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #log = '';

  constructor(binary: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}, cwd = '/') {
    this.#child = spawn(binary, args, {
      ...account,
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...environment },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString()).slice(-20_000);
      });
    }
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
    process.once('exit', this.#killNow);
  }

  get log(): string {
    return this.#log;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  signal(name: NodeJS.Signals): void {
    if (this.hasEnded || this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, name);
    } catch {
      // The group is gone.
    }
  }

  async kill(): Promise<void> {
    this.#killNow();
    process.removeListener('exit', this.#killNow);
    await this.#exited;
  }

  readonly #killNow = () => this.signal('SIGKILL');
}

/** Ends whatever was started with that folder as its home, also what has left the process group of its {@link Program}. */
export async function endAllOf(home: string): Promise<void> {
  await until('its processes to end', () => {
    const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && environmentOf(pid).includes(`HOME=${home}`));
    for (const pid of left) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It has just ended.
      }
    }
    return left.length === 0;
  });
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(join('/proc', pid, 'environ'), 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Resolves when it holds; fails with what it waited for. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMillis = 60_000,
): Promise<void> {
  const end = performance.now() + limitMillis;
  while (!(await Promise.resolve(holds()).catch(() => false))) {
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function folderOf(prefix: string): string | undefined {
  if (engines === undefined || !existsSync(engines)) return undefined;
  const found = readdirSync(engines).find((name) => name.startsWith(prefix) && !/\.\d{3,}$/.test(name));
  return found === undefined ? undefined : join(engines, found);
}

function existing(path: string | undefined): string | undefined {
  return path !== undefined && path !== '' && existsSync(path) ? path : undefined;
}
