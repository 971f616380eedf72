import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { externalNameService } from '@externalname/core/manifests';
import { type CertificateAuthority, createCertificateAuthority, LocalCluster } from '@externalname/testing';

/** Where one of two servers is to be, and with which certificate. */
export interface ServerPlace {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** A folder of its own, gone at the end. It holds `cert.pem`, `key.pem` and `ca.pem`. */
  readonly folder: string;
  readonly certificate: string;
  readonly privateKey: string;
}

/** A Service that leads to `a.example.com`, and may lead to `b.example.com`, with a server at each. */
export interface ServiceOfTwo extends AsyncDisposable {
  readonly port: number;
  readonly ca: string;
  readonly a: ServerPlace;
  readonly b: ServerPlace;
  readonly options: {
    readonly service: string;
    readonly allowedTargets: string[];
    readonly allowedNetworks: string[];
    readonly dns: { nameservers: string[] };
    readonly tls: { ca: string };
  };
  pointToA(): Promise<void>;
  pointToB(): Promise<void>;
}

/** Starts both by `start`, which returns what ends one. Both certificates also have the name `both.example.com`. */
export async function serviceOfTwo(start: (place: ServerPlace) => Promise<() => unknown>): Promise<ServiceOfTwo> {
  const authority = await createCertificateAuthority();
  const port = await freePort();
  const ends: (() => unknown)[] = [];
  const [a, b] = await Promise.all([
    place(authority, 'a.example.com', '127.0.0.71', port),
    place(authority, 'b.example.com', '127.0.0.72', port),
  ]);
  for (const each of [a, b]) ends.push(await start(each));
  const cluster = await LocalCluster.start({
    ttlSeconds: 1,
    services: [externalNameService({ name: 'webscaler-any', externalName: a.name })],
    hosts: { [a.name]: [a.address], [b.name]: [b.address] },
  });
  const pointTo = async (value: string) => {
    await cluster.services.patch('default', 'webscaler-any', [{ op: 'replace', path: '/spec/externalName', value }]);
  };
  return {
    port,
    ca: authority.certificate,
    a,
    b,
    options: {
      service: 'webscaler-any',
      allowedTargets: [a.name, b.name],
      allowedNetworks: ['127.0.0.0/8'],
      dns: { nameservers: [cluster.nameserver] },
      tls: { ca: authority.certificate },
    },
    pointToA: () => pointTo(a.name),
    pointToB: () => pointTo(b.name),
    async [Symbol.asyncDispose]() {
      for (const end of ends) await end();
      await cluster[Symbol.asyncDispose]();
      for (const { folder } of [a, b]) await rm(folder, { recursive: true, force: true });
    },
  };
}

async function place(
  authority: CertificateAuthority,
  name: string,
  address: string,
  port: number,
): Promise<ServerPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'externalname-protocol-'));
  const { certificate, privateKey } = await authority.issue({ hostNames: [name, 'both.example.com'] });
  await writeFile(join(folder, 'cert.pem'), certificate);
  await writeFile(join(folder, 'key.pem'), privateKey);
  await writeFile(join(folder, 'ca.pem'), authority.certificate);
  return { name, address, port, folder, certificate, privateKey };
}

async function freePort(): Promise<number> {
  const probe = net.createServer().listen(0, '127.0.0.71');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Whether a program is installed. Says so if it is not. */
export function hasProgram(name: string): boolean {
  const found = spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
  if (!found) console.log(`skipped: ${name} is not installed here`);
  return found;
}

/** Starts a program, and waits until it listens. Returns what ends it. */
export async function startProgram(
  command: string,
  options: readonly string[],
  at: ServerPlace,
): Promise<() => unknown> {
  const child = spawn(command, options, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  for (let attempts = 0; attempts < 300; attempts++) {
    if (child.exitCode !== null) throw new Error(`${command} has ended:\n${output}`);
    if (await listens(at)) return () => end(child);
    await pause(100);
  }
  await end(child);
  throw new Error(`${command} does not listen:\n${output}`);
}

async function listens({ address, port }: ServerPlace): Promise<boolean> {
  const socket = net.connect(port, address);
  const connected = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return connected;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}
