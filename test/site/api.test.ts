import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { site as places } from '../../examples/webscaler/src/network/network.ts';
import {
  grantReading,
  grantSwitching,
  readerRole,
  readersServiceAccount,
} from '../../examples/webscaler/src/network/webscaler-site.ts';
import { type RemoteError, RemotePod } from './support/remote-pod.ts';
import { openTestSite, type TestSite } from './support/site.ts';

const [primary, secondary] = ['primary-db.example.com', 'secondary-db.example.com'] as const;
let site: TestSite;
const undo: AsyncDisposable[] = [];

beforeAll(async () => {
  // Answers of DNS are old for a minute: what is known sooner comes from the API.
  site = await openTestSite({ ttlSeconds: 60, pair: { synchronous: false } });
  // Both take writes, so that a pool may go back and forth.
  await site.pair.standby.promote();
});
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one[Symbol.asyncDispose]();
  await site.app.call('close', 'pool');
  await site.point(primary);
});
afterAll(() => site?.[Symbol.asyncDispose]());

const target = async () => (await site.app.call('status', 'pool')).target?.externalName;

async function openWatching(): Promise<void> {
  await site.app.call('open', 'pool', site.poolOptions({ watch: true }));
  await site.app.call('query', 'pool', 'select 1');
  await expect.poll(() => site.cluster.api.openWatches, { timeout: 10_000 }).toBe(1);
  await site.app.call('sourceEvents');
}

/** A switch comes from the API, and DNS does not know of it yet. */
async function expectPush(): Promise<void> {
  const to = (await target()) === primary ? secondary : primary;
  await site.app.call('sourceEvents');
  await site.point(to);
  await pushed(site.app, to);
  await expect.poll(target).toBe(to);
}

async function pushed(app: RemotePod, to: string): Promise<void> {
  await expect.poll(() => app.call('sourceEvents'), { timeout: 20_000 }).toContain(`changed to ${to} by kubernetes`);
}

describe('the API server', () => {
  it('pushes a switch into the pod', async () => {
    await openWatching();
    await expectPush();
  });

  it('is found again when it has restarted, and what was switched meanwhile is known then', async () => {
    await openWatching();
    site.cluster.api.fault({ kind: 'refusing' });
    await expect.poll(() => site.cluster.api.openWatches).toBe(0);
    await site.app.call('query', 'pool', 'select 1');
    await site.point(secondary);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    site.cluster.api.heal();
    await site.cluster.api.listening();
    await expect.poll(target, { timeout: 15_000 }).toBe(secondary);
    await expectPush();
  });

  it('that silently becomes unreachable is missed, and found again', async () => {
    await openWatching();
    const gone = await site.network.forward(`ip daddr ${places.api.ipv4} drop`, `ip saddr ${places.api.ipv4} drop`);
    undo.push(gone);
    await site.app.call('query', 'pool', 'select 1');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await site.point(secondary);
    await gone.end();
    // TCP itself sends the event again when the way is free.
    await expect.poll(target, { timeout: 15_000 }).toBe(secondary);
  });
});

describe('the Role of the service account', () => {
  it('that is taken away leaves the pool to DNS, and given back pushes again', async () => {
    await openWatching();
    await site.cluster.objects.delete('rbac.authorization.k8s.io/v1', 'RoleBinding', 'default', readerRole);
    // Permission is asked for when a watch begins, so one that runs goes on until its time is up.
    const cut = site.cluster.api.fault({ kind: 'dropping-watches', how: 'reset' });
    await expect
      .poll(() => site.app.call('sourceEvents'), { timeout: 10_000 })
      .toContain('degraded kubernetes ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN');
    cut.end();
    await site.app.call('query', 'pool', 'select 1');
    await grantReading(site.cluster);
    await expect.poll(() => site.cluster.api.openWatches, { timeout: 40_000 }).toBe(1);
    await expectPush();
  });
});

