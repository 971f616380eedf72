import { expect, it } from 'vitest';
import { tour } from '../../examples/hybrid/src/tour.ts';

it('the example of a database on the premises: each mistake is refused, and no order is lost while the line is cut', async () => {
  const printed: string[] = [];
  const figures = await tour((line) => printed.push(line), { cutMillis: 3_000 });
  const text = printed.join('\n');
  expect(text).toContain('UNABLE_TO_VERIFY_LEAF_SIGNATURE: orders-db.dc1.example.com');
  expect(text).toContain('ERR_EXTERNALNAME_ADDRESS_REFUSED: refused address 203.0.113.9');
  expect(text).toContain('ERR_EXTERNALNAME_TARGET_REFUSED: refused target orders-db.example.org');
  expect(text).toContain('it stays at orders-db.dc1.example.com, and serves');
  expect(text).toContain('a readiness probe would say "not ready"; 8 orders wait, 0 have failed');
  expect(text).toContain('gets an error, with the outcome not-executed');
  expect(figures).toMatchObject({ failed: 0, lost: 0, duplicated: 0 });
  expect(figures.acknowledged).toBeGreaterThan(8);
});
