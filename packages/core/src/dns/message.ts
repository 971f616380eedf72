import * as dnsPacket from 'dns-packet';
import { canonicalName, longestLabel, longestName } from '../names/index.ts';

/** The record types that a resolver asks for. */
export type RecordType = 'A' | 'AAAA' | 'CNAME';

/** One question: a canonical name and a record type. The class is always IN. */
export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

/** A record that is of use for resolving a host. Decoding skips all others. */
export type DnsRecord =
  | { readonly type: 'A' | 'AAAA'; readonly name: string; readonly ttlSeconds: number; readonly address: string }
  | { readonly type: 'CNAME'; readonly name: string; readonly ttlSeconds: number; readonly target: string }
  | { readonly type: 'SOA'; readonly name: string; readonly ttlSeconds: number; readonly minimumSeconds: number };

/** A response as it came over the wire, with canonical names. */
export interface ResponseMessage {
  readonly id: number;
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL`, ... with the upper bits from EDNS0 if there are any (RFC 6891 section 6.1.3). */
  readonly rcode: string;
  /** TC: the answer did not fit. TCP brings all of it. */
  readonly truncated: boolean;
  readonly authoritative: boolean;
  /** Missing if the server omitted the question, as some do in error responses. */
  readonly question: { readonly name: string; readonly type: string } | undefined;
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  /** Whether the authority section only points to other name servers, because the server does not resolve for us. */
  readonly referral: boolean;
}

/** The bytes are not a DNS response. Never leaves this room: the transport counts it and goes on waiting. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
}

/** See {@link encodeQuery}. */
export interface QueryOptions {
  readonly id: number;
  /** The size of UDP answers to offer with EDNS0 (RFC 6891). Without it, the query has no EDNS0. */
  readonly udpPayloadBytes?: number | undefined;
}

/** Writes a recursive query. The name must have passed {@link isQueryName}. */
export function encodeQuery(question: Question, options: QueryOptions): Buffer {
  return dnsPacket.encode({
    type: 'query',
    id: options.id,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name: question.name, type: question.type, class: 'IN' }],
    additionals: options.udpPayloadBytes === undefined ? [] : [ednsRecord(options.udpPayloadBytes)],
  });
}

/**
 * Reads a response.
 *
 * First the layout is checked: counts, lengths, labels and compression pointers, in a bounded number of steps. Only then does the
 * library read names and data, and only of useful records. So a broken record of another type cannot make an answer unreadable, and
 * no arrangement of pointers is expensive.
 *
 * @throws MalformedMessageError for anything that is not a well-formed response. Never throws anything else.
 */
export function decodeResponse(bytes: Uint8Array): ResponseMessage {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < headerBytes) throw new MalformedMessageError('shorter than a header');
  const flags = buffer.readUInt16BE(2);
  if ((flags & 0x8000) === 0) throw new MalformedMessageError('a query, not a response');
  if ((flags & 0x7800) !== 0) throw new MalformedMessageError('not of the QUERY kind');
  try {
    return readSections(buffer, flags);
  } catch (error) {
    if (error instanceof MalformedMessageError) throw error;
    throw new MalformedMessageError('unreadable', { cause: error });
  }
}

/**
 * Whether a canonical name can be asked for: labels of 1 to 63 printable ASCII characters, 253 in all (RFC 1035 section 2.3.4).
 * Wider than a host name, because a provider's alias may contain underscores.
 */
export function isQueryName(name: string): boolean {
  if (name.length === 0 || name.length > longestName) return false;
  return name.split('.').every((label) => label.length <= longestLabel && /^[!-~]+$/.test(label));
}

function readSections(buffer: Buffer, flags: number): ResponseMessage {
  const walk = new LayoutWalk(buffer);
  const [questionCount, answerCount, authorityCount, additionalCount] = [4, 6, 8, 10].map((at) =>
    buffer.readUInt16BE(at),
  ) as [number, number, number, number];
  if (questionCount > 1) throw new MalformedMessageError('more than one question');
  const question = questionCount === 1 ? readQuestion(buffer, walk) : undefined;
  const answers = records(buffer, walk, answerCount);
  const authority = records(buffer, walk, authorityCount);
  const additional = records(buffer, walk, additionalCount);
  return {
    id: buffer.readUInt16BE(0),
    rcode: rcodeName(((additional.extendedRcode ?? 0) << 4) | (flags & 0xf)),
    truncated: (flags & 0x0200) !== 0,
    authoritative: (flags & 0x0400) !== 0,
    question,
    answers: answers.usable,
    authority: authority.usable,
    referral: authority.hasNameServers && !authority.usable.some((record) => record.type === 'SOA'),
  };
}

function readQuestion(buffer: Buffer, walk: LayoutWalk): { name: string; type: string } {
  const start = walk.offset;
  walk.name();
  const type = walk.uint16();
  if (walk.uint16() !== classIn) throw new MalformedMessageError('a question of another class');
  return {
    name: canonicalName(library.question.decode(buffer, start).name),
    type: typeNames.get(type) ?? `TYPE${type}`,
  };
}

interface Section {
  readonly usable: DnsRecord[];
  readonly hasNameServers: boolean;
  readonly extendedRcode: number | undefined;
}

function records(buffer: Buffer, walk: LayoutWalk, count: number): Section {
  const usable: DnsRecord[] = [];
  let hasNameServers = false;
  let extendedRcode: number | undefined;
  for (let index = 0; index < count; index++) {
    const start = walk.offset;
    const plain = walk.name();
    const typeCode = walk.uint16();
    const klass = walk.uint16();
    const ttl = walk.uint32();
    const length = walk.uint16();
    const dataStart = walk.offset;
    const end = dataStart + length;
    if (end > buffer.length) throw new MalformedMessageError('a record longer than the message');
    const type = typeNames.get(typeCode);
    if (type === 'OPT') extendedRcode = ttl >>> 24;
    else if (type === 'NS') hasNameServers = true;
    else if (type !== undefined && klass === classIn && plain) {
      usable.push(readRecord(buffer, walk, { type, start, end, length, ttl }));
    }
    walk.offset = end;
  }
  return { usable, hasNameServers, extendedRcode };
}

interface RecordLayout {
  readonly type: 'A' | 'AAAA' | 'CNAME' | 'SOA';
  readonly start: number;
  readonly end: number;
  readonly length: number;
  readonly ttl: number;
}

function readRecord(buffer: Buffer, walk: LayoutWalk, layout: RecordLayout): DnsRecord {
  const { type, start, end, length } = layout;
  // A TTL with its top bit set counts as 0 (RFC 2181 section 8).
  const ttlSeconds = layout.ttl > 0x7fffffff ? 0 : layout.ttl;
  switch (type) {
    case 'A':
    case 'AAAA': {
      if (length !== (type === 'A' ? 4 : 16)) throw new MalformedMessageError('an address of the wrong length');
      const record = library.answer.decode(buffer, start);
      return { type, name: canonicalName(record.name), ttlSeconds, address: record.data as string };
    }
    case 'CNAME': {
      if (!walk.name() || walk.offset !== end)
        throw new MalformedMessageError('an alias to something that is not a name');
      const record = library.answer.decode(buffer, start);
      return { type, name: canonicalName(record.name), ttlSeconds, target: canonicalName(record.data as string) };
    }
    case 'SOA': {
      walk.name();
      walk.name();
      if (walk.offset + 20 !== end) throw new MalformedMessageError('a start of authority of the wrong length');
      const record = library.answer.decode(buffer, start);
      const { minimum } = record.data as { minimum: number };
      return { type, name: canonicalName(record.name), ttlSeconds, minimumSeconds: minimum > 0x7fffffff ? 0 : minimum };
    }
  }
}

/** Goes through a message's layout once. Reads only lengths, and counts its steps. */
class LayoutWalk {
  offset = headerBytes;
  #stepsLeft = mostSteps;
  readonly #buffer: Buffer;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  /**
   * Skips a name.
   *
   * @returns whether it is plain: printable ASCII without dots inside labels. The library writes a name as text with dots
   * between labels, so a label that contains a dot (`evil.example` as one label) would look like another name.
   */
  name(): boolean {
    let plain = true;
    let at = this.offset;
    let jumped = false;
    let nameBytes = 1;
    for (;;) {
      if (this.#stepsLeft-- <= 0) throw new MalformedMessageError('too many labels and pointers');
      const length = this.#byte(at);
      if (length === 0) {
        if (!jumped) this.offset = at + 1;
        return plain;
      }
      if ((length & 0xc0) === 0xc0) {
        const target = ((length & 0x3f) << 8) | this.#byte(at + 1);
        if (target >= at) throw new MalformedMessageError('a pointer that does not point back');
        if (!jumped) this.offset = at + 2;
        jumped = true;
        at = target;
        continue;
      }
      if ((length & 0xc0) !== 0) throw new MalformedMessageError('an unknown kind of label');
      nameBytes += length + 1;
      if (nameBytes > 255) throw new MalformedMessageError('a name of more than 255 octets');
      for (let index = at + 1; index <= at + length; index++) {
        const byte = this.#byte(index);
        if (byte <= 0x20 || byte >= 0x7f || byte === dot) plain = false;
      }
      at += length + 1;
    }
  }

  uint16(): number {
    return (this.#next() << 8) | this.#next();
  }

  uint32(): number {
    return this.uint16() * 0x10000 + this.uint16();
  }

  #next(): number {
    return this.#byte(this.offset++);
  }

  #byte(at: number): number {
    const byte = this.#buffer[at];
    if (byte === undefined) throw new MalformedMessageError('it ends too early');
    return byte;
  }
}

function ednsRecord(udpPayloadBytes: number): dnsPacket.OptAnswer {
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: udpPayloadBytes,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

function rcodeName(code: number): string {
  return rcodeNames[code] ?? `RCODE${code}`;
}

// The library publishes and documents it, but its types omit it.
const library = ((dnsPacket as { default?: unknown }).default ?? dnsPacket) as {
  question: { decode(buffer: Buffer, offset: number): { name: string } };
  answer: { decode(buffer: Buffer, offset: number): { name: string; data: unknown } };
};

const headerBytes = 12;
const classIn = 1;
const dot = 0x2e;

/** The most labels and pointers in one message. An honest answer of 64 KiB has about 10,000; pointers to pointers could need millions. */
const mostSteps = 20_000;

type KnownType = RecordLayout['type'] | 'NS' | 'OPT';

const typeNames: ReadonlyMap<number, KnownType> = new Map<number, KnownType>([
  [1, 'A'],
  [2, 'NS'],
  [5, 'CNAME'],
  [6, 'SOA'],
  [28, 'AAAA'],
  [41, 'OPT'],
]);

// IANA, DNS RCODEs.
const rcodeNames: Record<number, string> = {
  0: 'NOERROR',
  1: 'FORMERR',
  2: 'SERVFAIL',
  3: 'NXDOMAIN',
  4: 'NOTIMP',
  5: 'REFUSED',
  6: 'YXDOMAIN',
  7: 'YXRRSET',
  8: 'NXRRSET',
  9: 'NOTAUTH',
  10: 'NOTZONE',
  16: 'BADVERS',
};
