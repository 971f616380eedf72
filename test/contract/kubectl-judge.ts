import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What kubectl makes of a text. */
export type KubectlVerdict =
  | { readonly taken: true; readonly objects: readonly unknown[] }
  | {
      readonly taken: false;
      /** Whether it is the text that cannot be read, and not the object that it describes. */
      readonly unreadable: boolean;
    };

/** The real kubectl: beside the control plane's binaries, or what `KUBECTL` names. Undefined for none. */
export const kubectlBinary = findKubectl();

/**
 * Gives a text to the real kubectl, which reads it and shows what it would send (`create --dry-run=client`). A cluster
 * must be there all the same: kubectl asks it which kinds exist.
 */
export class KubectlJudge {
  readonly #binary: string;
  readonly #kubeconfig: string;
  readonly #cacheFolder: string;

  constructor(binary: string, kubeconfig: string, cacheFolder: string) {
    this.#binary = binary;
    this.#kubeconfig = kubeconfig;
    this.#cacheFolder = cacheFolder;
  }

  /** `validate` is the value of `--validate`: what the object says is of no interest by default. */
  async judge(text: string, validate = 'false'): Promise<KubectlVerdict> {
    const { code, out, errors } = await this.#run(text, validate);
    if (code === 0) return { taken: true, objects: printedObjects(out) };
    if (errors.trim() === 'error: no objects passed to create') return { taken: true, objects: [] };
    if (/connection refused|timeout|certificate|Unauthorized|forbidden/i.test(errors)) throw new Error(errors);
    return { taken: false, unreadable: errors.includes('error parsing') };
  }

  async #run(text: string, validate: string): Promise<{ code: number | null; out: string; errors: string }> {
    const flags = ['--dry-run=client', `--validate=${validate}`, '--output=json', '--filename=-'];
    const place = ['--kubeconfig', this.#kubeconfig, '--cache-dir', this.#cacheFolder];
    const child = spawn(this.#binary, ['create', ...flags, ...place], { stdio: 'pipe' });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const deadline = new AbortController();
    const late = sleep(60_000, undefined, { signal: deadline.signal }).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
    let out = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors += chunk;
    });
    // kubectl may end before it has read all.
    child.stdin.on('error', () => undefined);
    child.stdin.end(text);
    try {
      return { code: await ended, out, errors };
    } finally {
      deadline.abort();
      await late;
    }
  }
}

/** kubectl prints one object after another, indented, so that only the outermost braces stand in the first column. */
function printedObjects(out: string): unknown[] {
  return JSON.parse(`[${out.trim().replaceAll('\n}\n{\n', '\n},{\n')}]`) as unknown[];
}

function findKubectl(): string | undefined {
  const named = process.env['KUBECTL'];
  if (named) return named;
  const folder = process.env['KUBEBUILDER_ASSETS'];
  const binary = folder ? join(folder, 'kubectl') : '';
  return existsSync(binary) ? binary : undefined;
}
