import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { type Copy, type Dockerfile, DockerfileParser, type JSONInstruction } from 'dockerfile-ast';
import { describe, expect, it } from 'vitest';
import { root } from './code-blocks.ts';

// `pnpm release:dry` runs what they run, in their order, with the packages as they will be published.

const files = ['examples', 'packages'].flatMap((folder) =>
  readdirSync(join(root, folder)).flatMap((name) =>
    ['.', 'deploy'].map((below) => join(root, folder, name, below, 'Dockerfile')).filter(existsSync),
  ),
);

it('there is one for the service and one for the follower', () => {
  expect(files.map((file) => relative(root, file))).toEqual([
    'examples/service/Dockerfile',
    'packages/engines/deploy/Dockerfile',
  ]);
});

describe.each(files.map((file) => [relative(root, file), file] as const))('the image of %s', (_, file) => {
  const parsed = DockerfileParser.parse(readFileSync(file, 'utf8'));
  const folder = dirname(file);

  it('begins with an image that cannot be changed: its version for the reader, and its digest', () => {
    for (const from of parsed.getFROMs()) {
      expect(from.getImageTag()).toMatch(/^\d+\.\d+\.\d+-/);
      expect(from.getImageDigest()).toMatch(/^sha256:[0-9a-f]{64}$/);
    }
    expect(parsed.getFROMs()).toHaveLength(1);
  });

  it('has only instructions that a builder knows', () => {
    const known = ['FROM', 'WORKDIR', 'RUN', 'COPY', 'ENV', 'USER', 'CMD', 'ENTRYPOINT'];
    expect(keywords(parsed).filter((keyword) => !known.includes(keyword))).toEqual([]);
  });

  it('copies what is there, and all that its program imports', () => {
    const sources = parsed.getCOPYs().flatMap((copy) => sourcesOf(copy));
    for (const source of sources) expect(statSync(join(folder, source)).isFile()).toBe(true);
    for (const source of sources) {
      const imported = [...readFileSync(join(folder, source), 'utf8').matchAll(/from '(\.\/[^']+)'/g)];
      const missing = imported.map(([, path = '']) => join(dirname(source), path));
      expect(missing.filter((path) => !sources.includes(path))).toEqual([]);
    }
  });

  it('does not run as root, and says by number as whom: Kubernetes can verify that alone (runAsNonRoot)', () => {
    const users = parsed.getInstructions().filter((each) => each.getKeyword() === 'USER');
    expect(Number(users.at(-1)?.getArgumentsContent())).toBeGreaterThan(0);
    expect(keywords(parsed).slice(keywords(parsed).indexOf('USER'))).not.toContain('RUN');
  });

  it('starts its program without a shell, so that it gets the signals', () => {
    const starts = parsed.getInstructions().filter((each) => ['CMD', 'ENTRYPOINT'].includes(each.getKeyword()));
    expect(starts).toHaveLength(1);
    for (const start of starts) expect((start as JSONInstruction).getJSONStrings().length).toBeGreaterThan(0);
  });

  it('runs commands that a shell can read', async () => {
    for (const command of commandsOf(parsed)) await promisify(execFile)('sh', ['-n', '-c', command]);
    expect(commandsOf(parsed)).not.toEqual([]);
  });
});

function keywords(file: Dockerfile): readonly string[] {
  return file.getInstructions().map((each) => each.getKeyword());
}

/** The last word of COPY is where to. */
function sourcesOf(copy: Copy): readonly string[] {
  return copy
    .getArguments()
    .slice(0, -1)
    .map((argument) => argument.getValue());
}

function commandsOf(file: Dockerfile): readonly string[] {
  const runs = file.getInstructions().filter((each) => each.getKeyword() === 'RUN');
  return runs.map((run) => run.getArgumentsContent() ?? '');
}
