// Fetches what the tests of engines run for real: Patroni from PyPI, and pg_auto_failover from Debian.
//
//   node test/engines/install.mjs            fetches what is missing, then prints: export EXTERNALNAME_ENGINES=<folder>
//   node test/engines/install.mjs --where    prints the folder only, fetches nothing
//
// Needs the pip of the Python that runs the tests (/usr/bin/python3, or EXTERNALNAME_PYTHON names another), and for pg_auto_failover apt-get and dpkg (Debian 12, PostgreSQL 15). The folder must be readable by the account that servers run as, so
// it is /var/cache/externalname/engines for root, unless EXTERNALNAME_CACHE_FOLDER names another.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const patroni = '4.1.5';
const own = process.getuid?.() === 0 ? '/var/cache/externalname' : join(homedir(), '.cache', 'externalname');
const folder = join(process.env.EXTERNALNAME_CACHE_FOLDER ?? own, 'engines');

if (process.argv.includes('--where')) {
  console.log(folder);
  process.exit(existsSync(join(folder, `patroni-${patroni}`)) ? 0 : 1);
}
mkdirSync(folder, { recursive: true });
unlessThere(`patroni-${patroni}`, (target) => {
  const packages = [`patroni[etcd3,kubernetes]==${patroni}`, 'psycopg2-binary'];
  run('pip', ['install', '--quiet', '--target', target, ...packages]);
});
unlessThere('pg-auto-failover-2.0', (target) => {
  const downloads = mkdtempSync(join(tmpdir(), 'externalname-debs-'));
  try {
    run('apt-get', ['download', 'postgresql-15-auto-failover', 'pg-auto-failover-cli'], downloads);
    for (const file of readdirSync(downloads)) run('dpkg', ['-x', join(downloads, file), target]);
    // PostgreSQL looks for extensions beside itself, so it is copied beside them, and nothing is installed.
    for (const place of ['usr/lib/postgresql/15', 'usr/share/postgresql/15']) {
      cpSync(join('/', place), join(target, place), { recursive: true, force: false, verbatimSymlinks: true });
    }
  } catch (error) {
    // Without Debian, the tests with it are skipped.
    console.error(String(error));
    mkdirSync(target, { recursive: true });
  } finally {
    rmSync(downloads, { recursive: true, force: true });
  }
});
console.log(`export EXTERNALNAME_ENGINES=${folder}`);

/** Under its own name only when it is whole. */
function unlessThere(name, make) {
  const target = join(folder, name);
  if (existsSync(target)) return;
  const draft = `${target}.${process.pid}`;
  make(draft);
  renameSync(draft, target);
}

function run(program, args, cwd) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
  return stdout;
}
