import { DnsResolver } from '@externalname/core';
import type { DnsStatistics } from '@externalname/core/dns';
import { type Answer, encode } from 'dns-packet';
import { readAnswer } from '../src/dns/chain.ts';
import { decodeResponse, MalformedMessageError } from '../src/dns/message.ts';
import { a, aaaa, cname, encodeReply, ScriptedDnsServer, soa } from './scripted-dns-server.ts';

/** See {@link mutationRun}. */
export interface MutationOptions {
  readonly count: number;
  /** Each so many messages one is sent to a resolver over UDP, before the honest answer. */
  readonly socketEach: number;
  readonly seed: number;
}

/** What became of the messages. */
export interface MutationResult {
  readonly read: number;
  readonly refused: number;
  /** For one message, the machine's other work left out as far as possible. */
  readonly longestMillis: number;
  /** Of the heap after a collection, from the tenth of the run on; 0 without `--expose-gc`. */
  readonly heapGrowthBytes: number;
  /** Messages sent over a socket with a wrong id, and the right answers that were taken after them: as many. */
  readonly forged: number;
  readonly rightAnswers: number;
  readonly ignored: DnsStatistics['ignored'];
}

/** Decodes mutated answers. Throws what the decoder must not throw. The same seed makes the same messages. */
export async function mutationRun(options: MutationOptions): Promise<MutationResult> {
  const { count, socketEach, seed } = options;
  const random = xorshift(seed);
  const wire = await SocketRun.start();
  let read = 0;
  let refused = 0;
  let longestMillis = 0;
  let heapAtStart = 0;
  try {
    for (let index = 0; index < count; index++) {
      const bytes = mutate(pick(honest, random), random);
      if (isReadable(bytes)) read++;
      else refused++;
      longestMillis = Math.max(
        longestMillis,
        shortestOf(3, slowMillis, () => isReadable(bytes)),
      );
      if (index % socketEach === 0) await wire.send(bytes);
      if (index === Math.floor(count / 10)) heapAtStart = heapUsed();
    }
    const heapGrowthBytes = globalThis.gc === undefined ? 0 : heapUsed() - heapAtStart;
    return {
      read,
      refused,
      longestMillis,
      heapGrowthBytes,
      forged: wire.forged,
      rightAnswers: wire.rightAnswers,
      ignored: wire.ignored,
    };
  } finally {
    await wire.close();
  }
}

/** Whether the bytes are an answer. Throws what the decoder must not throw. */
function isReadable(bytes: Buffer): boolean {
  try {
    const message = decodeResponse(bytes);
    for (const type of ['A', 'AAAA', 'CNAME'] as const) readAnswer({ name: service, type }, message, context);
    return true;
  } catch (error) {
    if (error instanceof MalformedMessageError) return false;
    throw new Error(`message ${bytes.toString('hex')}`, { cause: error });
  }
}

/** What the work takes, in milliseconds. Where that is long, the shortest of several goes: the machine may have done something else. */
function shortestOf(times: number, longMillis: number, work: () => void): number {
  let shortest = Number.POSITIVE_INFINITY;
  for (let time = 0; time < times && shortest > longMillis; time++) {
    const begun = performance.now();
    work();
    shortest = Math.min(shortest, performance.now() - begun);
  }
  return shortest;
}

const slowMillis = 5;

/** A resolver and a server that sends a mutated message before each right answer. */
class SocketRun {
  forged = 0;
  rightAnswers = 0;
  #rounds = 0;
  #mutated = Buffer.alloc(0);
  readonly #server: ScriptedDnsServer;
  readonly #resolver: DnsResolver;

