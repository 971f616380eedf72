import { execFile, spawnSync } from 'node:child_process';

/** Whether a program is there; says so in one line if it is not. */
export function has(program: 'prometheus' | 'promtool'): boolean {
  const found = spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
  if (!found) console.log(`${program} is not installed (Debian: apt-get install prometheus): its tests are skipped`);
  return found;
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
