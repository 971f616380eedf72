import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startSharedWebscaler, type Webscaler } from './support/webscaler.ts';

// What is in order says nothing: no warning of Node.js or of pg, no line in the server's log.

let webscaler: Webscaler;
const warnings: string[] = [];
const note = (warning: Error) => void warnings.push(`${warning.name}: ${warning.message}`);

beforeAll(async () => {
  webscaler = await startSharedWebscaler();
});
beforeEach(() => {
  warnings.splice(0);
  process.on('warning', note);
});
afterEach(async () => {
  process.removeListener('warning', note);
  await webscaler.endPools();
});
afterAll(() => webscaler?.[Symbol.asyncDispose]());

const many = <T>(work: (index: number) => T): T[] => Array.from({ length: 30 }, (_, index) => work(index));
// Warnings are told in the next turn.
const turn = () => new Promise((resolve) => setImmediate(resolve));

// First, as pg warns once only.
describe('many subscriptions at once', () => {
  it('are made one after the other, as pg wants them', async () => {
    const pool = webscaler.pool();
    const heard: string[] = [];
    const listen = (index: number) => pool.listen(`channel_${index}`, ({ channel }) => void heard.push(channel));
    const first = await listen(100);
    const subscriptions = await Promise.all(many(listen));
    await pool.query(`select pg_notify('channel_' || n, '') from generate_series(0, 29) as n`);
    await expect.poll(() => heard).toHaveLength(30);
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
    await first.close();
    await turn();
    expect(warnings).toEqual([]);
  });
});

describe('one signal for many calls', () => {
  it('is not taken for a leak', async () => {
    const pool = webscaler.pool({ max: 20 });
    const controller = new AbortController();
    const { signal } = controller;
    const subscriptions = await Promise.all(
      many((index) => pool.listen(`channel_${index}`, () => undefined, { signal })),
    );
    await Promise.all(many(() => pool.transaction((tx) => tx.query('select 1'), { signal })));
    const slow = many(() => pool.transaction((tx) => tx.query('select pg_sleep(10)'), { signal }));
    const drained = many(() => pool.drained({ signal }));
    await turn();
    controller.abort(new Error('enough'));
    const settled = await Promise.allSettled(slow);
    expect(settled.map((each) => each.status === 'rejected' && (each.reason as Error).message)).toEqual(
      many(() => 'enough'),
    );
    await Promise.allSettled(drained);
    await Promise.all(subscriptions.map((subscription) => subscription.close()));
    await turn();
    expect(warnings).toEqual([]);
  });
});

describe('a slow statement', () => {
  it('that is watched leaves no line in the log of the server', async () => {
    const pool = webscaler.pool();
    await pool.query('select 1');
    const before = await webscaler.pair.primary.log();
    await pool.query('select pg_sleep(2.5)');
    await webscaler.endPools();
    await new Promise((resolve) => setTimeout(resolve, 200));
    const log = await webscaler.pair.primary.log();
    expect(log.slice(before.length)).toBe('');
  });
});
