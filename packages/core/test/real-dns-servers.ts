import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { accessSync, constants, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DnsResolver } from '@externalname/core';

/** The programs of Debian's packages `knot` and `unbound`, or `undefined` with the reason on the console. */
export function findDnsServers(): { knotd: string; knotc: string; unbound: string } | undefined {
  const [knotd, knotc, unbound] = ['knotd', 'knotc', 'unbound'].map(findProgram);
  if (knotd !== undefined && knotc !== undefined && unbound !== undefined) return { knotd, knotc, unbound };
  console.warn('SKIPPED: tests against real DNS servers need knotd and unbound (Debian: apt-get install knot unbound)');
  return undefined;
}

/** Zones by name, each a list of records in the form of a zone file, names relative to the zone. */
export type Zones = Readonly<Record<string, readonly string[]>>;

/**
 * Knot DNS as the authority, and unbound in front of it as the caching resolver of the cluster. Both run unprivileged on loopback
 * addresses, with a configuration of their own in a folder that is removed at the end.
 */
export class RealDnsServers {
  readonly authority: string;
  readonly resolver: string;
  readonly #folder: string;
  readonly #knotc: (...args: string[]) => Promise<void>;
  readonly #processes: readonly ChildProcess[];

  private constructor(
    authority: string,
    resolver: string,
    folder: string,
    knotc: (...args: string[]) => Promise<void>,
    processes: readonly ChildProcess[],
  ) {
    this.authority = authority;
    this.resolver = resolver;
    this.#folder = folder;
    this.#knotc = knotc;
    this.#processes = processes;
  }

  /** `unreachable` are zones whose servers never answer. */
  static async start(
    programs: { knotd: string; knotc: string; unbound: string },
    zones: Zones,
    unreachable: readonly string[],
  ): Promise<RealDnsServers> {
    const folder = await mkdtemp(join(tmpdir(), 'externalname-dns-'));
    const [knotPort, unboundPort, closedPort] = [
      await freePort('127.0.0.31'),
      await freePort('127.0.0.32'),
      await freePort('127.0.0.33'),
    ];
    for (const [zone, records] of Object.entries(zones))
      await writeFile(join(folder, `${zone}.zone`), zoneFile(records));
    const knotConf = join(folder, 'knot.conf');
    const unboundConf = join(folder, 'unbound.conf');
    await writeFile(knotConf, knotConfiguration(folder, knotPort, Object.keys(zones)));
    await writeFile(
      unboundConf,
      unboundConfiguration(folder, unboundPort, knotPort, closedPort, Object.keys(zones), unreachable),
    );
    const processes = [
      start(programs.knotd, ['-c', knotConf], join(folder, 'knot.log')),
      start(programs.unbound, ['-d', '-c', unboundConf], join(folder, 'unbound.out')),
    ];
    const knotc = async (...args: string[]) => {
      await promisify(execFile)(programs.knotc, ['-c', knotConf, '-b', ...args]);
    };
    const servers = new RealDnsServers(`127.0.0.31:${knotPort}`, `127.0.0.32:${unboundPort}`, folder, knotc, processes);
    const [anyZone = ''] = Object.keys(zones);
    try {
      for (const server of [servers.authority, servers.resolver]) await answering(server, anyZone, processes);
    } catch (error) {
      await servers.close();
      throw error;
    }
    return servers;
  }

