import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isGroup } from '../src/command.ts';
import { commands } from '../src/commands.ts';
import { called } from './called.ts';

describe('the command line', () => {
  it('without a command prints the help to stderr, and says that it cannot be used', async () => {
    const { code, stdout, stderr } = await called([]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('Usage: externalname');
  });

  it('names every command in its help, and shows examples', async () => {
    const { code, stdout } = await called(['--help']);
    expect(code).toBe(0);
    for (const { name } of commands) expect(stdout).toContain(`  ${name} `);
    expect(stdout).toContain('Examples:');
  });

  it.each(commands.map(({ name }) => [name]))('%s has a help with its options and examples', async (name) => {
    const { code, stdout } = await called([name, '--help']);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: externalname ${name}`);
    expect(stdout).toMatch(new RegExp(`Examples:\\n {2}# .+\\n {2}externalname ${name}`));
    const loaded = await commands.find((entry) => entry.name === name)?.load();
    if (loaded === undefined || isGroup(loaded)) return;
    for (const { flags } of Object.values(loaded.options)) expect(stdout).toContain(flags);
  });

  it('is that of the plugin if kubectl calls it', async () => {
    const { stdout } = await called(['completion', '--help'], { name: 'kubectl externalname' });
    expect(stdout).toContain('Usage: kubectl externalname completion');
  });

  it('suggests the command that was meant', async () => {
    const { code, stderr } = await called(['completon', 'bash']);
    expect(code).toBe(2);
    expect(stderr).toBe("externalname: unknown command 'completon'\n(Did you mean completion?)\n");
  });

  it('suggests the option that was meant', async () => {
    const { code, stderr } = await called(['completion', 'bash', '--hlp']);
    expect(code).toBe(2);
    expect(stderr).toBe("externalname: unknown option '--hlp'\n(Did you mean --help?)\n");
  });

  it('refuses an argument too few and one too many', async () => {
    expect(await called(['completion'])).toMatchObject({ code: 2, stderr: expect.stringContaining("'shell'") });
    expect(await called(['completion', 'bash', 'zsh'])).toMatchObject({ code: 2 });
  });

  it('prints the version', async () => {
    expect(await called(['--version'])).toMatchObject({ code: 0, stdout: '1.2.3\n' });
  });
});

describe('completion', () => {
  it.each(['bash', 'zsh'])('has a script for %s, which asks the program', async (shell) => {
    const { code, stdout } = await called(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('externalname __complete');
  });

  /** A folder with the completion script of a shell, and a program in the place of ours, which says what it was asked. */
  async function prepared(shell: string, answer: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-completion-'));
    await writeFile(join(folder, '_externalname'), (await called(['completion', shell])).stdout);
    const program = `#!/bin/sh\nprintf '%s\\n' "$*" >> "${folder}/asked"\nprintf '${answer}'\n`;
    await writeFile(join(folder, 'externalname'), program, { mode: 0o755 });
    return folder;
  }

  const inShell = (shell: string, args: readonly string[], folder: string) =>
    new Promise<string>((resolve, reject) => {
      const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}`, HOME: folder };
      execFile(shell, args, { env, cwd: folder, timeout: 20_000 }, (error, out) =>
        error === null ? resolve(out) : reject(error),
      );
    });

  it('is what bash fills in', async () => {
    const folder = await prepared('bash', 'webscaler-db\\nwebscaler-cache\\n:4\\n');
    try {
      const line = `source "${folder}/_externalname"; COMP_WORDS=(externalname doctor web); COMP_CWORD=2; _externalname; echo "\${COMPREPLY[*]}"`;
      expect(await inShell('bash', ['-c', line], folder)).toBe('webscaler-db webscaler-cache\n');
      expect(await readFile(join(folder, 'asked'), 'utf8')).toBe('__complete doctor web\n');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  const zsh = ['/bin/zsh', '/usr/bin/zsh'].find((path) => existsSync(path));
  /** What is typed in an interactive zsh, in a terminal of its own: completion is there in no other. */
  const typedIn = (folder: string, typed: string) => `
    zmodload zsh/zpty
    zpty shell ${zsh} -f -i
    zpty -w shell 'PS1=; fpath=(${folder} $fpath); autoload -Uz compinit; compinit -u -d ${folder}/dump; print REA""DY'
    zpty -r shell seen '*READY*'
    zpty -w -n shell $'${typed}\\t\\n'
    zpty -w shell 'print DO""NE'
    zpty -r shell seen '*DONE*'
    print -r -- "$seen"
  `;

  it.skipIf(zsh === undefined).each([
    ['a Service', 'doctor webscaler-d', 'webscaler-db\\n:4\\n', 'doctor webscaler-db'],
    ['a file', 'lint serv', ':0\\n', 'lint service.yaml'],
  ])(
    `is what zsh fills in: %s${zsh === undefined ? ' (skipped: no zsh here)' : ''}`,
    async (_, typed, answer, filled) => {
      const folder = await prepared('zsh', answer);
      try {
        await writeFile(join(folder, 'service.yaml'), '');
        const shown = await inShell(zsh ?? '', ['-f', '-c', typedIn(folder, `externalname ${typed}`)], folder);
        const asked = (await readFile(join(folder, 'asked'), 'utf8')).trimEnd().split('\n');
        expect(asked.map((line) => line.trimEnd())).toEqual([`__complete ${typed}`, filled]);
        // zsh beeps where a completion says that it found nothing.
        expect(shown).not.toContain('\u0007');
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  );

  it('refuses another shell', async () => {
    expect(await called(['completion', 'fish'])).toMatchObject({ code: 2, stderr: expect.stringContaining('"fish"') });
  });

  it('offers commands, then what a command takes, and says that no files are meant', async () => {
    const lines = async (...words: string[]) => (await called(['__complete', ...words])).stdout.trimEnd().split('\n');
    expect(await lines('')).toEqual([...commands.map(({ name }) => name), ':4']);
    expect(await lines('comp')).toEqual(['completion', ':4']);
    expect(await lines('completion', '')).toEqual(['bash', 'zsh', ':4']);
    expect(await lines('completion', '--')).toEqual(['--help', ':4']);
    expect(await lines('nonsense', '')).toEqual([':4']);
  });
});
