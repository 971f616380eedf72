import { drillFinished, splitBrainSeen, targetRefused } from '@externalname/core/events';
import fc from 'fast-check';
import { AggregatorRegistry, Counter, Histogram, Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectMetrics } from './collector.ts';
import { labelBounds } from './labels.ts';
import { metrics } from './metrics.ts';
import type { Collection } from './observer.ts';
import { type FollowerStatusLike, followerChannels, type PoolStatusLike, pgChannels } from './payloads.ts';

const status: PoolStatusLike = {
  name: 'webscaler-db',
  target: { externalName: 'primary-db.example.com', source: 'dns', stale: false },
  candidate: undefined,
  refusal: undefined,
  serving: true,
  servedMillisAgo: 1_000,
  targetMillis: 60_000,
  confirmedMillisAgo: 5_000,
  max: 10,
  waiting: 2,
  connections: [
    { role: 'primary', state: 'idle', count: 3 },
    { role: 'primary', state: 'used', count: 4 },
  ],
  readySessions: { 'secondary-db.example.com': 1 },
};

let register: Registry;
let collection: Collection;

/** The wall clock of these tests, which stands still. Seconds. */
const now = 1_800_000_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: now * 1_000 });
  register = new Registry();
  collection = collectMetrics({ register });
});

afterEach(() => {
  vi.useRealTimers();
  collection.close();
});

function pool(overrides: Partial<PoolStatusLike> = {}) {
  return { status: () => ({ ...status, ...overrides }) };
}

