import { patroniEngine } from '@externalname/engines';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { checkEngine, type EngineHarness, engineContract } from '../../packages/engines/test/engine.contract.ts';
import { PatroniCluster } from './support/patroni-cluster.ts';
import { etcdBinary, missing, patroniPackages, postgresPrograms, until } from './support/programs.ts';

const skipped = missing(
  ['Patroni', patroniPackages],
  ['etcd', etcdBinary],
  ['all programs of PostgreSQL', postgresPrograms],
);
const members = ['a', 'b'] as const;
// A store that is silent for longer than Patroni's retry_timeout makes the leader give up.
const quick = { pollMillis: 100, requestTimeoutMillis: 500 };

// The same promises that stand-ins keep in packages/engines/test/contract.test.ts. Not `split`: Patroni does not let two members lead. Not `age`: it
// takes Patroni longer than its ttl, and the lock is gone by then.
describe.skipIf(skipped !== undefined)('an engine of a real Patroni', () => {
  let patroni: PatroniCluster;
  let pending: Promise<void> | undefined;

  beforeAll(async () => {
    patroni = await PatroniCluster.start();
  });
  afterAll(() => patroni?.stop());

  const harnesses: Record<string, () => EngineHarness> = {
    'by REST': () => ({
      engine: patroniEngine({ scope: 'demo', members: members.map((name) => patroni.nodes[name].rest), ...quick }),
      lead,
      // Without its store, the leader steps down.
      unlock: async () => {
        patroni.freeze('etcd', true);
        await until('no leader', async () => {
          const said = await Promise.all(members.map((name) => patroni.says(name)));
          return said.every(({ role, state }) => role === 'replica' && state === 'running');
        });
      },
      fail: () => freeze(true),
      recover: () => freeze(false),
      pause: () => patroni.pause(true),
      release: () => release(async () => (await patroni.says('a')).state === 'stopping'),
      dispose: restore,
    }),
    'by etcd': () => ({
      engine: patroniEngine({ scope: 'demo', etcd: { endpoints: [patroni.etcd] }, ...quick }),
      lead,
      unlock: async () => {
        freeze(true);
        await until('the lock to expire', async () => (await patroni.stored('leader')) === undefined);
      },
      fail: () => patroni.freeze('etcd', true),
      recover: () => patroni.freeze('etcd', false),
      pause: () => patroni.pause(true),
      release: () => release(async () => (await patroni.stored('failover'))?.includes('"leader"') === true),
      dispose: restore,
    }),
  };

  describe.each(Object.entries(harnesses))('%s', (_, make) => {
    const able = ['pause', 'release', undefined];
    for (const { promise, check } of engineContract.filter((each) => able.includes(each.needs))) {
      it(promise, { timeout: 150_000 }, () => checkEngine(check, make()));
    }
  });

  async function lead(member: 'a' | 'b'): Promise<void> {
    if (pending === undefined) {
      await until(`${member} to be the synchronous standby`, () => patroni.is(member, 'sync'), 90_000);
      await patroni.switchover(member);
    }
    await pending;
    pending = undefined;
    await until(`${member} to lead`, () => patroni.is(member, 'primary'));
  }

  /** Begins a planned switch, and resolves while it is under way. */
  async function release(isUnderWay: () => Promise<boolean>): Promise<void> {
    pending = patroni.switchover('b');
    pending.catch(() => undefined);
    await until('the switch to begin', isUnderWay, 20_000);
  }

  function freeze(isFrozen: boolean): void {
    for (const name of members) patroni.freeze(name, isFrozen);
  }

  /** `a` leads, and `b` is its synchronous standby. */
  async function restore(): Promise<void> {
    patroni.freeze('etcd', false);
    freeze(false);
    await pending?.catch(() => undefined);
    pending = undefined;
    if ((await patroni.says('a')).pause === true) await patroni.pause(false);
    const leads = (name: 'a' | 'b') => patroni.is(name, 'primary').catch(() => false);
    await until('a leader', async () => (await leads('a')) || (await leads('b')), 90_000);
    if (await leads('b')) await lead('a');
    await until('the standby', () => patroni.is('b', 'sync'), 90_000);
  }
});
