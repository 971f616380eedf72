import type { Endpoint } from '@externalname/core';
import { sleep } from '@externalname/core/internal';
import { ManualClock } from '@externalname/core/internal-testing';
import { describe, expect, it } from 'vitest';
import { Liveness } from './liveness.ts';
import type { MonitoringSession, SessionActivity } from './monitoring-session.ts';

const endpoint: Endpoint = {
  target: { externalName: 'primary-db.example.com', via: [], version: '1', source: 'static', stale: false },
  address: '192.0.2.1',
  family: 4,
  port: 5432,
};

/** A server as it is seen in a session beside those that are watched. */
function makeServer(name = 'a', startedAt = -1_000_000) {
  return {
    name,
    startedAt,
    activities: new Map<number, SessionActivity>(),
    /** Whether its address is the one that is dialled. */
    direct: true,
    /** Whether it can tell at all. */
    tells: true,
    /** Whether sessions that are open get answers. */
    answers: true,
    /** How long the next ones of these answers take; 5 ms where none is named. */
    late: [] as number[],
    takesSessions: true,
  };
}

type Server = ReturnType<typeof makeServer>;

function setUp(settings = { afterMillis: 1_000, intervalMillis: 700, failures: 2 }) {
  const clock = new ManualClock();
  const server = makeServer();
  /** The server that the next session comes to. */
  let route = () => server;
  const counts = { probes: 0, sessions: 0, open: 0, questions: 0 };
  const openSession = async (signal: AbortSignal): Promise<MonitoringSession> => {
    counts.sessions += 1;
    const here: Server = route();
    if (!here.takesSessions) await sleep(1_000_000, { clock, signal });
    await sleep(50, { clock, signal });
    counts.open += 1;
    let isOpen = true;
    const end = async () => {
      if (isOpen) counts.open -= 1;
      isOpen = false;
    };
    return {
      get isOpen() {
        return isOpen;
      },
      async ask() {
        counts.questions += 1;
        await sleep(here.answers ? 5 : 1_000_000, { clock, background: true });
        if (!here.tells) return undefined;
        const activities = new Map(here.activities);
        return {
          server: { name: here.name, startedAt: here.startedAt, at: clock.now() },
          direct: here.direct,
          of: (processId) => activities.get(processId) ?? 'absent',
        };
      },
      ping: () => sleep(here.answers ? (here.late.shift() ?? 5) : 1_000_000, { clock, background: true }),
      close: end,
      destroy: () => void end(),
    };
  };
  const liveness = new Liveness(settings, {
    clock,
    probe: async () => {
      counts.probes += 1;
    },
    openSession: (_, signal) => openSession(signal),
  });
  let lastId = 100;
  const connect = (at: Server = server) => {
    lastId += 1;
    const id = lastId;
    const connection = { id, bytes: 0, written: 0, working: true, failedAt: undefined as number | undefined };
    at.activities.set(id, 'working');
    const stop = liveness.watch({
      endpoint,
      processId: id,
      hasWork: () => connection.working,
      bytesRead: () => connection.bytes,
      bytesWritten: () => connection.written,
      fail: () => {
        connection.failedAt = clock.now();
        stop();
      },
    });
    return Object.assign(connection, {
      stop,
      server: (activity: SessionActivity) => at.activities.set(id, activity),
    });
  };
  return { clock, server, liveness, connect, counts, lead: (to: () => Server) => (route = to) };
}

const minute = 60_000;

describe('a connection that is dead on a server that lives', () => {
  it.each([
    ['finished the statement, and its answer was lost', 'waiting' as const],
    ['has forgotten the session', 'absent' as const],
  ])('is found within three seconds if the server %s', async (_, activity) => {
    const { clock, connect } = setUp();
    const connection = connect();
    connection.server(activity);
    await clock.advance(3_000);
    expect(connection.failedAt).toBeGreaterThanOrEqual(1_700);
    expect(connection.failedAt).toBeLessThanOrEqual(2_100);
  });

  it.each([137, 1_000, 3_456, 10 * minute + 333])(
    'is found within three seconds if that happens %d ms after the statement began',
    async (elapsed) => {
      const { clock, connect } = setUp();
      const connection = connect();
      await clock.advance(elapsed);
      connection.server('waiting');
      await clock.advance(3_000);
      expect(connection.failedAt).toBeLessThanOrEqual(elapsed + 3_000);
    },
  );

  it('is found although other connections to the server are lively, and no other is lost', async () => {
    const { clock, connect } = setUp();
    const [lively, slow, dead] = [connect(), connect(), connect()];
    dead.server('absent');
    for (let elapsed = 0; elapsed < 3_000; elapsed += 100) {
      lively.bytes += 1;
      await clock.advance(100);
    }
    expect(dead.failedAt).toBeLessThanOrEqual(2_100);
    expect([lively.failedAt, slow.failedAt]).toEqual([undefined, undefined]);
  });

  it('is found although the session that was open died with it', async () => {
    const { clock, connect, server } = setUp();
    const connection = connect();
    await clock.advance(2_500);
    // What is open now hangs, new sessions work.
    const dead = { ...server, answers: false };
    Object.assign(server, dead);
    await clock.advance(1);
    connection.server('absent');
    await clock.advance(699);
    server.answers = true;
    await clock.advance(2_300);
    expect(connection.failedAt).toBeLessThanOrEqual(5_500);
  });

  it('is spared when its answer comes after all', async () => {
    const { clock, connect, counts } = setUp();
    const connection = connect();
    connection.server('waiting');
    await clock.advance(1_500);
    expect(counts.questions).toBe(1);
    connection.bytes += 1;
    await clock.advance(100);
    connection.working = false;
    await clock.advance(10_000);
    expect(connection.failedAt).toBeUndefined();
  });

  it('is not suspected while a slow line may still be sending the statement', async () => {
    const { clock, connect, counts } = setUp();
    const connection = connect();
    connection.server('waiting');
    await clock.advance(100);
    // The answer to the one before, and this one, between two looks.
    connection.bytes += 1;
    connection.written = 1_000_000;
    await clock.advance(8_000);
    expect(counts.questions).toBe(0);
    await clock.advance(3_500);
    expect(connection.failedAt).toBeGreaterThan(9_700);
  });
});

