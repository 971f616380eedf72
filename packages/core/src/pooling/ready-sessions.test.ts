import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manual-clock.ts';
import type { Target } from '../targets/index.ts';
import { ReadySessions } from './ready-sessions.ts';

const [primary, secondary] = ['primary-db.example.com', 'secondary-db.example.com'] as const;
const never = new AbortController().signal;

class StillStandby extends Error {}

/** Servers that let sessions in, and what became of these. */
function rig(count = 2) {
  const clock = new ManualClock();
  const log: string[] = [];
  const asked: string[] = [];
  const clients: (EventEmitter & { name: string })[] = [];
  const servers = {
    open: true,
    serves: true,
    isFit: false,
    suspectedAt: Number.NEGATIVE_INFINITY,
    proves: async () => {},
  };
  const sessions = new ReadySessions(
    { targets: [primary, secondary].map(targetOf), count, warmUp: 3 },
    {
      clock,
      open: async (target) => {
        if (!servers.open) {
          log.push(`refused ${target.externalName}`);
          throw new Error('ECONNREFUSED');
        }
        const client = Object.assign(new EventEmitter(), { name: `${target.externalName} ${clients.length + 1}` });
        clients.push(client);
        log.push(`open ${client.name}`);
        return { client };
      },
      prove: async ({ client }: { client: EventEmitter & { name: string } }) => {
        asked.push(client.name);
        await servers.proves();
      },
      isFit: () => servers.isFit,
      serves: () => servers.serves,
      suspectedAt: () => servers.suspectedAt,
      isEarly: (error) => error instanceof StillStandby,
      close: (client) => {
        log.push(`close ${client.name}`);
        client.emit('end');
      },
    },
  );
  return { clock, log, asked, clients, servers, sessions };
}

