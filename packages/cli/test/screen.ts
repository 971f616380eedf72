import { Terminal } from '@xterm/headless';
import { Output } from '../src/output.ts';

/** An output for a terminal of so many columns, or a pipe, and what was written to both of its streams in their order. */
export function recordedOutput(columns: number | undefined, format = 'text'): { output: Output; text: () => string } {
  let text = '';
  const stream = {
    write: (part: string) => {
      text += part;
    },
    ...(columns !== undefined && { isTTY: true, columns }),
  };
  return {
    output: new Output({ stdout: stream, stderr: stream, environment: { NO_COLOR: '1' }, format }),
    text: () => text,
  };
}

/** What a terminal shows of an output when all of it can be scrolled to, and the lines that it had to break. */
export async function shown(
  text: string,
  columns: number,
): Promise<{ readonly screen: string; readonly broken: readonly string[] }> {
  const terminal = new Terminal({
    cols: columns,
    rows: 40,
    scrollback: 10_000,
    convertEol: true,
    allowProposedApi: true,
  });
  await new Promise<void>((resolve) => terminal.write(text, resolve));
  const buffer = terminal.buffer.active;
  const rows = Array.from({ length: buffer.length }, (_, index) => buffer.getLine(index));
  const lines = rows.map((row) => row?.translateToString(true) ?? '');
  const broken = lines.filter((_, index) => rows[index]?.isWrapped === true);
  terminal.dispose();
  while (lines.at(-1) === '') lines.pop();
  return { screen: `${lines.join('\n')}\n`, broken };
}
