import { parseAddress } from '@externalname/core/internal';
import { type DnsRecord, labelsOf } from './message.ts';

/**
 * Writes the parts of a DNS message, and writes a name that stands in it already as a pointer (RFC 1035 section 4.1.4).
 * Without that, some answers of several records would not fit into the 512 bytes of plain UDP, although CoreDNS's do.
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
      // Names are compared with their case, so that each keeps its own.
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

function addressBytes(text: string): Buffer {
  const bytes = parseAddress(text)?.bytes ?? [];
  const mapped = bytes.length === 4 && text.includes(':');
  return Buffer.from(mapped ? [...Array<number>(10).fill(0), 0xff, 0xff, ...bytes] : bytes);
}

const internetClass = 1;
const optType = 41;
