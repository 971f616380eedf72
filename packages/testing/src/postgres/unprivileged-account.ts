import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { PostgresUnavailableError } from './errors.ts';

/**
 * The account that server processes run as.
 *
 * PostgreSQL refuses to run as root. So a process of root starts it as an account without privileges. A process of any other
 * user starts it as that user.
 */
export interface ServerAccount {
  readonly name: string;
  /** Set only if it differs from that of this process. */
  readonly identity: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Chooses the account.
 *
 * @param name an account to use if this process belongs to root. Ignored otherwise. @defaultValue the first that exists
 * of `nobody`, `postgres`, `daemon`
 * @throws {@link PostgresUnavailableError} (`ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE`) if none exists.
 */
export async function chooseServerAccount(name?: string): Promise<ServerAccount> {
  if (process.getuid === undefined) {
    throw new PostgresUnavailableError('PostgreSQL pairs need Linux or macOS: this system has no user ids');
  }
  if (process.getuid() !== 0) return { name: ownName(), identity: undefined };
  const accounts = parsePasswd(readPasswd());
  const wanted = name === undefined ? usualAccounts : [name];
  for (const candidate of wanted) {
    const account = accounts.get(candidate);
    if (account !== undefined && account.uid > 0) return { name: candidate, identity: account };
  }
  throw new PostgresUnavailableError(
    `PostgreSQL refuses to run as root, and there is no account to run it as (looked for ${wanted.join(', ')} in /etc/passwd): ` +
      'run as another user, or name an existing account in the option `account`',
  );
}

/** Name of the user that this process belongs to, as PostgreSQL's `peer` authentication sees it. */
export function ownName(): string {
  const uid = process.getuid?.();
  // The file comes first, as for PostgreSQL: the user that Bun names comes from the environment.
  for (const [name, account] of parsePasswd(readPasswd())) if (account.uid === uid) return name;
  try {
    return userInfo().username;
  } catch (cause) {
    throw new PostgresUnavailableError(
      `user id ${process.getuid?.() ?? '?'} has no name on this machine, and PostgreSQL needs one: add it to /etc/passwd`,
      { cause },
    );
  }
}

/**
 * Makes sure that this process can start a program as the account, and that the account can reach a folder.
 *
 * @throws {@link PostgresUnavailableError} (`ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE`)
 */
export async function assertReach(account: ServerAccount, folder: string): Promise<void> {
  if (account.identity === undefined) return;
  const { error } = await runAs(account, '/bin/sh', ['-c', 'cd "$0"', folder]);
  if (error === undefined) return;
  if ((error as NodeJS.ErrnoException).code === 'EPERM') {
    throw new PostgresUnavailableError(
      `PostgreSQL refuses to run as root, and this process may not start a program as ${account.name}: ` +
        'run it as another user, or allow it to change users (CAP_SETUID and CAP_SETGID)',
      { cause: error },
    );
  }
  throw new PostgresUnavailableError(
    `PostgreSQL runs as ${account.name}, which cannot reach the folder ${folder}: set the option cacheFolder or ` +
      'EXTERNALNAME_CACHE_FOLDER to a folder that this account can reach',
    { cause: error },
  );
}

/** Runs a program to its end as the account. */
export function runAs(
  { identity }: ServerAccount,
  program: string,
  parameters: string[],
): Promise<{ error: Error | undefined; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const options = { ...identity, cwd: '/', timeout: probeTimeoutMillis };
    try {
      execFile(program, parameters, options, (error, stdout, stderr) => {
        resolve({ error: error ?? undefined, stdout, stderr });
      });
    } catch (error) {
      // Node throws some errors of a start, and passes others to the callback.
      resolve({ error: error as Error, stdout: '', stderr: '' });
    }
  });
}

function readPasswd(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8');
  } catch {
    // Accounts may be kept elsewhere.
    return '';
  }
}

function parsePasswd(text: string): Map<string, { uid: number; gid: number }> {
  const accounts = new Map<string, { uid: number; gid: number }>();
  for (const line of text.split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === undefined || name.startsWith('#') || !/^-?\d+$/.test(uid ?? '') || !/^-?\d+$/.test(gid ?? ''))
      continue;
    accounts.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  return accounts;
}

const usualAccounts = ['nobody', 'postgres', 'daemon'];
const probeTimeoutMillis = 30_000;
