import { isIPv4 } from 'node:net';
import type { DnsRecord } from './message.ts';
import { labelsOf } from './message.ts';

/**
 * Writes the parts of a DNS message, and writes a name that stands in it already as a pointer (RFC 1035 section 4.1.4).
 * Without that, answers of several records would not fit into the 512 bytes of plain UDP where CoreDNS's do.
 */
export class MessageWriter {
  readonly #parts: Buffer[] = [];
  #length = 0;
  /** Where a name, or the end of one, was written. */
  readonly #names = new Map<string, number>();

  header(id: number, flags: number, counts: readonly [number, number, number, number]): void {
    this.#numbers(id, flags, ...counts);
  }

  question(name: string, type: number, class_: number): void {
    this.#name(name);
    this.#numbers(type, class_);
  }

  record(record: DnsRecord, type: number): void {
    this.#name(record.name);
    this.#numbers(type, internetClass);
    this.#number32(record.ttl);
    const length = Buffer.alloc(2);
    this.#add(length);
    const start = this.#length;
    this.#data(record);
    length.writeUInt16BE(this.#length - start);
  }

  /** EDNS(0) (RFC 6891 section 6.1.2). */
  edns(payloadSize: number, dnssecOk: boolean): void {
    this.#add(Buffer.from([0]));
    this.#numbers(optType, payloadSize, 0, dnssecOk ? 0x8000 : 0, 0);
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #data(record: DnsRecord): void {
    switch (record.type) {
      case 'A':
      case 'AAAA':
        this.#add(addressBytes(record.data));
        break;
      case 'CNAME':
      case 'NS':
      case 'PTR':
        this.#name(record.data);
        break;
      case 'TXT':
        for (const text of record.data) {
          const bytes = Buffer.from(text).subarray(0, 255);
          this.#add(Buffer.concat([Buffer.from([bytes.length]), bytes]));
        }
        break;
      case 'MX':
        this.#numbers(record.data.preference);
        this.#name(record.data.exchange);
        break;
      case 'SRV': {
        const { priority, weight, port, target } = record.data;
        this.#numbers(priority, weight, port);
        // RFC 2782: the target is not to be compressed.
        this.#name(target, { compress: false });
        break;
      }
      case 'SOA': {
        const { mname, rname, serial, refresh, retry, expire, minimum } = record.data;
        this.#name(mname);
        this.#name(rname);
        for (const number of [serial, refresh, retry, expire, minimum]) this.#number32(number);
      }
    }
  }

  #name(name: string, { compress } = { compress: true }): void {
    const labels = labelsOf(name);
    for (let index = 0; index < labels.length; index += 1) {
      // Names are compared as they are spelt, so that each keeps its case.
      const rest = labels.slice(index).join('.');
      const known = this.#names.get(rest);
      if (compress && known !== undefined) {
        this.#numbers(0xc000 | known);
        return;
      }
      if (known === undefined && this.#length < 0x4000) this.#names.set(rest, this.#length);
      const bytes = Buffer.from(labels[index] ?? '');
      this.#add(Buffer.concat([Buffer.from([bytes.length]), bytes]));
    }
    this.#add(Buffer.from([0]));
  }

  #numbers(...numbers: number[]): void {
    const bytes = Buffer.alloc(numbers.length * 2);
    for (const [index, number] of numbers.entries()) bytes.writeUInt16BE(number, index * 2);
    this.#add(bytes);
  }

  #number32(number: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(number);
    this.#add(bytes);
  }

  #add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  // The last 32 bits may be written as IPv4.
  const text = address.replace(/[\d.]+$/, (end) => {
    if (!end.includes('.')) return end;
    const [a = 0, b = 0, c = 0, d = 0] = end.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [before = '', after] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of all.entries()) bytes.writeUInt16BE(group, index * 2);
  return bytes;
}

const internetClass = 1;
const optType = 41;