// TCP sends what was lost again after 0.2, 0.6, 1.4 and 3 s: one statement in some thousand waits for two seconds where a tenth of all
// packets is lost.
describe('a connection on a line that loses packets', () => {
  it('is given ten seconds if an answer of the monitoring session was late meanwhile (#11)', async () => {
    const { clock, connect, server } = setUp();
    const connection = connect();
    connection.server('waiting');
    server.late = [5, 5, 5, 205];
    await clock.advance(9_000);
    expect(connection.failedAt).toBeUndefined();
    connection.bytes += 1;
    connection.working = false;
    await clock.advance(60_000);
    expect(connection.failedAt).toBeUndefined();
  });

  it('is still found dead, after ten seconds', async () => {
    const { clock, connect, server } = setUp();
    const connection = connect();
    connection.server('absent');
    server.late = [5, 5, 5, 205];
    await clock.advance(12_000);
    expect(connection.failedAt).toBeGreaterThanOrEqual(10_000);
    expect(connection.failedAt).toBeLessThanOrEqual(10_500);
  });

  it('is given ten seconds from the start if a suspect one was answered lately', async () => {
    const { clock, connect } = setUp();
    const first = connect();
    first.server('waiting');
    await clock.advance(1_500);
    first.bytes += 1;
    await clock.advance(100);
    first.working = false;
    await clock.advance(1_000);
    const second = connect();
    second.server('waiting');
    await clock.advance(9_000);
    expect(second.failedAt).toBeUndefined();
  });

  it('is not assumed if the line is slow, but loses nothing', async () => {
    const { clock, connect, server } = setUp();
    const connection = connect();
    connection.server('absent');
    server.late = Array.from({ length: 100 }, () => 250);
    await clock.advance(3_000);
    expect(connection.failedAt).toBeLessThanOrEqual(2_500);
  });

  it('is no longer assumed five minutes after', async () => {
    const { clock, connect, server } = setUp();
    const connection = connect();
    connection.server('waiting');
    server.late = [5, 205];
    await clock.advance(1_500);
    connection.bytes += 1;
    connection.working = false;
    await clock.advance(6 * minute);
    const later = connect();
    later.server('absent');
    await clock.advance(3_000);
    expect(later.failedAt).toBeDefined();
  });
});

