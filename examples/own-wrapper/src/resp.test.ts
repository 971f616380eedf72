import { describe, expect, it } from 'vitest';
import { encode, RedisError, ReplyReader } from './resp.ts';

describe('answers of Redis', () => {
  const answers = '+OK\r\n:-7\r\n$5\r\nh\u00e9ll\r\n$-1\r\n*2\r\n$1\r\na\r\n*1\r\n:1\r\n-READONLY no\r\n';
  const meant = ['OK', -7, 'h\u00e9ll', null, ['a', [1]], new RedisError('READONLY no')];

  it('are read whole, whatever the pieces are in which they come', () => {
    for (const size of [1, 2, 3, 7, 1000]) {
      const reader = new ReplyReader();
      const bytes = Buffer.from(answers);
      const read = [];
      for (let at = 0; at < bytes.length; at += size) read.push(...reader.read(bytes.subarray(at, at + size)));
      expect(read).toEqual(meant);
    }
  });

  it('are refused if they are not RESP, or nested too deep', () => {
    expect(() => new ReplyReader().read(Buffer.from('HTTP/1.1 400 Bad Request\r\n'))).toThrow('not RESP');
    expect(() => new ReplyReader().read(Buffer.from('*1\r\n'.repeat(20)))).toThrow('too deep');
  });

  it('tell by their first word what is wrong', () => {
    expect(new RedisError('WRONGTYPE Operation against a key')).toMatchObject({
      code: 'WRONGTYPE',
      outcome: 'not-executed',
    });
  });
});

it('a command counts bytes, not characters', () => {
  expect(encode(['SET', '\u00e9'])).toBe('*2\r\n$3\r\nSET\r\n$2\r\n\u00e9\r\n');
});
