import {
  externalNameService,
  serviceReaderRole,
  serviceSwitcherRole,
  switchJsonPatch,
  switchMergePatch,
  targetAdmissionPolicy,
} from '@externalname/core/manifests';
import { kubernetesSource, rollback, type SwitchRefusedError, switchTarget } from '@externalname/kubernetes';
import type { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ContractCluster, clusters } from './clusters.ts';
import type { KubeClient } from './control-plane/kube-client.ts';

const json = 'application/json-patch+json';
const merge = 'application/merge-patch+json';
const allowedTargets = ['primary-db.example.com', '*.replicas.example.com'];

// LocalCluster evaluates no CEL: the admission policy is proven on the real server only.
describe.each(clusters)('$name', ({ name, start }) => {
  let cluster: ContractCluster;
  let namespace: string;
  let reader: KubeClient;
  let operator: KubeClient;
  let stranger: KubeClient;
  const path = (service = 'webscaler-db') => `/api/v1/namespaces/${namespace}/services/${service}`;

  beforeAll(async () => {
    cluster = await start();
    namespace = await cluster.namespace();
    const client = async (account: string) =>
      cluster.admin.withToken(await cluster.serviceAccountToken(namespace, account));
    [reader, operator, stranger] = [await client('reader'), await client('operator'), await client('stranger')];
    const subject = (account: string) => ({ kind: 'ServiceAccount' as const, name: account, namespace });
    const service = 'webscaler-db';
    const roles = [
      ...serviceReaderRole({ service, namespace, subjects: [subject('reader')] }),
      ...serviceSwitcherRole({ service, namespace, subjects: [subject('operator')] }),
    ];
    for (const role of roles) {
      const kind = role.kind === 'Role' ? 'roles' : 'rolebindings';
      await cluster.admin.must('POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/${kind}`, role);
    }
    for (const other of [service, 'other-db']) {
      const object = externalNameService({ name: other, namespace, externalName: 'primary-db.example.com' });
      await cluster.admin.must('POST', `/api/v1/namespaces/${namespace}/services`, object);
    }
  });
  afterAll(() => cluster?.stop());

  beforeEach(async () => {
    await cluster.admin.must('PATCH', path(), switchMergePatch({ externalName: 'primary-db.example.com' }), merge);
  });

  const fieldSelector = (service: string) => `fieldSelector=${encodeURIComponent(`metadata.name=${service}`)}`;
  const list = (client: KubeClient, query: string) =>
    client.request('GET', `/api/v1/namespaces/${namespace}/services?${query}`);

  describe('the reader', () => {
    it('may get, list and watch this Service', async () => {
      expect((await reader.request('GET', path())).status).toBe(200);
      expect((await list(reader, fieldSelector('webscaler-db'))).status).toBe(200);
      expect((await list(reader, `${fieldSelector('webscaler-db')}&watch=true&timeoutSeconds=1`)).status).toBe(200);
    });

    it('may neither see another one, nor all of them', async () => {
      expect((await reader.request('GET', path('other-db'))).status).toBe(403);
      expect((await list(reader, fieldSelector('other-db'))).status).toBe(403);
      expect((await list(reader, '')).status).toBe(403);
    });

    it('may not patch it', async () => {
      const patch = switchMergePatch({ externalName: 'secondary-db.example.com' });
      expect((await reader.request('PATCH', path(), patch, merge)).status).toBe(403);
    });

    it('is pushed every switch by kubernetesSource', async () => {
      await using source = kubernetesSource({ service: 'webscaler-db', namespace, kubeConfig: reader.config });
      const seen = new Promise<string>((resolve) => {
        source.subscribe(({ externalName }) => {
          if (externalName !== 'primary-db.example.com') resolve(externalName);
        });
      });
      expect((await source.current()).externalName).toBe('primary-db.example.com');
      const patch = switchJsonPatch({ externalName: 'secondary-db.example.com' });
      await cluster.admin.must('PATCH', path(), patch, json);
      expect(await seen).toBe('secondary-db.example.com');
    });

    it('is told the rule that is missing when it tries to switch', async () => {
      const error = await switchTarget({ ...switchOptions(reader), to: 'secondary-db.example.com' }).catch((e) => e);
      expect(error.cause).toMatchObject({
        code: 'ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN',
        missingRule: expect.stringContaining('verbs: ["patch"]'),
      });
    });
  });

  describe('the operator', () => {
    it('may patch this Service only', async () => {
      const patch = switchMergePatch({ externalName: 'secondary-db.example.com' });
      expect((await operator.request('PATCH', path(), patch, merge)).status).toBe(200);
      expect((await operator.request('PATCH', path('other-db'), patch, merge)).status).toBe(403);
      expect((await operator.request('DELETE', path())).status).toBe(403);
    });

    it('switches and rolls back; what it may not do besides is a warning', async () => {
      const report = await switchTarget({
        ...switchOptions(operator),
        expect: 'primary-db.example.com',
        to: 'secondary-db.example.com',
        reason: 'drill',
      });
      expect(report).toMatchObject({
        result: 'switched',
        by: name === 'LocalCluster' ? 'token' : `system:serviceaccount:${namespace}:operator`,
        warnings: [expect.stringContaining('resources: ["events"]'), expect.stringContaining('verbs: ["list"]')],
      });
      const back = await rollback(switchOptions(operator));
      expect(back).toMatchObject({ result: 'switched', to: 'primary-db.example.com' });
    });
  });

  it('leaves an Event that belongs to the Service, if it may write one', async () => {
    const report = await switchTarget({
      ...switchOptions(cluster.admin),
      to: 'secondary-db.example.com',
      reason: 'drill',
    });
    expect(report.warnings).toEqual([]);
    expect(report.steps.find(({ step }) => step === 'watch')).toMatchObject({ state: 'done' });
    if (name === 'LocalCluster') return;
    const events = await cluster.admin.must('GET', `/api/v1/namespaces/${namespace}/events`);
    expect(events['items']).toContainEqual(
      expect.objectContaining({
        reason: 'TargetSwitched',
        message: expect.stringContaining('from primary-db.example.com to secondary-db.example.com: drill'),
      }),
    );
  });

  it('refuses an account without a rule, and one without a valid token', async () => {
    const kubeConfig = stranger.config;
    await expect(kubernetesSource({ service: 'webscaler-db', namespace, kubeConfig }).current()).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_KUBERNETES_FORBIDDEN',
    });
    const unknown = cluster.admin.withToken('no-such-token').config;
    await expect(
      kubernetesSource({ service: 'webscaler-db', namespace, kubeConfig: unknown }).current(),
    ).rejects.toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_UNAUTHORIZED' });
  });

  describe('a switch against a concurrent change', () => {
    it('is refused, and does not overwrite it', async () => {
      // The probe stands between the read and the patch.
      const meddling = {
        name: 'meddling',
        run: async () => {
          const patch = switchMergePatch({ externalName: 'tertiary-db.example.com' });
          await cluster.admin.must('PATCH', path(), patch, merge);
          return { ok: true, detail: 'somebody else was faster' };
        },
      };
      const error: SwitchRefusedError = await switchTarget({
        ...switchOptions(operator),
        to: 'secondary-db.example.com',
        probes: { target: [meddling] },
      }).catch((reason) => reason);
      expect(error.message).toContain('tertiary-db.example.com');
      expect(await externalName()).toBe('tertiary-db.example.com');
    });
  });

  it.runIf(name !== 'LocalCluster')('warns of a GitOps owner by what the server recorded', async () => {
    const apply = externalNameService({ name: 'applied-db', namespace, externalName: 'primary-db.example.com' });
    const manager = 'fieldManager=argocd-controller&force=true';
    await cluster.admin.must('PATCH', `${path('applied-db')}?${manager}`, apply, 'application/apply-patch+yaml');
    const report = await switchTarget({
      ...switchOptions(cluster.admin),
      service: 'applied-db',
      to: 'secondary-db.example.com',
      dryRun: true,
    });
    expect(report.warnings).toEqual([expect.stringContaining('Argo CD')]);
  });

  describe.runIf(name !== 'LocalCluster')('the admission policy', () => {
    const policyName = `allowed-targets-${Date.now()}`;

    beforeAll(async () => {
      const objects = targetAdmissionPolicy({ name: policyName, namespace, service: 'webscaler-db', allowedTargets });
      for (const object of objects) {
        const kind =
          object.kind === 'ValidatingAdmissionPolicy'
            ? 'validatingadmissionpolicies'
            : 'validatingadmissionpolicybindings';
        await cluster.admin.must('POST', `/apis/admissionregistration.k8s.io/v1/${kind}`, object);
      }
      // It takes effect a moment after it is stored.
      const evil = switchMergePatch({ externalName: 'evil.example.org' });
      for (let status = 200; status !== 403; ) {
        status = (await operator.request('PATCH', `${path()}?dryRun=All`, evil, merge)).status;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    });
    afterAll(async () => {
      for (const kind of ['validatingadmissionpolicybindings', 'validatingadmissionpolicies']) {
        await cluster.admin.request('DELETE', `/apis/admissionregistration.k8s.io/v1/${kind}/${policyName}`);
      }
    });

    it.each([
      ['primary-db.example.com', true],
      ['primary-db.example.com.', true],
      ['a.replicas.example.com', true],
      ['a.b.replicas.example.com', false],
      ['replicas.example.com', false],
      ['xreplicas.example.com', false],
      ['secondary-db.example.com', false],
      ['primary-db.example.com.evil.org', false],
      ['10.0.0.1', false],
    ])('lets the operator switch to %s: %s', async (externalName_, allowed) => {
      // From a name that is not compared equal, so that the change itself is judged.
      const patches = [
        { body: { spec: { externalName: externalName_ } }, type: merge },
        { body: [{ op: 'replace', path: '/spec/externalName', value: externalName_ }], type: json },
        { body: { spec: { externalName: externalName_ } }, type: 'application/strategic-merge-patch+json' },
      ];
      for (const { body, type } of patches) {
        await cluster.admin.must('PATCH', path(), { spec: { externalName: 'base.replicas.example.com' } }, merge);
        const answer = await operator.request('PATCH', path(), body, type);
        expect(answer.status, String(answer.body['message'])).toBe(allowed ? 200 : 403);
      }
    });

    it.each([
      ['another type', { spec: { type: 'ClusterIP', ports: [{ port: 5432 }] } }],
      ['externalIPs', { spec: { externalIPs: ['203.0.113.7'] } }],
    ])('refuses %s on that Service to everyone', async (_what, body) => {
      const answer = await operator.request('PATCH', path(), body, merge);
      expect(answer.status).toBe(403);
    });

    it('leaves other Services alone', async () => {
      const patch = { spec: { externalName: 'evil.example.org' } };
      expect((await cluster.admin.request('PATCH', path('other-db'), patch, merge)).status).toBe(200);
    });

    it('ends a switch with its own message, and not with a rule of RBAC', async () => {
      const error = await switchTarget({ ...switchOptions(operator), to: 'secondary-db.example.com' }).catch((e) => e);
      expect(error.report.result).toBe('not-switched');
      expect(error.cause).toMatchObject({ code: 'ERR_EXTERNALNAME_KUBERNETES_REFUSED', status: 403 });
      expect(error.message).toContain('secondary-db.example.com is not allowed here');
    });
  });

  async function externalName(): Promise<unknown> {
    const service = await cluster.admin.must('GET', path());
    return (service['spec'] as { externalName?: unknown }).externalName;
  }

  function switchOptions(client: KubeClient) {
    return {
      service: 'webscaler-db',
      namespace,
      kubeConfig: client.config as KubeConfig,
      allowedTargets: 'any' as const,
      dnsServers: false as const,
    };
  }
});
