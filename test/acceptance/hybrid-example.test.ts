import { expect, it, onTestFinished } from 'vitest';
import { tour } from '../../examples/hybrid/src/tour.ts';

it('the example of a database on the premises: each mistake is refused, and no order is lost while the line is cut', async () => {
  const printed: string[] = [];
  const warnings: (Error & { readonly code?: string })[] = [];
  const hear = (warning: Error) => warnings.push(warning);
  process.on('warning', hear);
  onTestFinished(() => void process.off('warning', hear));
  const figures = await tour((line) => printed.push(line), { cutMillis: 3_000 });
  const text = printed.join('\n');
  expect(text).toContain('UNABLE_TO_VERIFY_LEAF_SIGNATURE: orders-db.dc1.example.com');
  expect(text).toContain('ERR_EXTERNALNAME_ADDRESS_REFUSED: refused address 203.0.113.9');
  expect(text).toContain('ERR_EXTERNALNAME_TARGET_REFUSED: refused target orders-db.example.org');
  expect(text).toContain('it stays at orders-db.dc1.example.com, and serves');
  expect(text).toContain('a readiness probe would say "not ready"; 8 orders wait, 0 have failed');
  expect(text).toContain('gets an error, with the outcome not-executed');
  // If at all, of the pool whose callers wait, and not of the one whose caller gave up after 0.3 s.
  const messages = warnings.filter(({ code }) => code === 'EXTERNALNAME_NO_SERVER').map(({ message }) => message);
  expect(messages.filter((message) => !message.includes('Each waits for up to 30000 ms'))).toEqual([]);
  expect(figures).toMatchObject({ failed: 0, lost: 0, duplicated: 0 });
  expect(figures.acknowledged).toBeGreaterThan(8);
});
