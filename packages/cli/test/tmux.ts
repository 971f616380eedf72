import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';

/** The program, if this machine has it. */
export const tmux = (process.env['PATH'] ?? '')
  .split(':')
  .map((folder) => `${folder}/tmux`)
  .find((path) => existsSync(path));

/** A terminal of tmux with one program in it, that stays when the program is over. */
export class TmuxTerminal implements AsyncDisposable {
  readonly #socket = `externalname-${randomBytes(6).toString('hex')}`;

  static async run(
    command: readonly string[],
    { columns, rows, environment }: { columns: number; rows: number; environment: Readonly<Record<string, string>> },
  ): Promise<TmuxTerminal> {
    const terminal = new TmuxTerminal();
    const size = ['-x', String(columns), '-y', String(rows)];
    const variables = Object.entries(environment).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    await terminal.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, ...variables, quoted(command, 'cat'));
    return terminal;
  }

  /** What the terminal shows, without empty lines at the end. */
  async screen(): Promise<string> {
    return `${(await this.#tmux('capture-pane', '-p')).trimEnd()}\n`;
  }

  /** Presses keys, by the names of tmux: `C-c`, `Enter`. */
  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux('send-keys', ...keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux('kill-server').catch(() => undefined);
  }

  #tmux(...args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile(tmux ?? 'tmux', ['-L', this.#socket, ...args], { timeout: 10_000 }, (error, out) =>
        error === null ? resolve(out) : reject(error),
      );
    });
  }
}

/** The command as a line for sh, which says its exit status, and then `stays` keeps the terminal open. */
function quoted(command: readonly string[], stays: string): string {
  const words = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  // Ctrl-C is for the program alone.
  return `trap : INT; ${words.join(' ')}; printf '[exit status %s]\\n' $?; exec ${stays}`;
}
