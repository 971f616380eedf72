import type * as pg from 'pg';
import { AuthenticationRefusedError, ProtocolViolationError } from '../errors.ts';
import { hasWork } from './client-internals.ts';

/**
 * Reads what a server sends before `pg` does, and closes the connection at the first message that breaks the protocol.
 *
 * The parser of `pg` trusts its server: a text without an end makes it search forever, a message that is shorter than it says
 * is an exception that cannot be caught, and it buffers whatever length a server announces. Five bytes are enough to hang a
 * process, before authentication. See `docs/decisions/0014-messages-are-read-before-pg-reads-them.md`.
 *
 * For a client that has not connected yet. Calling it twice has no further effect.
 */
export function guardMessages(client: pg.Client, where: string): void {
  const guarded = client as unknown as GuardedClient;
  const { connection } = guarded;
  if (connection === undefined || connection[messageGuardOf] !== undefined) return;
  Object.defineProperty(connection, messageGuardOf, { value: new MessageGuard(guarded, connection, where) });
  Object.assign(connection, guardedMethods);
}

const messageGuardOf = Symbol('externalname.messages');

/** What is called in the place of the methods of `pg`. The same for all connections, because each keeps them. */
const guardedMethods = {
  emit(this: GuardedConnection, name: string, value?: unknown): boolean {
    try {
      return this[messageGuardOf].methods.emit.call(this, name, value);
    } catch (error) {
      this[messageGuardOf].thrownByListener = error;
      throw error;
    }
  },
  attachListeners(this: GuardedConnection, stream: Readable): unknown {
    const guard = this[messageGuardOf];
    guard.readFrom(stream);
    return guard.methods.attachListeners.call(this, guard);
  },
};

/** What `pg` listens to in the place of a stream. An object, not closures, because each connection has one. */
class MessageGuard {
  /** What `pg` does. */
  readonly methods: ReplacedMethods;
  /** What a listener has thrown while a chunk was parsed. */
  thrownByListener: unknown = nothing;
  readonly #client: GuardedClient;
  readonly #connection: NonNullable<GuardedClient['connection']>;
  readonly #where: string;
  #stream: Readable | undefined;
  readonly #reader = new MessageReader();
  #isOver = false;

  constructor(client: GuardedClient, connection: NonNullable<GuardedClient['connection']>, where: string) {
    this.methods = methodsOf(connection);
    this.#client = client;
    this.#connection = connection;
    this.#where = where;
  }

