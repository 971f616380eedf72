import { randomInt } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { describe, expect, it } from 'vitest';
import { isInstalled, Running, run } from './tools/programs.ts';
import { switchPatch, webscalerDb } from './tools/webscaler.ts';

const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--map-root-user', '--mount'];

// A resolv.conf of its own needs a mount namespace, and a resolv.conf knows no port but 53.
const canBindResolvConf = await hasMountNamespaces();
const hasPython = isInstalled('python3');
const hasPsql = isInstalled('psql');
const hasKubectl = isInstalled('kubectl', ['version', '--client']);
if (!canBindResolvConf) console.warn('no mount namespace can be made here: tests with a resolv.conf are skipped');
if (!hasPython) console.warn('python3 is not installed: its test is skipped');
if (!hasPsql) console.warn('psql is not installed: its test is skipped');

const bin = fileURLToPath(new URL('../src/bin.ts', import.meta.url));
const command = ['--conditions=@externalname/source', '--import', 'tsx', bin];
const manifest = fileURLToPath(new URL('./fixtures/webscaler-db.yaml', import.meta.url));

describe('the local-cluster command', () => {
  const start = (...args: string[]) => new Running(process.execPath, [...command, ...args]);
  const ready = async (cluster: Running) => {
    await cluster.prints(/is ready[\s\S]*Try it:[\s\S]*\n/);
    const value = (name: string) => new RegExp(`^ +${name} +(\\S+)`, 'm').exec(cluster.printed)?.[1] ?? '';
    return {
      kubeconfig: value('kubeconfig'),
      resolvConf: value('resolv.conf'),
      dns: value('DNS'),
      url: value('Kubernetes API'),
    };
  };

  it('prints the kubeconfig, the resolver and a resolv.conf, and leaves nothing after Ctrl-C', async () => {
    await using cluster = start('-f', manifest, '--host', 'primary-db.example.com=127.0.0.11');
    const { kubeconfig, resolvConf, dns, url } = await ready(cluster);
    const conf = await run('cat', [resolvConf]);
    expect(conf.stdout).toMatch(/^nameserver 127\.\d+\.\d+\.\d+\nsearch default.svc.cluster.local /);
    expect(conf.stdout).toContain(dns.replace(/:\d+$/, ''));
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await cluster.end('SIGINT')).toBe(0);
    expect((await run('ls', [kubeconfig, resolvConf])).code).not.toBe(0);
  });

  it('says what is wrong with its arguments, with code 2', async () => {
    await using cluster = start('--ttl', 'soon');
    await cluster.prints(/local-cluster: --ttl: must be a whole number from 0 to 3600, got the string "soon"/);
    expect(await cluster.ended()).toBe(2);
  });

  it.skipIf(!canBindResolvConf || !hasPython || !hasKubectl)(
    'gives Python the new address after a switch',
    async () => {
      const hosts = ['--host', 'primary-db.example.com=127.0.0.11', '--host', 'secondary-db.example.com=127.0.0.12'];
      await using cluster = start('-f', manifest, ...hosts);
      const { kubeconfig, resolvConf } = await ready(cluster);
      const lookup = 'import socket; print(socket.gethostbyname("webscaler-db"))';
      expect((await inPod(resolvConf, ['python3', '-c', lookup])).stdout).toBe('127.0.0.11\n');
      await run('kubectl', ['patch', 'service', 'webscaler-db', '--type=json', `-p=${switchPatch}`], {
        env: { KUBECONFIG: kubeconfig },
      });
      expect((await inPod(resolvConf, ['python3', '-c', lookup])).stdout).toBe('127.0.0.12\n');
    },
  );

  it.skipIf(!canBindResolvConf || !hasPsql || !hasKubectl)('sends psql to the new server after a switch', async () => {
    const hosts = ['--host', 'primary-db.example.com=127.0.0.11', '--host', 'secondary-db.example.com=127.0.0.12'];
    await using cluster = start('-f', manifest, ...hosts);
    const { kubeconfig, resolvConf } = await ready(cluster);
    // Nothing listens there; the refusal names the address that libpq found.
    const connect = async () =>
      (await inPod(resolvConf, ['psql', '-h', 'webscaler-db', '-p', '15431', '-c', 'select 1'])).stderr;
    expect(await connect()).toContain('"webscaler-db" (127.0.0.11), port 15431 failed');
    await run('kubectl', ['patch', 'service', 'webscaler-db', '--type=json', `-p=${switchPatch}`], {
      env: { KUBECONFIG: kubeconfig },
    });
    expect(await connect()).toContain('"webscaler-db" (127.0.0.12), port 15431 failed');
  });
});

describe.skipIf(!canBindResolvConf || !hasPsql || !hasKubectl)('a failover of PostgreSQL', () => {
  it('is followed by psql through the name of the Service', { timeout: 60_000 }, async () => {
    await using pair = await PostgresPair.start();
    await using cluster = await LocalCluster.start({
      services: [webscalerDb],
      hosts: pair.hosts,
      dns: { address: randomAddress(), port: 53 },
    });
    const folder = await mkdtemp(join(tmpdir(), 'psql-test-'));
    try {
      const resolvConf = join(folder, 'resolv.conf');
      await writeFile(resolvConf, cluster.resolvConf());
      const connection = `host=webscaler-db port=${pair.port} user=${pair.user} dbname=${pair.database} sslmode=require`;
      const ask = async () => {
        const psql = ['psql', connection, '-tAc', 'select inet_server_addr(), pg_is_in_recovery()'];
        return (await inPod(resolvConf, ['env', `PGPASSWORD=${pair.password}`, ...psql])).stdout;
      };
      const { 'primary-db.example.com': first, 'secondary-db.example.com': second } = pair.addresses;
      expect(await ask()).toBe(`${first}|f\n`);
      await pair.primary.kill();
      await pair.standby.promote();
      await run('kubectl', ['patch', 'service', 'webscaler-db', '--type=json', `-p=${switchPatch}`], {
        env: { KUBECONFIG: await cluster.writeKubeconfig() },
      });
      expect(await ask()).toBe(`${second}|f\n`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** Runs a program that sees this resolv.conf, in a mount namespace of its own. */
function inPod(resolvConf: string, program: readonly string[]) {
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  return run('unshare', [...namespace, 'sh', '-c', script, resolvConf, ...program]);
}

function randomAddress(): string {
  return `127.${64 + randomInt(64)}.${randomInt(256)}.${1 + randomInt(254)}`;
}

async function hasMountNamespaces(): Promise<boolean> {
  if (process.platform !== 'linux' || !isInstalled('unshare')) return false;
  const script =
    "mount --bind /etc/hosts /etc/resolv.conf && node -e \"require('net').createServer().listen(53, '127.77.0.1', () => process.exit(0)).on('error', () => process.exit(1))\"";
  return (await run('unshare', [...namespace, 'sh', '-c', script])).code === 0;
}
