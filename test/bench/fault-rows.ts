import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresPair, PostgresServer } from '@externalname/testing';
import type { Scenario } from './compared-pools.ts';
import type { Work } from './write-load.ts';

/** A row of the matrix: a fault, and what is done about it. */
export interface FaultRow {
  readonly name: string;
  /** What the row does, in words. */
  readonly does: string;
  /** From when the time to recover counts. */
  readonly from: string;
  readonly work?: Work;
  run(stage: Stage): Promise<void>;
}

/** What a row works with. */
export interface Stage {
  readonly scenario: Scenario;
  readonly pair: PostgresPair;
  /** The primary and the standby at the start of the row. */
  readonly first: PostgresServer;
  readonly second: PostgresServer;
  /** The time to recover counts from this call. */
  ready(): void;
  /** To be done when all is counted. */
  after(work: () => Promise<unknown>): void;
}

/** From the fault to the operators' answer, and for faults that pass by themselves, how long they last. */
const noticeMillis = 1_000;

// What operators do if a primary is gone.
async function failOver({ scenario, second, ready }: Stage): Promise<void> {
  await sleep(noticeMillis);
  await second.promote();
  await scenario.point(second);
  ready();
}

// Fences the primary and promotes the standby when it knows everything; the patch is left to the row.
async function handOver({ first, second }: Stage): Promise<void> {
  await second.waitForReplay(await first.demote());
  await second.promote();
}

const promotedAndPatched = 'after 1 s the standby is promoted and the Service patched';

