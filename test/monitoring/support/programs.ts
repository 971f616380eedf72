import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

const packages = {
  prometheus: 'prometheus',
  promtool: 'prometheus',
  'prometheus-node-exporter': 'prometheus-node-exporter',
} as const;

/** Whether a program is there; says so in one line if it is not. */
export function has(program: keyof typeof packages): boolean {
  const found = spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
  const install = `apt-get install ${packages[program]}`;
  if (!found) console.log(`${program} is not installed (Debian: ${install}): its tests are skipped`);
  return found;
}

/** Starts a program, and resolves when it answers at a URL. The result ends it. */
export async function startProgram(
  program: keyof typeof packages,
  args: readonly string[],
  readyAt: string,
): Promise<() => Promise<void>> {
  const child = spawn(program, args, { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const end = async () => {
    child.kill('SIGTERM');
    const killed = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(killed);
  };
  const until = Date.now() + 30_000;
  for (;;) {
    const answer = await fetch(readyAt, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    if (answer?.ok) return end;
    if (child.exitCode !== null || Date.now() > until) {
      await end();
      throw new Error(`${program} was not ready within 30 s, exit code ${child.exitCode}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}

/** Runs promtool. Resolves with its output and exit status. */
export function promtool(args: readonly string[], input = ''): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = execFile('promtool', args, { timeout: 60_000 }, (_error, stdout, stderr) =>
      resolve({ status: child.exitCode, output: stdout + stderr }),
    );
    child.stdin?.end(input);
  });
}
