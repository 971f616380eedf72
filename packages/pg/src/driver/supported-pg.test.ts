import { describe, expect, it, vi } from 'vitest';

// All that Node.js shows of pg 8.11 to an ES module, as that version has none.
vi.mock('pg', () => ({
  default: {},
  Result: undefined,
  Pool: undefined,
  Client: undefined,
  defaults: undefined,
  types: undefined,
}));

describe('a pg that is too old', () => {
  it('is refused in one sentence when the package is imported', async () => {
    await expect(import('../index.ts')).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_UNSUPPORTED_VERSION',
      message: '@externalname/pg needs pg 8.16 or newer, and an older one is installed: npm install pg@8',
    });
  });
});
