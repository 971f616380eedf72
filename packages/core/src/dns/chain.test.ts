import { describe, expect, it } from 'vitest';
import { type Answer, type Asked, judge, readAnswer } from './chain.ts';
import type { DnsRecord, RecordType, ResponseMessage } from './message.ts';
import type { Hop } from './resolution.ts';

const a = (name: string, address: string, ttlSeconds = 60): DnsRecord => ({ type: 'A', name, ttlSeconds, address });
const cname = (name: string, target: string, ttlSeconds = 5): DnsRecord => ({
  type: 'CNAME',
  name,
  ttlSeconds,
  target,
});
const soa = (name: string, ttlSeconds = 30, minimumSeconds = 30): DnsRecord => ({
  type: 'SOA',
  name,
  ttlSeconds,
  minimumSeconds,
});

function read(answers: DnsRecord[], more: Partial<ResponseMessage> = {}, type: RecordType = 'A'): Answer {
  const message: ResponseMessage = {
    id: 1,
    rcode: 'NOERROR',
    truncated: false,
    authoritative: false,
    question: { name: 'a', type },
    answers,
    authority: [],
    referral: false,
    ...more,
  };
  return readAnswer({ name: 'a', type }, message, { server: 's:53', elapsedMillis: 1 });
}

const targets = (answer: Answer) => answer.chain.map((hop) => hop.target);

describe('an answer', () => {
  it('is read in whatever order its records stand', () => {
    const records = [a('c', '192.0.2.1'), cname('b', 'c'), cname('a', 'b')];
    for (const order of [records, [...records].reverse(), [records[1], records[2], records[0]] as DnsRecord[]]) {
      const answer = read(order);
      expect([answer.kind, targets(answer)]).toEqual(['addresses', ['b', 'c']]);
    }
  });

  it('keeps the first 256 addresses of thousands', () => {
    const records = Array.from({ length: 4_000 }, (_, index) => a('a', `10.0.${index >> 8}.${index & 255}`));
    const answer = read(records);
    expect(answer.kind === 'addresses' && answer.addresses.length).toBe(256);
  });

  it('has the smaller TTL of a record that stands in it twice, once', () => {
    expect(read([a('a', '192.0.2.1', 60), a('a', '192.0.2.1', 20), a('a', '192.0.2.2', 40)])).toMatchObject({
      addresses: [
        { address: '192.0.2.1', ttlSeconds: 20 },
        { address: '192.0.2.2', ttlSeconds: 40 },
      ],
    });
    expect(read([cname('a', 'b', 9), cname('a', 'b', 4)]).chain).toMatchObject([{ ttlSeconds: 4 }]);
  });

  it.each<[string, DnsRecord[], Partial<ResponseMessage>, object]>([
    ['an alias alone leaves its target open', [cname('a', 'b')], {}, { kind: 'alias' }],
    [
      'an alias with the word of its target’s zone has no address',
      [cname('a', 'b.example')],
      { authority: [soa('example')] },
      { kind: 'no-data', ttlSeconds: 30 },
    ],
    [
      'an alias with the word of another zone leaves its target open',
      [cname('a', 'b.example')],
      { authority: [soa('example.com')] },
      { kind: 'alias' },
    ],
    [
      'NXDOMAIN is about the end of the chain',
      [cname('a', 'b')],
      { rcode: 'NXDOMAIN' },
      { kind: 'no-name', ttlSeconds: 0 },
    ],
    [
      'the negative TTL is the smaller of two',
      [],
      { authority: [soa('.', 300, 7)] },
      { kind: 'no-data', ttlSeconds: 7 },
    ],
    [
      'the negative TTL is the smaller of two, the other way',
      [],
      { authority: [soa('a', 7, 300)] },
      { kind: 'no-data', ttlSeconds: 7 },
    ],
    [
      'a pointer to other servers answers nothing',
      [],
      { referral: true },
      { kind: 'unusable', detail: 's:53 only refers to other name servers' },
    ],
    ['an alias to itself is a loop', [cname('a', 'a')], {}, { kind: 'loop' }],
    [
      'an address of an alias’s owner is none of the chain',
      [cname('a', 'b'), a('a', '203.0.113.66')],
      {},
      { kind: 'alias' },
    ],
  ])('%s', (_, answers, more, expected) => {
    expect(read(answers, more)).toMatchObject(expected);
  });
});

const hop = (name: string, target: string): Hop => ({ name, target, ttlSeconds: 5, server: 's', elapsedMillis: 1 });
const asked = (answers: Partial<Record<RecordType, Asked['answer']>>): Asked[] =>
  Object.entries(answers).map(([type, answer]) => ({ question: { name: 'a', type: type as RecordType }, answer }));
