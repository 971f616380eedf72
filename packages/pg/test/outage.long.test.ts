import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connected, outcomeOf, type Pool } from '../src/index.ts';
import { isSharing } from './support/sharing-of-all.ts';
import { nextSwitch, startWebscaler, type Webscaler } from './support/webscaler.ts';

let webscaler: Webscaler;

beforeEach(async () => {
  webscaler = await startWebscaler();
  const pool = webscaler.pool();
  await pool.query('create table writes (id uuid not null)');
  await pool.end();
});

afterEach(async () => {
  await webscaler?.[Symbol.asyncDispose]();
});

/** Writers that go on until they are told to stop, and what became of what they wrote. */
function startWriters(pool: Pool, count: number) {
  const acknowledged = new Set<string>();
  const failed: { id: string; error: unknown }[] = [];
  let stopping = false;
  const write = async () => {
    while (!stopping && !pool.ending) {
      const id = crypto.randomUUID();
      try {
        await pool.query('insert into writes (id) values ($1)', [id]);
        acknowledged.add(id);
      } catch (error) {
        failed.push({ id, error });
      }
    }
  };
  const writers = Array.from({ length: count }, write);
  return {
    acknowledged,
    failed,
    async stop() {
      stopping = true;
      await Promise.all(writers);
    },
    async verdict() {
      const { rows } = await pool.query<{ id: string; n: number }>(
        'select id, count(*)::int as n from writes group by id',
      );
      const stored = new Map(rows.map(({ id, n }) => [id, n]));
      return {
        lost: [...acknowledged].filter((id) => !stored.has(id)).length,
        twice: [...stored.values()].filter((n) => n > 1).length,
        wrongOutcomes: failed.filter(({ id, error }) => outcomeOf(error) !== 'unknown' && stored.has(id)).length,
      };
    },
  };
}

/** Resolves when so many more writes were acknowledged. */
async function moreWrites(writers: { acknowledged: Set<string> }, count: number) {
  const goal = writers.acknowledged.size + count;
  await expect.poll(() => writers.acknowledged.size, { timeout: 20_000 }).toBeGreaterThanOrEqual(goal);
}

describe('when the primary is killed and the standby promoted', () => {
  it('no acknowledged write is lost, none is done twice, and only what was in flight fails', async () => {
    const { pair } = webscaler;
    const [primary, standby] = pair.servers;
    const pool = webscaler.pool({ max: 5 });
    const writers = startWriters(pool, 10);
    await moreWrites(writers, 50);

    await primary.kill();
    await standby.promote();
    await webscaler.point('secondary-db.example.com');
    await moreWrites(writers, 50);
    await writers.stop();

    expect(await writers.verdict()).toEqual({ lost: 0, twice: 0, wrongOutcomes: 0 });
    // A connection each has five writers in flight, a shared one all ten.
    expect(writers.failed.length).toBeLessThanOrEqual(isSharing ? 10 : 5);
    for (const { error } of writers.failed) expect(outcomeOf(error)).toBe('unknown');
    expect(pool.status().target?.externalName).toBe('secondary-db.example.com');
  });

  it('at most three attempts to connect are made in any second of the outage, however many callers wait', async () => {
    const pool = webscaler.pool({ max: 10 });
    await pool.query('select 1');
    await webscaler.pair.servers[0].kill();
    const attempts: number[] = [];
    let enough: () => void = () => undefined;
    const many = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const stop = connected.subscribe(() => {
      if (attempts.push(performance.now()) === 8) enough();
    });
    const callers = Array.from({ length: 50 }, () => pool.query('select 1'));
    const results = Promise.allSettled(callers);
    await many;
    stop();
    await pool.end();
    expect((await results).every(({ status }) => status === 'rejected')).toBe(true);
    for (const start of attempts) {
      expect(attempts.filter((at) => at >= start && at < start + 1_000).length).toBeLessThanOrEqual(3);
    }
    expect(attempts.length).toBeGreaterThan(1);
  });
});

describe('when a server stops silently', () => {
  it('its statements fail within seconds with outcome unknown, and the pool goes on elsewhere', async () => {
    const { pair } = webscaler;
    const [primary, standby] = pair.servers;
    const pool = webscaler.pool({ max: 5 });
    const writers = startWriters(pool, 5);
    await moreWrites(writers, 20);
    await primary.freeze();
    // Liveness needs three seconds, and TCP itself a quarter of an hour.
    await expect.poll(() => writers.failed.length, { timeout: 20_000 }).toBeGreaterThan(0);
    expect(writers.failed[0]?.error).toMatchObject({ code: 'ERR_EXTERNALNAME_PEER_SILENT', outcome: 'unknown' });
    await standby.promote();
    await webscaler.point('secondary-db.example.com');
    await moreWrites(writers, 20);
    await writers.stop();
    expect(await writers.verdict()).toEqual({ lost: 0, twice: 0, wrongOutcomes: 0 });
  });

  it('callers who give up while a connection is being made do not keep the next ones from trying', async () => {
    const { primary } = webscaler.pair;
    // On a busy machine it takes longer to connect than callers wait: the attempt goes on, and a later caller is served.
    const pool = webscaler.pool({ max: 1, attemptTimeoutMillis: 5_000, failoverTimeoutMillis: 200 });
    const served = () =>
      pool.query('select 1').then(
        () => 'served',
        () => 'not yet',
      );
    await expect.poll(served, { timeout: 60_000 }).toBe('served');
    await primary.freeze();
    await expect(pool.query('select 1')).rejects.toThrow();
    await expect(pool.query('select 1')).rejects.toThrow();
    await primary.thaw();
    await expect.poll(served, { timeout: 60_000 }).toBe('served');
  });

  it('end() is over within its deadline all the same', async () => {
    const pool = webscaler.pool({ max: 2, endTimeoutMillis: 300, liveness: false });
    const client = await pool.connect();
    await pool.query('select 1');
    await webscaler.pair.primary.freeze();
    const stuck = client.query('select 1');
    const outcome = expect(stuck).rejects.toThrow();
    const startedAt = performance.now();
    await pool.end();
    // The default is half a minute.
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    await outcome;
  });
});

describe('when the primary is fenced for a planned switch', () => {
  it('writes wait and none fails, until the Service points at the new primary', async () => {
    const { pair } = webscaler;
    const pool = webscaler.pool({ max: 5 });
    const writers = startWriters(pool, 10);
    await moreWrites(writers, 50);
    const switched = nextSwitch();
    await pair.switchover();
    await webscaler.point('secondary-db.example.com');
    await switched;
    await moreWrites(writers, 50);
    await writers.stop();
    expect(writers.failed).toEqual([]);
    expect(await writers.verdict()).toEqual({ lost: 0, twice: 0, wrongOutcomes: 0 });
  });
});
