import { describe, expect, it } from 'vitest';
import { type Sight, Sights } from './sights.ts';

const at = (second: number) => new Date(Date.UTC(2026, 10, 29, 11, 20, second, 123));
const servers = ['kubernetes', 'dns 10.96.0.10'];
const bySource = (source: string, target: string | undefined, more: Partial<Sight> = {}): Sight => ({
  source,
  at: at(0),
  target,
  ...more,
});

describe('what the sources see', () => {
  it('is told when it differs: not for another time or TTL', () => {
    const sights = new Sights(servers);
    const first = bySource('dns 10.96.0.10', 'primary-db.example.com', { addresses: ['192.0.2.1'], ttlSeconds: 5 });
    expect(sights.take(first)).toBe(true);
    expect(sights.take({ ...first, at: at(1), ttlSeconds: 4, elapsedMillis: 3 })).toBe(false);
    expect(sights.take({ ...first, addresses: ['192.0.2.2'] })).toBe(true);
    expect(sights.take({ ...first, addresses: ['192.0.2.2'], error: 'no answer' })).toBe(true);
  });

  it('is the same for all only if each source sees it and none doubts it', () => {
    const sights = new Sights(servers);
    sights.take(bySource('kubernetes', 'secondary-db.example.com'));
    expect(sights.all('secondary-db.example.com')).toBe(false);
    sights.take(bySource('dns 10.96.0.10', 'secondary-db.example.com'));
    expect(sights.all('secondary-db.example.com')).toBe(true);
    sights.take(bySource('kubernetes', 'secondary-db.example.com', { stale: true }));
    expect(sights.all('secondary-db.example.com')).toBe(false);
  });

  it('are kept for each source, with since when it has looked so', () => {
    const sights = new Sights(servers);
    const first = bySource('dns 10.96.0.10', 'primary-db.example.com', { ttlSeconds: 5 });
    const later = { ...first, at: at(12), ttlSeconds: 3 };
    sights.take(first);
    sights.take(later);
    expect(sights.sources()).toEqual([
      { source: 'kubernetes', sight: undefined, since: undefined },
      { source: 'dns 10.96.0.10', sight: later, since: at(0) },
    ]);
  });
});
