import { describe, expect, it } from 'vitest';
import { RedisServer } from './redis-server.ts';
import { tour } from './tour.ts';

describe('the tour of Redis behind a Service', () => {
  it('says in one line that redis-server is missing, or counts through a failover: each INCR once, none fails', async () => {
    const printed: string[] = [];
    const figures = await tour((line) => printed.push(line));
    if (!RedisServer.isInstalled()) {
      expect(printed).toEqual([expect.stringMatching(/^skipped: redis-server is not installed/)]);
      return;
    }
    const text = printed.join('\n');
    expect(text).toContain('webscaler-cache -> cache-a.example.com: GET greeting is "hello"');
    expect(text).toContain('4 commands wait, 0 have failed');
    expect(text).toContain('the target is cache-b.example.com');
    expect(text).toContain('refused target cache.example.org');
    expect(figures?.failed).toEqual([]);
    expect(figures?.counter).toBe(figures?.counted);
  }, 60_000);
});
