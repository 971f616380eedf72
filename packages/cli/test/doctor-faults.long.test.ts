import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { serviceReaderRole } from '@externalname/core/manifests';
import { createCertificateAuthority, LocalCluster, PostgresPair } from '@externalname/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Diagnosis, DoctorSet, diagnose } from './doctor-set.ts';

let set: DoctorSet;
const opened: { close(): unknown }[] = [];

beforeAll(async () => {
  set = await DoctorSet.start();
  await set.service();
});
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  await set.heal();
});
afterAll(() => set?.close());

const day = 86_400_000;
const host = 'primary-db.example.com';
const fullName = 'webscaler-db.default.svc.cluster.local';

/** With a healthy server behind the target, so that nothing else is wrong. */
const overTls = async (...more: readonly string[]) =>
  set.diagnose('--protocol', 'tls', '--port', String(await set.tlsServer()), ...more);
const atPort = (port: number, ...more: readonly string[]) =>
  set.diagnose('--protocol', 'tls', '--port', String(port), ...more);

/** The arguments without an option and its value. */
function without(args: readonly string[], option: string): string[] {
  const at = args.indexOf(option);
  return args.filter((_, index) => index !== at && index !== at + 1);
}

/** A second cluster, whose DNS says something else. */
async function secondCluster(options: Parameters<typeof LocalCluster.start>[0]): Promise<LocalCluster> {
  const cluster = await LocalCluster.start(options);
  opened.push(cluster);
  return cluster;
}

const webscaler = (externalName: string) => ({
  metadata: { name: 'webscaler-db', namespace: 'default' },
  spec: { type: 'ExternalName', externalName },
});

