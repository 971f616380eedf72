import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown } from 'node:fs/promises';
import type { PostgresBinaries } from './binaries.ts';
import { PostgresUnavailableError } from './errors.ts';
import { preparedFolder } from './prepared-folder.ts';

/** A data folder as `initdb` makes it, kept for the next pair. It contains no passwords and accepts no connections. */
export function preparedDataFolder(binaries: PostgresBinaries): Promise<string> {
  const { identity, name } = binaries.account;
  const digest = createHash('sha256')
    .update(JSON.stringify([initdbArguments, binaries.postgres, name]))
    .digest('hex')
    .slice(0, 12);
  return preparedFolder({
    cache: binaries.cache,
    key: `data-${binaries.version}-${digest}`,
    build: async (folder) => {
      if (identity !== undefined) await chown(folder, identity.uid, identity.gid);
      await new Promise<void>((resolve, reject) => {
        const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' };
        execFile(
          binaries.initdb,
          [...initdbArguments, '-D', folder],
          { ...identity, cwd: '/', env },
          (cause, stdout, stderr) => {
            if (cause === null) resolve();
            else
              reject(
                new PostgresUnavailableError(`initdb failed: ${(stderr || stdout || cause.message).trim()}`, { cause }),
              );
          },
        );
      });
    },
  });
}

const initdbArguments = [
  '--username=postgres',
  '--auth=reject',
  '--encoding=UTF8',
  '--locale=C',
  '--no-sync',
  '--no-instructions',
  '--wal-segsize=4',
];
