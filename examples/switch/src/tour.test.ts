import { describe, expect, it } from 'vitest';
import { tour } from './tour.ts';

describe('the tour of a switch', () => {
  it('switches, refuses what is not meant, and goes back', async () => {
    const printed: string[] = [];
    await tour((line) => printed.push(line));
    const text = printed.join('\n');
    expect(text).toContain('primary-db.example.com -> secondary-db.example.com: switched, by on-call');
    expect(text).toContain('pushed: secondary-db.example.com (from kubernetes)');
    expect(text).toContain('unchanged: it points there already');
    expect(text).toContain('refused target db.example.org');
    expect(text).toContain('secondary-db.example.com -> primary-db.example.com: switched, by on-call');
    expect(printed.at(-1)).toBe('\nwebscaler-db points to primary-db.example.com');
    expect(text).not.toMatch(/failed|warning/);
  }, 30_000);
});
