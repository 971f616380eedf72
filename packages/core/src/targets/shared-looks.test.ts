import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { SharedLooks } from './shared-looks.ts';

function world() {
  const clock = new ManualClock();
  const looks = new SharedLooks(clock);
  const askedAt: number[] = [];
  const look = (user: object, key = 'webscaler-db') =>
    looks.look(key, user, async () => {
      askedAt.push(clock.now());
      return clock.now();
    });
  return { clock, askedAt, look };
}

describe('looks past every cache', () => {
  it('of one user are asked at once, however many', async () => {
    const { look, askedAt } = world();
    const user = {};
    await look(user);
    await look(user);
    expect(askedAt).toEqual([0, 0]);
  });

  it('of fifty users, twice a second each, are ten a second at the most', async () => {
    const { clock, look, askedAt } = world();
    const users = Array.from({ length: 50 }, () => ({}));
    const answers: Promise<number>[] = [];
    for (let time = 0; time < 5_000; time += 10) {
      const user = users[(time / 10) % 50];
      if (user !== undefined) answers.push(look(user));
      await clock.advance(10);
    }
    await clock.advance(100);
    await Promise.all(answers);
    expect(askedAt.length).toBeLessThanOrEqual(51);
  });

  it('are asked after the call, never before, and within 100 ms of it', async () => {
    const { clock, look } = world();
    const first = await look({});
    await clock.advance(30);
    const later = [look({}), look({})];
    await clock.advance(70);
    expect([first, await Promise.all(later)]).toEqual([0, [100, 100]]);
    const another = look({});
    await clock.advance(100);
    expect(await another).toBe(200);
    await clock.advance(150);
    expect(await look({})).toBe(350);
  });

  it('for another name wait for none', async () => {
    const { look, askedAt } = world();
    await look({});
    await look({}, 'orders-db');
    expect(askedAt).toEqual([0, 0]);
  });

  it('are given up when all is over, and leave no timer', async () => {
    const clock = new ManualClock();
    const looks = new SharedLooks(clock);
    await looks.look('webscaler-db', {}, async () => 1);
    const waiting = looks.look('webscaler-db', {}, async () => 2);
    const ended = expect(waiting).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_CLOSED' });
    looks.close();
    await ended;
    expect(clock.pending).toBe(0);
  });

  it('that fail are asked again by the next one', async () => {
    const clock = new ManualClock();
    const looks = new SharedLooks(clock);
    await looks.look('webscaler-db', {}, async () => 1);
    const failing = looks.look('webscaler-db', {}, () => Promise.reject(new Error('no server answered')));
    const failed = expect(failing).rejects.toThrow('no server answered');
    await clock.advance(100);
    await failed;
    await clock.advance(100);
    await expect(looks.look('webscaler-db', {}, async () => 2)).resolves.toBe(2);
  });
});
