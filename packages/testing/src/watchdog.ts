import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { basename } from 'node:path';

/** What every guarded folder's name begins with. Nothing else is ever removed. */
export const guardedPrefix = 'externalname-';

/**
 * Removes a folder, and kills the PostgreSQL servers in it, when this process ends, however it ends.
 *
 * A small shell waits on a pipe that only this process holds open. When the process is gone (returned, `process.exit`, an
 * uncaught error, Ctrl-C, even `kill -9`), the pipe closes; the shell then kills the servers and removes the folder.
 * It is in a session of its own, so that no signal from the terminal reaches it, and it ends when no folder is guarded any more.
 *
 * @param folder an absolute path whose last part begins with {@link guardedPrefix} and is unique on this machine. Its
 * servers have `-D<folder>/...` in their command line and `<last part>-...` as `cluster_name`.
 * @returns a function that ends the guard.
 */
export async function guardFolder(folder: string): Promise<() => Promise<void>> {
  if (!basename(folder).startsWith(guardedPrefix) || !folder.startsWith('/') || folder.includes('\n')) {
    throw new TypeError(
      `the folder must be an absolute path whose last part begins with ${guardedPrefix}, got ${JSON.stringify(folder)}`,
    );
  }
  guarded.add(folder);
  await tell(`+${folder}`);
  return async () => {
    if (!guarded.delete(folder)) return;
    await tell(`-${folder}`);
    if (guarded.size === 0) {
      const ending = shell;
      shell = undefined;
      const stdin = ending?.stdin;
      if (!stdin || stdin.destroyed) return;
      (stdin as Partial<Socket>).ref?.();
      await new Promise<void>((resolve) => stdin.once('close', resolve).end());
    }
  };
}

const guarded = new Set<string>();
let shell: ChildProcess | undefined;

function tell(line: string): Promise<void> {
  const lines = shell === undefined ? [...guarded].map((folder) => `+${folder}`) : [line];
  shell ??= startShell();
  const { stdin } = shell;
  return new Promise((resolve) => {
    // If the watchdog was killed, the next message starts it again.
    if (stdin === null || !stdin.writable) resolve();
    else stdin.write(`${lines.join('\n')}\n`, () => resolve());
  });
}

function startShell(): ChildProcess {
  const child = spawn('/bin/sh', ['-c', script], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: `${process.env['PATH'] ?? ''}:/usr/bin:/bin:/usr/sbin:/sbin`, LC_ALL: 'C' },
  });
  const forget = () => {
    if (shell === child) shell = undefined;
  };
  child.on('error', forget);
  child.on('exit', forget);
  child.stdin?.on('error', forget);
  // It must not keep this process alive. Bun's pipes have no `unref`, and do not keep the process alive either.
  child.unref();
  (child.stdin as Partial<Socket> | null)?.unref?.();
  return child;
}

// POSIX shell. Patterns reach grep and awk by pipe and environment, so that they do not find their own command lines.
const script = `
trap '' HUP INT TERM QUIT PIPE
nl='
'
folders=
while IFS= read -r line; do
  folder=\${line#?}
  case $line in
    +*) folders=$folders$nl$folder ;;
    -*)
      kept=
      IFS=$nl
      set -f
      for each in $folders; do [ "$each" = "$folder" ] || kept=$kept$nl$each; done
      folders=$kept ;;
  esac
done
servers() {
  if [ -r /proc/self/cmdline ]; then
    printf '%s\\n' "-D$1/" "postgres: \${1##*/}-" | grep -lF -f - /proc/[0-9]*/cmdline 2>/dev/null | cut -d/ -f3
  else
    ps -axww -o pid=,command= | FOLDER="-D$1/" TITLE="postgres: \${1##*/}-" awk 'index($0, ENVIRON["FOLDER"]) || index($0, ENVIRON["TITLE"]) { print $1 }'
  fi
}
end() {
  tries=0
  while [ $tries -lt 200 ]; do
    set +f
    pids=$(servers "$1")
    [ -n "$pids" ] || break
    kill -9 $pids 2>/dev/null
    tries=$((tries + 1))
    sleep 0.02
  done
  for file in "$1"/*/data/postmaster.pid; do
    [ -f "$file" ] || continue
    segment=$(sed -n '7s/^ *[0-9]* *\\([0-9][0-9]*\\) *$/\\1/p' "$file")
    [ -z "$segment" ] || ipcrm -m "$segment" 2>/dev/null
  done
  rm -rf "$1"
  set -f
}
IFS=$nl
set -f
for folder in $folders; do
  case \${folder##*/} in ${guardedPrefix}?*) end "$folder" ;; esac
done
[ -n "$folders" ] || exit 0
# A server that was just being started may have appeared since.
sleep 0.3
for folder in $folders; do
  case \${folder##*/} in ${guardedPrefix}?*) end "$folder" ;; esac
done
`;
