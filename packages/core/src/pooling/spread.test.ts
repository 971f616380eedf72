import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { Balancer, type Endpoint, type RequestResult } from '../targets/index.ts';
import { Spread } from './spread.ts';

const target = { externalName: 'db.example.com', via: [], version: '', source: 'static', stale: false } as const;
const at = (address: string): Endpoint => ({ target, address, family: 4, port: 5432 });
const [a, b] = [at('10.0.0.1'), at('10.0.0.2')];

class Connection {
  state = 'idle';
  isExpired = false;
  isClosed = false;
  endRequest: ((result: RequestResult) => void) | undefined;
  uncount: (() => void) | undefined;

  readonly endpoint: Endpoint;

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  close() {
    this.isClosed = true;
    this.uncount?.();
  }
}

function setUp({ max = 4, addresses = [a, b] as readonly Endpoint[] } = {}) {
  const clock = new ManualClock();
  const balancer = new Balancer(
    { balancing: 'round-robin', failureMemoryMillis: Number.POSITIVE_INFINITY },
    { clock, random: () => 0.5 },
  );
  const log: string[] = [];
  const state = { connections: [] as Connection[], works: true, outage: false };
  const open = () => state.connections.filter(({ isClosed }) => !isClosed);
  const spread: Spread<Connection> = new Spread<Connection>({
    clock,
    balancer,
    endpoints: async () => (state.outage ? undefined : balancer.order(addresses)),
    connections: open,
    room: () => max - open().length,
    open: async (endpoint) => {
      log.push(`open ${endpoint.address}`);
      add(endpoint);
    },
    prove: async (endpoint) => {
      log.push(`prove ${endpoint.address} at ${clock.now()}`);
      if (!state.works) throw new Error('ECONNREFUSED');
      balancer.succeeded(endpoint);
    },
    changed: ({ endpoint, ejected }) => log.push(`${endpoint.address} ${ejected ?? 'is back'}`),
  });
  const add = (endpoint: Endpoint) => {
    const connection = new Connection(endpoint);
    state.connections.push(connection);
    spread.added(connection);
    return connection;
  };
  const lend = (connection: Connection, awaitsAnswer = true) => {
    spread.lent(connection, awaitsAnswer);
    connection.endRequest?.('answered');
  };
  return { clock, balancer, log, state, spread, add, lend, open };
}

describe('the connections of a pool that balances', () => {
  it('are moved one at a time to where they are missing, while callers come', async () => {
    const { clock, log, add, lend, open } = setUp();
    const first = add(a);
    for (let count = 1; count < 4; count++) add(a);
    lend(first);
    await clock.advance(0);
    expect(log).toEqual(['open 10.0.0.2']);
    lend(first);
    await clock.advance(0);
    expect(log).toHaveLength(1);
    await clock.advance(100);
    lend(open()[0] as Connection);
    await clock.advance(0);
    expect(
      open()
        .map(({ endpoint }) => endpoint.address)
        .sort(),
    ).toEqual(['10.0.0.1', '10.0.0.1', '10.0.0.2', '10.0.0.2']);
  });

  it('leave an address only when they are not in use', async () => {
    const { clock, log, add, lend } = setUp({ max: 2 });
    const [one, other] = [add(a), add(a)];
    one.state = 'lent';
    other.state = 'lent';
    lend(one);
    await clock.advance(0);
    expect(log).toEqual([]);
    expect([one.isExpired, one.isClosed]).toEqual([true, false]);
  });

  it('stay where they are in an outage', async () => {
    const { clock, log, state, add, lend } = setUp();
    state.outage = true;
    lend(add(a));
    await clock.advance(1_000);
    expect(log).toEqual([]);
  });

  it('are lent in turns, the one that was used last first', () => {
    const { add, spread } = setUp();
    const [_older, newer, other] = [add(a), add(a), add(b)];
    const idle = [_older, other, newer];
    const chosen = [spread.choice(idle), spread.choice(idle)];
    expect(new Set(chosen)).toEqual(new Set([newer, other]));
  });
});

describe('an address that cannot be used', () => {
  it('loses its idle connections, and is tried again for no caller, less and less often', async () => {
    const { clock, balancer, log, state, spread, add, lend } = setUp();
    const [here, there] = [add(a), add(b)];
    state.works = false;
    balancer.failed(b);
    spread.lost(b);
    expect(there.isClosed).toBe(true);
    for (let millis = 0; millis < 4_000; millis += 50) {
      lend(here);
      await clock.advance(50);
    }
    const tries = log.filter((line) => line.startsWith('prove')).map((line) => Number(line.split(' at ')[1]));
    expect(tries[0]).toBeLessThanOrEqual(1_100);
    expect(tries.length).toBeLessThanOrEqual(3);
    state.works = true;
    for (let millis = 0; millis < 8_000; millis += 50) {
      lend(here);
      await clock.advance(50);
    }
    expect(log).toContain('10.0.0.2 is back');
    expect(log.at(-1)).toBe('open 10.0.0.2');
  });

  it('that freezes gets no statement of others half a second later', async () => {
    const { clock, add, lend, spread } = setUp();
    const [here, frozen, spare] = [add(a), add(b), add(b)];
    spread.lent(frozen, true);
    await clock.advance(501);
    for (let count = 0; count < 10; count++) {
      const chosen = spread.choice([here, spare]);
      expect(chosen).toBe(here);
      lend(here);
    }
    frozen.endRequest?.('answered');
    const chosen = new Set(Array.from({ length: 4 }, () => spread.choice([here, spare])));
    expect(chosen).toEqual(new Set([here, spare]));
  });

  it('is not taken for frozen because the application holds a client', async () => {
    const { clock, add, spread } = setUp();
    const [here, held, spare] = [add(a), add(b), add(b)];
    spread.lent(held, false);
    await clock.advance(60_000);
    const chosen = new Set(Array.from({ length: 4 }, () => spread.choice([here, spare])));
    expect(chosen).toEqual(new Set([here, spare]));
  });
});

describe('a pool that is closed', () => {
  it('moves nothing', async () => {
    const { clock, log, add, lend, spread } = setUp();
    const connection = add(a);
    spread.close();
    lend(connection);
    await clock.advance(1_000);
    expect(log).toEqual([]);
  });
});
