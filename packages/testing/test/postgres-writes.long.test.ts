import { PostgresPair, type PostgresServer } from '@externalname/testing';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

// Each starts servers several times, maybe on a machine that is busy.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

describe('acknowledged writes', () => {
  let pair: PostgresPair;
  beforeAll(async () => {
    pair = await PostgresPair.start();
    await pair.primary.query('create table writes (id text not null)', [], { database: pair.database });
    await pair.primary.query(`grant all on writes to ${pair.user}`, [], { database: pair.database });
  });
  afterAll(() => pair?.close());

  // Each round begins with the roles of the last one changed.
  it.each([1, 2, 3])(
    'are all on the standby when the primary is killed in the middle of them (round %i)',
    async (round) => {
      const writers = startWriters(pair, `kill-${round}`);
      await writers.acknowledgements(20 + Math.random() * 200);
      const dead = pair.primary;
      await dead.kill();
      await pair.standby.promote();
      await writers.stop();
      expect(await lost(pair.primary, writers.acknowledged)).toEqual([]);
      await pair.rejoin(dead);
      expect(await lost(pair.standby, writers.acknowledged)).toEqual([]);
    },
  );

  it.each([1, 2, 3])(
    'are all on the new primary after a switchover, and none fails but for the fence (round %i)',
    async (round) => {
      const writers = startWriters(pair, `switch-${round}`);
      await writers.acknowledgements(20 + Math.random() * 200);
      const old = pair.primary;
      let before = 0;
      await pair.switchover({
        onPromoted: async (primary) => {
          expect(primary).toBe(pair.primary);
          before = writers.acknowledged.size;
          await writers.acknowledgements(before + 20);
          // The old one is still there and takes no writes: who is slow to move is told so.
          expect(await refusalOf(old)).toBe('25006');
        },
      });
      await writers.stop();
      expect(pair.standby).toBe(old);
      expect(writers.failures).toEqual([]);
      expect(await lost(pair.primary, writers.acknowledged)).toEqual([]);
      const twice = await pair.primary.query('select id from writes group by id having count(*) > 1', [], {
        database: pair.database,
      });
      expect(twice).toEqual([]);
    },
  );

  it('go on if a switchover fails', async () => {
    const writers = startWriters(pair, 'stays');
    await writers.acknowledgements(20);
    const primary = pair.primary;
    const client = new pg.Client(pair.connection(primary));
    await client.connect();
    await client.query('begin');
    await expect(pair.switchover({ timeoutMillis: 500 })).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_DEADLINE' });
    await client.query('commit');
    await client.end();
    await pair.standby.kill();
    await expect(pair.switchover()).rejects.toMatchObject({ failure: 'not-running' });
    expect(pair.primary).toBe(primary);
    await pair.standby.start();
    await writers.acknowledgements(writers.acknowledged.size + 20);
    await writers.stop();
    expect(await lost(primary, writers.acknowledged)).toEqual([]);
  });

  async function lost(server: PostgresServer, acknowledged: ReadonlySet<string>): Promise<string[]> {
    const rows = await server.query<{ id: string }>('select id from writes', [], { database: pair.database });
    const present = new Set(rows.map(({ id }) => id));
    return [...acknowledged].filter((id) => !present.has(id));
  }

  async function refusalOf(server: PostgresServer): Promise<string | undefined> {
    const client = new pg.Client(pair.connection(server));
    await client.connect();
    try {
      await client.query(`insert into writes values ('refused')`);
      return undefined;
    } catch (error) {
      return (error as { code?: string }).code;
    } finally {
      await client.end();
    }
  }
});

interface Writers {
  readonly acknowledged: ReadonlySet<string>;
  /** What was refused for another reason than a fence, or broke while its server was meant to live. */
  readonly failures: string[];
  acknowledgements(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Eight clients that write one row after the other to whichever server is the primary; none is ever repeated. */
function startWriters(pair: PostgresPair, name: string): Writers {
  const acknowledged = new Set<string>();
  const failures: string[] = [];
  const goals = new Set<() => void>();
  let stopped = false;
  const write = async (writer: number) => {
    for (let n = 0; !stopped; ) {
      const server = pair.primary;
      const client = new pg.Client(pair.connection(server));
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!stopped && pair.primary === server) {
          const id = `${name}-${writer}-${n++}`;
          await client.query('insert into writes values ($1)', [id]);
          acknowledged.add(id);
          for (const goal of goals) goal();
        }
      } catch (error) {
        const { code, message } = error as { code?: string; message: string };
        if (code !== '25006' && server.isRunning() && !message.includes('terminated'))
          failures.push(`${code} ${message}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  };
  const running = Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
  return {
    acknowledged,
    failures,
    acknowledgements: (count) =>
      new Promise((resolve) => {
        const goal = () => {
          if (acknowledged.size < count) return;
          goals.delete(goal);
          resolve();
        };
        goals.add(goal);
        goal();
      }),
    async stop() {
      stopped = true;
      await running;
    },
  };
}
