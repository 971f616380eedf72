import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  Ask,
  Kill,
  longestPropertyMillis,
  max,
  play,
  playAny,
  pools,
  Refuse,
  Switch,
  servers,
  Transaction,
} from './support/pool-model.ts';

beforeAll(() => servers.start());
afterAll(() => servers.close());

describe.each(pools)('%s, whatever is asked of it in whatever order and whatever its servers do', (_, options) => {
  it(
    'keeps max, hands out only what leads to the current target, and answers everybody once',
    async () => {
      await playAny(options, 40);
    },
    longestPropertyMillis,
  );

  // A server that the Service comes back to has the connections that drain since the first epoch, and `max` of the third.
  it('counts nothing that drains towards max, not even where the Service has come back to', async () => {
    const thereAndBack = [new Ask('connect'), new Transaction(0), new Switch(), new Switch()];
    const callers = Array.from({ length: max + 1 }, () => new Ask('connect'));
    await play(options, [...thereAndBack, ...callers, new Refuse('primary'), new Kill(1, false)]);
  });

  // Both lanes were taken for left: that of the held query, which no other query may use, stood for the one that the caller of `connect` waits for.
  it('does not serve callers who share a connection before those who came earlier and need their own', async () => {
    const twice = [new Ask('failing query'), new Ask('connect')];
    await play(options, [...twice, new Ask('held query'), ...twice, new Ask('failing query'), new Kill(0, false)]);
  });
});
