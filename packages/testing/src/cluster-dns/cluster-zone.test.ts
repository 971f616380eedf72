import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ClusterView, ServiceEntry } from './cluster-view.ts';
import { answerFromCluster, type ClusterZoneSettings, transferCluster } from './cluster-zone.ts';
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

async function answered(row: Case): Promise<unknown> {
  const settings: ClusterZoneSettings = { ...row.config, reverse: true, nameservers: ['10.96.0.10'] };
  const view = viewOf(row.zoneData);
  if (row.query.type === 'AXFR-ROW') {
    const rows = transferCluster(view, settings).filter((record) => record.name === row.query.name);
    return { rcode: 'NOERROR', aa: true, tc: false, answer: rows.map(flat), authority: [] };
  }
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
    services: () => entries,
    endpoints: () => [],
    serviceByAddress: (address) => entries.find((entry) => entry.clusterIPs.some((ip) => ip === address)),
    endpointsByAddress: () => [],
  };
}