  private constructor(server: ScriptedDnsServer) {
    this.#server = server;
    this.#resolver = new DnsResolver({
      nameservers: [server.text],
      timeoutMillis: 20_000,
      totalTimeoutMillis: 60_000,
      cache: false,
    });
    server.script = (query) => {
      server.queries.length = 0;
      const bytes = Buffer.from(this.#mutated);
      // Half of them with the right id, so that they get as far as the records; half of them with a wrong one, and without effect.
      if (bytes.length >= 2) bytes.writeUInt16BE(this.#isForged ? query.id ^ 1 : query.id, 0);
      query.send(bytes);
      return { answers: [cname(service, 'primary-db.example.com'), a('primary-db.example.com', '192.0.2.10')] };
    };
  }

  static async start(): Promise<SocketRun> {
    return new SocketRun(await ScriptedDnsServer.start(() => undefined));
  }

  get ignored(): DnsStatistics['ignored'] {
    return this.#resolver.statistics().ignored;
  }

  /** A mutated message with the right id and question may pass for an answer. It must never break the resolver. */
  async send(bytes: Buffer<ArrayBuffer>): Promise<void> {
    this.#mutated = bytes;
    this.#rounds++;
    if (this.#isForged) this.forged++;
    try {
      const { addresses } = await this.#resolver.resolve(service, { family: 4 });
      if (this.#isForged && addresses.length === 1 && addresses[0]?.address === '192.0.2.10') this.rightAnswers++;
    } catch (error) {
      if (this.#isForged || (error as { name?: string }).name !== 'ResolutionError') throw error;
    }
  }

  get #isForged(): boolean {
    return this.#rounds % 2 === 1;
  }

  async close(): Promise<void> {
    await this.#resolver.close();
    await this.#server.close();
  }
}

const service = 'webscaler-db.default.svc.cluster.local';
const context = { server: '127.0.0.1:53', elapsedMillis: 0 };

const query = { id: 0x1234, name: service, type: 'A' };
const chain: Answer[] = [
  cname(service, 'db.data.svc.cluster.local', 5),
  cname('db.data.svc.cluster.local', 'primary-db.example.com', 5),
  a('primary-db.example.com', '192.0.2.10'),
  a('primary-db.example.com', '192.0.2.11'),
];
const honest: readonly Buffer[] = [
  encodeReply(query, { answers: chain }),
  encodeReply(
    { ...query, type: 'AAAA' },
    { answers: [...chain.slice(0, 2), aaaa('primary-db.example.com', '2001:db8::10')] },
  ),
  encodeReply(query, { rcode: 3, answers: chain.slice(0, 2), authority: [soa('example.com')] }),
  encodeReply(query, { truncated: true }),
  compressed(),
  encode({
    type: 'response',
    id: 0x1234,
    questions: [{ name: service, type: 'A' }],
    answers: [
      ...chain,
      { type: 'TXT', name: service, ttl: 1, data: ['x'.repeat(200), 'y'] },
      { type: 'MX', name: service, ttl: 1, data: { preference: 1, exchange: 'mail.example.com' } },
      { type: 'SRV', name: service, ttl: 1, data: { port: 5432, target: 'primary-db.example.com' } },
    ],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 1232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  }),
];

/** An answer with compression pointers, as servers send it and the library does not write it. */
function compressed(): Buffer {
  const plain = encodeReply(query, {});
  const header = Buffer.from(plain);
  header.writeUInt16BE(2, 6);
  const target = Buffer.from('\x0aprimary-db\x07example\x03com\x00', 'latin1');
  const alias = Buffer.concat([Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 5, 0, target.length]), target]);
  const at = plain.length + 12;
  const address = Buffer.from([0xc0 | (at >> 8), at & 0xff, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 10]);
  return Buffer.concat([header, alias, address]);
}

type Random = () => number;

function mutate(source: Buffer, random: Random): Buffer<ArrayBuffer> {
  let bytes = Buffer.from(source);
  const below = (limit: number) => Math.floor(random() * limit);
  for (let changes = 1 + below(8); changes > 0; changes--) {
    if (bytes.length === 0) break;
    const at = below(bytes.length);
    switch (below(8)) {
      case 0:
      case 1:
        bytes[at] = below(256);
        break;
      case 2:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
        break;
      case 3: // A compression pointer to anywhere.
        bytes[at] = 0xc0 | below(64);
        break;
      case 4:
        bytes = bytes.subarray(0, at);
        break;
      case 5: // A stretch of itself once more.
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(below(at + 1))]);
        break;
      case 6: // Counts.
        if (bytes.length >= 12) bytes.writeUInt16BE(below(0x10000), 4 + 2 * below(4));
        break;
      default: // Another answer's end.
        bytes = Buffer.concat([bytes.subarray(0, at), pick(honest, random).subarray(below(40))]);
    }
  }
  return bytes.subarray(0, 65_535);
}

function pick<Item>(items: readonly Item[], random: Random): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

function xorshift(seed: number): Random {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

function heapUsed(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