async function valuesOf(name: string): Promise<Record<string, number>> {
  const text = await register.metrics();
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return Object.fromEntries(
    lines.map((line) => [
      line.slice(name.length, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}

describe('gauges', () => {
  it('are of the moment in which they are asked for, and go with their pool', async () => {
    const remove = collection.add(pool());
    expect(await valuesOf(metrics.target.name)).toEqual({
      '{pool="webscaler-db",target="primary-db.example.com",source="dns"}': 1,
    });
    remove();
    expect(await valuesOf(metrics.target.name)).toEqual({});
  });

  it('add up over pools of one name: counts are sums, times are the one that matters', async () => {
    collection.add(pool());
    collection.add(pool({ waiting: 5, confirmedMillisAgo: 90_000, targetMillis: 1_000, serving: false }));
    collection.add(pool({ name: 'other-db', waiting: 1 }));
    expect(await valuesOf(metrics.waiters.name)).toEqual({ '{pool="webscaler-db"}': 7, '{pool="other-db"}': 1 });
    expect(await valuesOf(metrics.connections.name)).toMatchObject({
      '{pool="webscaler-db",role="primary",state="idle"}': 6,
      '{pool="webscaler-db",role="primary",state="used"}': 8,
    });
    expect(await valuesOf(metrics.instances.name)).toMatchObject({ '{pool="webscaler-db"}': 2 });
    expect(await valuesOf(metrics.serving.name)).toMatchObject({ '{pool="webscaler-db"}': 1 });
    expect(await valuesOf(metrics.confirmed.name)).toMatchObject({ '{pool="webscaler-db",source="dns"}': now - 90 });
    expect(await valuesOf(metrics.targetSince.name)).toMatchObject({
      '{pool="webscaler-db",target="primary-db.example.com"}': now - 1,
    });
  });

  it('name the target that is not followed, and why', async () => {
    const refused = { target: 'elsewhere.example.com', kind: 'policy' };
    collection.add(pool({ refusal: refused }));
    collection.add(pool({ candidate: { externalName: 'secondary-db.example.com' } }));
    expect(await valuesOf(metrics.offTarget.name)).toEqual({
      '{pool="webscaler-db",target="elsewhere.example.com",reason="policy"}': 1,
      '{pool="webscaler-db",target="secondary-db.example.com",reason="trying"}': 1,
    });
  });

  it('say what each address gets, how far standbys are behind, and who is held', async () => {
    const addresses = [
      { address: '10.0.0.1', port: 5432, share: 0.75 },
      { address: '2001:db8::1', port: 5432, share: 0.25 },
    ];
    const replicas = [
      { address: '10.0.1.1:5432', lagMillis: 1_500, lagBytes: 4_096 },
      { address: '10.0.1.2:5432', lagMillis: 0, lagBytes: undefined },
    ];
    const connections = [{ role: 'standby', state: 'used', count: 2 }];
    const reader = { ...status, name: 'webscaler-db-ro', replicas, connections };
    collection.add(pool({ addresses, reader, pause: { cause: 'planned-switch' } }));
    expect(await valuesOf(metrics.addressShare.name)).toEqual({
      '{pool="webscaler-db",address="10.0.0.1:5432"}': 0.75,
      '{pool="webscaler-db",address="[2001:db8::1]:5432"}': 0.25,
    });
    expect(await valuesOf(metrics.replicaLag.name)).toEqual({
      '{pool="webscaler-db-ro",address="10.0.1.1:5432"}': 1.5,
      '{pool="webscaler-db-ro",address="10.0.1.2:5432"}': 0,
    });
    expect(await valuesOf(metrics.replicaLagBytes.name)).toEqual({
      '{pool="webscaler-db-ro",address="10.0.1.1:5432"}': 4_096,
    });
    expect(await valuesOf(metrics.readerConnections.name)).toEqual({
      '{pool="webscaler-db-ro",role="standby",state="used"}': 2,
    });
    expect(await valuesOf(metrics.heldCallers.name)).toEqual({ '{pool="webscaler-db",cause="planned-switch"}': 2 });
    expect(await valuesOf(metrics.ejections.name)).toMatchObject({
      '{pool="webscaler-db",reason="unreachable"}': 0,
    });
    expect(await valuesOf(metrics.replicaExclusions.name)).toEqual({ '{pool="webscaler-db-ro"}': 0 });
  });

  it('count the queries of each address, also of a pool that is gone, and of an address that the pool had forgotten', async () => {
    const address = { address: '10.0.0.1', port: 5432, share: 1 };
    let addresses = [{ ...address, answered: 5, failedRequests: 1 }];
    const remove = collection.add({ status: () => ({ ...status, addresses }) });
    collection.add(pool({ addresses: [{ ...address, answered: 100, failedRequests: 0 }] }));
    const [ok, failed] = ['ok', 'failed'].map(
      (result) => `{pool="webscaler-db",address="10.0.0.1:5432",result="${result}"}`,
    );
    const counts = async () => {
      const values = await valuesOf(metrics.addressQueries.name);
      return [values[ok ?? ''], values[failed ?? '']];
    };
    expect(await counts()).toEqual([105, 1]);
    expect(await counts()).toEqual([105, 1]);
    addresses = [{ ...address, answered: 7, failedRequests: 2 }];
    expect(await counts()).toEqual([107, 2]);
    addresses = [{ ...address, answered: 3, failedRequests: 0 }];
    expect(await counts()).toEqual([110, 2]);
    addresses = [{ ...address, answered: 4, failedRequests: 0 }];
    remove();
    remove();
    expect(await counts()).toEqual([111, 2]);
  });

  it('are those of the pools of a BalancedPool, with the queries of each Service', async () => {
    const addresses = [{ address: '10.0.1.1', port: 5432, share: 1, answered: 2, failedRequests: 0 }];
    const services = [
      { name: 'reads-eu', answered: 3, failedRequests: 1, pool: { ...status, name: 'reads-eu', addresses } },
      { name: 'reads-us', answered: 0, failedRequests: 0, pool: { ...status, name: 'reads-us', waiting: 7 } },
    ];
    collection.add({ status: () => ({ name: 'reads', services }) });
    expect(await valuesOf(metrics.serviceQueries.name)).toEqual({
      '{pool="reads",external_service="reads-eu",result="ok"}': 3,
      '{pool="reads",external_service="reads-eu",result="failed"}': 1,
      '{pool="reads",external_service="reads-us",result="ok"}': 0,
      '{pool="reads",external_service="reads-us",result="failed"}': 0,
    });
    expect(await valuesOf(metrics.waiters.name)).toEqual({ '{pool="reads-eu"}': 2, '{pool="reads-us"}': 7 });
    expect(await valuesOf(metrics.addressQueries.name)).toMatchObject({
      '{pool="reads-eu",address="10.0.1.1:5432",result="ok"}': 2,
    });
  });

  it('count the queries of the addresses of a reader', async () => {
    const addresses = [{ address: '10.0.1.1', port: 5432, share: 1, answered: 3, failedRequests: 0 }];
    collection.add(pool({ reader: { ...status, name: 'webscaler-db-ro', addresses } }));
    expect(await valuesOf(metrics.addressQueries.name)).toEqual({
      '{pool="webscaler-db-ro",address="10.0.1.1:5432",result="ok"}': 3,
      '{pool="webscaler-db-ro",address="10.0.1.1:5432",result="failed"}': 0,
    });
  });

  it('keep the certificate of a pool for as long as there is such a pool', async () => {
    const remove = collection.add(pool());
    const certificateExpiresAt = new Date('2027-01-01T00:00:00Z');
    const connect = { name: 'webscaler-db', target: 'primary-db.example.com', durationMillis: 12 };
    pgChannels.connected.publish(() => ({ ...connect, certificateExpiresAt }));
    expect(Object.values(await valuesOf(metrics.certificateExpiry.name))).toEqual([1_798_761_600]);
    remove();
    expect(await valuesOf(metrics.certificateExpiry.name)).toEqual({});
  });

  it('say when a split brain was seen, and when a switch was rehearsed', async () => {
    splitBrainSeen.publish(() => ({ name: 'webscaler-db', targets: ['a.example.com', 'b.example.com'] }));
    drillFinished.publish(() => ({ name: 'webscaler-db', passed: true, at: new Date(1_000_000) }));
    expect(Object.values(await valuesOf(metrics.splitBrain.name))).toEqual([now]);
    expect(await valuesOf(metrics.drills.name)).toEqual({ '{external_service="webscaler-db",result="passed"}': 1_000 });
  });
});

describe('a follower', () => {
  const following: FollowerStatusLike = {
    service: 'webscaler-db',
    engineName: 'patroni demo',
    engineHeardMillisAgo: 3_000,
    engine: { state: 'leader', member: 'db-1' },
    holdsLease: true,
    settled: true,
    hold: undefined,
  };
  const follower = (overrides: Partial<FollowerStatusLike> = {}) => ({
    status: () => ({ ...following, ...overrides }),
  });
  const labels = 'external_service="webscaler-db",engine="patroni demo"';

  it('says who leads, whether it may switch, and how old the word of the engine is, until it is closed', async () => {
    const remove = collection.addFollower(follower());
    expect(await valuesOf(metrics.followerLeader.name)).toEqual({ [`{${labels},member="db-1"}`]: 1 });
    expect(await valuesOf(metrics.followerSettled.name)).toEqual({ [`{${labels}}`]: 1 });
    expect(await valuesOf(metrics.followerLease.name)).toEqual({ '{external_service="webscaler-db"}': 1 });
    expect(await valuesOf(metrics.followerHolding.name)).toEqual({});
    expect(Object.values(await valuesOf(metrics.followerHeard.name))).toEqual([now - 3]);
    remove();
    expect(await valuesOf(metrics.followerLeader.name)).toEqual({});
  });

  it('names the guard that holds, and no leader that the engine does not name', async () => {
    const hold = { reason: 'two-leaders' };
    collection.addFollower(follower({ engine: { state: 'unknown' }, hold, settled: false, holdsLease: false }));
    expect(await valuesOf(metrics.followerHolding.name)).toEqual({ [`{${labels},reason="two-leaders"}`]: 1 });
    expect(await valuesOf(metrics.followerLeader.name)).toEqual({});
    expect(await valuesOf(metrics.followerSettled.name)).toEqual({ [`{${labels}}`]: 0 });
    expect(await valuesOf(metrics.followerLease.name)).toEqual({ '{external_service="webscaler-db"}': 0 });
  });

  it('counts switches by engine and outcome, from 0 on, and how long they took', async () => {
    collection.addFollower(follower());
    await register.metrics();
    const of = { engine: 'patroni demo', service: 'webscaler-db' };
    followerChannels.switched.publish(() => ({ ...of, elapsedMillis: 150, dryRun: false }));
    followerChannels.switched.publish(() => ({ ...of, elapsedMillis: 90, dryRun: true }));
    for (const reason of ['switch-refused', 'switch-failed', 'paused'])
      followerChannels.held.publish(() => ({ ...of, reason }));
    expect(await valuesOf(metrics.followerSwitches.name)).toEqual({
      [`{${labels},result="switched"}`]: 1,
      [`{${labels},result="refused"}`]: 1,
      [`{${labels},result="failed"}`]: 1,
      [`{${labels},result="dry-run"}`]: 1,
    });
    expect(await valuesOf(`${metrics.followerSwitchDuration.name}_sum`)).toEqual({ [`{${labels}}`]: 0.15 });
  });

  it('is refused if it has no status()', () => {
    expect(() => collection.addFollower({} as never)).toThrow(/follower/);
    expect(() => collectMetrics({ register: new Registry(), followers: [{}] as never })).toThrow(/followers/);
  });
});

describe('what happens', () => {
  it('is counted by what the channels tell', async () => {
    const name = 'webscaler-db';
    const [from, to] = ['primary-db.example.com', 'secondary-db.example.com'];
    pgChannels.switched.publish(() => ({ name, from, to, source: 'dns', decisionMillis: 40 }));
    pgChannels.drained.publish(() => ({ name, durationMillis: 250 }));
    pgChannels.retried.publish(() => ({ name, kind: 'server-lost', outcome: 'not-executed' }));
    pgChannels.operationEnded.publish(() => ({ name, operation: 'query', durationMillis: 2, attempts: 2 }));
    pgChannels.serverProbed.publish(() => ({ name, alive: false }));
    targetRefused.publish(() => ({ name, target: 'x', via: [], code: 'ERR_EXTERNALNAME_TARGET_REFUSED', allowed: [] }));
    expect(await valuesOf('externalname_pool_switches_total')).toEqual({ '{pool="webscaler-db",source="dns"}': 1 });
    expect(await valuesOf('externalname_pool_switch_duration_seconds_sum')).toEqual({
      '{pool="webscaler-db",phase="decide"}': 0.04,
      '{pool="webscaler-db",phase="drain"}': 0.25,
    });
    expect(await valuesOf('externalname_pool_retries_total')).toEqual({
      '{pool="webscaler-db",reason="server-lost",outcome="not-executed"}': 1,
    });
    expect(await valuesOf('externalname_pool_retried_operations_total')).toEqual({
      '{pool="webscaler-db",operation="query",result="ok"}': 1,
    });
    expect(await valuesOf('externalname_pool_liveness_probes_total')).toEqual({
      '{pool="webscaler-db",result="silent"}': 1,
    });
    expect(await valuesOf('externalname_refusals_total')).toEqual({
      '{pool="webscaler-db",check="target",reason="not-allowed"}': 1,
    });
  });

  it('is counted by its own labels, whatever call came before it', async () => {
    const call = fc.record({
      name: fc.constantFrom('webscaler-db', 'reports-db'),
      operation: fc.constantFrom('query', 'transaction'),
      durationMillis: fc.nat({ max: 9 }),
      attempts: fc.constantFrom(1, 1, 2, 3),
      error: fc.constantFrom(undefined, undefined, new Error('no')),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 30 }), async (calls) => {
        register.resetMetrics();
        const all: Record<string, number> = {};
        const retried: Record<string, number> = {};
        for (const { error, ...rest } of calls) {
          pgChannels.operationEnded.publish(() => ({ ...rest, ...(error && { error, kind: 'statement' }) }));
          const labels = `{pool="${rest.name}",operation="${rest.operation}",result="${error ? 'statement' : 'ok'}"}`;
          all[labels] = (all[labels] ?? 0) + 1;
          if (rest.attempts > 1) retried[labels] = (retried[labels] ?? 0) + 1;
        }
        expect(await valuesOf(`${metrics.operationDuration.name}_count`)).toEqual(all);
        expect(await valuesOf(metrics.retriedOperations.name)).toEqual(retried);
      }),
    );
  });

  it('is counted of pauses, ejections, standbys that lag, and tokens', async () => {
    const name = 'webscaler-db';
    pgChannels.resumed.publish(() => ({ name, cause: 'application', why: 'resumed', durationMillis: 1_000 }));
    for (const ejected of ['errors', undefined] as const) pgChannels.addressEjected.publish(() => ({ name, ejected }));
    pgChannels.serviceEjected.publish(() => ({ name, ejected: 'unreachable' }));
    for (const lagging of [true, false]) pgChannels.replicaChanged.publish(() => ({ name, lagging }));
    pgChannels.tokenAwaited.publish(() => ({ name, server: 'primary', durationMillis: 250 }));
    expect(await valuesOf(`${metrics.pauseDuration.name}_sum`)).toEqual({
      '{pool="webscaler-db",cause="application",result="resumed"}': 1,
    });
    expect(await valuesOf(metrics.ejections.name)).toEqual({
      '{pool="webscaler-db",reason="errors"}': 1,
      '{pool="webscaler-db",reason="unreachable"}': 1,
    });
    expect(await valuesOf(metrics.replicaExclusions.name)).toEqual({ '{pool="webscaler-db"}': 1 });
    expect(await valuesOf(`${metrics.tokenWaitDuration.name}_sum`)).toEqual({
      '{pool="webscaler-db",role="primary"}': 0.25,
    });
  });

  it('begins with 0 for each pool, or Prometheus would not see the first switch as an increase', async () => {
    collection.add(pool());
    await register.metrics();
    expect(await valuesOf(metrics.switches.name)).toEqual({ '{pool="webscaler-db",source="dns"}': 0 });
    expect(await valuesOf(metrics.refusals.name)).toEqual({
      '{pool="webscaler-db",check="target",reason="not-allowed"}': 0,
    });
  });

  it('says of TLS why it failed, whichever address met it', async () => {
    const expired = Object.assign(new Error('certificate has expired'), { code: 'CERT_HAS_EXPIRED' });
    const all = new Error('no address', { cause: new AggregateError([new Error('no route'), expired]) });
    pgChannels.connected.publish(() => ({
      name: 'webscaler-db',
      target: 'primary-db.example.com',
      durationMillis: 5,
      error: all,
      kind: 'identity',
    }));
    expect(await valuesOf('externalname_refusals_total')).toEqual({
      '{pool="webscaler-db",check="tls",reason="expired"}': 1,
    });
  });
});

describe('what a registry gets', () => {
  const { name, help, labels, buckets = [] } = metrics.operationDuration;
  const switches = metrics.switches;

  function happen() {
    for (const millis of [0, 1, 2, 4, 50, 9_000, 30_000]) {
      const call = { name: 'webscaler-db', operation: 'query', durationMillis: millis, attempts: 1 };
      pgChannels.operationEnded.publish(() => call);
      pgChannels.operationEnded.publish(() => ({ ...call, error: new Error('no'), kind: 'statement' }));
    }
    const switched = { name: 'webscaler-db', from: 'a', to: 'b', source: 'dns', decisionMillis: 40 };
    pgChannels.switched.publish(() => switched);
    pgChannels.switched.publish(() => switched);
  }

  /** The same, told to metrics of prom-client one by one. */
  function told(registers: Registry[]) {
    const histogram = new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers });
    for (const millis of [0, 1, 2, 4, 50, 9_000, 30_000]) {
      for (const result of ['ok', 'statement']) {
        histogram.observe({ pool: 'webscaler-db', operation: 'query', result }, millis / 1_000);
      }
    }
    const counter = new Counter({
      name: switches.name,
      help: switches.help,
      labelNames: ['pool', 'source'],
      registers,
    });
    counter.inc({ pool: 'webscaler-db', source: 'dns' }, 2);
  }

  it.each([
    'text/plain; version=0.0.4; charset=utf-8',
    'application/openmetrics-text; version=1.0.0; charset=utf-8',
  ] as const)('is what prom-client makes of the same events, as %s', async (contentType) => {
    happen();
    const expected = new Registry();
    told([expected]);
    for (const each of [register, expected]) {
      (each as Registry<typeof contentType>).setContentType(contentType);
      each.setDefaultLabels({ region: 'eu' });
    }
    for (const each of [name, switches.name]) {
      // The order of lines and of labels says nothing.
      const lines = async (of: Registry) => {
        const text = await of.getSingleMetricAsString(each);
        return text
          .split('\n')
          .map((line) => line.split(/[{,}]/).sort().join())
          .sort();
      };
      expect(await lines(register)).toEqual(await lines(expected));
    }
  });

  it('adds up over the workers of a cluster', async () => {
    happen();
    const worker = await register.getMetricsAsJSON();
    const cluster = AggregatorRegistry.aggregate([worker, structuredClone(worker)]);
    const text = await cluster.metrics();
    expect(text).toContain(`${switches.name}{pool="webscaler-db",source="dns"} 4`);
    expect(text).toContain(`${name}_count{pool="webscaler-db",operation="query",result="ok"} 14`);
  });

  it('begins again at 0 with resetMetrics()', async () => {
    happen();
    register.resetMetrics();
    expect(await valuesOf(switches.name)).toEqual({});
    happen();
    expect(await valuesOf(switches.name)).toEqual({ '{pool="webscaler-db",source="dns"}': 2 });
  });
});

