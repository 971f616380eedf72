// Checks that are made one after the other, each with its name, its verdict and its time; the first that fails ends them all.
import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { styleText } from 'node:util';

/** The folder of the repository. */
export const root: string = resolve(import.meta.dirname, '../..');

/** What was checked is not as it should be. */
export class CheckFailure extends Error {}

export function fail(message: string): never {
  throw new CheckFailure(message);
}

export async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  try {
    const result = await work();
    console.log(`${styleText('green', 'ok')}   ${name} (${seconds(started)})`);
    return result;
  } catch (error) {
    console.log(`${styleText('red', 'fail')} ${name}`);
    throw error;
  }
}

export function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** Runs a program as a user would, for ten minutes at the most, and resolves with what it printed. */
export function run(program: string, args: readonly string[], cwd: string): Promise<string> {
  const path = `${join(root, 'node_modules/.bin')}:${process.env['PATH']}`;
  // The settings of the pnpm that runs this script are not for the npm that a user has, and neither are the packages of its workspace.
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|pnpm_|NODE_PATH$)/i.test(name));
  const env = { ...Object.fromEntries(inherited), PATH: path, NO_COLOR: '1', NODE_NO_WARNINGS: '1' };
  const command = program === 'node' ? process.execPath : program;
  return new Promise((done, failed) => {
    execFile(command, args, { cwd, env, maxBuffer: 2 ** 26, timeout: 600_000 }, (error, stdout, stderr) => {
      if (error === null) done(stdout);
      else failed(new CheckFailure(`${program} ${args.join(' ')}\n${stdout}${stderr}${'code' in error ? '' : error}`));
    });
  });
}

/** A program that consists of checks. */
export async function program(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof CheckFailure ? error.message : error);
    process.exitCode = 1;
  }
}
