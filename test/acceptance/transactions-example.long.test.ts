import { expect, it } from 'vitest';
import { rehearse } from '../../examples/transactions/src/rehearsal.ts';

it('the example of transactions moves money through a failover: nothing is lost, made, or left unknown', async () => {
  const { acknowledged, repeats, ...rest } = await rehearse(() => undefined);
  expect(rest).toEqual({ lost: 0, failed: 0, failedAndStored: 0, unknown: 0, moneyBefore: 2_000, moneyAfter: 2_000 });
  expect(acknowledged).toBeGreaterThanOrEqual(200);
  expect(repeats).toBeGreaterThan(0);
});
