import { describe, expect, it } from 'vitest';
import { tour } from './tour.ts';

describe('the migration of a Service', () => {
  it('goes from ClusterIP to ExternalName and back under load, and drops no request', async () => {
    const printed: string[] = [];
    const figures = await tour((line) => printed.push(line), { ttlSeconds: 1 });
    const text = printed.join('\n');
    expect(text).toContain('DNS shows CNAME catalog.example.com, 127.96.2.1');
    expect(text).toContain('pods: 0 requests in the last 0.3 s');
    expect(printed.filter((line) => line.startsWith('  moved:'))).toHaveLength(2);
    expect(text).toContain('DNS shows 127.96.0.10');
    expect(figures.dropped).toBe(0);
    expect(figures.requests).toBeGreaterThan(100);
    // A client that keeps the cluster IP for the TTL shows that there was something to lose.
    expect(figures.plainDropped).toBeGreaterThan(0);
  }, 60_000);
});