describe('the token of the service account', () => {
  it('that has expired is read again, because kubelet has rotated it', async () => {
    const identity = await grantReading(site.cluster);
    // Long enough to begin a watch with it on a busy machine.
    const first = site.cluster.api.tokenFor(identity, { lifetimeSeconds: 10 });
    await site.app.pod.writeServiceAccount({ token: first });
    await openWatching();
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await site.app.pod.writeServiceAccount(await readersServiceAccount(site.cluster));
    site.cluster.api.fault({ kind: 'dropping-watches', how: 'reset' }).end();
    await expect.poll(() => site.cluster.api.openWatches, { timeout: 10_000 }).toBe(1);
    await expectPush();
  });
});

describe('a pod without @kubernetes/client-node', () => {
  it('follows a switch and makes one itself, by its service account alone, whose token rotates meanwhile', async () => {
    await openWatching();
    const identity = await grantSwitching(site.cluster);
    const rotate = async () => {
      const token = site.cluster.api.tokenFor(identity, { lifetimeSeconds: 6 });
      await site.app.pod.writeServiceAccount({ token });
    };
    // Long before the end, as kubelet does: it is never an expired one that is read.
    await rotate();
    let rotating = Promise.resolve();
    const timer = setInterval(() => {
      rotating = rotating.then(rotate);
    }, 2_000);
    undo.push({
      [Symbol.asyncDispose]: async () => {
        clearInterval(timer);
        await rotating;
        await site.app.pod.writeServiceAccount(await readersServiceAccount(site.cluster));
      },
    });
    const hook = new URL('./support/without-client-node.ts', import.meta.url).href;
    await using bare = await RemotePod.start(site.app.pod, [hook]);
    expect(await bare.call('canLoad', '@kubernetes/client-node')).toBe(false);
    await bare.call('open', 'pool', site.poolOptions({ watch: true }));
    await bare.call('query', 'pool', 'select 1');
    for (const to of [secondary, primary]) {
      await new Promise((resolve) => setTimeout(resolve, 6_000)); // The token of before has expired.
      site.cluster.api.fault({ kind: 'dropping-watches', how: 'reset' }).end();
      const report = await bare.call('switchTo', to, [primary, secondary]);
      expect(report).toMatchObject({ result: 'switched', to });
      expect(report.steps.find(({ step }) => step === 'watch')).toMatchObject({ state: 'done' });
      await expect
        .poll(async () => (await bare.call('status', 'pool')).target?.externalName, { timeout: 15_000 })
        .toBe(to);
    }
    await bare.call('close', 'pool');
  });
});

describe('a node whose clock is off', () => {
  it.each([
    ['10 minutes slow', -10],
    ['10 minutes fast', 10],
  ])('(%s) follows a switch as any other', async (_what, minutes) => {
    await openWatching();
    const clock = new URL(`./support/shifted-clock.ts?minutes=${minutes}`, import.meta.url).href;
    await using off = await RemotePod.start(site.app.pod, [clock]);
    expect(Math.round((Date.now() - (await off.call('wallClock'))) / 60_000)).toBe(-minutes);
    await off.call('open', 'pool', site.poolOptions({ watch: true }));
    await off.call('query', 'pool', 'select 1');
    await expectPush();
    await pushed(off, secondary);
    await off.call('close', 'pool');
  });

  it('is named if a certificate is not valid yet', async () => {
    const { authority } = site.pair;
    const server = site.pair.server(primary);
    const hostNames = [server.hostName];
    const inTenMinutes = new Date(Date.now() + 600_000);
    await server.setCertificate(await authority.issue({ hostNames, notBefore: inTenMinutes }));
    undo.push({ [Symbol.asyncDispose]: async () => server.setCertificate(await authority.issue({ hostNames })) });
    await site.app.call('open', 'pool', site.poolOptions({ failoverTimeoutMillis: 5_000 }));
    const error = await site.app.call('query', 'pool', 'select 1').then(
      () => undefined,
      (failure: RemoteError) => failure,
    );
    expect(error).toMatchObject({ outcome: 'not-executed' });
    expect([error?.message, ...(error?.causes ?? [])].join('\n')).toMatch(/not valid yet.*clock/s);
  });
});
