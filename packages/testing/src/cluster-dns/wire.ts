import packet from 'dns-packet';
import { type DnsAnswer, type DnsQuestion, type DnsRecord, labelsOf } from './message.ts';
import { MessageWriter } from './message-writer.ts';

/** A question as it came over the wire. */
export interface DnsRequest {
  readonly id: number;
  readonly opcode: string;
  readonly question:
    | (DnsQuestion & { readonly class: string; readonly numbers: readonly [number, number] })
    | undefined;
  /** RD: the client wants the server to follow names. */
  readonly recursionDesired: boolean;
  /** CD: the client checks signatures itself. */
  readonly checkingDisabled: boolean;
  /** EDNS(0), if the client speaks it (RFC 6891). */
  readonly edns: { readonly payloadSize: number; readonly dnssecOk: boolean } | undefined;
}

/** Reads a message; undefined if the bytes are not a query. */
export function decodeRequest(bytes: Buffer): DnsRequest | undefined {
  const message = decoded(bytes);
  if (message === undefined || message.flag_qr) return undefined;
  const [question] = message.questions;
  const edns = message.additionals.find((record) => record.type === 'OPT');
  return {
    id: message.id,
    opcode: message.opcode,
    question: question && {
      name: question.name === '.' ? '.' : `${question.name}.`,
      type: typeNames[question.type] ?? question.type,
      class: question.class,
      numbers: typeAndClass(bytes),
    },
    recursionDesired: message.flag_rd,
    checkingDisabled: message.flag_cd,
    edns: edns && { payloadSize: edns.udpPayloadSize ?? 512, dnssecOk: edns.flag_do === true },
  };
}

/**
 * Writes an answer in at most `size` bytes. Records that do not fit are left out from the end, and TC is set (RFC 2181 section 9).
 * Returns undefined if a name cannot be written at all: then CoreDNS sends nothing either, and the client times out.
 */
export function encodeAnswer(request: DnsRequest, answer: DnsAnswer, size: number): Buffer | undefined {
  if (![...answer.answer, ...answer.authority, ...answer.additional].every(isWritable)) return undefined;
  const kept = { answer: [...answer.answer], authority: [...answer.authority], additional: [...answer.additional] };
  let truncated = answer.truncated;
  for (;;) {
    const bytes = encode(request, { ...answer, ...kept, truncated });
    if (bytes.length <= size) return bytes;
    // Additional records are dropped without a mark; a truncated answer gets TC.
    if (kept.additional.pop() !== undefined) continue;
    truncated = true;
    if (kept.authority.pop() === undefined && kept.answer.pop() === undefined) return bytes;
  }
}

/** Writes a question for another server. */
export function encodeRequest(id: number, question: DnsQuestion): Buffer {
  return packet.encode({
    type: 'query',
    id,
    flags: packet.RECURSION_DESIRED,
    questions: [{ name: question.name, type: packetType(question.type), class: 'IN' }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 1232,
        flags: 0,
        options: [],
        extendedRcode: 0,
        ednsVersion: 0,
        flag_do: false,
      },
    ],
  });
}

/** Reads another server's answer; records that this server cannot repeat are left out. */
export function decodeAnswer(bytes: Buffer): { id: number; answer: DnsAnswer } | undefined {
  const message = decoded(bytes);
  if (!message?.flag_qr) return undefined;
  return {
    id: message.id,
    answer: {
      rcode: message.rcode as DnsAnswer['rcode'],
      authoritative: message.flag_aa,
      truncated: message.flag_tc,
      recursionAvailable: message.flag_ra,
      answer: message.answers.flatMap(received),
      authority: message.authorities.flatMap(received),
      additional: message.additionals.flatMap(received),
    },
  };
}

// dns-packet's types leave out what its decoder adds.
interface DecodedMessage {
  id: number;
  opcode: string;
  rcode: string;
  flag_qr: boolean;
  flag_aa: boolean;
  flag_tc: boolean;
  flag_rd: boolean;
  flag_ra: boolean;
  flag_cd: boolean;
  questions: { name: string; type: string; class: string }[];
  answers: DecodedRecord[];
  authorities: DecodedRecord[];
  additionals: DecodedRecord[];
}

