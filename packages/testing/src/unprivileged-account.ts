import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { PostgresUnavailableError } from './postgres-errors.ts';

/**
 * The account that server processes run as.
 *
 * PostgreSQL refuses to run as root. A process of root therefore starts it as an account without privileges; any other
 * user's process starts it as that user.
 */
export interface ServerAccount {
  readonly name: string;
  /** Set only where it is another than that of this process. */
  readonly identity: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Chooses the account.
 *
 * @param name an account to use where this process belongs to root. Ignored otherwise. @defaultValue the first that exists
 * of `nobody`, `postgres`, `daemon`
 * @throws {@link PostgresUnavailableError} (`ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE`) where none exists.
 */
export async function chooseServerAccount(name?: string): Promise<ServerAccount> {
  if (process.getuid === undefined) {
    throw new PostgresUnavailableError('PostgreSQL pairs need Linux or macOS: this system has no user ids');
  }
  if (process.getuid() !== 0) return { name: ownName(), identity: undefined };
  const accounts = parsePasswd(await readFile('/etc/passwd', 'utf8').catch(() => ''));
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
  try {
    return userInfo().username;
  } catch (cause) {
    throw new PostgresUnavailableError(
      `user id ${process.getuid?.() ?? '?'} has no name on this machine, and PostgreSQL needs one: add it to /etc/passwd`,
      { cause },
    );
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
