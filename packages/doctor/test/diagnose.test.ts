import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type DiagnoseOptions, diagnose, findingCodes } from '../src/index.ts';

const host = 'primary-db.example.com';
let cluster: LocalCluster;
let kubeConfig: string;
let ca: string;
let port: number;
const closing: (() => void)[] = [];

beforeAll(async () => {
  cluster = await LocalCluster.start({
    services: [
      { metadata: { name: 'webscaler-db', namespace: 'payments' }, spec: { type: 'ExternalName', externalName: host } },
    ],
    hosts: { [host]: ['127.0.0.1'] },
  });
  kubeConfig = await cluster.writeKubeconfig();
  const authority = await createCertificateAuthority({ name: 'Example authority' });
  ca = authority.certificate;
  const { certificate: cert, privateKey: key } = await authority.issue({ hostNames: [host] });
  const server = createServer({ cert, key }, (socket) => socket.on('error', () => undefined).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  cluster.dns.heal();
  cluster.api.heal();
  cluster.hosts.set(host, ['127.0.0.1']);
});
afterAll(async () => {
  for (const close of closing) close();
  await cluster?.close();
});

const asked = (more: Partial<DiagnoseOptions> = {}) =>
  diagnose({
    service: 'webscaler-db.payments',
    kubeConfig,
    nameservers: [cluster.nameserver],
    allowedTargets: [host],
    allowedNetworks: ['127.0.0.0/8'],
    protocol: 'tls',
    port,
    ca,
    environment: {},
    ...more,
  });

describe('a diagnosis', () => {
  it('of a healthy Service has no finding, and says what was looked at', async () => {
    const { service, target, healthy, findings, lookedAt } = await asked();
    expect({ service, target, healthy, findings }).toEqual({
      service: 'webscaler-db.payments.svc.cluster.local',
      target: host,
      healthy: true,
      findings: [],
    });
    const subjects = lookedAt.map(({ subject, state }) => `${subject} ${state}`);
    expect(subjects).toEqual([
      'service ok',
      'cluster ok',
      'policy ok',
      'dns ok',
      'dns ok',
      'tcp ok',
      'tls ok',
      'access ok',
    ]);
  });

  it('names first what the other findings follow from, and the command that mends it in the same cluster', async () => {
    cluster.hosts.delete(host);
    const { healthy, findings } = await asked({
      kubeConfig: undefined,
      kubectl: { kubeconfig: kubeConfig },
      program: 'npx @externalname/cli',
    });
    expect(healthy).toBe(false);
    expect(findings[0]).toMatchObject({ rule: 'dns-target-missing', severity: 'error' });
    expect(findings[0]?.mend).toContain(
      `kubectl --kubeconfig ${kubeConfig} -n payments patch service webscaler-db --type merge -p '{"spec":{"externalName":"<host>"}}'`,
    );
  });

  it('without a cluster is a finding, not an error: DNS may still tell', async () => {
    const { findings } = await asked({ kubeConfig: '/nowhere/kubeconfig' });
    expect(findings.map(({ rule }) => rule)).toEqual(['cluster-not-configured']);
  });

  it('takes the allow-list of the environment', async () => {
    const environment = { EXTERNALNAME_ALLOWED_TARGETS: 'secondary-db.example.com' };
    const { findings } = await asked({ allowedTargets: undefined, environment });
    expect(findings[0]).toMatchObject({ rule: 'target-refused' });
    expect(findings[0]?.says).toContain('EXTERNALNAME_ALLOWED_TARGETS');
  });

  it('ends when it is told to, with the reason of the signal', async () => {
    cluster.dns.fault({ kind: 'silent' });
    const ending = new AbortController();
    const running = asked({ signal: ending.signal });
    const before = cluster.queries().length;
    await expect.poll(() => cluster.queries().length).toBeGreaterThan(before);
    ending.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
  });

  it.each<[string, Partial<DiagnoseOptions>]>([
    ['service', { service: 'a..b' }],
    ['kubectl', { kubectl: { context: 'staging' } }],
    ['path', { path: 'healthz' }],
    ['port', { port: 0 }],
    ['nameservers', { nameservers: ['dns.example.com'] }],
    ['resolvConfPath', { resolvConfPath: '/nowhere/resolv.conf' }],
    ['allowedNetworks', { allowedNetworks: ['nonsense'] }],
  ])('is refused before anything is asked if %s cannot be used', async (argument, options) => {
    const queries = cluster.queries().length;
    await expect(asked(options)).rejects.toMatchObject({
      code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT',
      argument: expect.stringContaining(argument),
    });
    expect(cluster.queries().length).toBe(queries);
  });
});

it('each finding has a code of its own', () => {
  const codes = findingCodes.map(({ rule }) => rule);
  expect(codes.length).toBeGreaterThan(50);
  expect(new Set(codes).size).toBe(codes.length);
});

it('each code stands in the guide', async () => {
  const guide = await readFile(new URL('../../../docs/guides/diagnosis.md', import.meta.url), 'utf8');
  const listed = [...guide.matchAll(/^\| [^|]+ \| (.*) \|$/gm)].flatMap(
    ([, cells = '']) => cells.match(/[a-z-]+/g) ?? [],
  );
  expect(listed.filter((word) => word.includes('-') && word.length > 3).toSorted()).toEqual(
    findingCodes.map(({ rule }) => rule).toSorted(),
  );
});