describe('a slow statement on a server that lives', () => {
  it('costs one session and one question a second, and is left alone', async () => {
    const { clock, connect, counts } = setUp();
    const connection = connect();
    await clock.advance(10 * minute);
    expect(connection.failedAt).toBeUndefined();
    expect(counts.sessions).toBe(1);
    expect(counts.questions).toBeGreaterThan(400);
    expect(counts.questions).toBeLessThanOrEqual(600);
    // The answers are signs of life: nothing else is opened for them.
    expect(counts.probes).toBe(1);
  });

  it('shares session and questions with the others on that server, and with later ones', async () => {
    const { clock, connect, counts } = setUp();
    const idle = connect();
    idle.working = false;
    const all = Array.from({ length: 20 }, () => connect());
    await clock.advance(10_000);
    for (const each of all) each.stop();
    await clock.advance(5_000);
    idle.working = true;
    await clock.advance(5_000);
    expect(counts.sessions).toBe(1);
    expect(counts.questions).toBeLessThanOrEqual(15);
  });

  it('leaves no session behind ten seconds later, nor once nothing is watched', async () => {
    const { clock, connect, counts } = setUp();
    const connection = connect();
    await clock.advance(2_000);
    connection.working = false;
    await clock.advance(5_000);
    expect(counts.open).toBe(1);
    await clock.advance(6_000);
    expect(counts.open).toBe(0);

    connection.working = true;
    await clock.advance(2_000);
    expect(counts.open).toBe(1);
    connection.stop();
    await clock.advance(10);
    expect(counts.open).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('of less than a second costs nothing', async () => {
    const { clock, connect, counts } = setUp();
    const connection = connect();
    for (let count = 0; count < 20; count++) {
      await clock.advance(900);
      connection.bytes += 1;
    }
    expect(counts).toMatchObject({ sessions: 0, probes: 0 });
  });
});

describe('if the server cannot be asked', () => {
  it.each([
    ['for its process ids are not its own (a pooler)', { tells: false }],
    ['for it takes no more sessions', { takesSessions: false }],
    ['for it does not answer in one', { answers: false }],
  ])('%s, nothing is concluded, and it is retried less and less often', async (_, trouble) => {
    const { clock, server, connect, counts } = setUp();
    Object.assign(server, trouble);
    const connection = connect();
    connection.server('absent');
    await clock.advance(10 * minute);
    expect(connection.failedAt).toBeUndefined();
    expect(counts.sessions).toBeLessThanOrEqual(20);
    expect(counts.probes).toBeGreaterThan(400);
  });

  it('a connection whose activity it hides is left alone', async () => {
    const { clock, connect } = setUp();
    const connection = connect();
    connection.server('hidden');
    await clock.advance(minute);
    expect(connection.failedAt).toBeUndefined();
  });
});

describe('if the address is not the server’s own', () => {
  it('two sessions must agree', async () => {
    const { clock, server, connect, counts } = setUp();
    server.direct = false;
    const connection = connect();
    connection.server('absent');
    await clock.advance(3_000);
    expect(connection.failedAt).toBeLessThanOrEqual(2_200);
    expect(counts.sessions).toBe(2);
  });

  it('one answer is enough from a session that has reported the connection before', async () => {
    const { clock, server, connect, counts } = setUp();
    server.direct = false;
    const connection = connect();
    await clock.advance(2_500);
    connection.server('absent');
    await clock.advance(3_000);
    expect(connection.failedAt).toBeLessThanOrEqual(5_500);
    expect(counts.sessions).toBe(1);
  });

  it('the second of them may come to the server of the connection', async () => {
    const { clock, server, connect, counts, lead } = setUp();
    const other = makeServer('b');
    server.direct = other.direct = false;
    lead(() => (counts.sessions === 1 ? other : server));
    const connection = connect();
    await clock.advance(10 * minute);
    expect(connection.failedAt).toBeUndefined();
  });

  it('a server that shares it with another one is not believed, once both have been met', async () => {
    const { clock, server, connect, counts, lead } = setUp();
    const other = makeServer('b');
    server.direct = other.direct = false;
    lead(() => (counts.sessions === 1 ? server : other));
    const connection = connect();
    await clock.advance(2_000);
    connection.working = false;
    await clock.advance(15_000);
    connection.working = true;
    await clock.advance(minute);
    expect(connection.failedAt).toBeUndefined();
    expect(counts.sessions).toBe(2);
  });

  it('nor if a connection that it does not know keeps receiving', async () => {
    const { clock, server, connect, lead } = setUp();
    const other = makeServer('b');
    server.direct = other.direct = false;
    lead(() => other);
    const [lively, slow] = [connect(), connect()];
    for (let elapsed = 0; elapsed < minute; elapsed += 100) {
      lively.bytes += 1;
      await clock.advance(100);
    }
    expect(slow.failedAt).toBeUndefined();
  });

  it('a restarted server is not a second one', async () => {
    const { clock, server, connect } = setUp();
    server.direct = false;
    const connection = connect();
    await clock.advance(2_500);
    connection.bytes += 1;
    connection.working = false;
    await clock.advance(15_000);
    Object.assign(server, { name: 'again', startedAt: clock.now() - 2_000 });
    connection.server('absent');
    connection.working = true;
    const begunAt = clock.now();
    await clock.advance(3_000);
    expect(connection.failedAt).toBeLessThanOrEqual(begunAt + 2_200);
  });
});

describe('closing', () => {
  it('ends a session, and one that is being opened', async () => {
    const { clock, connect, liveness, counts } = setUp();
    connect();
    await clock.advance(1_500);
    expect(counts.open).toBe(1);
    await liveness.close();
    expect(counts.open).toBe(0);
    expect(clock.pending).toBe(0);

    const another = setUp();
    another.server.takesSessions = false;
    another.connect();
    await another.clock.advance(1_300);
    expect(another.counts.sessions).toBe(1);
    await another.liveness.close();
    await another.clock.advance(0);
    expect(another.clock.pending).toBe(0);
  });
});
