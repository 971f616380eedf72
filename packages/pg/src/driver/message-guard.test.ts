import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MessageReader } from './message-guard.ts';

const int16 = (value: number) => Buffer.from([(value >> 8) & 255, value & 255]);
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text = (value: string) => Buffer.from(`${value}\0`);
const message = (type: string, ...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
};

const ok = message('R', int32(0));
const error = message('E', Buffer.from('SERROR\0C42601\0Mno\0\0'));
const column = Buffer.concat([text('a'), Buffer.alloc(18)]);
const honest = [
  message('R', int32(10), text('SCRAM-SHA-256'), text('')),
  message('R', int32(11), Buffer.from('r=1')),
  message('R', int32(12), Buffer.from('v=1')),
  ok,
  message('S', text('server_version'), text('18.4')),
  message('K', int32(7), int32(8)),
  message('Z', Buffer.from('I')),
  message('T', int16(2), column, column),
  message('D', int16(1), int32(3), Buffer.from('abc')),
  message('C', text('SELECT 1')),
  message('N', Buffer.from('SNOTICE\0\0')),
  message('A', int32(7), text('channel'), text('payload')),
  error,
  message('I'),
  message('Z', Buffer.from('T')),
];

/** What is said of the bytes, cut where `cuts` say; where in them the message at fault begins. */
function judge(bytes: Buffer, { connected = true, cuts = [] as number[] } = {}) {
  const reader = new MessageReader();
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  let start = 0;
  for (const end of [...places, bytes.length]) {
    const violation = reader.read(bytes.subarray(start, end), connected);
    if (violation !== undefined) return violation.reason;
    start = end;
  }
  return undefined;
}

const admitted = (...parts: Buffer[]) => Buffer.concat([ok, ...parts]);

describe('what a server sends', () => {
  it('is let through if it is in order, however it is cut', () => {
    const bytes = Buffer.concat(honest);
    expect(judge(bytes)).toBeUndefined();
    expect(judge(bytes, { cuts: Array.from(bytes.keys()) })).toBeUndefined();
    fc.assert(fc.property(fc.array(fc.nat()), (cuts) => void expect(judge(bytes, { cuts })).toBeUndefined()));
  });

  const wrong: [string, Buffer, RegExp][] = [
    ['an error without any field', message('E'), /ErrorResponse that is cut off/],
    ['an error whose last text has no end', message('E', Buffer.from('SERROR')), /cut off/],
    ['an error whose list has no end', message('E', Buffer.from('SERROR\0')), /cut off/],
    ['a length of 0', Buffer.from([0x45, 0, 0, 0, 0]), /shorter than its own length/],
    ['a length of 2 GiB', Buffer.from([0x44, 0x7f, 0xff, 0xff, 0xff]), /announced a DataRow of 2147483647 bytes/],
    ['a length of 4 GiB', Buffer.from([0x44, 0xff, 0xff, 0xff, 0xff]), /announced a DataRow/],
    ['a long message of a short type', Buffer.from([0x43, 0, 1, 0, 0]), /announced a CommandComplete of 65536 bytes/],
    ['an unknown type', message('?'), /unknown type/],
    ['a tag without an end', message('C', Buffer.from('SELECT')), /CommandComplete that is cut off/],
    ['a parameter without a value', message('S', text('a')), /ParameterStatus that is cut off/],
    ['a notification without a payload', message('A', int32(1), text('a')), /cut off/],
    ['a description with too few columns', message('T', int16(2), column), /RowDescription that is cut off/],
    ['a description with -1 columns', message('T', int16(-1)), /cut off/],
    ['a readiness without a status', message('Z'), /ReadyForQuery that is cut off/],
    ['a key of 4 bytes', message('K', int32(1)), /BackendKeyData that is cut off/],
    ['a request for the password after it let us in', message('R', int32(3)), /asked for authentication again/],
    ['letting us in twice', ok, /asked for authentication again/],
  ];
  it.each(wrong)('is refused once the client is let in: %s', (_, bytes, reason) => {
    expect(judge(admitted(bytes))).toMatch(reason);
    const cuts = Array.from({ length: bytes.length + ok.length }, (__, index) => index);
    expect(judge(admitted(bytes), { cuts })).toMatch(reason);
    expect(judge(admitted(...honest.slice(4), bytes), { cuts: [ok.length] })).toMatch(reason);
    // And what follows it makes no difference.
    expect(judge(admitted(bytes, ...honest.slice(4)))).toMatch(reason);
  });

  it.each<[string, Buffer[], RegExp]>([
    ['a row', [message('D', int16(0))], /DataRow before authentication was complete/],
    ['readiness', [message('Z', Buffer.from('I'))], /ReadyForQuery before authentication was complete/],
    ['an error of 5 bytes', [Buffer.from([0x45, 0, 0, 0, 4])], /cut off/],
    ['mechanisms without an end', [message('R', int32(10), Buffer.from('SCRAM'))], /cut off/],
    ['no code', [message('R')], /cut off/],
    ['SASL that goes on and was not begun', [message('R', int32(11), Buffer.from('r=1'))], /which it had not started/],
    ['the password after SCRAM', [...honest.slice(0, 3), message('R', int32(3))], /a second time/],
    ['the password twice', [message('R', int32(3)), message('R', int32(3))], /a second time/],
    ['MD5 after the password', [message('R', int32(3)), message('R', int32(5), int32(1))], /a second time/],
    ['30 kB at once', [message('E', Buffer.from(`M${'x'.repeat(30_000)}\0\0`))], /at most 30000 are allowed/],
  ])('is refused before that: %s', (_, parts, reason) => {
    expect(judge(Buffer.concat(parts), { connected: false })).toMatch(reason);
  });

  it('may be an error of megabytes once the client is connected', () => {
    const long = message('E', Buffer.from(`M${'x'.repeat(1_000_000)}\0\0`));
    expect(judge(admitted(long))).toBeUndefined();
  });

  it('is read in time that grows with its length, in however many pieces it comes', () => {
    const long = admitted(message('E', Buffer.from(`M${'x'.repeat(4_000_000)}\0\0`)));
    const begun = process.cpuUsage();
    expect(judge(long, { cuts: Array.from({ length: 40_000 }, (_, index) => index * 100) })).toBeUndefined();
    expect(process.cpuUsage(begun).user / 1_000).toBeLessThan(2_000);
  });

  it('is judged the same in one piece and byte by byte', () => {
    const inOrder = Buffer.concat(honest.slice(4));
    const mutation = fc.tuple(fc.nat(inOrder.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(mutation, { maxLength: 4 }), (mutations) => {
        const bytes = admitted(inOrder);
        for (const [at, value] of mutations) bytes[ok.length + at] = value;
        const byByte = judge(bytes, { cuts: Array.from(bytes.keys()) });
        expect(judge(bytes, { cuts: [ok.length] })).toBe(byByte);
      }),
      { numRuns: 2_000 },
    );
  });

  it('never makes it throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), fc.boolean(), (chunks, connected) => {
        const reader = new MessageReader();
        reader.read(ok, false);
        for (const chunk of chunks) if (reader.read(Buffer.from(chunk), connected)) return;
      }),
    );
  });
});
