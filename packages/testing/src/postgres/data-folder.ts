import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown } from 'node:fs/promises';
import type { PostgresBinaries } from './binaries.ts';
import { PostgresUnavailableError } from './errors.ts';
import { preparedFolder } from './prepared-folder.ts';

/** A data folder as `initdb` makes it, kept for the next pair. It contains no passwords and accepts no connections. */
export function preparedDataFolder(binaries: PostgresBinaries): Promise<string> {
  const { identity, name } = binaries.account;
  const parameters = initdbArguments(binaries);
  const digest = createHash('sha256')
    .update(JSON.stringify([parameters, binaries.postgres, name]))
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
          [...parameters, '-D', folder],
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

function initdbArguments({ majorVersion }: PostgresBinaries): readonly string[] {
  return [
    '--username=postgres',
    '--auth=reject',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    ...(majorVersion >= 14 ? ['--no-instructions'] : []),
    '--wal-segsize=4',
  ];
}
