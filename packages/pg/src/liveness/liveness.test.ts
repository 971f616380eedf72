import type { Endpoint } from '@externalname/core';
import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { Liveness } from './liveness.ts';

const endpoint = (address: string): Endpoint => ({
  target: { externalName: 'primary-db.example.com', via: [], version: '1', source: 'static', stale: false },
  address,
  family: 4,
  port: 5432,
});

function setUp() {
  const clock = new ManualClock();
  const server = { answers: true, probes: 0 };
  const liveness = new Liveness(
    { afterMillis: 1_000, intervalMillis: 700, failures: 2 },
    {
      clock,
      probe: (_, signal) => {
        server.probes += 1;
        if (server.answers) return Promise.resolve();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      // What a server tells in one is the subject of half-open.test.ts.
      openSession: () => Promise.reject(new Error('no session can be had')),
    },
  );
  const connect = (address = '192.0.2.1') => {
    const connection = {
      bytes: 0,
      working: true,
      failedAt: undefined as number | undefined,
    };
    const stop = liveness.watch({
      endpoint: endpoint(address),
      hasWork: () => connection.working,
      processId: 1,
      bytesRead: () => connection.bytes,
      bytesWritten: () => 0,
      fail: () => {
        connection.failedAt = clock.now();
        stop();
      },
    });
    return Object.assign(connection, { stop });
  };
  return { clock, server, liveness, connect };
}

describe('a server that goes silent', () => {
  it.each([0, 137, 999, 5_000])('%d ms after a statement began is found within three seconds', async (silentAfter) => {
    const { clock, server, connect } = setUp();
    const connection = connect();
    for (let elapsed = 0; elapsed < silentAfter; elapsed += 1) {
      connection.bytes += 1;
      await clock.advance(1);
    }
    server.answers = false;
    await clock.advance(3_000);
    expect(connection.failedAt).toBeLessThanOrEqual(silentAfter + 3_000);
    expect(connection.failedAt).toBeGreaterThanOrEqual(silentAfter + 1_000);
    expect(clock.pending).toBe(0);
  });

  it('is found although other connections to it wait for their users', async () => {
    const { clock, server, connect } = setUp();
    connect().working = false;
    const busy = connect();
    server.answers = false;
    await clock.advance(3_000);
    expect(busy.failedAt).toBeDefined();
  });

  it('loses all its connections, and no other server loses any', async () => {
    const { clock, server, connect } = setUp();
    const [first, second, other] = [connect(), connect(), connect('192.0.2.2')];
    server.answers = false;
    for (let elapsed = 0; elapsed < 3_000; elapsed += 100) {
      other.bytes += 1;
      await clock.advance(100);
    }
    expect([first.failedAt !== undefined, second.failedAt !== undefined, other.failedAt]).toEqual([
      true,
      true,
      undefined,
    ]);
  });
});

describe('a server that lives', () => {
  it('keeps a slow statement, however long it takes', async () => {
    const { clock, server, connect } = setUp();
    const connection = connect();
    await clock.advance(60_000);
    expect(connection.failedAt).toBeUndefined();
    expect(server.probes).toBeGreaterThan(10);
    expect(server.probes).toBeLessThanOrEqual(60);
  });

  it('is not probed while anything comes from it, on whichever connection', async () => {
    const { clock, server, connect } = setUp();
    const slow = connect();
    const lively = connect();
    for (let elapsed = 0; elapsed < 10_000; elapsed += 200) {
      lively.bytes += 1;
      await clock.advance(200);
    }
    expect(server.probes).toBe(0);
    expect(slow.failedAt).toBeUndefined();
  });

  it('is not probed for a connection that waits for its user', async () => {
    const { clock, server, connect } = setUp();
    connect().working = false;
    await clock.advance(10_000);
    expect(server.probes).toBe(0);
  });

  it('is forgiven one probe that failed', async () => {
    const { clock, server, connect } = setUp();
    const connection = connect();
    server.answers = false;
    await clock.advance(1_300);
    server.answers = true;
    await clock.advance(5_000);
    expect(connection.failedAt).toBeUndefined();
  });
});

describe('liveness', () => {
  it('leaves no timer once nothing is watched, or once it is closed', async () => {
    const { clock, server, liveness, connect } = setUp();
    const connection = connect();
    expect(clock.pending).toBe(1);
    connection.stop();
    expect(clock.pending).toBe(0);

    server.answers = false;
    const another = connect();
    await clock.advance(1_300);
    await liveness.close();
    await clock.advance(0);
    expect(clock.pending).toBe(0);
    await clock.advance(10_000);
    expect(another.failedAt).toBeUndefined();
  });
});