  /** With TLS, its stream is known only when that begins. */
  readFrom(stream: Readable): void {
    this.#stream = stream;
    if (this.#connection.sslNegotiation !== 'direct') return;
    // Without ALPN, a server of another protocol could be made to accept our bytes (libpq demands it, too).
    stream.on('secureConnect', () => {
      if (stream.alpnProtocol === 'postgresql') return;
      this.#fail({ reason: 'accepted direct TLS without naming its protocol (ALPN)', authentication: true });
    });
  }

  on(event: string, listener: (chunk: Buffer) => void): this {
    // `pg` also makes a promise of the end, which it does not await but keeps. It hears of the end when the socket closes.
    if (event === 'data') this.#stream?.on(event, (chunk) => this.#read(chunk, listener));
    return this;
  }

  #read(chunk: Buffer, parse: (chunk: Buffer) => void): void {
    if (this.#isOver) return;
    this.thrownByListener = nothing;
    const client = this.#client;
    const violation = this.#reader.read(chunk, client._connected === true);
    try {
      // What came before the violation is in order, and may be the error that says why.
      if (violation === undefined) parse(chunk);
      else if (violation.at > 0) parse(chunk.subarray(0, violation.at));
    } catch (error) {
      // Once the client is connected, an exception of a listener may be the application's own.
      if (client._connected === true && error === this.thrownByListener) throw error;
      if (!this.#isOver) this.#fail({ reason: 'sent a message that cannot be read' }, error);
    }
    if (violation !== undefined && !this.#isOver) this.#fail(violation);
  }

  #fail({ reason, authentication }: Omit<Violation, 'at'>, cause?: unknown): void {
    this.#isOver = true;
    const isConnected = this.#client._connected;
    const outcome = isConnected && hasWork(this.#client as unknown as pg.Client) ? 'unknown' : 'not-executed';
    const error =
      authentication && !isConnected
        ? new AuthenticationRefusedError(this.#where, reason)
        : new ProtocolViolationError(this.#where, reason, outcome, { cause });
    this.#connection.emit('error', error);
    this.#connection.stream.destroy();
  }
}

type ReplacedMethods = Pick<GuardedConnection, keyof typeof guardedMethods>;

// Nearly always those of all connections are the same.
function methodsOf({ attachListeners, emit }: ReplacedMethods): ReplacedMethods {
  if (lastMethods?.attachListeners !== attachListeners || lastMethods.emit !== emit)
    lastMethods = { attachListeners, emit };
  return lastMethods;
}

let lastMethods: ReplacedMethods | undefined;

/** Where in a chunk the offending message begins (0 if it began earlier), and what is wrong with it. */
export interface Violation {
  readonly at: number;
  readonly reason: string;
  /** Whether it concerns the order of authentication. */
  readonly authentication?: boolean;
}

/**
 * Checks the framing of messages, their size, their order during authentication, and that each text in them has an end.
 *
 * Source: PostgreSQL documentation, "Message Formats"; the bounds are those of libpq (`fe-protocol3.c`, `fe-connect.c`) if it
 * has one.
 */
export class MessageReader {
  /** The head of a message, and the body of one that is checked, until the rest of it arrives. */
  #held = nothingHeld;
  #heldBytes = 0;
  /** Bytes still to come of a message that is not checked. */
  #toSkip = 0;
  #stage: 'asked' | 'password' | 'sasl' | 'admitted' = 'asked';

  read(chunk: Buffer, connected: boolean): Violation | undefined {
    const isAtHead = this.#toSkip === 0 && this.#heldBytes === 0;
    let at = connected && isAtHead && this.#stage === 'admitted' ? endOfWholeMessages(chunk) : 0;
    while (at < chunk.length) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, chunk.length - at);
        this.#toSkip -= skipped;
        at += skipped;
        continue;
      }
      // Where the message begins: before this chunk, if a part of it is held.
      const start = at - this.#heldBytes;
      if (chunk.length - start < headBytes) {
        this.#hold(chunk.subarray(at));
        return undefined;
      }
      const head = this.#heldBytes === 0 ? chunk : this.#heldHead(chunk);
      const headAt = this.#heldBytes === 0 ? at : 0;
      const type = head[headAt] ?? 0;
      const length = head.readUInt32BE(headAt + 1);
      const reason = this.#judgeHead(type, length, connected);
      if (reason !== undefined) return { at: Math.max(0, start), ...reason };
      const size = length + 1;
      if (lookedInto[type] !== 1) {
        this.#toSkip = size - this.#heldBytes;
        this.#release();
        continue;
      }
      if (chunk.length - start < size) {
        this.#hold(chunk.subarray(at));
        return undefined;
      }
      const body =
        start >= 0
          ? chunk.subarray(start + headBytes, start + size)
          : Buffer.concat([...this.#held, chunk.subarray(at, start + size)]).subarray(headBytes);
      this.#release();
      const wrong = this.#judgeBody(type, body);
      if (wrong !== undefined) return { at: Math.max(0, start), ...wrong };
      at = start + size;
    }
    return undefined;
  }

  #hold(part: Buffer): void {
    const [first] = this.#held;
    // The head in one piece, the rest in parts: a long message in many chunks is joined once, when it is whole.
    if (first !== undefined && first.length < headBytes) this.#held = [Buffer.concat([first, part])];
    else if (this.#held === nothingHeld) this.#held = [part];
    else this.#held.push(part);
    this.#heldBytes += part.length;
  }

  #release(): void {
    if (this.#heldBytes === 0) return;
    this.#held = nothingHeld;
    this.#heldBytes = 0;
  }

  #heldHead(chunk: Buffer): Buffer {
    const [first = chunk] = this.#held;
    return first.length >= headBytes ? first : Buffer.concat([first, chunk.subarray(0, headBytes)]);
  }

  #judgeHead(type: number, length: number, connected: boolean): Fault | undefined {
    const most = connected ? mostBytes[type] : Math.min(mostBytes[type] ?? 0, longestShort);
    if (!most) return { reason: `sent a message of an unknown type (${type})` };
    if (length >= 4 && length <= most && (this.#stage === 'admitted' || beforeAdmission[type] === 1)) return undefined;
    const name = names.get(type);
    if (length < 4) return { reason: `sent a ${name} that is shorter than its own length` };
    if (length > most) return { reason: `announced a ${name} of ${length} bytes, but at most ${most} are allowed` };
    return outOfTurn(`sent a ${name} before authentication was complete`);
  }

  #judgeBody(type: number, body: Buffer): Fault | undefined {
    if (type === authenticationRequest) return this.#judgeAuthentication(body);
    return isWellFormed(type, body, 0, body.length)
      ? undefined
      : { reason: `sent a ${names.get(type)} that is cut off` };
  }

  #judgeAuthentication(body: Buffer): Fault | undefined {
    const cutOff = { reason: 'sent an authentication request that is cut off' };
    if (body.length < 4) return cutOff;
    const code = body.readInt32BE(0);
    if (this.#stage === 'admitted') return outOfTurn('asked for authentication again, after the client was let in');
    if (code === 0) {
      this.#stage = 'admitted';
      return undefined;
    }
    if (code === 11 || code === 12) {
      return this.#stage === 'sasl' ? undefined : outOfTurn('continued SASL, which it had not started');
    }
    if (this.#stage !== 'asked') return outOfTurn('asked for authentication a second time, in another way');
    this.#stage = code === 10 ? 'sasl' : 'password';
    if (code === 10 && !isListOfTexts(body.subarray(4))) return cutOff;
    const method = unansweredMethods.get(code) ?? (code === 10 ? unansweredMechanism(body) : undefined);
    if (method === undefined) return undefined;
    return outOfTurn(
      `asked for authentication method ${method}, which pg cannot answer: write scram-sha-256 in its pg_hba.conf`,
    );
  }
}

type Fault = Omit<Violation, 'at'>;

function outOfTurn(reason: string): Fault {
  return { reason, authentication: true };
}

/**
 * Where the first message begins that is not whole or not in order; the chunk's length if there is none. For a connected client.
 * Nearly all messages are whole, and each of them costs every query, so they are read without a copy or an object.
 */
function endOfWholeMessages(chunk: Buffer): number {
  let at = 0;
  while (at + headBytes <= chunk.length) {
    const type = chunk[at] ?? 0;
    const length = chunk.readUInt32BE(at + 1);
    const end = at + 1 + length;
    if (end > chunk.length || length < 4 || length > (mostBytes[type] ?? 0) || type === authenticationRequest) break;
    if (lookedInto[type] === 1 && !isWellFormed(type, chunk, at + headBytes, end)) break;
    at = end;
  }
  return at;
}

// The body of a message is `bytes` from `start` to before `end`.
function isWellFormed(type: number, bytes: Buffer, start: number, end: number): boolean {
  switch (type) {
    case rowDescription:
      return isRowDescription(bytes, start, end);
    case commandComplete:
      return textsEnd(bytes, start, end, 1) >= 0;
    case readyForQuery:
      return end - start === 1;
    case parameterStatus:
      return textsEnd(bytes, start, end, 2) >= 0;
    case notificationResponse:
      return textsEnd(bytes, start + 4, end, 2) >= 0;
    case errorResponse:
    case noticeResponse:
      return isListOfFields(bytes, start, end);
    case backendKeyData:
      return end - start >= 8;
    default:
      return true;
  }
}

/** Where the last of `count` texts ends; -1 if one of them does not end. */
function textsEnd(bytes: Buffer, start: number, end: number, count: number): number {
  let at = start;
  for (let index = 0; index < count; index += 1) {
    while (at < end && bytes[at] !== 0) at += 1;
    if (at >= end) return -1;
    at += 1;
  }
  return at;
}

// Each field has a letter and a text. A letter of 0 ends the list.
function isListOfFields(bytes: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end && bytes[at] !== 0) {
    at = textsEnd(bytes, at + 1, end, 1);
    if (at < 0) return false;
  }
  return at < end;
}

// An empty text ends the list.
function isListOfTexts(bytes: Buffer): boolean {
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    at = textsEnd(bytes, at, bytes.length, 1);
    if (at < 0) return false;
  }
  return at < bytes.length;
}

// The mechanism, if libpq 18 knows it but `pg` does not.
function unansweredMechanism(body: Buffer): 'oauth' | undefined {
  const mechanisms = body.toString('latin1', 4).split('\0');
  return mechanisms.includes('OAUTHBEARER') && !mechanisms.includes('SCRAM-SHA-256') ? 'oauth' : undefined;
}

function isRowDescription(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < 2) return false;
  const count = bytes.readInt16BE(start);
  let at = start + 2;
  for (let index = 0; index < count; index += 1) {
    at = textsEnd(bytes, at, end, 1);
    if (at < 0 || at + columnBytes > end) return false;
    at += columnBytes;
  }
  return count >= 0;
}

const typeOf = (letter: string) => letter.charCodeAt(0);
const authenticationRequest = typeOf('R');
const backendKeyData = typeOf('K');
const parameterStatus = typeOf('S');
const readyForQuery = typeOf('Z');
const errorResponse = typeOf('E');
const noticeResponse = typeOf('N');
const notificationResponse = typeOf('A');
const rowDescription = typeOf('T');
const commandComplete = typeOf('C');

const names: ReadonlyMap<number, string> = new Map(
  Object.entries({
    R: 'request to authenticate',
    K: 'BackendKeyData',
    S: 'ParameterStatus',
    Z: 'ReadyForQuery',
    E: 'ErrorResponse',
    N: 'NoticeResponse',
    A: 'NotificationResponse',
    T: 'RowDescription',
    D: 'DataRow',
    C: 'CommandComplete',
    I: 'EmptyQueryResponse',
    t: 'ParameterDescription',
    n: 'NoData',
    s: 'PortalSuspended',
    1: 'ParseComplete',
    2: 'BindComplete',
    3: 'CloseComplete',
    G: 'CopyInResponse',
    H: 'CopyOutResponse',
    W: 'CopyBothResponse',
    d: 'CopyData',
    c: 'CopyDone',
  }).map(([letter, name]) => [typeOf(letter), name]),
);

/** Bytes of any other message, and of every message until the client is connected: libpq's own bound. */
const longestShort = 30_000;
/**
 * PostgreSQL makes no row of more than 1 GiB (`MaxAllocSize`). Errors quote what they are about. A description of 1,664 columns with
 * the longest names has 137 kB.
 */
const longest: Readonly<Record<string, number>> = {
  D: 2 ** 30,
  d: 2 ** 30,
  E: 2 ** 24,
  N: 2 ** 24,
  T: 2 ** 20,
  t: 2 ** 20,
};

// By the number of the letter, because they are read for each message.
const mostBytes = new Uint32Array(256);
for (const type of names.keys()) mostBytes[type] = longest[String.fromCharCode(type)] ?? longestShort;
const marked = (letters: string) => {
  const table = new Uint8Array(256);
  for (const letter of letters) table[typeOf(letter)] = 1;
  return table;
};
/** Messages in which the parser of `pg` would search for an end. The others end in an exception at worst, which is caught. */
const lookedInto = marked('RKSZENATC');
const beforeAdmission = marked('REN');

/** Requests that `pg` has no answer to, in the words of `require_auth` (PostgreSQL documentation, "Message Formats"). */
const unansweredMethods: ReadonlyMap<number, string> = new Map([
  [2, 'krb5'],
  [7, 'gss'],
  [8, 'gss'],
  [9, 'sspi'],
]);

/** One for all connections, and never written. */
const nothingHeld: Buffer[] = [];
const headBytes = 5;
const columnBytes = 18;
const nothing = Symbol('nothing');

interface GuardedClient {
  readonly _connected?: boolean;
  readonly connection?: {
    readonly [messageGuardOf]?: MessageGuard;
    emit(this: unknown, name: string, value?: unknown): boolean;
    attachListeners(this: unknown, stream: Readable | MessageGuard): unknown;
    readonly sslNegotiation?: string;
    readonly stream: { destroy(): void };
  };
}

type GuardedConnection = NonNullable<GuardedClient['connection']> & { readonly [messageGuardOf]: MessageGuard };

interface Readable {
  readonly alpnProtocol?: string | false | null;
  on(event: string, listener: (chunk: Buffer) => void): unknown;
}
