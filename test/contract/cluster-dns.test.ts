import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { switchTarget } from '@externalname/kubernetes';
import { LocalCluster } from '@externalname/testing';
import type { Packet } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assets } from './clusters.ts';
import { CoreDns } from './control-plane/coredns.ts';
import { ask, transfer } from './control-plane/dns-query.ts';
import { RealControlPlane } from './control-plane/real-control-plane.ts';
import { freePort } from './control-plane/server-process.ts';
import { type UpstreamAnswer, UpstreamDns } from './control-plane/upstream-dns.ts';

interface Row {
  name: string;
  config: {
    zone: string;
    ttl: number;
    multiclusterZone?: string;
    ignoreEmptyService?: boolean;
    namespaces?: string[];
  };
  zoneData: { services: RowService[]; synced?: boolean };
  upstream?: Record<string, UpstreamAnswer>;
  query: { name: string; type: string };
  expect: { rcode: string; aa: boolean; tc: boolean; answer: object[]; authority?: object[] };
}

interface RowService {
  namespace: string;
  name: string;
  type: string;
  externalName?: string;
  clusterIPs?: string[];
  ports?: object[];
}

const table = new URL('../../packages/testing/src/cluster-dns/cases/cluster-dns-answers.json', import.meta.url);
// The tables' cluster addresses, moved into the range that the API server gives out.
const rows = JSON.parse(readFileSync(table, 'utf8').replaceAll('10.0.0.', '10.96.77.')) as Row[];

/** Rows that LocalCluster has no option for; its unit tests hold the zone itself against them. */
const notOffered = (row: Row): string | undefined => {
  if (row.query.type === 'AXFR-ROW') return 'it gives out no zone';
  if (row.config.multiclusterZone) return 'it has no multicluster zone';
  if (row.config.namespaces) return 'it exposes all namespaces';
  if (row.config.ignoreEmptyService) return 'it has no ignore option';
  return row.zoneData.synced === false ? 'it is never out of step with its API' : undefined;
};

let upstream: UpstreamDns;
beforeAll(async () => {
  upstream = await UpstreamDns.start();
});
afterAll(() => upstream?.stop());

describe('LocalCluster answers as the table says', () => {
  const offered = rows.filter((row) => notOffered(row) === undefined);
  it.each(offered.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    upstream.answers = row.upstream ?? {};
    const options = {
      clusterDomain: row.config.zone.replace(/\.$/, ''),
      ttlSeconds: row.config.ttl,
      services: row.zoneData.services.map(serviceOf),
      dns: { forward: upstream.server },
    };
    // Addresses come in random order, as from CoreDNS; the table has them in one.
    await using cluster = await LocalCluster.start(options, { random: () => 0 });
    expect(flat(await ask(cluster.nameserver, row.query.name, row.query.type))).toEqual(expected(row));
  });

  it.skip.each(rows.filter(notOffered).map((row) => [row.name, notOffered(row)]))('not "%s": %s', () => undefined);
});

