import { describe, expect, it } from 'vitest';
import { mutationRun } from './dns-mutations.ts';

// A million of them: node --expose-gc --conditions=@externalname/source --import tsx packages/core/test/dns-million-mutations.ts
describe('20,000 answers with octets changed, cut off or put in', () => {
  it('are read or refused, and those with a wrong id never keep the right answer from being taken', async () => {
    const { read, refused, forged, rightAnswers } = await mutationRun({ count: 20_000, socketEach: 100, seed: 7 });
    expect(read + refused).toBe(20_000);
    expect(read).toBeGreaterThan(1000);
    expect(refused).toBeGreaterThan(1000);
    expect([forged, rightAnswers]).toEqual([100, 100]);
  });
});
