import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ClusterView, ServiceEntry } from './cluster-view.ts';
import { answerFromCluster, type ClusterZoneSettings } from './cluster-zone.ts';
import { type DnsAnswer, type DnsRecord, emptyAnswer } from './message.ts';

interface Case {
  name: string;
  config: {
    zone: string;
    ttl: number;
    multiclusterZone?: string;
    namespaces?: string[];
    ignoreEmptyService?: boolean;
  };
  zoneData: { services: CaseService[]; synced?: boolean };
  upstream?: Record<string, { rcode: DnsAnswer['rcode']; answer: CaseRecord[]; tc?: boolean }>;
  query: { name: string; type: string };
  expect: {
    rcode: string;
    aa: boolean;
    tc: boolean;
    answer: CaseRecord[];
    authority?: CaseRecord[];
  };
}
type CaseService = Partial<ServiceEntry> & { namespace: string; name: string; type: string };
type CaseRecord = Record<string, string | number> & { name: string; type: string; ttl: number };

const cases: Case[] = JSON.parse(
  readFileSync(new URL('./cases/cluster-dns-answers.json', import.meta.url), 'utf8'),
) as Case[];

describe('the cluster DNS answers as CoreDNS does', () => {
  it.each(cases.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    expect(await answered(row)).toEqual({ ...row.expect, authority: row.expect.authority ?? [] });
  });
});

describe('rules of the zone beyond the cases', () => {
  const services = [
    { namespace: 'testns', name: 'external', type: 'ExternalName', externalName: 'ext.interwebs.test' },
    {
      namespace: 'testns',
      name: 'vip',
      type: 'ClusterIP',
      clusterIPs: ['10.0.0.1', 'fd00::1'],
      ports: [{ name: 'pg', protocol: 'TCP', port: 5432 }],
    },
    { namespace: 'testns', name: 'headless', type: 'ClusterIP', clusterIPs: ['None'], ports: [] },
    { namespace: 'testns', name: 'nobody', type: 'ClusterIP', clusterIPs: ['None'], ports: [] },
  ];
  const slice = {
    namespace: 'testns',
    service: 'headless',
    ports: [{ name: 'pg', protocol: 'TCP', port: 5432 }],
    addresses: [
      { address: '10.5.5.5', hostname: '' },
      { address: '10.5.5.6', hostname: 'db-1' },
    ],
  };
  const ask = async (name: string, type: string, upstream?: DnsAnswer, changes: Partial<ClusterZoneSettings> = {}) => {
    const view = {
      ...viewOf({ services }),
      endpoints: (_: string, service: string) => (service === 'headless' ? [slice] : []),
    };
    const settings = { zone: 'cluster.local.', ttl: 5, nameservers: ['10.96.0.10'], reverse: true, ...changes };
    const answer = await answerFromCluster({ name, type }, view, settings, async () => upstream);
    if (answer === 'elsewhere') return answer;
    return [answer.rcode, ...answer.answer.map((record) => `${record.type} ${JSON.stringify(record.data)}`)];
  };
  const zone = 'testns.svc.cluster.local.';

  it('a name is answered in the case it is asked in, whatever the Service is called', async () => {
    const view = viewOf({ services });
    const settings = { zone: 'cluster.local.', ttl: 5, nameservers: [] };
    const answer = await answerFromCluster(
      { name: `EXTERNAL.${zone}`, type: 'CNAME' },
      view,
      settings,
      async () => undefined,
    );
    expect(answer).toMatchObject({ answer: [{ name: `EXTERNAL.${zone}`, data: 'ext.interwebs.test.' }] });
  });

  it.each([
    [`external.${zone}`, 'A', 'no message from upstream', undefined, ['NOERROR']],
    [`external.${zone}`, 'A', 'NXDOMAIN upstream', emptyAnswer('NXDOMAIN'), ['NOERROR', 'CNAME "ext.interwebs.test."']],
    [
      `external.${zone}`,
      'AAAA',
      'SERVFAIL upstream',
      emptyAnswer('SERVFAIL'),
      ['NOERROR', 'CNAME "ext.interwebs.test."'],
    ],
    [`external.${zone}`, 'SRV', 'no SRV for ExternalName', undefined, ['NOERROR']],
    [`_pg._tcp.external.${zone}`, 'SRV', 'nothing below ExternalName', undefined, ['NXDOMAIN']],
    [`x.external.${zone}`, 'CNAME', 'nothing below ExternalName', undefined, ['NXDOMAIN']],
    [`_._.external.${zone}`, 'CNAME', 'but two empty labels', undefined, ['NOERROR', 'CNAME "ext.interwebs.test."']],
    [`a.b.c.vip.${zone}`, 'A', 'too many labels', undefined, ['NXDOMAIN']],
    [`vip.${zone}`, 'A', 'one family', undefined, ['NOERROR', 'A "10.0.0.1"']],
    [`vip.${zone}`, 'TXT', 'another type', undefined, ['NOERROR']],
    [`headless.${zone}`, 'A', 'its endpoints', undefined, ['NOERROR', 'A "10.5.5.5"', 'A "10.5.5.6"']],
    [`headless.${zone}`, 'AAAA', 'no endpoint of that family', undefined, ['NOERROR']],
    [`db-1.headless.${zone}`, 'A', 'an endpoint by its host name', undefined, ['NOERROR', 'A "10.5.5.6"']],
    [`10-5-5-5.headless.${zone}`, 'A', 'an endpoint by its address', undefined, ['NOERROR', 'A "10.5.5.5"']],
    [`nobody.${zone}`, 'A', 'no endpoints', undefined, ['NXDOMAIN']],
    [zone, 'A', 'a namespace', undefined, ['NOERROR']],
    [zone, 'TXT', 'a namespace, for TXT', undefined, ['NXDOMAIN']],
    ['svc.cluster.local.', 'A', 'a branch', undefined, ['NOERROR']],
    ['foo.cluster.local.', 'A', 'neither svc nor pod', undefined, ['NXDOMAIN']],
    ['dns-version.cluster.local.', 'TXT', 'the version', undefined, ['NOERROR', 'TXT ["1.1.0"]']],
    ['cluster.local.', 'NS', 'the server', undefined, ['NOERROR', 'NS "ns.dns.cluster.local."']],
    ['ns.dns.cluster.local.', 'A', 'the server', undefined, ['NOERROR', 'A "10.96.0.10"']],
    ['1.0.0.10.in-addr.arpa.', 'PTR', 'a cluster address', undefined, ['NOERROR', `PTR "vip.${zone}"`]],
    ['cluster.local.', 'AXFR', 'a transfer that is not allowed', undefined, ['REFUSED']],
  ] as const)('%s %s: %s', async (name, type, _why, upstream, expected) => {
    expect(await ask(name, type, upstream)).toEqual(expected);
  });

  it('leaves other names to the next plugin', async () => {
    expect(await ask('example.com.', 'A')).toBe('elsewhere');
    expect(await ask('9.9.9.9.in-addr.arpa.', 'PTR')).toBe('elsewhere');
  });

  it('knows the addresses that pod names spell, if it is told to', async () => {
    const pod = '10-1-2-3.testns.pod.cluster.local.';
    expect(await ask(pod, 'A')).toEqual(['NXDOMAIN']);
    expect(await ask(pod, 'A', undefined, { pods: 'insecure' })).toEqual(['NOERROR', 'A "10.1.2.3"']);
  });

  it('follows eleven aliases and no more', async () => {
    const chain = (length: number) =>
      Array.from({ length }, (_, index) => ({
        namespace: 'testns',
        name: `c${index}`,
        type: 'ExternalName',
        externalName: index === length - 1 ? `vip.${zone}` : `c${index + 1}.${zone}`,
      }));
    const settings = { zone: 'cluster.local.', ttl: 5, nameservers: [] };
    const records = async (length: number) => {
      const view = viewOf({ services: [...services, ...chain(length)] });
      const answer = await answerFromCluster({ name: `c0.${zone}`, type: 'A' }, view, settings, async () => undefined);
      return answer === 'elsewhere' ? [] : answer.answer;
    };
    expect(await records(11)).toHaveLength(12);
    expect(await records(12)).toHaveLength(0);
  });
});

