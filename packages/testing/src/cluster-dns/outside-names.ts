import { isIP } from 'node:net';
import { InvalidArgumentError } from '@externalname/core';
import { aBoolean, aNumber, aText, checkText, listOf, oneOf, optional, optionsOf } from '@externalname/core/internal';
import {
  type DnsAnswer,
  type DnsQuestion,
  type DnsRecord,
  emptyAnswer,
  fullyQualified,
  type Rcode,
} from './message.ts';

/** The answer for a name outside the cluster: its addresses, its records one by one, or the code that it fails with. */
export type HostEntry = readonly string[] | HostRecords;

/** See {@link HostEntry}. */
export interface HostRecords {
  /** Records of the name, or of other names that are in the same answer. */
  records?: readonly HostRecord[] | undefined;
  /** Response code of every answer about this name. @defaultValue `NOERROR` */
  rcode?: Rcode | undefined;
  /** Whether answers are marked as truncated, also over TCP. @defaultValue false */
  truncated?: boolean | undefined;
}

/** One record of an outside name. */
export interface HostRecord {
  /** The type of the record. */
  type: 'A' | 'AAAA' | 'CNAME' | 'TXT' | 'NS' | 'PTR';
  /** The data of the record, as a zone file has it. */
  data: string;
  /** Owner. @defaultValue the name that the entry is for */
  name?: string | undefined;
  /** Seconds. @defaultValue the table's TTL */
  ttl?: number | undefined;
}

/** For options with records in them. */
export const aRecord = optionsOf<HostRecord>({
  type: oneOf('A', 'AAAA', 'CNAME', 'TXT', 'NS', 'PTR'),
  data: aText,
  name: optional(aText),
  ttl: optional(aNumber({ least: 0, most: 2 ** 31 - 1 })),
});

const recordsOfName = optionsOf<HostRecords>({
  records: optional(listOf(aRecord)),
  rcode: optional(aText),
  truncated: optional(aBoolean),
});

/** The table of names outside the cluster that its DNS server would ask another server for. */
export class OutsideNames {
  readonly #entries = new Map<string, { records: readonly DnsRecord[]; rcode: Rcode; truncated: boolean }>();
  readonly #defaultTtl: number;

  constructor(options: { defaultTtlSeconds: number }) {
    this.#defaultTtl = options.defaultTtlSeconds;
  }

  /** @throws InvalidArgumentError `ERR_EXTERNALNAME_INVALID_ARGUMENT` if an entry cannot be an answer. */
  set(name: string, entry: HostEntry): void {
    checkText('name', name);
    const shape = Array.isArray(entry) ? listOf(aText) : recordsOfName;
    shape(`hosts[${JSON.stringify(name)}]`, entry);
    const owner = fullyQualified(name);
    if (Array.isArray(entry)) {
      const addresses = entry as readonly string[];
      this.set(name, {
        records: addresses.map((data) => {
          const version = isIP(data);
          if (version === 0) {
            throw new InvalidArgumentError(
              `hosts[${JSON.stringify(name)}]`,
              `must be an IP address, got ${JSON.stringify(data)}`,
            );
          }
          return { type: version === 4 ? 'A' : 'AAAA', data };
        }),
      });
      return;
    }
    const { records = [], rcode = 'NOERROR', truncated = false } = entry as HostRecords;
    for (const { type, data } of records) {
      if ((type !== 'A' && type !== 'AAAA') || isIP(data) === (type === 'A' ? 4 : 6)) continue;
      throw new InvalidArgumentError(
        `hosts[${JSON.stringify(owner)}]`,
        `must be an address for a record of type ${type}, got ${JSON.stringify(data)}`,
      );
    }
    this.#entries.set(owner.toLowerCase(), {
      rcode,
      truncated,
      records: records.map((record) => asRecord(record, owner, this.#defaultTtl)),
    });
  }

  delete(name: string): boolean {
    checkText('name', name);
    return this.#entries.delete(fullyQualified(name).toLowerCase());
  }

  has(name: string): boolean {
    return this.#entries.has(fullyQualified(name).toLowerCase());
  }

  names(): string[] {
    return [...this.#entries.keys()].map((name) => name.slice(0, -1));
  }

  /** The answer of a resolver outside, which follows the aliases of the table; undefined if the table does not know the name. */
  answer(question: DnsQuestion): DnsAnswer | undefined {
    const answer: DnsRecord[] = [];
    const passed = new Set<string>();
    let name = question.name;
    for (;;) {
      const entry = this.#entries.get(name.toLowerCase());
      // If an alias leads to an unknown name, the last name decides the code (RFC 6604 section 3).
      if (entry === undefined) return passed.size === 0 ? undefined : { ...emptyAnswer('NXDOMAIN'), answer };
      if (entry.rcode !== 'NOERROR' || entry.truncated) {
        return { ...emptyAnswer(entry.rcode), truncated: entry.truncated, answer: [...answer, ...entry.records] };
      }
      passed.add(name.toLowerCase());
      const own = entry.records.filter((record) => record.name.toLowerCase() === name.toLowerCase());
      const others = entry.records.filter((record) => record.name.toLowerCase() !== name.toLowerCase());
      const wanted = own.filter((record) => record.type === question.type);
      if (wanted.length > 0) return { ...emptyAnswer('NOERROR'), answer: [...answer, ...wanted] };
      const alias = own.find((record) => record.type === 'CNAME');
      if (alias?.type !== 'CNAME') return { ...emptyAnswer('NOERROR'), answer };
      answer.push(alias, ...others.filter((record) => record.type === question.type || record.type === 'CNAME'));
      const next = alias.data;
      const complete = others.some((record) => record.type === question.type);
      if (complete || passed.has(next.toLowerCase())) return { ...emptyAnswer('NOERROR'), answer };
      name = next;
    }
  }
}

/** A record of the options as it stands in an answer. Its owner is `owner`, unless it names another. */
export function asRecord(record: HostRecord, owner: string, defaultTtl: number): DnsRecord {
  const { type, data } = record;
  const head = { name: fullyQualified(record.name ?? owner), ttl: record.ttl ?? defaultTtl };
  switch (type) {
    case 'A':
    case 'AAAA':
      return { ...head, type, data };
    case 'TXT':
      return { ...head, type, data: [data] };
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return { ...head, type, data: fullyQualified(data) };
  }
}
