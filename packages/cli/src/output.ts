import { toJson, toYaml } from '@externalname/core/manifests';

/** A stream to write to, as process.stdout: a terminal has `isTTY` and `columns`. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** How a piece of text is meant. */
export type Tone = 'good' | 'bad' | 'warning' | 'faint' | 'strong' | 'plain';

/** See {@link Output}. */
export interface OutputOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly format: string | undefined;
}

/**
 * Where a command writes. On a terminal lines are wrapped between words, and may have colours (`NO_COLOR`, `FORCE_COLOR` and `TERM=dumb` are
 * heard). In a pipe every fact is one line of plain text, so that `grep` finds it whole. With `-o json` or `-o yaml`, stdout has nothing
 * but the one object of `data()`.
 */
export class Output {
  /** Columns of the terminal; undefined in a pipe, where nothing is wrapped. */
  readonly width: number | undefined;
  /** Whether stdout is a terminal. */
  readonly interactive: boolean;
  /** `text`, `json`, `yaml`, or what else the command offers. */
  readonly format: string;
  readonly #stdout: OutputStream;
  readonly #stderr: OutputStream;
  readonly #coloured: boolean;
  #progress: { readonly timer: NodeJS.Timeout; shown: boolean } | undefined;

  constructor({ stdout, stderr, environment, format = 'text' }: OutputOptions) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.format = format;
    this.interactive = stdout.isTTY === true;
    this.width = this.interactive ? Math.max(40, stdout.columns || 80) : undefined;
    this.#coloured = isColoured(environment, this.interactive);
  }

  /** Whether the result is text for people, and not one object for programs. */
  get isText(): boolean {
    return this.format === 'text';
  }

  /** Writes one line as it is. */
  line(text = ''): void {
    this.raw(`${text}\n`);
  }

  /** Writes text as it is. */
  raw(text: string): void {
    this.#clearProgress();
    this.#stdout.write(text);
  }

  /** Writes a paragraph: wrapped on a terminal, each line behind `indent` spaces. */
  paragraph(text: string, { indent = 0, first = '', tone = 'plain' }: ParagraphOptions = {}): void {
    const room = this.width === undefined ? undefined : Math.max(20, this.width - indent);
    for (const [index, part] of wrapped(text, room).entries()) {
      const margin = index === 0 ? first.padEnd(indent) : ' '.repeat(indent);
      this.line(`${margin}${this.style(tone, part)}`);
    }
  }

  /** Writes rows with their cells below each other. The last cell is wrapped on a terminal. Cells are plain text. */
  table(rows: readonly (readonly string[])[], options: TableOptions = {}): void {
    const { indent = 0, tones = [], widths: least = [] } = options;
    const columns = Math.max(0, ...rows.map((row) => row.length));
    const widths = Array.from({ length: columns }, (_, column) =>
      Math.max(least[column] ?? 0, ...rows.map((row) => (row[column] ?? '').length)),
    );
    const before = widths.slice(0, -1).reduce((sum, width) => sum + width + 2, indent);
    const room = this.width === undefined ? undefined : Math.max(20, this.width - before);
    for (const [index, row] of rows.entries()) {
      const tone = tones[index] ?? 'plain';
      const cells = row.slice(0, columns - 1).map((cell, column) => cell.padEnd((widths[column] ?? 0) + 2));
      for (const [line, part] of wrapped(row[columns - 1] ?? '', room).entries()) {
        const text = line === 0 ? `${' '.repeat(indent)}${cells.join('')}${part}` : `${' '.repeat(before)}${part}`;
        this.line(this.style(tone, text.trimEnd()));
      }
    }
  }

  /** The one object of `-o json` and `-o yaml`. */
  data(value: object): void {
    const plain = plainOf(value);
    this.raw(this.format === 'yaml' ? toYaml(plain) : toJson(plain));
  }

  /** One object of a stream that has no end: a line of JSON, or a document of YAML. */
  item(value: object): void {
    const plain = plainOf(value);
    this.raw(this.format === 'yaml' ? `---\n${toYaml(plain)}` : `${JSON.stringify(plain)}\n`);
  }

  /** Writes a line to stderr. */
  warn(text: string): void {
    this.#clearProgress();
    this.#stderr.write(`${text}\n`);
  }

  /** The text with its colours, where colours are wanted. */
  style(tone: Tone, text: string): string {
    const code = codes[tone];
    return this.#coloured && code !== undefined && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  /**
   * Waits for work, and says on stderr what it waits for if that takes longer than a second. Only on a terminal: the line is removed
   * again when the work is done.
   */
  async progress<Result>(label: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#stderr.isTTY !== true || this.#progress !== undefined) return work();
    const beganAt = performance.now();
    const timer = setInterval(() => {
      const seconds = Math.round((performance.now() - beganAt) / 1000);
      progress.shown = true;
      this.#stderr.write(`\r\u001b[K${label} (${seconds} s)`.slice(0, (this.#stderr.columns ?? 80) + 3));
    }, 1_000);
    const progress = { timer, shown: false };
    this.#progress = progress;
    try {
      return await work();
    } finally {
      this.#clearProgress();
      clearInterval(timer);
      this.#progress = undefined;
    }
  }

  #clearProgress(): void {
    if (this.#progress?.shown !== true) return;
    this.#progress.shown = false;
    this.#stderr.write('\r\u001b[K');
  }
}

/** Through JSON: a bigint becomes a text, as 64-bit numbers are texts in the JSON of Kubernetes. */
function plainOf(value: object): object {
  return JSON.parse(JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)));
}

/** See {@link Output.paragraph}. */
export interface ParagraphOptions {
  readonly indent?: number;
  /** Stands in the margin of the first line. */
  readonly first?: string;
  readonly tone?: Tone;
}

/** See {@link Output.table}. */
export interface TableOptions {
  readonly indent?: number;
  /** For each row. */
  readonly tones?: readonly Tone[];
  /** Least width of each column, for tables that stand below each other. */
  readonly widths?: readonly number[];
}

/** The text in lines of at most `width`, broken between words. A longer word keeps a line of its own. */
export function wrapped(text: string, width: number | undefined): string[] {
  if (width === undefined) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** https://no-color.org, and `FORCE_COLOR` as Node.js reads it. */
function isColoured(environment: OutputOptions['environment'], interactive: boolean): boolean {
  const forced = environment['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if (environment['NO_COLOR']) return false;
  return interactive && environment['TERM'] !== 'dumb';
}

// Select Graphic Rendition, ECMA-48 section 8.3.117.
const codes: Readonly<Record<Tone, string | undefined>> = {
  good: '32',
  bad: '31',
  warning: '33',
  faint: '2',
  strong: '1',
  plain: undefined,
};