  /** Puts other records into a zone, as a patch of a Service does. */
  async replace(zone: string, records: readonly string[]): Promise<void> {
    await writeFile(join(this.#folder, `${zone}.zone`), zoneFile(records, Math.floor(Date.now() / 1000)));
    await this.#knotc('zone-reload', zone);
  }

  /** The queries that reached unbound, `A webscaler-db.default.svc.cluster.local`, in the order of its log. */
  async queries(): Promise<string[]> {
    const log = await readFile(join(this.#folder, 'unbound.log'), 'utf8');
    return [...log.matchAll(/info: [\d.]+ (\S+)\. (\S+) IN$/gm)].map(
      (match) => `${match[2]} ${match[1]?.toLowerCase()}`,
    );
  }

  async close(): Promise<void> {
    for (const child of this.#processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function zoneFile(records: readonly string[], serial = 1): string {
  return [
    '$TTL 60',
    `@ 30 IN SOA ns admin ${serial} 7200 1800 86400 5`,
    '@ IN NS ns',
    'ns IN A 127.0.0.31',
    ...records,
    '',
  ].join('\n');
}

function knotConfiguration(folder: string, port: number, zones: readonly string[]): string {
  return [
    'server:',
    `  rundir: "${folder}"`,
    `  listen: 127.0.0.31@${port}`,
    '  udp-workers: 1',
    '  tcp-workers: 1',
    '  background-workers: 1',
    'database:',
    `  storage: "${folder}/db"`,
    'log:',
    '  - target: stderr',
    '    any: warning',
    'template:',
    '  - id: default',
    `    storage: "${folder}"`,
    '    file: "%s.zone"',
    '    zonefile-load: whole',
    '    journal-content: none',
    'zone:',
    ...zones.map((zone) => `  - domain: ${zone}`),
    '',
  ].join('\n');
}

function unboundConfiguration(
  folder: string,
  port: number,
  knotPort: number,
  closedPort: number,
  zones: readonly string[],
  unreachable: readonly string[],
): string {
  const stub = (zone: string, address: string) => ['stub-zone:', `  name: "${zone}"`, `  stub-addr: ${address}`];
  return [
    'server:',
    `  directory: "${folder}"`,
    '  chroot: ""',
    '  username: ""',
    '  pidfile: ""',
    `  interface: 127.0.0.32@${port}`,
    '  access-control: 127.0.0.0/8 allow',
    '  num-threads: 1',
    '  module-config: "iterator"',
    '  do-not-query-localhost: no',
    '  do-ip6: no',
    '  use-syslog: no',
    `  logfile: "${folder}/unbound.log"`,
    '  log-queries: yes',
    '  minimal-responses: no',
    '  infra-keep-probing: yes',
    'remote-control:',
    '  control-enable: no',
    ...zones.flatMap((zone) => stub(zone, `127.0.0.31@${knotPort}`)),
    ...unreachable.flatMap((zone) => stub(zone, `127.0.0.33@${closedPort}`)),
    '',
  ].join('\n');
}

function start(program: string, args: readonly string[], logPath: string): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(logPath);
  log.on('error', () => undefined); // The folder may be gone before the last line.
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  child.once('exit', () => log.end());
  return child;
}

async function answering(server: string, zone: string, processes: readonly ChildProcess[]): Promise<void> {
  const resolver = new DnsResolver({ nameservers: [server], timeoutMillis: 500, attempts: 1, cache: false });
  try {
    for (const until = Date.now() + 20_000; ; await pause(50)) {
      const ended = processes.find((child) => child.exitCode !== null);
      if (ended !== undefined)
        throw new Error(`${ended.spawnfile} ended with code ${ended.exitCode} before it answered`);
      try {
        await resolver.resolve(`ns.${zone}`, { family: 4 });
        return;
      } catch (error) {
        if (Date.now() > until) throw error;
      }
    }
  } finally {
    await resolver.close();
  }
}

/** A port that is free on `address` for UDP and TCP right now. */
async function freePort(address: string): Promise<number> {
  for (;;) {
    const udp = createSocket('udp4');
    udp.bind(0, address);
    await once(udp, 'listening');
    const { port } = udp.address();
    const tcp = createServer();
    try {
      tcp.listen(port, address);
      await once(tcp, 'listening');
      return port;
    } catch {
      // Taken for TCP: try another.
    } finally {
      udp.close();
      tcp.close();
    }
  }
}
