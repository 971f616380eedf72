import type { PlannedSwitch, TargetSource } from '@externalname/core';
import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kubernetesSource, type SwitchTargetOptions, switchTarget } from '../src/index.ts';

let cluster: LocalCluster;
let source: TargetSource;
let told: (string | PlannedSwitch | undefined)[];

const primary = 'primary-db.example.com';
const secondary = 'secondary-db.example.com';
const annotation = 'switch.externalname/planned';

beforeEach(async () => {
  cluster = await LocalCluster.start({
    services: [
      {
        metadata: { name: 'webscaler-db', namespace: 'default' },
        spec: { type: 'ExternalName', externalName: primary },
      },
    ],
  });
  told = [];
  source = await follow();
});

afterEach(async () => {
  await source.close();
  await cluster.close();
});

/** A source that has its first target. */
async function follow(into = told): Promise<TargetSource> {
  const made = kubernetesSource({ service: 'webscaler-db', kubeConfig: await cluster.writeKubeconfig() });
  made.subscribePlanned?.((plan) => into.push(plan));
  made.subscribe(({ externalName }) => into.push(externalName));
  await made.current();
  await expect.poll(() => into).toEqual([primary]);
  return made;
}

async function switchNow(changes: Partial<SwitchTargetOptions> = {}) {
  return switchTarget({
    service: 'webscaler-db',
    to: secondary,
    allowedTargets: [primary, secondary],
    kubeConfig: await cluster.writeKubeconfig(),
    dnsServers: false,
    announceMillis: 5_000,
    ...changes,
  });
}

const planned = async () => {
  const { metadata } = await cluster.services.get('default', 'webscaler-db');
  return metadata?.annotations?.[annotation];
};

describe('a switch that is announced', () => {
  it('reaches those who watch the Service before it changes, and leaves nothing behind', async () => {
    await switchNow();
    await expect.poll(() => told).toEqual([primary, { to: secondary, holdMillis: 5_000 }, secondary]);
    expect(await planned()).toBeUndefined();
  });

  it('is taken back if the switch is refused', async () => {
    const probe = { name: 'never', run: () => Promise.reject(new Error('no')) };
    await expect(switchNow({ probes: { target: [probe] } })).rejects.toThrow();
    await expect.poll(() => told).toEqual([primary, { to: secondary, holdMillis: 5_000 }, undefined]);
    expect(await planned()).toBeUndefined();
  });

  it('is announced neither without announceMillis nor by a dry run', async () => {
    await switchNow({ dryRun: true });
    await switchNow({ announceMillis: 0 });
    await expect.poll(() => told).toEqual([primary, secondary]);
  });

  it('is not news to a source that begins to follow afterwards, nor if it is not understood', async () => {
    const write = (value: string) =>
      cluster.services.patch('default', 'webscaler-db', [
        { op: 'add', path: '/metadata/annotations', value: { [annotation]: value } },
      ]);
    await write(`${secondary} holdMillis=5000 id=1`);
    await expect.poll(() => told.length).toBe(2);
    const late: typeof told = [];
    await using _ = await follow(late);
    await write('soon');
    await write(`${secondary} holdMillis=6000 id=2`);
    await expect.poll(() => late).toContainEqual({ to: secondary, holdMillis: 6_000 });
    expect(late.filter((each) => each !== undefined)).toEqual([primary, { to: secondary, holdMillis: 6_000 }]);
  });

  it.each([-1, 60_001, 1.5])('refuses %d ms', async (announceMillis) => {
    await expect(switchNow({ announceMillis })).rejects.toMatchObject({ argument: 'announceMillis' });
  });
});
