import { externalNameService } from '@externalname/core/manifests';
import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rollback, switchHistory, switchTarget } from '../src/index.ts';

let cluster: LocalCluster;
let kubeConfig: string;

beforeEach(async () => {
  cluster = await LocalCluster.start({
    services: [
      externalNameService({ name: 'webscaler-db', namespace: 'shop', externalName: 'primary-db.example.com' }),
    ],
  });
  kubeConfig = await cluster.writeKubeconfig();
});
afterEach(() => cluster.close());

const service = 'webscaler-db.shop';
const allowedTargets = ['primary-db.example.com', 'secondary-db.example.com', 'third-db.example.com'];
const switchTo = (to: string, reason?: string) =>
  switchTarget({ service, kubeConfig, allowedTargets, to, by: 'on-call', reason, dnsServers: false });
const history = (file = kubeConfig) => switchHistory({ service, kubeConfig: file });

describe('the history of a Service', () => {
  it('is empty where nothing was switched', async () => {
    expect(await history()).toMatchObject({ target: 'primary-db.example.com', switches: [], changedSince: false });
  });

  it('has all switches, the newest first, each once', async () => {
    await switchTo('secondary-db.example.com', 'region down');
    await switchTo('third-db.example.com');
    await rollback({ service, kubeConfig, allowedTargets, by: 'night shift', dnsServers: false });
    const { switches, target, changedSince, warnings } = await history();
    expect(switches).toMatchObject([
      {
        previous: 'third-db.example.com',
        target: 'secondary-db.example.com',
        by: 'night shift',
        recordedIn: 'service',
      },
      { previous: 'secondary-db.example.com', target: 'third-db.example.com', by: 'on-call', recordedIn: 'event' },
      {
        previous: 'primary-db.example.com',
        target: 'secondary-db.example.com',
        reason: 'region down',
        recordedIn: 'event',
      },
    ]);
    expect({ target, changedSince, warnings }).toEqual({
      target: 'secondary-db.example.com',
      changedSince: false,
      warnings: [],
    });
  });

  it('says that something else has changed the Service since', async () => {
    await switchTo('secondary-db.example.com');
    const patch = [{ op: 'replace', path: '/spec/externalName', value: 'third-db.example.com' }] as const;
    await cluster.services.patch('shop', 'webscaler-db', patch);
    expect(await history()).toMatchObject({ target: 'third-db.example.com', changedSince: true });
  });

  it('leaves out Events of other Services, and of other reasons', async () => {
    await cluster.services.apply(
      externalNameService({ name: 'other-db', namespace: 'shop', externalName: 'primary-db.example.com' }),
    );
    await switchTarget({
      service: 'other-db.shop',
      kubeConfig,
      allowedTargets,
      to: 'secondary-db.example.com',
      dnsServers: false,
    });
    expect((await history()).switches).toEqual([]);
  });

  it('shows no control characters of a record that somebody else wrote', async () => {
    await switchTo('secondary-db.example.com');
    const annotations = { 'switch.externalname/by': 'mallory\u001b[2J\nroot' };
    await cluster.services.patch('shop', 'webscaler-db', [
      {
        op: 'replace',
        path: '/metadata/annotations/switch.externalname~1by',
        value: annotations['switch.externalname/by'],
      },
    ]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect((await history()).switches[0]?.by).not.toMatch(/[\u0000-\u001f]/);
  });

  it('has only the last switch, and a warning, for who may not read Events', async () => {
    await switchTo('secondary-db.example.com');
    await switchTo('third-db.example.com');
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'reader', namespace: 'shop' },
      rules: [{ apiGroups: [''], resources: ['services'], verbs: ['get'] }],
    };
    const binding = {
      ...role,
      kind: 'RoleBinding',
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
      subjects: [{ kind: 'User', name: 'reader' }],
    };
    await cluster.objects.apply(role);
    await cluster.objects.apply(binding);
    const { switches, warnings } = await history(await cluster.writeKubeconfig({ user: 'reader' }));
    expect(switches).toMatchObject([{ target: 'third-db.example.com' }]);
    expect(warnings).toEqual([expect.stringContaining('resources: ["events"]')]);
  });
});
