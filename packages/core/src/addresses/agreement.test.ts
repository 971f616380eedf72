import { expect, it } from 'vitest';
import { firstDisagreement } from '../../test/address-agreement.ts';

it('policy and validator agree on 10,000 addresses; a million are in core/test', { timeout: 60_000 }, () => {
  expect(firstDisagreement(10_000, 1)).toBeUndefined();
});