async function answered(row: Case): Promise<unknown> {
  const settings: ClusterZoneSettings = { ...row.config, reverse: true, nameservers: ['10.96.0.10'] };
  const view = viewOf(row.zoneData);
  const answer = await answerFromCluster(row.query, view, settings, async ({ name, type }) => {
    const upstream = row.upstream?.[`${name}/${type}`];
    return (
      upstream && {
        ...emptyAnswer(upstream.rcode),
        truncated: upstream.tc ?? false,
        answer: upstream.answer as unknown as DnsRecord[],
      }
    );
  });
  if (answer === 'elsewhere') return 'elsewhere';
  return {
    rcode: answer.rcode,
    aa: answer.authoritative,
    tc: answer.truncated,
    answer: answer.answer.map(flat),
    authority: answer.authority.map(flat),
  };
}

/** The form that records have in the cases: no serial, and the parts of a SOA side by side. */
function flat(record: DnsRecord): Record<string, unknown> {
  const { data, ...head } = record;
  if (record.type !== 'SOA') return { ...head, data };
  const { serial: _, ...parts } = record.data;
  return { ...head, ...parts };
}

function viewOf({ services, synced = true }: Case['zoneData']): ClusterView {
  const entries = services.map((service) => ({ externalName: '', clusterIPs: [], ports: [], ...service }));
  const namespaces = new Set([...services.map((service) => service.namespace), 'testns']);
  return {
    synced,
    serial: 1,
    hasNamespace: (namespace) => namespaces.has(namespace),
    service: (namespace, name) => entries.find((entry) => entry.namespace === namespace && entry.name === name),
    endpoints: () => [],
    serviceByAddress: (address) => entries.find((entry) => entry.clusterIPs.some((ip) => ip === address)),
    endpointsByAddress: () => [],
  };
}