describe('several collections', () => {
  const millis = (durationMillis: number) => ({
    name: 'webscaler-db',
    operation: 'query',
    durationMillis,
    attempts: 1,
  });
  const count = `${metrics.operationDuration.name}_count{pool="webscaler-db",operation="query",result="ok"}`;
  const sum = `${metrics.operationDuration.name}_sum{pool="webscaler-db",operation="query",result="ok"}`;

  it('each count from their own beginning, and one that is closed takes nothing from the others', async () => {
    pgChannels.operationEnded.publish(() => millis(1_000));
    const later = new Registry();
    using other = collectMetrics({ register: later });
    expect(await later.metrics()).not.toContain(count);
    pgChannels.operationEnded.publish(() => millis(2_000));
    expect(await register.metrics()).toContain(`${count} 2`);
    const text = await later.metrics();
    expect(text).toContain(`${count} 1`);
    expect(text).toContain(`${sum} 2`);
    expect(text).toContain(`_bucket{le="1",pool="webscaler-db",operation="query",result="ok"} 0`);
    other.close();
    pgChannels.operationEnded.publish(() => millis(4_000));
    expect(await register.metrics()).toContain(`${sum} 7`);
  });

  it('add up what Prometheus does not keep apart: the target of a call', async () => {
    for (const target of ['primary-db.example.com', 'secondary-db.example.com'])
      pgChannels.operationEnded.publish(() => ({ ...millis(1_000), target }));
    expect(await register.metrics()).toContain(`${count} 2`);
  });
});

