/** An answer of Redis: RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/. */
export type Reply = string | number | null | readonly Reply[] | RedisError;

/** Redis refused a command: `READONLY`, `WRONGTYPE`, ... It did not run. */
export class RedisError extends Error {
  override readonly name = 'RedisError';
  /** The first word of the answer. */
  readonly code: string;
  readonly outcome = 'not-executed';

  constructor(message: string) {
    super(message);
    this.code = message.split(' ', 1)[0] ?? 'ERR';
  }
}

/** The bytes of a command. */
export function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/** Takes bytes as they come, and returns the answers that are complete. */
export class ReplyReader {
  #bytes: Buffer = Buffer.alloc(0);

  /** @throws Error if the server sends what is not RESP, or an answer that is too long or nested too deep: it is then not to be trusted */
  read(chunk: Buffer): Reply[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#bytes.length > mostBytes) throw new Error(`the server sent an answer of more than ${mostBytes} bytes`);
    const replies: Reply[] = [];
    for (;;) {
      const found = replyAt(this.#bytes, 0, 0);
      if (found === undefined) return replies;
      replies.push(found.reply);
      this.#bytes = this.#bytes.subarray(found.end);
    }
  }
}

function replyAt(bytes: Buffer, start: number, depth: number): { reply: Reply; end: number } | undefined {
  if (depth > mostDepth) throw new Error('the server sent an answer that is nested too deep');
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd === -1) return undefined;
  const kind = String.fromCharCode(bytes[start] ?? 0);
  const line = bytes.toString('utf8', start + 1, lineEnd);
  const end = lineEnd + 2;
  if (kind === '+') return { reply: line, end };
  if (kind === '-') return { reply: new RedisError(line), end };
  const number = Number(line);
  if (!/^-?\d+$/.test(line) || !':$*'.includes(kind)) throw new Error('the server sent what is not RESP');
  if (kind === ':') return { reply: number, end };
  if (number < 0) return { reply: null, end };
  if (kind === '*') return arrayAt(bytes, end, number, depth);
  if (bytes.length < end + number + 2) return undefined;
  return { reply: bytes.toString('utf8', end, end + number), end: end + number + 2 };
}

function arrayAt(bytes: Buffer, start: number, length: number, depth: number) {
  const replies: Reply[] = [];
  let end = start;
  while (replies.length < length) {
    const found = replyAt(bytes, end, depth + 1);
    if (found === undefined) return undefined;
    replies.push(found.reply);
    end = found.end;
  }
  return { reply: replies, end };
}

const mostBytes = 16 * 1024 * 1024;
const mostDepth = 8;