function targetOf(externalName: string): Target {
  return { externalName, via: ['webscaler-db.default.svc.cluster.local'], version: '', source: 'static', stale: false };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('sessions that are kept ready', () => {
  it('are opened when the pool is somewhere, at every target but that one', async () => {
    const { log, sessions } = rig();
    await settled();
    expect(log).toEqual([]);
    sessions.poolIsAt(primary);
    await settled();
    expect(log).toEqual([`open ${secondary} 1`, `open ${secondary} 2`]);
    expect([sessions.waitingAt(primary), sessions.waitingAt(secondary)]).toEqual([0, 2]);
  });

  it('are given out once each when the Service points there, and kept at the target that was left', async () => {
    const { clients, log, sessions } = rig();
    sessions.poolIsAt(primary);
    await settled();
    const taken = [await sessions.take(secondary, never), await sessions.take(secondary, never)];
    expect(taken.map((each) => each?.client)).toEqual(clients);
    expect(await sessions.take(secondary, never)).toBeUndefined();
    sessions.poolIsAt(secondary);
    await settled();
    expect(log.slice(2)).toEqual([`open ${primary} 3`, `open ${primary} 4`]);
  });

  it('are left to the pool once they are given out: what ends then is not replaced', async () => {
    const { clients, clock, log, sessions } = rig(1);
    sessions.poolIsAt(primary);
    await settled();
    await sessions.take(secondary, never);
    sessions.poolIsAt(secondary);
    await settled();
    clients[0]?.emit('end');
    await clock.advance(3_600_000);
    expect(log.filter((line) => line.includes(secondary))).toEqual([`open ${secondary} 1`]);
  });

  it('keep waiting if the server does not have the wanted role yet', async () => {
    const { servers, sessions } = rig(1);
    sessions.poolIsAt(primary);
    await settled();
    servers.proves = async () => {
      throw new StillStandby('a standby in recovery');
    };
    await expect(sessions.take(secondary, never)).rejects.toThrow(StillStandby);
    expect(sessions.waitingAt(secondary)).toBe(1);
  });

  it('are closed if the pool ended while they were asked, whatever the server has said', async () => {
    const { clients, log, servers, sessions } = rig(1);
    sessions.poolIsAt(primary);
    await settled();
    servers.proves = async () => {
      sessions.close();
      throw new StillStandby('a standby in recovery');
    };
    await expect(sessions.take(secondary, never)).rejects.toThrow(StillStandby);
    expect(log).toContain(`close ${clients[0]?.name}`);
    expect(sessions.waitingAt(secondary)).toBe(0);
  });

  it('are closed if they do not answer, and the next one is asked', async () => {
    const { clients, log, servers, sessions } = rig();
    sessions.poolIsAt(primary);
    await settled();
    let asked = 0;
    servers.proves = async () => {
      asked += 1;
      if (asked === 1) throw new Error('no answer in time');
    };
    expect((await sessions.take(secondary, never))?.client).toBe(clients[1]);
    expect(log).toContain(`close ${secondary} 1`);
  });

  it('are replaced when they end, after a pause', async () => {
    const { clients, clock, sessions } = rig(1);
    sessions.poolIsAt(primary);
    await settled();
    clients[0]?.emit('end');
    expect(sessions.waitingAt(secondary)).toBe(0);
    await clock.advance(5_000);
    await settled();
    expect(sessions.waitingAt(secondary)).toBe(1);
  });

  it('are replaced when they are ten minutes old, as a name may have another address by then', async () => {
    const { clock, log, sessions } = rig(1);
    sessions.poolIsAt(primary);
    await settled();
    await clock.advance(600_000);
    await settled();
    expect(log).toEqual([`open ${secondary} 1`, `close ${secondary} 1`, `open ${secondary} 2`]);
  });

  it('are retried less and less often if there is no server', async () => {
    const { clock, log, servers, sessions } = rig(1);
    servers.open = false;
    sessions.poolIsAt(primary);
    await settled();
    for (let second = 0; second < 600; second++) {
      await clock.advance(1_000);
      await settled();
    }
    // At 0, 5, 15, 35, 75, 155, 315 s, then after 300 s.
    expect(log.length).toBe(7);
  });

  it('are all closed with the pool, also one that is being opened', async () => {
    const { clock, log, sessions } = rig(2);
    sessions.poolIsAt(primary);
    sessions.close();
    await settled();
    await clock.advance(3_600_000);
    expect(log.filter((line) => line.startsWith('close'))).toHaveLength(2);
    expect(sessions.waitingAt(secondary)).toBe(0);
  });
});

describe('sessions for a move that is planned or under way', () => {
  const tertiary = targetOf('tertiary-db.example.com');

  it('are opened at a target that was not known before, and are there when that resolves', async () => {
    const { sessions } = rig(0);
    sessions.poolIsAt(primary);
    await sessions.prepare(tertiary, 3);
    expect([sessions.waitingAt(tertiary.externalName), sessions.counts()]).toEqual([
      3,
      { 'tertiary-db.example.com': 3 },
    ]);
  });

  it('end when the plan is given up, except as many as are always kept', async () => {
    const { sessions } = rig(1);
    sessions.poolIsAt(primary);
    await sessions.prepare(targetOf(secondary), 3);
    await sessions.prepare(tertiary, 2);
    await sessions.prepare(targetOf(secondary), 0);
    await sessions.prepare(tertiary, 0);
    expect([sessions.waitingAt(secondary), sessions.waitingAt(tertiary.externalName)]).toEqual([1, 0]);
  });

  it('are given out after the move, and not replaced', async () => {
    const { sessions, log } = rig(0);
    sessions.poolIsAt(primary);
    await sessions.prepare(tertiary, 2);
    sessions.poolIsAt(tertiary.externalName);
    expect(await sessions.take(tertiary.externalName, never)).toBeDefined();
    await settled();
    expect([sessions.waitingAt(tertiary.externalName), log.length, sessions.counts()]).toEqual([1, 2, {}]);
  });

  it('are not waited for once each has failed', async () => {
    const { sessions, servers } = rig(0);
    sessions.poolIsAt(primary);
    servers.open = false;
    await sessions.prepare(tertiary, 2);
    expect(sessions.waitingAt(tertiary.externalName)).toBe(0);
    sessions.close();
  });
});

describe('the proof of a session', () => {
  const both = [`${secondary} 1`, `${secondary} 2`];

  it('is asked of all at once before a move, and then of no one who takes one within a second', async () => {
    const { asked, clock, sessions } = rig();
    sessions.poolIsAt(primary);
    await settled();
    sessions.proveAll(secondary);
    const first = sessions.take(secondary, never);
    expect(asked).toEqual(both);
    await first;
    await clock.advance(999);
    expect(await sessions.take(secondary, never)).toBeDefined();
    expect(asked).toEqual(both);
  });

  it('is asked again after a second, and when the server became suspect after it', async () => {
    const { asked, clock, servers, sessions } = rig();
    sessions.poolIsAt(primary);
    await settled();
    sessions.proveAll(secondary);
    await settled();
    servers.suspectedAt = clock.now();
    await sessions.take(secondary, never);
    servers.suspectedAt = Number.NEGATIVE_INFINITY;
    await clock.advance(1_000);
    await sessions.take(secondary, never);
    expect(asked).toEqual([...both, ...both]);
  });

  it('is not asked of a session whose server said its role when it opened that, within the last second', async () => {
    const { asked, clock, servers, sessions } = rig();
    servers.isFit = true;
    sessions.poolIsAt(primary);
    await settled();
    await sessions.take(secondary, never);
    expect(asked).toEqual([]);
    await clock.advance(1_000);
    await sessions.take(secondary, never);
    expect(asked).toEqual([`${secondary} 2`]);
  });

  it('leaves a session waiting whose server does not have the role yet, and ends one that does not answer', async () => {
    const { log, servers, sessions } = rig();
    sessions.poolIsAt(primary);
    await settled();
    let failure = new Error('no answer in time');
    servers.proves = async () => {
      const error = failure;
      failure = new StillStandby('a standby in recovery');
      throw error;
    };
    sessions.proveAll(secondary);
    await settled();
    expect(sessions.waitingAt(secondary)).toBe(1);
    expect(log.slice(2)).toEqual([`close ${secondary} 1`]);
  });

  it('is asked of all once a second at most while the server does not have the role', async () => {
    const { asked, clock, servers, sessions } = rig();
    sessions.poolIsAt(primary);
    await settled();
    servers.proves = async () => {
      throw new StillStandby('a standby in recovery');
    };
    sessions.proveAll(secondary);
    await settled();
    await clock.advance(999);
    sessions.proveAll(secondary);
    expect(asked).toEqual(both);
    await clock.advance(1);
    sessions.proveAll(secondary);
    await settled();
    expect(asked).toEqual([...both, ...both]);
  });

  it('replaces a session that does not answer, after a pause', async () => {
    const { clock, servers, sessions } = rig(1);
    sessions.poolIsAt(primary);
    await settled();
    servers.proves = async () => {
      throw new Error('no answer in time');
    };
    sessions.proveAll(secondary);
    await settled();
    await clock.advance(5_000);
    await settled();
    expect(sessions.waitingAt(secondary)).toBe(1);
  });
});

describe('the proof of a target that the pool may move to', () => {
  const target = targetOf(secondary);
  const made = () => ({ client: Object.assign(new EventEmitter(), { name: 'vetted' }) });

  it('is a connection that is kept for the move, with as many others as warmUp asks for', async () => {
    const { sessions } = rig(0);
    sessions.poolIsAt(primary);
    const vetted = made();
    await sessions.vet(target, never, async () => vetted);
    expect([sessions.waitingAt(secondary), sessions.takeVetted(), sessions.takeVetted()]).toEqual([
      2,
      vetted,
      undefined,
    ]);
  });

  it('is that connection alone if no server serves meanwhile', async () => {
    const { servers, sessions } = rig(0);
    servers.serves = false;
    sessions.poolIsAt(primary);
    await sessions.vet(target, never, async () => made());
    expect(sessions.waitingAt(secondary)).toBe(0);
  });

  it('is closed, with the others, when that target is not the next one any more', async () => {
    const { log, sessions } = rig(0);
    sessions.poolIsAt(primary);
    const controller = new AbortController();
    const vetting = sessions.vet(target, controller.signal, async () => made());
    await Promise.resolve();
    controller.abort(new Error('the Service points elsewhere again'));
    await vetting;
    await settled();
    expect([sessions.takeVetted(), sessions.waitingAt(secondary)]).toEqual([undefined, 0]);
    expect(log).toContain('close vetted');
  });

  it('is closed, and fails with the reason, if it comes too late', async () => {
    const { log, sessions } = rig(0);
    const controller = new AbortController();
    const vetting = sessions.vet(target, controller.signal, async () => {
      controller.abort(new Error('the Service points elsewhere again'));
      return made();
    });
    await expect(vetting).rejects.toThrow('elsewhere again');
    expect(log).toEqual(['close vetted']);
  });
});

describe('a plan to move', () => {
  it('opens sessions there, and closes them if another plan comes, or none', async () => {
    const { sessions } = rig(0);
    const tertiary = targetOf('tertiary-db.example.com');
    sessions.poolIsAt(primary);
    sessions.plan(targetOf(secondary), 2);
    await settled();
    expect(sessions.counts()).toEqual({ [secondary]: 2 });
    sessions.plan(tertiary, 1);
    await settled();
    expect(sessions.counts()).toEqual({ [tertiary.externalName]: 1 });
    sessions.plan(undefined, 0);
    expect(sessions.counts()).toEqual({});
  });
});
