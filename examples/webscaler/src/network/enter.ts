import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Runs a command, with all that it starts, in a network namespace of its own that has nothing but a loopback interface, and resolves
 * with its exit status. No packet gets out of it.
 *
 * Root makes a network namespace as it is; anybody else makes it inside a user namespace, in which it keeps its own user id (PostgreSQL
 * refuses to run as user 0) and has the capabilities over the network that root has (user_namespaces(7)).
 */
export async function runInOwnNetwork(command: readonly string[]): Promise<number> {
  const [program = '', ...parameters] = [...unshared(), ...command];
  const child = spawn(program, parameters, {
    stdio: 'inherit',
    env: { ...process.env, PATH: searchPath(), [insideVariable]: '1' },
  });
  // A signal from the terminal has reached the command as well. This process only waits for what it makes of it.
  const forward = (signal: NodeJS.Signals) => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, forward);
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
  });
}

/** Whether this process was started by {@link runInOwnNetwork}. */
export function isInOwnNetwork(): boolean {
  return process.env[insideVariable] === '1';
}

/** What this machine lacks for namespaces, in one line; `undefined` if it has all. Tries it, which takes some 50 milliseconds. */
export function networkProblem(): string | undefined {
  if (process.platform !== 'linux') return `network namespaces need Linux, and this is ${process.platform}`;
  const env = { ...process.env, PATH: searchPath() };
  for (const [program, owner] of Object.entries(programs)) {
    if (spawnSync('sh', ['-c', `command -v ${program}`], { env }).status !== 0) {
      return `the command ${program} is missing: install the package ${owner}`;
    }
  }
  const [program = '', ...parameters] = [...unshared(), 'sh', '-c', trial];
  const { status, stderr, error } = spawnSync(program, parameters, { env, timeout: 10_000, encoding: 'utf8' });
  if (status === 0) return undefined;
  const reason = error?.message ?? stderr.trim().split('\n').at(-1) ?? `it ended with ${status}`;
  return `this system does not let ${process.getuid?.() === 0 ? 'root' : 'this user'} make network namespaces: ${reason}`;
}

/** Where the programs of a system administrator are, which are not on every user's path. */
export function searchPath(): string {
  return `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
}

function unshared(): readonly string[] {
  const asOtherUser = process.getuid?.() === 0 ? [] : ['--map-current-user', '--keep-caps'];
  return ['unshare', ...asOtherUser, '--net', '--mount', '--propagation', 'private', '--'];
}

const insideVariable = 'EXTERNALNAME_OWN_NETWORK';
const programs = { unshare: 'util-linux', nsenter: 'util-linux', mount: 'mount', ip: 'iproute2', nft: 'nftables' };
// All that is done later, once: an interface, a filter with the parts that faults are made of, and a file system of its own.
const trial = `set -e
ip link set lo up
ip link add try0 type veth peer name try1
nft 'table inet try { chain c { type filter hook forward priority 0; numgen random mod 100 < 1 drop; }; chain d { type nat hook prerouting priority -100; }; }'
mount -t tmpfs none /tmp`;
