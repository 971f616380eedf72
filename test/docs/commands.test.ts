import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { called } from '../../packages/cli/test/called.ts';
import { codeBlocks, root } from './code-blocks.ts';

/** Pages (or folders of them) whose commands a test runs as they are written, from the first line that has a text. */
const runBy: readonly (readonly [page: string, from: string, test: string])[] = [
  ['docs/start.md', 'mkdir first-failover', 'test/package/guide-checks.ts'],
  ['docs/guides/from-a-clone.md', '', 'test/package/guide-checks.ts'],
  ['docs/guides/first-hour.md', 'node servers.mjs', 'test/acceptance/first-hour.long.test.ts'],
];

/** Commands that no test runs as they are written, and why. */
const notRun: readonly (readonly [page: string, text: string, reason: string])[] = [
  ['packages/', 'npm install', 'not published yet: pnpm release:dry installs each alone'],
  ['docs/guides/cli.md', 'npm install --global', 'the same'],
  ['docs/guides/first-hour.md', 'git clone', 'a clone is what this is'],
  ['docs/guides/first-hour.md', 'npm init', 'the commands of from-a-clone.md, which are run'],
  ['docs/guides/first-hour.md', 'npm install', 'the same'],
  ['docs/start.md', 'EXTERNALNAME_ALLOWED_TARGETS=', 'a setting and no command'],
  ['docs/guides/disaster-recovery.md', 'psql ', 'needs the databases of its reader'],
  [
    'docs/guides/disaster-recovery.md',
    'kubectl patch',
    'needs a cluster: kubectl-plugin.test.ts and the demo make the same patch',
  ],
  ['docs/guides/local-cluster.md', 'unshare', 'needs user namespaces and psql: test/site enters a network in this way'],
  ['docs/guides/', 'npx --package @externalname/testing', 'clone-command.long.test.ts runs it with --help'],
  ['packages/testing/', 'npx --package @externalname/testing', 'the same'],
  [
    'docs/guides/manifests.md',
    'kubectl apply',
    'examples/manifests/src/main.test.ts runs it without kubectl; pnpm test:contract applies',
  ],
  [
    'examples/service/README.md',
    'docker build',
    'needs Docker: dockerfiles.test.ts reads the file, pnpm release:dry runs its commands',
  ],
  ['examples/service/README.md', 'kubectl ', 'needs a cluster: test/docs/examples.test.ts validates the manifests'],
];

interface Line {
  readonly page: string;
  readonly place: string;
  readonly command: string;
}

const lines: readonly Line[] = codeBlocks(['sh', 'bash', 'console', 'shell']).flatMap(({ page, line, code }) =>
  code
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .map((text) => text.replace(/(^|\s)# .*$/, '').trim())
    .filter((text) => text !== '')
    .map((command) => ({ page, place: `${page}:${line}: ${command}`, command })),
);

describe('the commands that pages show', () => {
  it('are run by a test, or are right as far as that can be seen without, or it is known why not', () => {
    expect(lines.length).toBeGreaterThan(80);
    const other = lines.filter((line) => !isRun(line) && !isExcused(line) && !isOurs(line) && !isScript(line));
    expect(other.map(({ place }) => place)).toEqual([]);
  });

  it('of the program have only options that it knows', { timeout: 120_000 }, async () => {
    const problems = await Promise.all(lines.filter(isOurs).map(problemOf));
    expect(problems.flat()).toEqual([]);
  });

  it('name scripts that are there', () => {
    const missing = lines.filter((line) => isScript(line) && !scriptsOf(line.command).every(exists));
    expect(missing.map(({ place }) => place)).toEqual([]);
  });

  it('are not said to be run by what does not name their page, or excused for nothing', () => {
    const wrong = runBy.filter(([page, , test]) => !readFileSync(join(root, test), 'utf8').includes(page));
    const unused = notRun.filter(
      ([page, text]) => !lines.some((line) => line.page.startsWith(page) && line.command.includes(text)),
    );
    expect([...wrong, ...unused]).toEqual([]);
  });
});

function isRun({ page, command }: Line): boolean {
  return runBy.some(([of, from]) => {
    const those = lines.filter((line) => line.page === of);
    const first = those.findIndex((line) => line.command.includes(from));
    return of === page && those.slice(first).some((line) => line.command === command);
  });
}

function isExcused({ page, command }: Line): boolean {
  return notRun.some(([at, text]) => page.startsWith(at) && command.includes(text));
}

// The program, wherever it stands in a line of the shell.
const ours = /(?:^|\| |&& )(?:externalname|npx @externalname\/cli) (.*?)(?= && | > |$)/g;

function isOurs({ command }: Line): boolean {
  return command.match(ours) !== null;
}

/** What is wrong with a call of the program: a command or an option that is not there. */
async function problemOf({ place, command }: Line): Promise<readonly string[]> {
  const calls = [...command.matchAll(ours)].map(([, words = '']) =>
    words.replaceAll(/'[^']*'|"[^"]*"/g, 'text').split(/\s+/),
  );
  const problems: string[] = [];
  for (const [name = '', ...words] of calls) {
    const known = await optionsOf(name);
    if (known === undefined) problems.push(`${place}: no command ${name}`);
    const used = words.filter((word) => /^-[-\w]/.test(word)).map((word) => word.replace(/=.*/, ''));
    problems.push(
      ...used.filter((option) => known?.has(option) === false).map((option) => `${place}: no option ${option}`),
    );
  }
  return problems;
}

const helps = new Map<string, Promise<ReadonlySet<string> | undefined>>();

/** The options that the help of a command lists; undefined if there is no such command. */
function optionsOf(command: string): Promise<ReadonlySet<string> | undefined> {
  const known = helps.get(command) ?? askForHelp(command);
  helps.set(command, known);
  return known;
}

async function askForHelp(command: string): Promise<ReadonlySet<string> | undefined> {
  const { stdout: help } = await called([command, '--help']);
  // Of what it does not know, it prints its own.
  if (!help.startsWith(`Usage: externalname ${command} `)) return undefined;
  return new Set(help.match(/(?<=^ *|, )--?[\w-]+/gm));
}

const pnpm = /(?:^|&& )(?:npx -y pnpm@[\d.]+|pnpm) (?:--filter (\S+) |--dir (\S+) )?([\w:]+)/g;

function isScript({ command }: Line): boolean {
  return command.match(pnpm) !== null;
}

interface Script {
  readonly folder: string;
  readonly script: string;
}

function scriptsOf(command: string): readonly Script[] {
  return [...command.matchAll(pnpm)].map(([, filter, folder, script = '']) => ({
    folder:
      folder ?? filter?.replace('@externalname-examples/', 'examples/').replace('@externalname/', 'packages/') ?? '.',
    script,
  }));
}

function exists({ folder, script }: Script): boolean {
  const file = join(root, folder, 'package.json');
  if (!existsSync(file)) return false;
  const { scripts = {} } = JSON.parse(readFileSync(file, 'utf8')) as { readonly scripts?: object };
  return script in scripts || script === 'exec' || script === 'add';
}
