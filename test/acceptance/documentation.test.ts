import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DnsResolver, type Endpoint } from '@externalname/core';
import { Pool } from '@externalname/pg';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CodeBlock, codeBlocks, root } from '../docs/code-blocks.ts';
import { place } from '../docs/pod/place.ts';

/** Pages (or folders of them) and blocks (by the first name that only they have) that do not run here, and why. */
const notHere: readonly (readonly [page: string, mark: string, reason: string])[] = [
  ['docs/libraries/', '', 'each library has its test: pnpm test:compat'],
  ['docs/guides/protocols.md', '', 'each protocol has its test: pnpm test:compat'],
  ['docs/guides/http.md', 'await fetch(', 'needs an HTTPS server: examples/httpbin'],
  ['docs/guides/http.md', 'https.get(', 'the same'],
  ['packages/http/README.md', 'await fetch(', 'the same'],
  [
    'packages/prometheus/README.md',
    "'prom-client'",
    'a registry has one collector, and the guide to monitoring shows it here',
  ],
  ['docs/guides/local-cluster.md', 'vitest', 'a test of examples/local-cluster'],
  ['docs/guides/local-cluster.md', 'node:test', 'a test of examples/local-cluster'],
  ['docs/guides/local-cluster.md', 'kubectl', 'needs kubectl'],
  ['docs/guides/postgres-pair.md', 'failover.test', 'failover-guide.long.test.ts'],
  ['docs/guides/dns.md', 'http.Agent', 'leaves sockets to its reader'],
  ['docs/guides/tls-identity.md', 'httpbin.org', 'a host of the internet'],
  [
    'docs/guides/switch.md',
    'postgresProbe',
    'its probes use plain pg, which finds no host here: switch.test.ts of kubernetes',
  ],
  ['packages/kubernetes/README.md', 'postgresProbe', 'the same'],
  [
    'packages/kubernetes/README.md',
    'inspectTls',
    'asks a cluster and a server that are not here: inspect.test.ts of kubernetes',
  ],
  ['docs/guides/drill.md', 'runDrill', 'documentation.long.test.ts: a second drill; that of packages/drill runs here'],
  ['docs/guides/engines.md', 'followEngine', 'needs Patroni: pnpm test:engines'],
  ['packages/engines/README.md', 'followEngine', 'the same'],
  ['packages/kubernetes/README.md', 'inspectTls(', 'needs a server there: inspect.test.ts of kubernetes'],
  ['packages/pg/README.md', '/etc/ssl', 'reads a file of its reader'],
];
const blocks = codeBlocks(['ts']).filter(
  ({ page, code }) => !notHere.some(([at, mark]) => page.startsWith(at) && code.includes(mark)),
);

describe('the code in the documentation runs, as in a pod', () => {
  const folder = join(root, 'test/docs/.shown');
  let pair: PostgresPair;
  let cluster: LocalCluster;
  let pool: Pool;
  let resolver: DnsResolver;

  beforeAll(async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'webscaler-db.yaml'), manifest);
    pair = await PostgresPair.start();
    cluster = await LocalCluster.start({
      services: ['default', 'shop'].map((namespace) => ({
        metadata: { name: 'webscaler-db', namespace },
        spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
      })),
      hosts: pair.hosts,
    });
    const dns = { nameservers: [cluster.nameserver] };
    const allowedNetworks = ['127.0.0.0/8', '::1/128'];
    const { user, password, database, ca, port } = pair;
    Object.assign(place, {
      dns,
      allowedNetworks,
      connection: { dns, allowedNetworks, port, user, password, database, ssl: { ca }, max: 2 },
    });
    vi.stubEnv('KUBECONFIG', await cluster.writeKubeconfig());
    vi.stubEnv('PGPASSWORD', password);
    vi.stubEnv('EXTERNALNAME_ALLOWED_TARGETS', 'primary-db.example.com,secondary-db.example.com');
    pool = new Pool({ ...place.connection, service: 'webscaler-db', allowedTargets: ['*.example.com'] });
    await pool.query(tables);
    resolver = new DnsResolver(dns);
    const address = pair.primary.address;
    const endpoint = { address, family: 4, port, hostname: pair.primary.hostName } as unknown as Endpoint;
    // What the pages take as given: test/docs/given/pages.d.ts.
    // A request comes at once.
    const app = { use: ignore, get: (_: string, handler: (...of: unknown[]) => void) => handler({}, { end: ignore }) };
    const given = { ca, id: '7', amount: 5, queue: [], review: [], page: ignore, app, pool, cluster, pair, resolver };
    for (const [name, value] of Object.entries({ ...given, endpoints: [endpoint], connect: dial })) {
      vi.stubGlobal(name, value);
    }
  }, 120_000);

  afterAll(async () => {
    vi.unstubAllGlobals();
    vi.unstubAllEnvs();
    await pool?.end();
    await resolver?.close();
    await cluster?.close();
    await pair?.close();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = 0;
  });

  it.each(blocks.map((block) => [`${block.page}:${block.line}`, block] as const))('%s', async (_, block) => {
    vi.spyOn(console, 'log').mockImplementation(ignore);
    const file = join(folder, `${block.page.replaceAll(/\W/g, '-')}-${block.line}.ts`);
    await writeFile(file, asInAPod(block, { folder, port: pair.port }));
    await import(/* @vite-ignore */ file);
  });

  it('names no block as one that does not run that is not there', () => {
    const all = codeBlocks(['ts', 'js']);
    const gone = notHere.filter(
      ([at, mark]) => !all.some(({ page, code }) => page.startsWith(at) && code.includes(mark)),
    );
    expect(gone).toEqual([]);
  });
});

/** The same code, with the packages and the port that a pod would have, and files where they are. */
function asInAPod({ code }: CodeBlock, here: { readonly folder: string; readonly port: number }): string {
  const pod = join(root, 'test/docs/pod');
  return code
    .replace(/from '@externalname\/(core|doctor|pg)'/g, (_, name: string) => `from '${join(pod, `${name}.ts`)}'`)
    .replace("'webscaler-db.yaml'", `'${join(here.folder, 'webscaler-db.yaml')}'`)
    .replace(/\bport: 5432\b/g, `port: ${here.port}`);
}

async function dial({ address, port }: Endpoint) {
  const socket = connect({ host: address, port });
  socket.unref();
  return socket;
}

function ignore(): void {}

const manifest = `apiVersion: v1
kind: Service
metadata: { name: webscaler-db, namespace: default }
spec: { type: ExternalName, externalName: primary-db.example.com }
`;

const tables = `
  create table customers (id integer primary key, orders integer not null);
  insert into customers values (7, 0);
  create table orders (id serial primary key, customer integer);
  create table payments (id text primary key, amount integer);
  create function run_due_jobs() returns void language sql as '';`;
