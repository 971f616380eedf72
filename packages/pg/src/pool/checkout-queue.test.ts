import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { SlowShare } from '../pipeline/slow-share.ts';
import { Checkout } from './checkout.ts';
import { CheckoutQueue, type Permit } from './checkout-queue.ts';

function setUp(max: number, slowShare?: SlowShare) {
  const clock = new ManualClock();
  const served: [checkout: Checkout, permit: Permit][] = [];
  const answers = new Map<Checkout, unknown>();
  const queue = new CheckoutQueue(max, (checkout, permit) => served.push([checkout, permit]), slowShare);
  const host = {
    name: 'webscaler-db',
    clock,
    answered: (checkout: Checkout) => queue.leave(checkout),
    timeoutError: (_: Checkout, millis: number) => new Error(`${millis} ms are over`),
  };
  /** A call that has to wait, for as long as it likes. */
  const wait = (timeoutMillis?: number, isSlow?: boolean): Checkout => {
    const checkout: Checkout = new Checkout(
      { callback: (error) => void answers.set(checkout, (error as Error | undefined)?.message ?? 'served') },
      'application',
      host,
    );
    if (isSlow !== undefined) checkout.laneEntry = { mayShare: false, isSlow, send: () => undefined };
    queue.enter(checkout);
    if (timeoutMillis !== undefined) checkout.expireAfter(timeoutMillis);
    queue.wait(checkout);
    return checkout;
  };
  const counts = () => ({ size: queue.size, withoutPermit: queue.withoutPermit, spare: queue.spare });
  return { clock, queue, served, answers, wait, counts };
}

describe('the queue for connections', () => {
  it('gives permits to the first max that come, in their order', async () => {
    const { clock, served, wait, counts } = setUp(2);
    const [first, second] = [wait(), wait(), wait()];
    await clock.advance(0);
    expect(served.map(([checkout]) => checkout)).toEqual([first, second]);
    expect(counts()).toEqual({ size: 3, withoutPermit: 1, spare: 0 });
  });

  it('gives a permit that comes back to the one that has waited longest', async () => {
    const { clock, queue, served, wait } = setUp(1);
    const [, second, third] = [wait(), wait(), wait()];
    await clock.advance(0);
    queue.release(served[0]?.[1] as Permit);
    await clock.advance(0);
    expect(served.map(([checkout]) => checkout).slice(1)).toEqual([second]);
    queue.release(served[1]?.[1] as Permit);
    await clock.advance(0);
    expect(served.at(-1)?.[0]).toBe(third);
  });

  it('hands the next in line over with the permit of the connection that it is given', async () => {
    const { clock, queue, wait, counts } = setUp(1);
    const [, second] = [wait(), wait()];
    await clock.advance(0);
    expect(queue.next()).toBe(second);
    expect(queue.next()).toBeUndefined();
    expect(counts()).toEqual({ size: 2, withoutPermit: 0, spare: 0 });
  });

  it('keeps a permit that comes when no checkout waits', async () => {
    const { clock, queue, served, wait, counts } = setUp(1);
    wait();
    await clock.advance(0);
    expect(queue.hasPermitAtHand).toBe(false);
    queue.release(served[0]?.[1] as Permit);
    expect(queue.hasPermitAtHand).toBe(true);
    expect(counts().spare).toBe(1);
  });
});

describe('a call that waits', () => {
  it('fails when its time is over, to the millisecond, and leaves its place to the next', async () => {
    const { clock, queue, served, answers, wait, counts } = setUp(1);
    const [first, second, third] = [wait(), wait(500), wait()];
    await clock.advance(499);
    expect(answers.size).toBe(0);
    await clock.advance(1);
    expect([...answers]).toEqual([[second, '500 ms are over']]);
    expect(counts()).toEqual({ size: 2, withoutPermit: 1, spare: 0 });
    queue.release(served[0]?.[1] as Permit);
    await clock.advance(0);
    expect(served.map(([checkout]) => checkout)).toEqual([first, third]);
  });

  it('keeps its deadline while a connection is made for it', async () => {
    const { clock, answers, wait } = setUp(1);
    const first = wait(500);
    const { signal } = first.request;
    await clock.advance(500);
    expect(answers.get(first)).toBe('500 ms are over');
    expect(signal.reason).toMatchObject({ message: '500 ms are over' });
  });

  it('leaves no timer when it is served', async () => {
    const { clock, wait } = setUp(1);
    const first = wait(500);
    await clock.advance(0);
    first.deliver({} as never, () => undefined);
    expect(clock.pending).toBe(0);
  });

  it('is answered once', async () => {
    const { clock, answers, wait } = setUp(1);
    const first = wait(500);
    first.deliver({} as never, () => undefined);
    first.fail(new Error('too late'));
    await clock.advance(1_000);
    expect(answers.get(first)).toBe('served');
  });

  it('ends when its signal fires, with the reason, and forgets the signal when it is answered', async () => {
    const { answers, wait } = setUp(1);
    const [first, second] = [wait(), wait()];
    const controller = new AbortController();
    for (const each of [first, second]) each.abandonOn(controller.signal);
    first.deliver({} as never, () => undefined);
    controller.abort(new Error('not wanted'));
    expect([...answers.values()]).toEqual(['served', 'not wanted']);
  });
});

describe('callers with slow statements', () => {
  it('have all permits while no quick one comes', async () => {
    const { clock, served, wait } = setUp(3, new SlowShare(3));
    const slow = [1, 2, 3, 4].map(() => wait(undefined, true));
    await clock.advance(0);
    expect(served.map(([checkout]) => checkout)).toEqual(slow.slice(0, 3));
  });

  it('leave one permit to others while quick ones come, and are overtaken for that', async () => {
    const share = new SlowShare(3);
    const { clock, queue, served, wait } = setUp(3, share);
    share.quickAsked();
    const [first, second, third] = [1, 2, 3].map(() => wait(undefined, true));
    const quick = wait(undefined, false);
    await clock.advance(0);
    expect(served.map(([checkout]) => checkout)).toEqual([first, second, quick]);
    expect(queue.waitingAlone).toBe(0);
    // What follows the checkout is the lane.
    share.begin();
    if (second !== undefined) queue.leave(second);
    expect(queue.next()).toBeUndefined();
    share.end();
    expect(queue.waitingAlone).toBe(1);
    expect(queue.next()).toBe(third);
  });

  it('keep their turn among callers that may be served', async () => {
    const { clock, queue, wait } = setUp(1, new SlowShare(1));
    const all = [false, false, true, false, true].map((isSlow) => wait(undefined, isSlow));
    await clock.advance(0);
    expect([queue.next(), queue.next(), queue.next(), queue.next()]).toEqual(all.slice(1));
  });

  it('get the rest when quick ones have stopped coming', async () => {
    const share = new SlowShare(2);
    const { clock, queue, served, wait } = setUp(2, share);
    share.quickAsked();
    const slow = [1, 2].map(() => wait(undefined, true));
    await clock.advance(0);
    expect(served).toHaveLength(1);
    while (!share.look()) expect(queue.isUncontended).toBe(true);
    queue.reconsider();
    await clock.advance(0);
    expect(served.map(([checkout]) => checkout)).toEqual(slow);
  });
});
