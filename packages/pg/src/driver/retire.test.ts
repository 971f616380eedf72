import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { FakeClient } from '../../test/support/fake-client.ts';
import { outcomeOf } from '../failures/classify.ts';
import { retireClient } from './retire.ts';

function retire(options: { inTransaction?: boolean; works?: boolean; watched?: boolean } = {}) {
  const clock = new ManualClock();
  const client = FakeClient.connected();
  const told: [how: 'finish' | 'cut', outcome: unknown][] = [];
  if (options.works ?? true) client.begin(options);
  const retirement = retireClient(client, {
    target: 'primary-db.example.com',
    drainTimeoutMillis: 250,
    clock,
    watched: options.watched ?? true,
    finish: (error) => told.push(['finish', outcomeOf(error)]),
    cut: (error) => told.push(['cut', outcomeOf(error)]),
  });
  return { clock, client, told, retirement };
}

describe('a client whose target is left', () => {
  it('is over at once if it has no work, and leaves no timer', () => {
    const { told, clock, retirement } = retire({ works: false });
    expect(told).toEqual([['finish', 'not-executed']]);
    expect(retirement.had).toBe('no work');
    expect(clock.pending).toBe(0);
  });

  it('is over when its statement is answered, after its caller has the answer, and leaves no timer', async () => {
    const { told, client, clock, retirement } = retire();
    expect(retirement.had).toBe('work');
    client.finish();
    expect(told).toEqual([]);
    await clock.advance(0);
    expect(told).toEqual([['finish', 'not-executed']]);
    expect(clock.pending).toBe(0);
  });

  it('is over when its transaction is, and not before', async () => {
    const { told, client, clock } = retire({ inTransaction: true });
    client.finish('T');
    await clock.advance(100);
    expect(told).toEqual([]);
    client.finish('I');
    await clock.advance(0);
    expect(told).toEqual([['finish', 'not-executed']]);
  });

  it('is closed when the drain time is over, to the millisecond, with an unknown outcome of its statement', async () => {
    const { told, client, clock } = retire();
    await clock.advance(249);
    expect([told, client.ended]).toEqual([[], undefined]);
    await clock.advance(1);
    expect([told, client.ended]).toEqual([[['cut', 'unknown']], 'destroyed']);
  });

  it('is closed in a transaction between two statements, with nothing unknown', async () => {
    const { told, client, clock } = retire({ inTransaction: true });
    client.finish('T');
    await clock.advance(250);
    expect(told).toEqual([['cut', 'not-executed']]);
  });

  it('takes no further statement once its transaction is over', async () => {
    const { client } = retire({ inTransaction: true });
    client.finish('I');
    expect(client._ending).toBe(true);
  });

  it('that is not watched is only closed', async () => {
    const { told, client, clock } = retire({ watched: false });
    client.finish();
    await clock.advance(249);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([['cut', 'not-executed']]);
  });

  it('is left alone once that is stopped', async () => {
    const { told, client, clock, retirement } = retire();
    retirement.stop();
    client.finish();
    await clock.advance(1_000);
    expect(told).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
