import { describe, expect, it } from 'vitest';
import { tour } from './tour.ts';

describe('the tour of httpbin behind a Service', () => {
  it('shows what works, what fails with error 60, and the same request verified', async () => {
    const printed: string[] = [];
    await tour((line) => printed.push(line));
    const text = printed.join('\n');
    expect(text).toContain('Host: webscaler-manual');
    expect(text).toContain('curl: (60)');
    expect(text).toContain('200 args: {"test":"value"} Host: httpbin.org');
    expect(text).toContain('refused target evil.example.org');
  }, 60_000);
});
