import { execFileSync, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresPair } from '@externalname/testing';

/** A PgBouncer in transaction mode before the primary of a pair, with so many connections to it. `undefined` if it is not installed. */
export async function startPgBouncer(pair: PostgresPair, size: number) {
  const path = installedAt();
  if (path === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'externalname-bench-pgbouncer-'));
  const port = await freePort();
  const lines = [
    '[databases]',
    `${pair.database} = host=${pair.primary.address} port=${pair.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${join(folder, 'users')}`,
    'pool_mode = transaction',
    'server_tls_sslmode = require',
    `default_pool_size = ${size}`,
    'max_client_conn = 1000',
  ];
  await writeFile(join(folder, 'users'), `"${pair.user}" "${pair.password}"\n`, { mode: 0o644 });
  await writeFile(join(folder, 'pgbouncer.ini'), `${lines.join('\n')}\n`, { mode: 0o644 });
  // It refuses to run as root, and reads its files as somebody else then.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) await chmod(folder, 0o755);
  const child = spawn(path, ['-q', ...(isRoot ? ['-u', 'nobody'] : []), join(folder, 'pgbouncer.ini')], {
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await listening(port);
  return {
    port,
    close: async () => {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

// Debian puts it where only root looks.
function installedAt(): string | undefined {
  return ['pgbouncer', '/usr/sbin/pgbouncer'].find((path) => {
    try {
      return execFileSync(path, ['--version']).length > 0;
    } catch {
      return false;
    }
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise<void>((resolve) => server.once('listening', () => resolve()));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answers = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (answers) return;
    await sleep(100);
  }
  throw new Error('PgBouncer does not listen');
}
