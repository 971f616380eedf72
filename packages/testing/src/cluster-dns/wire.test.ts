import packet from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DnsAnswer, type DnsRecord, emptyAnswer } from './message.ts';
import { decodeRequest, encodeAnswer } from './wire.ts';

const name = 'webscaler-db.default.svc.cluster.local.';

function request(type = 'A', payloadSize?: number) {
  const additionals =
    payloadSize === undefined ? [] : [{ type: 'OPT' as const, name: '.' as const, udpPayloadSize: payloadSize }];
  const decoded = decodeRequest(
    packet.encode({ type: 'query', id: 7, questions: [{ type: type as 'A', name }], additionals } as packet.Packet),
  );
  if (decoded === undefined) throw new Error('not decoded');
  return decoded;
}

function written(answer: Partial<DnsAnswer>, size = 65_535) {
  const bytes = encodeAnswer(request(), { ...emptyAnswer('NOERROR'), ...answer }, size);
  if (bytes === undefined) throw new Error('nothing was written');
  return { bytes, message: packet.decode(bytes) };
}

const alias: DnsRecord = { name, type: 'CNAME', ttl: 5, data: 'primary-db.example.com.' };
const addresses = (count: number): DnsRecord[] =>
  Array.from({ length: count }, (_, index) => ({
    name: 'primary-db.example.com.',
    type: 'A',
    ttl: 5,
    data: `192.0.2.${index + 1}`,
  }));

describe('an answer on the wire', () => {
  it('is read back as it was written, by another implementation', () => {
    const records: DnsRecord[] = [
      alias,
      { name: 'a.example.', type: 'A', ttl: 1, data: '192.0.2.1' },
      { name: 'a.example.', type: 'AAAA', ttl: 2, data: '2001:db8::1' },
      { name: 'a.example.', type: 'AAAA', ttl: 2, data: '::ffff:192.0.2.1' },
      { name: 'a.example.', type: 'TXT', ttl: 3, data: ['1.1.0'] },
      {
        name: 'a.example.',
        type: 'SRV',
        ttl: 4,
        data: { priority: 0, weight: 100, port: 5432, target: 'b.a.example.' },
      },
      { name: 'a.example.', type: 'MX', ttl: 4, data: { preference: 10, exchange: 'mail.a.example.' } },
    ];
    expect(
      written({ answer: records }).message.answers?.map((record) => [record.name, (record as { data?: unknown }).data]),
    ).toEqual([
      [name.slice(0, -1), 'primary-db.example.com'],
      ['a.example', '192.0.2.1'],
      ['a.example', '2001:db8::1'],
      ['a.example', '::ffff:c000:201'],
      ['a.example', [Buffer.from('1.1.0')]],
      ['a.example', { priority: 0, weight: 100, port: 5432, target: 'b.a.example' }],
      ['a.example', { preference: 10, exchange: 'mail.a.example' }],
    ]);
  });

  it('of any address reads back to the same address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const type = address.includes(':') ? 'AAAA' : 'A';
        const [record] =
          written({ answer: [{ name: 'a.example.', type, ttl: 0, data: address }] }).message.answers ?? [];
        const read = (record as { data: string }).data;
        if (type === 'A') expect(read).toBe(address);
        else expect(new URL(`http://[${read}]/`).hostname).toBe(new URL(`http://[${address}]/`).hostname);
      }),
    );
  });

  it('names what it has named before by a pointer, so that many records fit', () => {
    const { bytes, message } = written({ answer: [alias, ...addresses(20)] }, 512);
    expect(bytes.length).toBeLessThanOrEqual(512);
    expect(message.flag_tc).toBe(false);
  });

  it('is cut to the size that the client takes, and says so', () => {
    const { bytes, message } = written({ answer: [alias, ...addresses(60)] }, 512);
    expect(bytes.length).toBeLessThanOrEqual(512);
    expect(message.flag_tc).toBe(true);
    expect(message.answers?.[0]).toMatchObject({ type: 'CNAME' });
  });

  it('loses additional records without a word', () => {
    const { message } = written({ answer: [alias], additional: addresses(60) }, 512);
    expect(message.flag_tc).toBe(false);
    expect(message.additionals?.length).toBeGreaterThan(0);
  });

  it('is not written at all if a label is too long, so that the client times out', () => {
    const record: DnsRecord = { ...alias, type: 'CNAME', data: `${'a'.repeat(64)}.example.` };
    expect(encodeAnswer(request(), { ...emptyAnswer('NOERROR'), answer: [record] }, 512)).toBeUndefined();
  });

  it('repeats the question, its type known or not', () => {
    expect(request('HTTPS').question?.type ?? '').not.toBe('');
    const raw = packet.encode({ type: 'query', id: 1, questions: [{ type: 'A', name }] });
    raw.writeUInt16BE(65_280, raw.length - 4);
    const decoded = decodeRequest(raw);
    const bytes = decoded && encodeAnswer(decoded, emptyAnswer('NOERROR'), 512);
    expect(bytes?.readUInt16BE(bytes.length - 4)).toBe(65_280);
  });

  it('speaks EDNS with a client that does', () => {
    const bytes = encodeAnswer(request('A', 1232), emptyAnswer('NOERROR'), 1232);
    const [opt] = packet.decode(bytes ?? Buffer.alloc(0)).additionals ?? [];
    expect(opt).toMatchObject({ type: 'OPT', udpPayloadSize: 1232 });
  });
});

describe('bytes that are not a question', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half a header', Buffer.alloc(6)],
    ['an answer', packet.encode({ type: 'response', id: 1, questions: [] })],
  ])('%s is not answered', (_what, bytes) => {
    expect(decodeRequest(bytes)).toBeUndefined();
  });

  it('of any bytes throws nothing', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void decodeRequest(Buffer.from(bytes))));
  });
});