interface DecodedRecord {
  name: string;
  type: string;
  ttl: number;
  data: unknown;
  udpPayloadSize?: number;
  flag_do?: boolean;
}

function decoded(bytes: Buffer): DecodedMessage | undefined {
  try {
    return packet.decode(bytes) as unknown as DecodedMessage;
  } catch {
    return undefined;
  }
}

function encode(request: DnsRequest, answer: DnsAnswer): Buffer {
  const { question, edns } = request;
  const flags =
    0x8000 |
    (answer.authoritative ? packet.AUTHORITATIVE_ANSWER : 0) |
    (answer.truncated ? packet.TRUNCATED_RESPONSE : 0) |
    (request.recursionDesired ? packet.RECURSION_DESIRED : 0) |
    (answer.recursionAvailable ? packet.RECURSION_AVAILABLE : 0) |
    (request.checkingDisabled ? packet.CHECKING_DISABLED : 0) |
    Math.max(rcodes.indexOf(answer.rcode), 0);
  const writer = new MessageWriter();
  const additional = answer.additional.length + (edns === undefined ? 0 : 1);
  const counts = [question ? 1 : 0, answer.answer.length, answer.authority.length, additional] as const;
  writer.header(request.id, flags, counts);
  if (question) writer.question(question.name, ...question.numbers);
  for (const record of [...answer.answer, ...answer.authority, ...answer.additional]) {
    writer.record(record, recordTypes[record.type]);
  }
  if (edns) writer.edns(edns.payloadSize, edns.dnssecOk);
  return writer.finish();
}

function received(record: DecodedRecord): DnsRecord[] {
  const name = record.name === '.' ? '.' : `${record.name}.`;
  const head = { name, ttl: record.ttl };
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return [{ ...head, type: record.type, data: record.data as string }];
    case 'CNAME':
    case 'NS':
    case 'PTR': {
      const data = record.data as string;
      return [{ ...head, type: record.type, data: data === '.' ? '.' : `${data}.` }];
    }
    case 'TXT': {
      const parts = Array.isArray(record.data) ? record.data : [record.data];
      return [{ ...head, type: 'TXT', data: parts.map((part) => String(part)) }];
    }
    case 'SOA':
    case 'SRV':
    case 'MX':
      return [{ ...head, type: record.type, data: record.data } as DnsRecord];
    default:
      return [];
  }
}

function isWritable(record: DnsRecord): boolean {
  const names = [record.name];
  if (record.type === 'CNAME' || record.type === 'NS' || record.type === 'PTR') names.push(record.data);
  if (record.type === 'SRV') names.push(record.data.target);
  if (record.type === 'MX') names.push(record.data.exchange);
  return names.every(isWritableName);
}

/** RFC 1035 section 2.3.4: labels of 1 to 63 bytes, 255 bytes in all. */
function isWritableName(name: string): boolean {
  const labels = labelsOf(name).map((label) => Buffer.byteLength(label));
  return (
    labels.every((length) => length > 0 && length < 64) && labels.reduce((sum, length) => sum + length + 1, 1) <= 255
  );
}

function packetType(type: string): packet.RecordType {
  const number = Object.entries(typeNames).find(([, name]) => name === type)?.[0];
  return (number ?? type) as packet.RecordType;
}

/** Type and class of the first question, which stand behind its name. Sent back as they came. */
function typeAndClass(bytes: Buffer): [number, number] {
  let offset = headerLength;
  while (bytes.readUInt8(offset) !== 0) offset += 1 + bytes.readUInt8(offset);
  return [bytes.readUInt16BE(offset + 1), bytes.readUInt16BE(offset + 3)];
}

// Types that dns-packet knows by number only.
const typeNames: Record<string, string> = { UNKNOWN_64: 'SVCB', UNKNOWN_65: 'HTTPS', UNKNOWN_256: 'URI' };

const recordTypes = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33 } as const;

const headerLength = 12;

const rcodes: readonly string[] = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
