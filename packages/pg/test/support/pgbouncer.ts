import { execFileSync, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { PostgresPair } from '@externalname/testing';

/** Where PgBouncer is installed on this machine, if it is: Debian's package `pgbouncer`. */
export const pgbouncerPath: string | undefined = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  .map((folder) => join(folder, 'pgbouncer'))
  .find(isExecutable);

/** From 1.21 on it keeps track of prepared statements, if it is told to. */
export const tracksPreparedStatements = pgbouncerPath !== undefined && isAtLeast(pgbouncerPath, 1, 21);

/** A real PgBouncer before the primary of a pair. */
export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
}

/** Starts it in transaction mode. It takes everybody in, as the pair's user. */
export async function startPgBouncer(pair: PostgresPair, settings: Record<string, string> = {}): Promise<PgBouncer> {
  if (pgbouncerPath === undefined) throw new Error('PgBouncer is not installed');
  const folder = await mkdtemp(join(tmpdir(), 'externalname-pgbouncer-'));
  const port = await freePort();
  const users = join(folder, 'users');
  const configuration = join(folder, 'pgbouncer.ini');
  const all = {
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: users,
    pool_mode: 'transaction',
    server_tls_sslmode: 'require',
    ...settings,
  };
  const { address } = pair.primary;
  await writeFile(users, `"${pair.user}" "${pair.password}"\n`, { mode: 0o644 });
  await writeFile(
    configuration,
    [
      '[databases]',
      `${pair.database} = host=${address} port=${pair.port}`,
      '[pgbouncer]',
      ...Object.entries(all).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n'),
    { mode: 0o644 },
  );
  // It refuses to run as root, and reads its files as somebody else then.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chmod(folder, 0o755);
  const child = spawn(pgbouncerPath, ['-q', ...(isRoot ? ['-u', 'nobody'] : []), configuration], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await listening(port);
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

function isAtLeast(path: string, major: number, minor: number): boolean {
  const [, ...found] = /(\d+)\.(\d+)/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' })) ?? [];
  const [foundMajor = 0, foundMinor = 0] = found.map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
    await pause(50);
  }
  throw new Error('PgBouncer does not listen');
}
