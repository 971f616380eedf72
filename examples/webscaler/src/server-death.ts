import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { PostgresServer } from '@externalname/testing';

/** Process ids of a server that lives: its postmaster, and every process that this one has forked and knows of. */
export async function serverProcessIds(server: PostgresServer): Promise<readonly number[]> {
  const rows = await server.query<{ pid: number }>('select pid from pg_stat_activity');
  const ids = new Set(rows.map(({ pid }) => pid));
  if (server.processId !== undefined) ids.add(server.processId);
  return [...ids];
}

/**
 * Checks whether a server is dead, independently of what killed it.
 *
 * @returns what a connection attempt got: `ECONNREFUSED`.
 * @throws if one of its processes lives, or a connection is accepted.
 */
export async function assertDead(server: PostgresServer, processIds: readonly number[]): Promise<string> {
  const alive = processIds.filter(isAlive);
  if (alive.length > 0) throw new Error(`${server.hostName} was killed, and its processes ${alive.join(', ')} live`);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect({ host: server.address, port: server.port, timeout: 1_000 });
    const settle = (text: string) => {
      socket.destroy();
      resolve(text);
    };
    socket.once('connect', () => settle('connected'));
    socket.once('timeout', () => settle('no answer'));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
  if (answer !== 'ECONNREFUSED') throw new Error(`${server.hostName} was killed, and a connection gets: ${answer}`);
  return answer;
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
  } catch (error) {
    // EPERM: there is one, and it belongs to another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    // A container's first process may leave the dead unburied: they keep their number and nothing else (proc_pid_stat(5)).
    const status = readFileSync(`/proc/${processId}/stat`, 'latin1');
    return !['Z', 'X'].includes(status.charAt(status.lastIndexOf(')') + 2));
  } catch {
    return process.platform !== 'linux';
  }
}
