import { ManualClock } from '@externalname/core/internal-testing';
import { expect, it } from 'vitest';
import { start } from './support/pool-on-fake.ts';

it.each([
  [0, 100_000],
  [0.5, 95_000],
  [0.999_99, 90_001],
])('maxLifetimeSeconds of a Service is shortened by up to a tenth: chance %d, %d ms', async (chance, millis) => {
  const clock = new ManualClock();
  const options = { maxLifetimeSeconds: 100, idleTimeoutMillis: 0, idleCheckMillis: Number.POSITIVE_INFINITY };
  const { pool } = await start(options, undefined, { clock, random: () => chance });
  await pool.query('select 1');
  await clock.advance(millis - 2);
  expect(pool.totalCount).toBe(1);
  await clock.advance(2);
  expect(pool.totalCount).toBe(0);
});
