import { afterAll, beforeAll, describe, it } from 'vitest';
import { longestPropertyMillis, playAny, pools, servers } from './support/pool-model.ts';

beforeAll(() => servers.start());
afterAll(() => servers.close());

describe.each(pools)('%s, a thousand times over, whatever is asked of it and whatever its servers do', (_, options) => {
  it(
    'keeps max, hands out only what leads to the current target, and answers everybody once',
    async () => {
      await playAny(options, 1_000);
    },
    longestPropertyMillis,
  );
});
