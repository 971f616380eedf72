import { Readable } from 'node:stream';
import { main } from '../src/main.ts';

/** How a test calls the command. */
export interface CallOptions {
  /** Columns of a terminal. @defaultValue a pipe */
  readonly columns?: number | undefined;
  readonly stdin?: string | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly name?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What is typed at a terminal. */
  readonly terminal?: (Readable & { readonly isTTY: boolean }) | undefined;
  /** Called with what comes on stdout, when it comes. */
  readonly onOutput?: ((text: string) => void) | undefined;
}

/** What the command did. */
export interface Called {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Calls the command in this process, as its process would. */
export async function called(args: readonly string[], options: CallOptions = {}): Promise<Called> {
  const { columns, stdin, environment = {}, name = 'externalname', signal = new AbortController().signal } = options;
  const { terminal, onOutput } = options;
  const written = { stdout: '', stderr: '' };
  const stream = (to: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[to] += text;
      if (to === 'stdout') onOutput?.(text);
    },
    ...(columns !== undefined && { isTTY: true, columns }),
  });
  const code = await main({
    name,
    version: '1.2.3',
    args,
    stdin:
      terminal ?? (stdin === undefined ? Object.assign(Readable.from([]), { isTTY: true }) : Readable.from([stdin])),
    stdout: stream('stdout'),
    stderr: stream('stderr'),
    environment,
    signal,
  });
  return { code, ...written };
}
