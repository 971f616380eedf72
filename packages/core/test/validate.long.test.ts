import { describe, it } from 'vitest';
import { validate } from '../src/validation/index.ts';
import { checkShape, randomInputs } from './random-manifests.ts';

// The first 10,000 of them are part of `pnpm test`: validate.property.test.ts.
describe('validate', () => {
  it('answers 100,000 random texts and objects, and never throws', { timeout: 900_000 }, () => {
    for (const [input, options] of randomInputs(100_000)) checkShape(validate(input, options));
  });
});
