import { type Answer, encode } from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAnswer } from './chain.ts';
import { decodeResponse, encodeQuery, isQueryName, MalformedMessageError } from './message.ts';

const name = 'webscaler-db.default.svc.cluster.local';
const target = 'primary-db.example.com';

function response(
  answers: Answer[],
  more: { flags?: number; authorities?: Answer[]; additionals?: Answer[] } = {},
): Buffer {
  return encode({ type: 'response', id: 7, questions: [{ name, type: 'A' }], answers, ...more });
}

/** A response written by hand: counts, then the bytes after the header. */
function raw(counts: [number, number, number, number], ...parts: (number[] | Buffer | string)[]): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(7, 0);
  header.writeUInt16BE(0x8180, 2);
  counts.forEach((count, index) => {
    header.writeUInt16BE(count, 4 + index * 2);
  });
  return Buffer.concat([header, ...parts.map((part) => Buffer.from(part as number[]))]);
}

const question = [...Buffer.from('\x01a\x00'), 0, 1, 0, 1];

describe('a query', () => {
  it('asks one question, recursively, with EDNS0 only where wanted', () => {
    const plain = encodeQuery({ name, type: 'AAAA' }, { id: 0xabcd });
    expect([plain.readUInt16BE(0), plain.readUInt16BE(2)]).toEqual([0xabcd, 0x0100]);
    expect([4, 6, 8, 10].map((at) => plain.readUInt16BE(at))).toEqual([1, 0, 0, 0]);
    const edns = encodeQuery({ name, type: 'A' }, { id: 1, udpPayloadBytes: 1232 });
    expect(edns.readUInt16BE(10)).toBe(1);
    // The root's name, type OPT, 1232 octets, no flags, no options.
    expect([...edns.subarray(-11)]).toEqual([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
  });
});

describe('a name to ask for', () => {
  it.each([
    [name, true],
    ['_dmarc.example.com', true],
    ['1.2.3.4', true],
    ['a'.repeat(63), true],
    ['a'.repeat(64), false],
    [`${'a.'.repeat(126)}a`, true],
    [`${'a.'.repeat(127)}a`, false],
    ['', false],
    ['.', false],
    ['a..b', false],
    ['a b', false],
    ['ä.example', false],
    ['a\u0000b', false],
  ])('%j: %s', (text, good) => {
    expect(isQueryName(text)).toBe(good);
  });
});

describe('a response', () => {
  it('is read in full: code, flags, question, records, in canonical names', () => {
    const bytes = response(
      [
        { type: 'CNAME', name: name.toUpperCase(), ttl: 5, data: 'Primary-DB.example.COM' },
        { type: 'A', name: target, ttl: 60, data: '192.0.2.10' },
        { type: 'AAAA', name: target, ttl: 60, data: '2001:db8::10' },
        { type: 'TXT', name: target, ttl: 60, data: 'passed over' },
      ],
      { flags: 0x0400 },
    );
    expect(decodeResponse(bytes)).toEqual({
      id: 7,
      rcode: 'NOERROR',
      truncated: false,
      authoritative: true,
      question: { name, type: 'A' },
      answers: [
        { type: 'CNAME', name, ttlSeconds: 5, target },
        { type: 'A', name: target, ttlSeconds: 60, address: '192.0.2.10' },
        { type: 'AAAA', name: target, ttlSeconds: 60, address: '2001:db8::10' },
      ],
      authority: [],
      referral: false,
    });
  });

  it('is read whatever the records of other types hold', () => {
    const broken = [0xc0, 0x0c, 0, 16, 0, 1, 0, 0, 0, 9, 0, 2, 200, 1]; // TXT that claims 200 octets within two.
    const good = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
    const { answers } = decodeResponse(raw([1, 2, 0, 0], question, broken, good));
    expect(answers).toEqual([{ type: 'A', name: 'a', ttlSeconds: 9, address: '192.0.2.1' }]);
  });

  it('has the upper bits of its code in EDNS0', () => {
    const badVersion = [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0];
    expect(decodeResponse(raw([0, 0, 0, 1], badVersion)).rcode).toBe('BADVERS');
  });

  it('counts a TTL with its top bit set as 0 (RFC 2181 section 8)', () => {
    const record = [0xc0, 0x0c, 0, 1, 0, 1, 0x80, 0, 0, 0, 0, 4, 192, 0, 2, 1];
    expect(decodeResponse(raw([1, 1, 0, 0], question, record)).answers).toMatchObject([{ ttlSeconds: 0 }]);
  });

  it('takes no record of another class, nor one whose name has a dot inside a label', () => {
    const chaos = [0xc0, 0x0c, 0, 1, 0, 3, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
    const multicast = [0xc0, 0x0c, 0, 1, 0x80, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
    const dotted = [...Buffer.from('\x03a.b\x00'), 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1];
    expect(decodeResponse(raw([1, 3, 0, 0], question, chaos, multicast, dotted)).answers).toEqual([]);
  });

  it('knows a referral to other name servers from an authority that says no', () => {
    const servers: Answer = { type: 'NS', name: 'example.com', ttl: 9, data: 'ns.example.com' };
    expect(decodeResponse(response([], { authorities: [servers] })).referral).toBe(true);
  });

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['less than a header', Buffer.alloc(11)],
    ['a query', encodeQuery({ name, type: 'A' }, { id: 1 })],
    ['another kind of message', raw([0, 0, 0, 0]).fill(0xa8, 2, 3)],
    ['two questions', raw([2, 0, 0, 0], question, question)],
    ['a question of another class', raw([1, 0, 0, 0], '\x01a\x00', [0, 1, 0, 3])],
    ['more records than there are', raw([1, 1, 0, 0], question)],
    [
      'a record longer than the message',
      raw([1, 1, 0, 0], question, [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 9, 0xff, 0xff, 1]),
    ],
    [
      'an address of five octets',
      raw([1, 1, 0, 0], question, [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 9, 0, 5, 1, 2, 3, 4, 5]),
    ],
    [
      'an alias shorter than its record',
      raw([1, 1, 0, 0], question, [0xc0, 0x0c, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, 98, 0, 0]),
    ],
    [
      'an alias to a name with a dot inside a label',
      raw([1, 1, 0, 0], question, [0xc0, 0x0c, 0, 5, 0, 1, 0, 0, 0, 9, 0, 5], '\x03b.c\x00'),
    ],
    ['a pointer to itself', raw([1, 0, 0, 0], [0xc0, 0x0c, 0, 1, 0, 1])],
    ['a pointer forward', raw([1, 0, 0, 0], [0xc0, 0x20, 0, 1, 0, 1])],
    ['a label of an unknown kind', raw([1, 0, 0, 0], [0x80, 1, 0, 0, 1, 0, 1])],
    ['a name without an end', raw([1, 0, 0, 0], [63, 97, 97])],
  ])('is refused: %s', (_, bytes) => {
    expect(() => decodeResponse(bytes)).toThrow(MalformedMessageError);
  });

  it('made of pointers to pointers is refused after a fixed amount of work', () => {
    const pointers: number[] = [];
    for (let index = 0; index < 8000; index++) {
      const to = index === 0 ? 12 : 19 + (index - 1) * 2;
      pointers.push(0xc0 | (to >> 8), to & 0xff);
    }
    const first = 19 + 7999 * 2;
    // The pointers stand in a record of a type that is passed over; then come records whose names begin at the last one.
    const hideout = [0xc0, 0x0c, 0, 99, 0, 1, 0, 0, 0, 0, pointers.length >> 8, pointers.length & 0xff];
    const offset = hideout.length;
    const shifted = pointers.map((byte, index) => {
      if (index < 2) return byte;
      const pair = index - (index % 2);
      const to = (((pointers[pair] ?? 0) & 0x3f) << 8) + (pointers[pair + 1] ?? 0) + offset;
      return index % 2 === 0 ? 0xc0 | (to >> 8) : to & 0xff;
    });
    const last = first + offset;
    const records = Array.from({ length: 3000 }, () => [
      0xc0 | (last >> 8),
      last & 0xff,
      0,
      1,
      0,
      1,
      0,
      0,
      0,
      9,
      0,
      4,
      1,
      2,
      3,
      4,
    ]);
    const bytes = raw([1, 3001, 0, 0], question, hideout, shifted, records.flat());
    expect(() => decodeResponse(bytes)).toThrow(new MalformedMessageError('too many labels and pointers'));
  });
});

describe('any bytes at all', () => {
  const honest = response([
    { type: 'CNAME', name, ttl: 5, data: target },
    { type: 'A', name: target, ttl: 60, data: '192.0.2.10' },
  ]);

  it('are read or refused, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        readOrRefuse(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('are read or refused when they are an honest answer with a few octets changed', () => {
    const change = fc.record({ at: fc.nat({ max: honest.length - 1 }), to: fc.nat({ max: 255 }) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), fc.nat({ max: honest.length }), (changes, cut) => {
        const bytes = Buffer.from(honest);
        for (const { at, to } of changes) bytes[at] = to;
        readOrRefuse(bytes);
        readOrRefuse(bytes.subarray(0, cut));
      }),
      { numRuns: 5000 },
    );
  });

  it('name nothing but what was asked for, whatever they claim', () => {
    const label = fc.constantFrom('a', 'b', 'c', 'd');
    const record = fc.oneof(
      fc.record({ type: fc.constant('CNAME' as const), name: label, data: label, ttl: fc.nat({ max: 99 }) }),
      fc.record({ type: fc.constant('A' as const), name: label, data: fc.ipV4(), ttl: fc.nat({ max: 99 }) }),
    );
    fc.assert(
      fc.property(fc.array(record, { maxLength: 8 }), (answers) => {
        const bytes = encode({ type: 'response', id: 1, questions: [{ name: 'a', type: 'A' }], answers });
        const answer = readAnswer({ name: 'a', type: 'A' }, decodeResponse(bytes), { server: 's', elapsedMillis: 0 });
        const names = ['a', ...answer.chain.map((hop) => hop.target)];
        answer.chain.forEach((hop, index) => {
          expect(hop.name).toBe(names[index]);
          expect(answers).toContainEqual(expect.objectContaining({ type: 'CNAME', name: hop.name, data: hop.target }));
        });
        if (answer.kind !== 'addresses') return;
        for (const { address } of answer.addresses) {
          expect(answers).toContainEqual(expect.objectContaining({ type: 'A', name: names.at(-1), data: address }));
        }
      }),
    );
  });
});

function readOrRefuse(bytes: Uint8Array): void {
  try {
    const message = decodeResponse(bytes);
    readAnswer({ name, type: 'A' }, message, { server: 's', elapsedMillis: 0 });
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error;
  }
}