describe('labels', () => {
  it('are bounded: what comes beyond the bound is counted as other', async () => {
    for (let index = 0; index < labelBounds.pool.most + 50; index++) {
      pgChannels.serverProbed.publish(() => ({ name: `pool-${index}`, alive: true }));
    }
    const values = await valuesOf('externalname_pool_liveness_probes_total');
    expect(Object.keys(values)).toHaveLength(labelBounds.pool.most + 1);
    expect(values['{pool="other",result="alive"}']).toBe(50);
  });

  it('of every row have a bound', () => {
    for (const row of Object.values(metrics)) for (const label of row.labels) expect(labelBounds).toHaveProperty(label);
  });
});

describe('names', () => {
  it('follow the conventions of Prometheus', () => {
    for (const { name, kind, unit, help } of Object.values(metrics)) {
      expect(name).toMatch(/^externalname_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(kind === 'counter');
      if (unit === 's') expect(name).toMatch(/_seconds$/);
      expect(unit === 'bytes').toBe(name.endsWith('_bytes'));
      if (unit === 'dateTimeFromNow') expect(name).toMatch(/_timestamp_seconds$/);
      expect(help).not.toMatch(/\.$/);
    }
  });
});

describe('collectMetrics()', () => {
  it('says what to do if the registry has these metrics already', () => {
    expect(() => collectMetrics({ register })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', message: expect.stringContaining('add()') }),
    );
  });

  it('leaves nothing behind when it is closed', async () => {
    collection.close();
    pgChannels.serverProbed.publish(() => ({ name: 'webscaler-db', alive: true }));
    expect(await register.metrics()).toBe('\n');
    expect(pgChannels.serverProbed.hasSubscribers).toBe(false);
    collection.close();
    collection = collectMetrics({ register });
  });
});