describe.runIf(assets !== undefined)('CoreDNS answers as the table says', () => {
  let plane: RealControlPlane;
  const servers = new Map<string, Promise<CoreDns>>();
  const namespaces = new Set<string>();
  let markers = 0;

  beforeAll(async () => {
    plane = await RealControlPlane.start(assets ?? '');
    for (const name of ['testns', 'data', 'other', 'marker']) await ensureNamespace(name);
  });
  afterAll(async () => {
    for (const server of await Promise.allSettled(servers.values())) {
      if (server.status === 'fulfilled') await server.value.stop();
    }
    await plane?.stop();
  });

  it.each(rows.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    upstream.answers = row.upstream ?? {};
    const server = await serverFor(row);
    if (row.zoneData.synced === false) {
      expect(flat(await ask(server, row.query.name, row.query.type, 10_000))).toEqual(expected(row));
      return;
    }
    const made = await createServices(row);
    try {
      await untilSeen(server, row);
      if (row.query.type === 'AXFR-ROW') {
        const records = (await transfer(server, row.config.zone)).map(flatRecord);
        expect(records.filter(({ name }) => name === row.query.name)).toEqual(row.expect.answer);
        return;
      }
      expect(flat(await ask(server, row.query.name, row.query.type, 10_000))).toEqual(expected(row));
    } finally {
      for (const path of made) await plane.admin.must('DELETE', path);
    }
  });

  it('shows a switch to switchTarget, which waits for it', async () => {
    const server = await serverFor({ config: { zone: 'cluster.local.', ttl: 5 }, zoneData: {} });
    const service = { namespace: 'testns', name: 'webscaler-db', type: 'ExternalName' };
    await plane.admin.must(
      'POST',
      '/api/v1/namespaces/testns/services',
      serviceOf({ ...service, externalName: 'primary-db.example.com' }),
    );
    const report = await switchTarget({
      service: 'webscaler-db.testns',
      clusterDomain: 'cluster.local',
      to: 'secondary-db.example.com',
      allowedTargets: ['primary-db.example.com', 'secondary-db.example.com'],
      kubeConfig: plane.kubeconfig,
      dnsServers: [server],
    });
    expect(report.dns).toEqual([{ server, elapsedMillis: expect.any(Number) }]);
    expect(report.steps.filter(({ state }) => state !== 'done').map(({ step }) => step)).toEqual(['probe']);
    expect(report.warnings).toEqual([]);
    const answer = flat(await ask(server, 'webscaler-db.testns.svc.cluster.local.', 'CNAME'));
    expect(answer).toMatchObject({ answer: [{ type: 'CNAME', data: 'secondary-db.example.com.' }] });
  });

  async function serverFor({
    config,
    zoneData,
  }: {
    config: Row['config'];
    zoneData: { synced?: boolean };
  }): Promise<string> {
    const key = JSON.stringify([config, zoneData.synced]);
    let server = servers.get(key);
    if (server === undefined) {
      if (config.multiclusterZone) await createServiceImports();
      const kubeconfig = zoneData.synced === false ? await deadKubeconfig() : plane.kubeconfig;
      server = CoreDns.start(assets ?? '', {
        kubeconfig,
        zone: config.zone,
        ttl: config.ttl,
        upstream: upstream.server,
        zones: config.multiclusterZone ? [config.multiclusterZone] : [],
        plugins: ['transfer {', '  to *', '}'],
        settings: [
          ...(config.namespaces ? [`namespaces ${config.namespaces.join(' ')}`] : []),
          ...(config.ignoreEmptyService ? ['ignore empty_service'] : []),
          ...(config.multiclusterZone ? [`multicluster ${config.multiclusterZone}`] : []),
        ],
      });
      servers.set(key, server);
    }
    return (await server).server;
  }

  async function createServices(row: Row): Promise<string[]> {
    const made: string[] = [];
    for (const service of row.zoneData.services) {
      await ensureNamespace(service.namespace);
      const path = `/api/v1/namespaces/${service.namespace}/services`;
      await plane.admin.must('POST', path, serviceOf(service));
      made.push(`${path}/${service.name}`);
    }
    return made;
  }

  /** A Service that is made last is seen last: one watch brings all of them, in order. */
  async function untilSeen(server: string, row: Row): Promise<void> {
    const namespace = row.config.namespaces?.[0] ?? 'marker';
    markers += 1;
    const name = `marker-${markers}`;
    const service = serviceOf({ namespace, name, type: 'ExternalName', externalName: 'seen.example.com' });
    await plane.admin.must('POST', `/api/v1/namespaces/${namespace}/services`, service);
    const fullName = `${name}.${namespace}.svc.${row.config.zone}`;
    for (let end = Date.now() + 30_000; ; ) {
      if ((await ask(server, fullName, 'CNAME'))?.answers?.length === 1) return;
      if (Date.now() > end) throw new Error(`CoreDNS has not seen ${fullName}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async function ensureNamespace(name: string): Promise<void> {
    if (namespaces.has(name)) return;
    namespaces.add(name);
    await plane.admin.must('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }

  /** An API that is not there: CoreDNS gives up waiting for it after five seconds, and knows nothing. */
  async function deadKubeconfig(): Promise<string> {
    const config = JSON.parse(readFileSync(plane.kubeconfig, 'utf8'));
    config.clusters[0].cluster.server = `https://127.0.0.1:${await freePort()}`;
    const path = join(plane.folder, 'kubeconfig-dead');
    await writeFile(path, JSON.stringify(config));
    return path;
  }

  /** The resource that the multicluster zone watches (KEP-1645), as far as it must exist. */
  async function createServiceImports(): Promise<void> {
    await plane.admin.must('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: 'serviceimports.multicluster.x-k8s.io',
        annotations: { 'api-approved.kubernetes.io': 'https://github.com/kubernetes/enhancements/pull/1646' },
      },
      spec: {
        group: 'multicluster.x-k8s.io',
        scope: 'Namespaced',
        names: { plural: 'serviceimports', singular: 'serviceimport', kind: 'ServiceImport' },
        versions: [
          {
            name: 'v1alpha1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
          },
        ],
      },
    });
  }
});

function expected(row: Row) {
  return { ...row.expect, authority: row.expect.authority ?? [] };
}

function serviceOf({ namespace, name, type, externalName, clusterIPs, ports }: RowService) {
  const isDual = (clusterIPs?.length ?? 0) > 1;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: {
      type,
      ...(externalName !== undefined && { externalName }),
      ...(clusterIPs && { clusterIP: clusterIPs[0], clusterIPs }),
      ...(isDual && { ipFamilyPolicy: 'RequireDualStack' }),
      ...(type !== 'ExternalName' && { ports: ports ?? [{ port: 80 }] }),
    },
  };
}

/** The form that the table has: names with a dot at their end, the parts of a SOA side by side, no serial. */
function flat(packet: Packet | undefined) {
  if (packet === undefined) return 'no answer';
  const {
    rcode,
    flag_aa: aa,
    flag_tc: tc,
    answers = [],
    authorities = [],
  } = packet as Packet & {
    rcode: string;
    flag_aa: boolean;
    flag_tc: boolean;
  };
  const [aliases, others] = [answers.filter(isAlias), answers.filter((record) => !isAlias(record))];
  // Addresses may come in any order, as a server balances load by it; aliases are the chain.
  const addresses = others
    .map(flatRecord)
    .sort((one, other) => String(one['data']).localeCompare(String(other['data'])));
  return { rcode, aa, tc, answer: [...aliases.map(flatRecord), ...addresses], authority: authorities.map(flatRecord) };
}

function isAlias({ type }: { type: string }): boolean {
  return type === 'CNAME';
}

function flatRecord(record: NonNullable<Packet['answers']>[number]): Record<string, unknown> {
  const { name, type, ttl, data } = record as { name: string; type: string; ttl: number; data: unknown };
  const head = { name: `${name}.`, type, ttl };
  if (type === 'CNAME') return { ...head, data: `${String(data)}.` };
  if (type !== 'SOA') return { ...head, data };
  const { mname, rname, refresh, retry, expire, minimum } = data as Record<string, unknown>;
  return { ...head, mname: `${mname}.`, rname: `${rname}.`, refresh, retry, expire, minimum };
}
