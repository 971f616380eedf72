import { expect, it } from 'vitest';
import { firstDisagreement } from './address-agreement.ts';

// The work takes a minute or two; a busy machine may take longer, and no time is asserted.
it('policy and validator agree on 1,000,000 addresses', { timeout: 900_000 }, () => {
  expect(firstDisagreement(1_000_000, 20_261_129)).toBeUndefined();
});
