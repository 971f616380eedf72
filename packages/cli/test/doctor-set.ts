import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { type CertificateAuthority, createCertificateAuthority, LocalCluster } from '@externalname/testing';
import { called } from './called.ts';

/** What `doctor` says as JSON, as far as tests read it. */
export interface Diagnosis {
  readonly code: number;
  readonly healthy: boolean;
  readonly rules: readonly string[];
  readonly stderr: string;
}

/**
 * A cluster with the Service `webscaler-db`, and servers behind its target: what a fault is planted into. Everything that was opened closes
 * with it.
 */
export class DoctorSet {
  readonly cluster: LocalCluster;
  readonly authority: CertificateAuthority;
  readonly folder: string;
  readonly kubeconfig: string;
  readonly #closing: (() => unknown)[] = [];

  private constructor(cluster: LocalCluster, authority: CertificateAuthority, folder: string, kubeconfig: string) {
    this.cluster = cluster;
    this.authority = authority;
    this.folder = folder;
    this.kubeconfig = kubeconfig;
  }

  static async start(): Promise<DoctorSet> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-doctor-'));
    const authority = await createCertificateAuthority({ name: 'Example authority' });
    await writeFile(join(folder, 'ca.pem'), authority.certificate);
    const cluster = await LocalCluster.start({ hosts: { 'primary-db.example.com': ['127.0.0.1'] } });
    return new DoctorSet(cluster, authority, folder, await cluster.writeKubeconfig());
  }

  /** Points the Service to a host, or gives it another spec. */
  async service(spec: string | object = 'primary-db.example.com', metadata: object = {}): Promise<void> {
    const given = typeof spec === 'string' ? { type: 'ExternalName', externalName: spec } : spec;
    await this.cluster.services.apply({
      metadata: { name: 'webscaler-db', namespace: 'default', ...metadata },
      spec: given,
    });
    await this.cluster.dns.caughtUp();
  }

  /** A TLS server with a certificate of the authority. */
  async tlsServer({
    hostNames = ['primary-db.example.com'],
    notBefore,
    notAfter,
    address = '127.0.0.1',
    port = 0,
    ...options
  }: TlsServerOptions = {}): Promise<number> {
    const { certificate: cert, privateKey: key } = await this.authority.issue({ hostNames, notBefore, notAfter });
    return this.listen(createTlsServer({ cert, key, ...options }), address, port);
  }

  /** An HTTPS server that answers with a status, or not at all. */
  async httpsServer(status: number | undefined): Promise<number> {
    const { certificate: cert, privateKey: key } = await this.authority.issue({
      hostNames: ['primary-db.example.com'],
    });
    return this.listen(
      createHttpsServer({ cert, key }, (_, response) => {
        if (status !== undefined) response.writeHead(status).end();
      }),
    );
  }

  /** A server that does with its connections what it is given to do. */
  rawServer(onConnection: Parameters<typeof createServer>[1], address = '127.0.0.1', port = 0): Promise<number> {
    return this.listen(createServer(onConnection), address, port);
  }

  async listen(server: Server, address = '127.0.0.1', port = 0): Promise<number> {
    const sockets = new Set<{ destroy(): void }>();
    server.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
    this.#closing.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    return (server.address() as AddressInfo).port;
  }

  /** A file with a text. */
  async file(name: string, text: string): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, text);
    return path;
  }

  /** What is planted is taken away. */
  async heal(): Promise<void> {
    this.cluster.dns.heal();
    this.cluster.api.heal();
    await this.cluster.api.listening();
    this.cluster.dns.flush();
    for (const close of this.#closing.splice(0)) close();
    this.cluster.hosts.set('primary-db.example.com', ['127.0.0.1']);
    await this.service();
  }

  /** The arguments by which `doctor` finds this set. */
  args(...more: readonly string[]): string[] {
    return [
      'doctor',
      'webscaler-db',
      ...['--kubeconfig', this.kubeconfig, '--nameserver', this.cluster.nameserver],
      ...[
        '--allowed-targets',
        'primary-db.example.com,secondary-db.example.com',
        '--allowed-networks',
        '127.0.0.0/8,::1/128',
      ],
      ...['--ca', join(this.folder, 'ca.pem'), '--timeout', '4'],
      ...more,
    ];
  }

  async diagnose(...more: readonly string[]): Promise<Diagnosis> {
    return diagnose(this.args(...more));
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0)) close();
    await this.cluster.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** See {@link DoctorSet.tlsServer}. */
export interface TlsServerOptions extends TlsOptions {
  readonly hostNames?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly address?: string;
  readonly port?: number;
}

/** Calls `doctor`, and reads what it says. */
export async function diagnose(args: readonly string[], environment: Record<string, string> = {}): Promise<Diagnosis> {
  const { code, stdout, stderr } = await called([...args, '-o', 'json'], { environment });
  if (stdout === '') return { code, healthy: false, rules: [], stderr };
  const { healthy, findings }: { healthy: boolean; findings: { rule: string }[] } = JSON.parse(stdout);
  return { code, healthy, rules: findings.map(({ rule }) => rule), stderr };
}