const some = (chain: Hop[], address = '192.0.2.1'): Answer => ({
  kind: 'addresses',
  chain,
  addresses: [{ address, family: 4, ttlSeconds: 60 }],
});
const none = (chain: Hop[] = []): Answer => ({ kind: 'no-data', chain, ttlSeconds: 30 });
const missing = (chain: Hop[] = []): Answer => ({ kind: 'no-name', chain, ttlSeconds: 30 });
const alias = (chain: Hop[]): Answer => ({ kind: 'alias', chain });
const failed = (reachable: boolean) =>
  ({ kind: 'failed', detail: 'SERVFAIL from s', cause: new Error('x'), reachable }) as const;
const ab = [hop('a', 'b')];
const ac = [hop('a', 'c')];

describe('the answers for A and AAAA together', () => {
  it.each<[string, Asked[], object]>([
    [
      'both have addresses',
      asked({ A: some(ab), AAAA: some(ab, '192.0.2.2') }),
      { kind: 'done', outcome: { kind: 'addresses', addresses: [{}, {}] } },
    ],
    ['one has none', asked({ A: some(ab), AAAA: none(ab) }), { outcome: { kind: 'addresses' } }],
    [
      'one has none and leaves the alias out',
      asked({ A: some(ab), AAAA: none() }),
      { outcome: { kind: 'addresses', chain: ab } },
    ],
    ['one was not answered', asked({ A: failed(true), AAAA: some(ab) }), { outcome: { kind: 'addresses' } }],
    ['only the alias came for AAAA', asked({ A: some(ab), AAAA: alias(ab) }), { outcome: { kind: 'addresses' } }],
    ['only the alias came for A', asked({ A: alias(ab), AAAA: some(ab) }), { kind: 'ask-on', chain: ab }],
    ['only the alias came for both', asked({ A: alias(ab), AAAA: alias(ab) }), { kind: 'ask-on', chain: ab }],
    ['the alias and a failure', asked({ A: failed(true), AAAA: alias(ab) }), { kind: 'ask-on', chain: ab }],
    ['the alias and no data', asked({ A: none(ab), AAAA: alias(ab) }), { kind: 'ask-on' }],
    ['the targets differ', asked({ A: some(ab), AAAA: alias(ac) }), { kind: 'ask-again' }],
    ['one is an address, the other an alias', asked({ A: some([]), AAAA: alias(ab) }), { kind: 'ask-again' }],
    ['neither exists', asked({ A: missing(ab), AAAA: missing(ab) }), { outcome: { kind: 'not-found', chain: ab } }],
    [
      'one does not exist, the other was not answered',
      asked({ A: missing(), AAAA: failed(true) }),
      { outcome: { kind: 'not-found' } },
    ],
    [
      'one has no data, the other was not answered',
      asked({ A: none(ab), AAAA: failed(true) }),
      { outcome: { kind: 'unavailable' } },
    ],
    [
      'neither has data, by an alias',
      asked({ A: none(ab), AAAA: none(ab) }),
      { outcome: { kind: 'no-address', chain: ab } },
    ],
    ['neither has data', asked({ A: none(), AAAA: none() }), { kind: 'ask-alias', otherwise: { kind: 'no-address' } }],
    [
      'neither was answered by servers that are there',
      asked({ A: failed(true), AAAA: failed(true) }),
      { kind: 'ask-alias', otherwise: { kind: 'unavailable' } },
    ],
    [
      'neither was answered, and no server is there',
      asked({ A: failed(false), AAAA: failed(false) }),
      { outcome: { kind: 'unavailable', detail: 'SERVFAIL from s' } },
    ],
    ['the alias was asked for, too', asked({ CNAME: none() }), { outcome: { kind: 'no-address' } }],
  ])('%s', (_, answers, expected) => {
    expect(judge(answers, { passed: [], mayAskAgain: true })).toMatchObject(expected);
  });

  it('are taken as they are where they were asked again already: one target’s addresses', () => {
    const step = judge(asked({ A: some(ab), AAAA: some(ac, '192.0.2.2') }), { passed: [], mayAskAgain: false });
    expect(step).toMatchObject({ outcome: { chain: ab, addresses: [{ address: '192.0.2.1' }] } });
  });

  it('are joined to the aliases that led to the name', () => {
    const passed = [hop('service', 'a')];
    expect(judge(asked({ A: some(ab) }), { passed, mayAskAgain: true })).toMatchObject({
      outcome: { chain: [...passed, ...ab] },
    });
    expect(judge(asked({ A: alias(ab) }), { passed, mayAskAgain: true })).toMatchObject({ chain: [...passed, ...ab] });
  });
});
