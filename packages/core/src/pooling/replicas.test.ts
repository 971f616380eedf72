import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { Endpoint } from '../targets/index.ts';
import { readerSettings } from './reader-options.ts';
import { type ReplicaConnection, Replicas } from './replicas.ts';

interface Connection extends ReplicaConnection {
  isStandby: boolean;
  lsn: bigint;
}

const target = { externalName: 'db-ro.example.com', via: [], version: '', source: 'static', stale: false } as const;
const endpoint: Endpoint = { target, address: '10.0.0.1', family: 4, port: 5432 };

function setUp(options: Parameters<typeof readerSettings>[0]) {
  const clock = new ManualClock();
  const log: string[] = [];
  const primary = { lsn: 0n, timeline: 1, answers: true };
  const replicas = new Replicas<Connection>({
    clock,
    settings: readerSettings(options),
    passedOver: ({ address }) => log.push(`passed over ${address}`),
    primaryPosition: async () => {
      if (!primary.answers) throw new Error('the primary does not answer');
      return { timeline: primary.timeline, lsn: primary.lsn };
    },
    positionOf: async ({ lsn }) => ({ timeline: 1, lsn }),
    isStandby: ({ isStandby }) => isStandby,
    ask: async () => void log.push('ask'),
    changed: (_, { lagging }) => log.push(lagging ? 'lags' : 'is near again'),
    tooFarBehind: (_, { lagBytes }) => new Error(`${lagBytes} bytes behind`),
  });
  const connect = (more: Partial<Connection> = {}): Connection => ({
    endpoint,
    checkedAt: clock.now(),
    isStandby: true,
    lsn: 0n,
    ...more,
  });
  return { clock, log, primary, replicas, connect };
}

describe('a standby', () => {
  it('is refused while it is too many bytes behind, and told once', async () => {
    const { clock, log, primary, replicas, connect } = setUp({ maxLagBytes: 100 });
    const connection = connect();
    await replicas.accept(connection);
    primary.lsn = 101n;
    await clock.advance(1_000);
    await expect(replicas.accept(connection)).rejects.toThrow('101 bytes behind');
    expect(await replicas.check(connection)).toBe(false);
    connection.lsn = 50n;
    await replicas.accept(connection);
    expect(log).toEqual(['lags', 'is near again']);
  });

  it('is as old as the first thing that the primary had and it has not', async () => {
    const { clock, primary, replicas, connect } = setUp({ maxLagMillis: 5_000 });
    const connection = connect();
    await replicas.accept(connection);
    primary.lsn = 1n;
    const ages: number[] = [];
    for (let second = 1; second <= 8; second++) {
      await clock.advance(1_000);
      await replicas.accept(connection).catch(() => undefined);
      await clock.advance(0);
      ages.push(replicas.status()[0]?.lagMillis ?? -1);
    }
    expect(ages.slice(0, 2)).toEqual([0, 1_000]);
    expect(replicas.status()[0]).toMatchObject({ lagging: true, lagBytes: 1 });
  });

  it('of an idle primary is never late', async () => {
    const { clock, replicas, connect } = setUp({ maxLagMillis: 2_000 });
    await replicas.accept(connect());
    await clock.advance(3_600_000);
    await replicas.accept(connect());
    expect(replicas.status()[0]).toMatchObject({ lagMillis: 0, lagging: false });
  });

  it('is judged by the last word of a primary that does not answer any more, and by none of an older timeline', async () => {
    const { clock, primary, replicas, connect } = setUp({ maxLagBytes: 100 });
    primary.lsn = 1_000n;
    await expect(replicas.accept(connect())).rejects.toThrow('1000 bytes behind');
    primary.answers = false;
    await clock.advance(60_000);
    await expect(replicas.accept(connect())).rejects.toThrow('1000 bytes behind');
    Object.assign(primary, { answers: true, timeline: 2, lsn: 10n });
    await clock.advance(1_000);
    await replicas.accept(connect()).catch(() => undefined);
    await clock.advance(0);
    await replicas.accept(connect());
  });

  it('is asked for nothing if no limit is set', async () => {
    const { clock, log, replicas, connect } = setUp({});
    const connection = connect();
    await clock.advance(5_000);
    expect(replicas.isDue(connection)).toBe(false);
    await replicas.accept(connection);
    expect([log, replicas.status()]).toEqual([[], []]);
  });
});

describe('a connection to the primary', () => {
  it('is due for a check, and given up now and then, to look for a standby', async () => {
    const { clock, log, replicas, connect } = setUp({});
    const connection = connect({ isStandby: false });
    expect(replicas.isDue(connection)).toBe(false);
    await clock.advance(1_001);
    expect(replicas.isDue(connection)).toBe(true);
    expect(await replicas.check(connection)).toBe(false);
    const next = connect({ isStandby: false });
    await clock.advance(1_001);
    expect(await replicas.check(next)).toBe(true);
    expect(log).toEqual(['ask', 'ask']);
  });

  it('is given up once a standby serves', async () => {
    const { clock, log, replicas, connect } = setUp({});
    const connection = connect({ isStandby: false });
    await clock.advance(1_001);
    await replicas.accept(connect());
    expect(await replicas.check(connection)).toBe(false);
    expect(log).toEqual(['ask', 'passed over 10.0.0.1']);
  });
});