export const faultRows: readonly FaultRow[] = [
  {
    name: 'kill -9',
    does: `SIGKILL to every process of the primary; ${promotedAndPatched}`,
    from: 'the patch',
    async run(stage) {
      await stage.first.kill();
      await failOver(stage);
    },
  },
  {
    name: 'SIGTERM, fast',
    does: `fast shut-down of the primary; ${promotedAndPatched}`,
    from: 'the patch',
    async run(stage) {
      await stage.first.stop('fast');
      await failOver(stage);
    },
  },
  {
    name: 'immediate',
    does: `immediate shut-down of the primary; ${promotedAndPatched}`,
    from: 'the patch',
    async run(stage) {
      await stage.first.stop('immediate');
      await failOver(stage);
    },
  },
  {
    name: 'smart shut-down',
    does: `smart shut-down of the primary, which waits for its clients; ${promotedAndPatched}`,
    from: 'the patch',
    async run(stage) {
      const stopped = stage.first.stop('smart', { timeoutMillis: 120_000 }).catch(() => undefined);
      stage.after(() => stage.first.kill().then(() => stopped));
      await failOver(stage);
    },
  },
  {
    name: 'SIGSTOP',
    does: `every process of the primary is stopped, and its kernel goes on acknowledging; ${promotedAndPatched}`,
    from: 'the patch',
    async run(stage) {
      await stage.first.freeze();
      await failOver(stage);
    },
  },
  {
    name: 'refused',
    does: 'connections are reset and new ones refused for 1 s; the same server goes on',
    from: 'the end of the fault',
    async run({ scenario, first, ready }) {
      const proxy = scenario.proxyOf(first);
      proxy.refuse();
      proxy.reset();
      await sleep(noticeMillis);
      await proxy.heal();
      ready();
    },
  },
  {
    name: 'reset mid-query',
    does: 'all connections are reset while statements of 200 ms run, three times in 0.9 s; the server stays up',
    from: 'the last reset',
    work: 'slow statement',
    async run({ scenario, first, ready }) {
      for (let count = 0; count < 3; count++) {
        await sleep(300);
        scenario.proxyOf(first).reset();
      }
      ready();
    },
  },
  {
    name: 'reset mid-COMMIT',
    does: 'the standby is stopped, so that every COMMIT waits for it; then all connections are reset; 0.5 s later it goes on',
    from: 'the end of the fault',
    work: 'transaction',
    async run({ scenario, first, second, ready }) {
      await second.freeze();
      await sleep(500);
      scenario.proxyOf(first).reset();
      await sleep(500);
      await second.thaw();
      ready();
    },
  },
  {
    name: 'half-open',
    does: "the server's end of every connection is gone and the client's is not told; new connections work",
    from: 'the fault',
    async run({ scenario, first, ready }) {
      scenario.proxyOf(first).halfOpen('server');
      ready();
    },
  },
  {
    name: 'slow server',
    does: 'every byte takes 600 ms each way for 4 s',
    from: 'the end of the fault',
    async run({ scenario, first, ready }) {
      const proxy = scenario.proxyOf(first);
      proxy.latency(600);
      await sleep(4_000);
      await proxy.heal();
      ready();
    },
  },
  {
    name: 'demoted to read-only',
    does: 'the primary is fenced (25006) and stays up; after 1 s the standby is promoted and the Service patched',
    from: 'the patch',
    async run(stage) {
      const position = await stage.first.demote();
      await sleep(noticeMillis);
      await stage.second.waitForReplay(position);
      await stage.second.promote();
      await stage.scenario.point(stage.second);
      stage.ready();
    },
  },
  {
    name: 'standby not promoted yet',
    does: 'SIGKILL to the primary; the Service is patched at once, and the standby promoted 1.5 s later',
    from: 'the promotion',
    async run({ scenario, first, second, ready }) {
      await first.kill();
      await scenario.point(second);
      await sleep(1_500);
      await second.promote();
      ready();
    },
  },
  {
    name: 'old primary alive',
    does: 'the standby is promoted and the Service patched; the old primary stays up, with COMMITs that wait for its standby',
    from: 'the patch',
    async run({ scenario, second, ready }) {
      await second.promote();
      await scenario.point(second);
      ready();
    },
  },
  {
    name: 'fail back',
    does: 'a controlled switch-over with patch, the old primary becomes the standby, then the same way back',
    from: 'the second patch',
    async run({ scenario, pair, ready }) {
      await pair.switchover({ onPromoted: (primary) => scenario.point(primary) });
      await sleep(500);
      await pair.switchover({
        rejoin: false,
        onPromoted: async (primary) => {
          await scenario.point(primary);
          ready();
        },
      });
    },
  },
  {
    name: 'flapping target',
    does: 'the primary is fenced, the standby promoted, and the Service patched back and forth ten times, every 200 ms',
    from: 'the last patch',
    async run(stage) {
      const { scenario, first, second, ready } = stage;
      await handOver(stage);
      for (let count = 0; count < 5; count++) {
        await scenario.point(second);
        await sleep(200);
        await scenario.point(first);
        await sleep(200);
      }
      await scenario.point(second);
      ready();
    },
  },
  {
    name: 'DNS down',
    does: 'the DNS answers nothing for 3 s, and all connections are reset when that begins; the server stays up',
    from: 'the reset',
    async run({ scenario, first, ready }) {
      const fault = scenario.cluster.dns.fault({ kind: 'silent' });
      scenario.proxyOf(first).reset();
      ready();
      await sleep(3_000);
      fault.end();
    },
  },
  {
    name: 'DNS slow',
    does: `every DNS answer takes 1 s (0.5 s for each of its two hops); SIGKILL to the primary; ${promotedAndPatched}`,
    from: 'the patch',
    async run(stage) {
      const fault = stage.scenario.cluster.dns.fault({ kind: 'slow', delayMillis: 500 });
      stage.after(async () => fault.end());
      await stage.first.kill();
      await failOver(stage);
    },
  },
  {
    name: 'DNS stale',
    does: 'the primary is fenced and stays up, the standby is promoted, the Service patched, and the DNS shows it 2 s later',
    from: 'the DNS showing it',
    async run(stage) {
      const fault = stage.scenario.cluster.dns.fault({ kind: 'stale' });
      await handOver(stage);
      await stage.scenario.point(stage.second);
      await sleep(2_000);
      fault.end();
      await stage.scenario.cluster.dns.caughtUp();
      stage.ready();
    },
  },
];