/** Faults of the Service, names, network, TLS, HTTP and access: what is planted, and the finding that must stand first. */
const faults: readonly (readonly [fault: string, rule: string, planted: () => Promise<Diagnosis>])[] = [
  [
    'the Service is not there',
    'service-missing',
    async () => {
      await set.cluster.objects.delete('v1', 'Service', 'default', 'webscaler-db');
      return set.diagnose();
    },
  ],
  [
    'the Service has a cluster IP',
    'service-type',
    async () => {
      await set.service({ type: 'ClusterIP', ports: [{ port: 5432 }] });
      return set.diagnose();
    },
  ],
  ['an IP address in externalName', 'service-address', () => pointedTo('192.0.2.7')],
  ['the Service points to itself', 'service-self-loop', () => pointedTo(fullName)],
  ['the Service points to loopback', 'service-loopback', () => pointedTo('db.localtest.me')],
  ['the Service points to a metadata service', 'service-sensitive', () => pointedTo('metadata.google.internal')],
  ['a short name in externalName', 'service-single-label', () => pointedTo('primary-db')],
  ['half a Service name in externalName', 'service-partial-name', () => pointedTo('db.payments.svc')],
  [
    'a reserved name in externalName',
    'service-reserved-name',
    async () => {
      set.cluster.hosts.set('primary-db.test', ['127.0.0.1']);
      await set.service('primary-db.test');
      return atPort(await set.tlsServer({ hostNames: ['primary-db.test'] }), '--allowed-targets', 'primary-db.test');
    },
  ],
  [
    'ports in an ExternalName Service',
    'service-ports',
    async () => {
      await set.service({ type: 'ExternalName', externalName: host, ports: [{ port: 5432 }] });
      return overTls();
    },
  ],
  [
    'a selector in an ExternalName Service',
    'service-selector',
    async () => {
      await set.service({ type: 'ExternalName', externalName: host, selector: { app: 'db' } });
      return overTls();
    },
  ],
  [
    'Helm keeps the Service',
    'service-owned',
    async () => {
      await set.service(host, { labels: { 'app.kubernetes.io/managed-by': 'Helm' } });
      return overTls();
    },
  ],
  ['a target that is not on the allow-list', 'target-refused', () => pointedTo('evil.example.org')],
  [
    'no allow-list',
    'allow-list-missing',
    async () => {
      const port = String(await set.tlsServer());
      return diagnose(without(set.args('--protocol', 'tls', '--port', port), '--allowed-targets'));
    },
  ],
  [
    'an address of a metadata service',
    'address-refused',
    async () => {
      set.cluster.hosts.set(host, ['169.254.169.254']);
      return diagnose(without(set.args(), '--allowed-networks'));
    },
  ],
  [
    'DNS is silent',
    'dns-all-silent',
    async () => {
      set.cluster.dns.fault({ kind: 'silent' });
      return set.diagnose();
    },
  ],
  [
    'aliases in a circle',
    'dns-loop',
    async () => {
      set.cluster.hosts.set(host, { records: [{ type: 'CNAME', data: 'other-db.example.com' }] });
      set.cluster.hosts.set('other-db.example.com', { records: [{ type: 'CNAME', data: host }] });
      return set.diagnose();
    },
  ],
  [
    'a target that does not exist',
    'dns-target-missing',
    async () => {
      set.cluster.hosts.delete(host);
      return set.diagnose();
    },
  ],
  [
    'a target without addresses',
    'dns-target-empty',
    async () => {
      set.cluster.hosts.set(host, { records: [{ type: 'TXT', data: 'moved' }] });
      return set.diagnose();
    },
  ],
  [
    'the servers of the target fail',
    'dns-target-failing',
    async () => {
      set.cluster.dns.fault({ kind: 'servfail', name: host });
      return set.diagnose();
    },
  ],
  [
    'cluster DNS does not know the Service',
    'dns-service-missing',
    async () => {
      set.cluster.dns.fault({ kind: 'nxdomain', name: fullName });
      return overTls();
    },
  ],
  [
    'cluster DNS lost its watch',
    'dns-stale',
    async () => {
      set.cluster.dns.fault({ kind: 'stale' });
      await set.cluster.services.apply(webscaler('secondary-db.example.com'));
      set.cluster.hosts.set('secondary-db.example.com', ['127.0.0.1']);
      return atPort(await set.tlsServer({ hostNames: ['secondary-db.example.com'] }));
    },
  ],
  [
    'two DNS servers disagree',
    'dns-disagree',
    async () => {
      const other = await secondCluster({ services: [webscaler(host)], hosts: { [host]: ['127.0.0.9'] } });
      return overTls('--nameserver', other.nameserver);
    },
  ],
  [
    'one of two DNS servers is silent',
    'dns-one-silent',
    async () => {
      const other = await secondCluster({ services: [webscaler(host)], hosts: { [host]: ['127.0.0.1'] } });
      other.dns.fault({ kind: 'silent' });
      return overTls('--nameserver', other.nameserver);
    },
  ],
  [
    'DNS is slow',
    'dns-slow',
    async () => {
      set.cluster.dns.fault({ kind: 'slow', delayMillis: 700 });
      return overTls();
    },
  ],
  [
    'a long TTL',
    'dns-ttl-long',
    async () => {
      const other = await secondCluster({
        services: [webscaler(host)],
        hosts: { [host]: ['127.0.0.1'] },
        ttlSeconds: 300,
      });
      return overTls('--nameserver', other.nameserver);
    },
  ],
  [
    'a search list that is tried in vain',
    'dns-search-waste',
    async () => {
      const file = await set.file('resolv.conf', set.cluster.resolvConf());
      const port = String(await set.tlsServer());
      const args = set.args('--protocol', 'tls', '--port', port, '--resolv-conf', file);
      return diagnose(args.map((arg) => (arg === 'webscaler-db' ? fullName : arg)));
    },
  ],
  [
    'nothing listens',
    'tcp-refused',
    async () => {
      const port = await set.rawServer(() => undefined);
      await set.heal();
      return set.diagnose('--port', String(port));
    },
  ],
  [
    'an address that cannot be connected to',
    'tcp-unreachable',
    async () => {
      // The broadcast address of loopback: the kernel refuses to connect to it, and nothing leaves this machine.
      set.cluster.hosts.set(host, ['127.255.255.255']);
      return atPort(5432);
    },
  ],
  ['a port that swallows packets', 'tcp-silent', async () => atPort(await fullBacklog(), '--timeout', '1')],
  ['a Service that is stored and not valid any more', 'service-invalid', () => stored({ externalName: 'Primary_db' })],
  [
    'one of two addresses is dead',
    'tcp-some-dead',
    async () => {
      set.cluster.hosts.set(host, ['127.0.0.1', '127.0.0.8']);
      return overTls();
    },
  ],
  [
    'the server refuses TLS',
    'tls-not-offered',
    async () =>
      set.diagnose('--port', String(await set.rawServer((socket) => socket.once('data', () => socket.write('N'))))),
  ],
  [
    'the server does not know TLS',
    'tls-not-offered',
    async () => atPort(await set.rawServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))),
  ],
  [
    'the server ends the handshake',
    'tls-broken',
    async () => atPort(await set.rawServer((socket) => socket.once('data', () => socket.destroy()))),
  ],
  [
    'TLS 1.1',
    'tls-protocol-old',
    async () =>
      atPort(await set.tlsServer({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })),
  ],
  [
    'an expired certificate',
    'tls-expired',
    async () =>
      atPort(await set.tlsServer({ notBefore: new Date(Date.now() - 9 * day), notAfter: new Date(Date.now() - day) })),
  ],
  [
    'a certificate for next week',
    'tls-not-yet-valid',
    async () => atPort(await set.tlsServer({ notBefore: new Date(Date.now() + 7 * day) })),
  ],
  [
    'a certificate that expires soon',
    'tls-expires-soon',
    async () => atPort(await set.tlsServer({ notAfter: new Date(Date.now() + 5 * day) })),
  ],
  [
    'a certificate for another host',
    'tls-name',
    async () => atPort(await set.tlsServer({ hostNames: ['other.example.com'] })),
  ],
  [
    'a certificate for the Service',
    'tls-name',
    async () => atPort(await set.tlsServer({ hostNames: ['webscaler-db', fullName] })),
  ],
  [
    'a self-signed certificate',
    'tls-self-signed',
    async () => atPort(await set.tlsServer(await selfSigned(['-addext', `subjectAltName=DNS:${host}`]))),
  ],
  [
    'a certificate with its host in the common name alone',
    'tls-common-name',
    async () => {
      const { cert, key } = await selfSigned([]);
      return atPort(await set.tlsServer({ cert, key }), '--ca', await set.file('common-name.pem', cert));
    },
  ],
  [
    'a certificate without its issuer',
    'tls-chain-incomplete',
    async () => {
      const { certificate: cert, privateKey: key } = await (await createCertificateAuthority()).issue({
        hostNames: [host],
      });
      return atPort(await set.tlsServer({ cert, key }));
    },
  ],
  [
    'an authority that is not trusted',
    'tls-untrusted',
    async () => {
      const authority = await createCertificateAuthority({ name: 'Unknown authority' });
      const { certificate, privateKey: key } = await authority.issue({ hostNames: [host] });
      return atPort(await set.tlsServer({ cert: `${certificate}${authority.certificate}`, key }));
    },
  ],
  [
    'PostgreSQL that hangs once it is asked to log in',
    'postgres-silent',
    async () => {
      const { certificate: cert, privateKey: key } = await set.authority.issue({ hostNames: [host] });
      const open = new Set<Socket>();
      const port = await set.rawServer((socket) => {
        open.add(socket.once('close', () => open.delete(socket)));
        socket.once('data', () => {
          socket.write('S');
          const secureContext = createSecureContext({ cert, key });
          new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => undefined).resume();
        });
      });
      const found = await diagnose(set.args('--port', String(port), '--user', 'app'), { PGPASSWORD: 'secret' });
      // The command can end: no connection to it is left.
      await expect.poll(() => open.size).toBe(0);
      return found;
    },
  ],
  ['status 503', 'http-server-error', () => answering(503)],
  ['status 421', 'http-misdirected', () => answering(421)],
  ['no answer over HTTP', 'http-failed', () => answering(undefined)],
  [
    'the API does not answer',
    'cluster-unreachable',
    async () => {
      set.cluster.api.fault({ kind: 'refusing' });
      return overTls();
    },
  ],
  [
    'a token that the API does not know',
    'cluster-unauthorized',
    async () => {
      const known = await readFile(set.kubeconfig, 'utf8');
      return overTls(
        '--kubeconfig',
        await set.file('unknown.yaml', known.replaceAll(/(token"?: *"?)[^"\s]+/g, '$1nothing')),
      );
    },
  ],
  ['a kubeconfig that is not there', 'cluster-not-configured', () => overTls('--kubeconfig', '/nowhere/kubeconfig')],
  [
    'RBAC forbids to read',
    'access-read',
    async () => overTls('--kubeconfig', await set.cluster.writeKubeconfig({ serviceAccount: 'nobody-special' })),
  ],
  [
    'RBAC forbids to switch',
    'access-switch',
    async () => {
      const subjects = [{ kind: 'ServiceAccount' as const, name: 'reader', namespace: 'default' }];
      for (const object of serviceReaderRole({ service: 'webscaler-db', namespace: 'default', subjects }))
        await set.cluster.objects.apply(object);
      return overTls('--kubeconfig', await set.cluster.writeKubeconfig({ serviceAccount: 'reader' }));
    },
  ],
];

async function pointedTo(target: string): Promise<Diagnosis> {
  await set.service(target);
  return set.diagnose();
}

/** A certificate that no authority has issued. */
async function selfSigned(extensions: readonly string[]): Promise<{ readonly cert: string; readonly key: string }> {
  const [key, cert] = [join(set.folder, 'own-key.pem'), join(set.folder, 'own.pem')];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];
  execFileSync('openssl', [...kind, '-keyout', key, '-out', cert, '-subj', `/CN=${host}`, ...extensions], {
    stdio: 'ignore',
  });
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}

/** A port whose program is stuck and whose queue of connections is full: the kernel drops what else comes, as a firewall does. */
async function fullBacklog(): Promise<number> {
  const stuck = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
    require('node:fs').writeSync(1, String(this.address().port) + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  })`;
  const child = spawn(process.execPath, ['-e', stuck], { stdio: ['ignore', 'pipe', 'inherit'] });
  opened.push({ close: () => child.kill('SIGKILL') });
  const [text] = await once(child.stdout.setEncoding('utf8'), 'data');
  const port = Number(text);
  const sockets = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  opened.push({ close: () => sockets.forEach((socket) => void socket.destroy()) });
  // Two fit into the queue.
  await expect.poll(() => sockets.filter(({ readyState }) => readyState === 'open').length).toBeGreaterThan(1);
  return port;
}

/** An API server with a Service that was stored by an older version, whose rules were others: the real one refuses it today. */
async function stored(spec: object): Promise<Diagnosis> {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'webscaler-db', namespace: 'default', resourceVersion: '1', uid: 'one' },
    spec: { type: 'ExternalName', ...spec },
  };
  const server = createHttpServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    request.resume();
    if (request.method === 'POST') response.writeHead(201).end(JSON.stringify({ status: { allowed: true } }));
    else response.end(JSON.stringify(service));
  });
  const port = await set.listen(server);
  const config = {
    clusters: [{ name: 'old', cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: 'operator', user: {} }],
    contexts: [{ name: 'old', context: { cluster: 'old', user: 'operator' } }],
    'current-context': 'old',
  };
  return set.diagnose('--kubeconfig', await set.file('old.json', JSON.stringify(config)));
}

async function answering(status: number | undefined): Promise<Diagnosis> {
  return set.diagnose('--protocol', 'https', '--port', String(await set.httpsServer(status)));
}

describe('doctor names a planted fault first', () => {
  it.each(faults)('%s: %s', async (_, rule, planted) => {
    const { rules, stderr, code } = await planted();
    expect(stderr).toBe('');
    expect(rules[0]).toBe(rule);
    expect(code).toBe(['service-owned', 'dns-search-waste', 'access-switch'].includes(rule) ? 0 : 1);
  });
});

describe('with a PostgreSQL pair behind the target', () => {
  let pair: PostgresPair;
  let port: string;
  let ca: string;

  beforeAll(async () => {
    pair = await PostgresPair.start({
      parameters: { max_connections: '20' },
      accessRules: ['hostssl all trusted all trust'],
    });
    await pair.primary.query('create role trusted login');
    port = String(pair.port);
    ca = await set.file('pair.pem', pair.ca);
  }, 120_000);
  afterAll(() => pair?.close());

  /** As an operator with the application's login would call it, through a Service that points to a server of the pair. */
  async function asked(
    server: 'primary' | 'standby',
    more: readonly string[] = [],
    environment: Record<string, string> = {},
  ): Promise<Diagnosis> {
    for (const each of pair.servers) set.cluster.hosts.set(each.hostName, [each.address]);
    await set.service(pair[server].hostName);
    const args = set.args('--port', port, '--ca', ca, '--user', 'app', ...more);
    return diagnose(args, { PGPASSWORD: pair.password, ...environment });
  }

  const planted: readonly (readonly [fault: string, rule: string, plant: () => Promise<Diagnosis>])[] = [
    ['a wrong password', 'postgres-password', () => asked('primary', [], { PGPASSWORD: 'wrong' })],
    ['a password that was not given', 'postgres-no-password', () => asked('primary', [], { PGPASSWORD: '' })],
    ['a database that is not there', 'postgres-database', () => asked('primary', ['--database', 'nothing'])],
    ['a role that pg_hba.conf rejects', 'postgres-hba', () => asked('primary', ['--user', 'postgres'])],
    [
      'trust in pg_hba.conf',
      'postgres-authentication',
      () => asked('primary', ['--user', 'trusted', '--database', 'app']),
    ],
    ['a standby behind a Service for writes', 'postgres-standby', () => asked('standby')],
    ['a primary behind a Service for reads', 'postgres-primary', () => asked('primary', ['--role', 'standby'])],
    [
      'a primary that was fenced',
      'postgres-read-only',
      async () => {
        await pair.primary.fence();
        try {
          return await asked('primary');
        } finally {
          await pair.primary.unfence();
        }
      },
    ],
    [
      'a role without connections left',
      'postgres-full',
      async () => {
        await pair.primary.query('alter role app connection limit 0');
        try {
          return await asked('primary');
        } finally {
          await pair.primary.query('alter role app connection limit -1');
        }
      },
    ],
    [
      'a server that is shutting down',
      'postgres-starting',
      async () => {
        // It waits for the last client, and takes no other.
        const last = new pg.Client(pair.connection());
        await last.connect();
        const stopping = pair.primary.stop('smart');
        try {
          const refused = () => new pg.Client(pair.connection()).connect().catch(({ code }) => code);
          await expect.poll(refused).toBe('57P03');
          return await asked('primary');
        } finally {
          await last.end();
          await stopping;
          await pair.primary.start();
        }
      },
    ],
    [
      'nearly no connections left',
      'postgres-nearly-full',
      async () => {
        const clients = Array.from({ length: 15 }, () => new pg.Client(pair.connection()));
        try {
          for (const client of clients) await client.connect();
          return await asked('primary');
        } finally {
          await Promise.all(clients.map((client) => client.end()));
        }
      },
    ],
    [
      'a server that hangs',
      'server-silent',
      async () => {
        await pair.primary.freeze();
        try {
          return await asked('primary');
        } finally {
          await pair.primary.thaw();
        }
      },
    ],
    [
      'one name for a primary and its standby',
      'postgres-mixed',
      async () => {
        const names = pair.servers.map(({ hostName }) => hostName);
        await pair.standby.setCertificate(await pair.authority.issue({ hostNames: names }));
        for (const each of pair.servers)
          set.cluster.hosts.set(
            each.hostName,
            pair.servers.map(({ address }) => address),
          );
        await set.service(pair.primary.hostName);
        return diagnose(set.args('--port', port, '--ca', ca, '--user', 'app', '--role', 'any'), {
          PGPASSWORD: pair.password,
        });
      },
    ],
    [
      'TLS that was turned off',
      'tls-not-offered',
      async () => {
        await pair.primary.setParameters({ ssl: 'off' });
        try {
          return await asked('primary');
        } finally {
          await pair.primary.setParameters({ ssl: 'on' });
        }
      },
    ],
    [
      'a server that was killed',
      'tcp-refused',
      async () => {
        await pair.primary.kill();
        try {
          return await asked('primary');
        } finally {
          await pair.primary.start();
        }
      },
    ],
  ];

  it.each(planted)('doctor names %s first: %s', async (_, rule, plant) => {
    const { rules, stderr, code } = await plant();
    expect(stderr).toBe('');
    expect(rules[0]).toBe(rule);
    expect(code).toBe(1);
  });

  it('finds nothing wrong with the primary, and with a standby for reads', async () => {
    expect(await asked('primary')).toMatchObject({ code: 0, rules: [] });
    expect(await asked('standby', ['--role', 'standby'])).toMatchObject({ code: 0, rules: [] });
  });
});

/** Sets in which nothing is wrong, each in its own way. The pair above adds two. */
const healthy: readonly (readonly [variant: string, asked: () => Promise<Diagnosis>])[] = [
  ['a server with TLS', () => overTls()],
  ['an HTTPS server', () => answering(200)],
  ['an HTTPS server that redirects', () => answering(302)],
  [
    'two DNS servers that agree',
    async () => {
      const other = await secondCluster({ services: [webscaler(host)], hosts: { [host]: ['127.0.0.1'] } });
      return overTls('--nameserver', other.nameserver);
    },
  ],
  [
    'several addresses',
    async () => {
      set.cluster.hosts.set(host, ['127.0.0.1', '127.0.0.2']);
      const port = await set.tlsServer();
      await set.tlsServer({ address: '127.0.0.2', port });
      return atPort(port);
    },
  ],
  [
    'an alias of the provider behind the target',
    async () => {
      set.cluster.hosts.set(host, { records: [{ type: 'CNAME', data: 'db-7.provider.example.net' }] });
      set.cluster.hosts.set('db-7.provider.example.net', ['127.0.0.1']);
      return overTls();
    },
  ],
  ['a wildcard certificate', async () => atPort(await set.tlsServer({ hostNames: ['*.example.com'] }))],
  [
    'a Service by its full name',
    async () => {
      const args = set.args('--protocol', 'tls', '--port', String(await set.tlsServer()));
      return diagnose(args.map((arg) => (arg === 'webscaler-db' ? `${fullName}.` : arg)));
    },
  ],
  [
    'a Service that leads through another Service',
    async () => {
      await set.cluster.services.apply({
        metadata: { name: 'db', namespace: 'payments' },
        spec: { type: 'ExternalName', externalName: host },
      });
      await set.service('db.payments.svc.cluster.local');
      return overTls();
    },
  ],
  [
    'a port without TLS, if that is meant',
    async () => set.diagnose('--protocol', 'tcp', '--port', String(await set.rawServer(() => undefined))),
  ],
  [
    'any target, if that is spelled out',
    async () => {
      await set.service('tertiary-db.example.com');
      set.cluster.hosts.set('tertiary-db.example.com', ['127.0.0.1']);
      const port = String(await set.tlsServer({ hostNames: ['tertiary-db.example.com'] }));
      const args = without(set.args('--protocol', 'tls', '--port', port), '--allowed-targets');
      return diagnose([...args, '--allowed-targets', 'any']);
    },
  ],
];

describe('doctor finds nothing wrong with', () => {
  it.each(healthy)('%s', async (_, look) => {
    expect(await look()).toMatchObject({ code: 0, healthy: true, rules: [], stderr: '' });
  });
});
