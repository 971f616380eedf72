import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { externalNameService, parseManifests } from '@externalname/core/manifests';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { longFlag } from '../src/command.ts';
import { followCommand } from '../src/commands/follow.ts';
import { Interrupted } from '../src/exit-codes.ts';
import { followingOf } from '../src/following/options.ts';
import { called } from './called.ts';
import { commandContext } from './command-context.ts';

const pair = ['-t', 'db-1=primary-db.example.com', '-t', 'db-2=secondary-db.example.com', '--user', 'follower'];
const patroni = [
  '-e',
  'patroni',
  '--scope',
  'webscaler',
  '--member',
  'https://db-1.example.com:8008,https://db-2.example.com:8008',
];

let folder: string;
let cluster: LocalCluster;
let environment: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'externalname-follow-'));
  cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
  });
  environment = { KUBECONFIG: await cluster.writeKubeconfig() };
});
afterAll(async () => {
  await cluster?.close();
  await rm(folder, { recursive: true, force: true });
});

/** The engine and the options of a command line, by the names that options have in the code. */
function following(
  given: Readonly<Record<string, string | readonly string[]>>,
  more: Readonly<Record<string, string>> = {},
) {
  const { context } = commandContext(followCommand, given, {
    args: ['webscaler-db'],
    environment: { ...environment, ...more },
  });
  return followingOf(context as Parameters<typeof followingOf>[0]);
}

const targets = { target: ['db-1=primary-db.example.com', 'db-2=secondary-db.example.com'], user: 'follower' };

describe('follow takes', () => {
  it.each([
    [
      'patroni webscaler',
      {
        engine: 'patroni',
        scope: 'webscaler',
        member: ['https://db-1.example.com:8008', 'https://db-2.example.com:8008'],
      },
    ],
    ['patroni webscaler', { engine: 'patroni', scope: 'webscaler', etcd: 'https://etcd-1.example.com:2379' }],
    ['patroni webscaler', { engine: 'patroni', scope: 'webscaler', objects: 'endpoints', engineNamespace: 'db' }],
    ['cnpg webscaler', { engine: 'cnpg', cluster: 'db/webscaler' }],
    ['cnpg db-1, db-2', { engine: 'cnpg', cluster: ['db-1=db/webscaler', 'db-2=webscaler@/etc/clusters/west.yaml'] }],
    [
      'pg_auto_failover default/3',
      { engine: 'pg-auto-failover', monitor: 'postgres://follower@monitor.example.com/pg_auto_failover', group: '3' },
    ],
    ['aurora one.example.com', { engine: 'aurora', instance: ['one.example.com', 'two.example.com'] }],
    ['multi-az one.example.com', { engine: 'multi-az', instance: 'one.example.com,two.example.com' }],
    ['sql db-1, db-2', { engine: 'sql' }],
  ])('the engine %s: %o', async (name, given) => {
    await using made = await following({ ...given, ...targets });
    expect(made.engine.name).toBe(name);
    expect(made.options).toMatchObject({
      service: 'webscaler-db',
      targets: { 'db-1': 'primary-db.example.com', 'db-2': 'secondary-db.example.com' },
      dryRun: false,
      lease: {},
    });
  });

  it('the monitor from the variable of pg_auto_failover, which may hold a password', async () => {
    const monitor = 'postgres://follower:secret@monitor.example.com:6000/pg_auto_failover';
    await using made = await following({ engine: 'pg-auto-failover', ...targets }, { PG_AUTOCTL_MONITOR: monitor });
    expect(made.engine.name).toBe('pg_auto_failover default/0');
  });

  it('what the Deployment to copy gives it', async () => {
    const text = readFileSync(resolve(import.meta.dirname, '../../engines/deploy/follower.yaml'), 'utf8');
    const deployment = parseManifests(text).find(({ kind }) => kind === 'Deployment') as unknown as Deployment;
    const [container] = deployment.spec.template.spec.containers;
    const [command, service, ...options] = container?.args ?? [];
    expect([command, service]).toEqual(['follow', 'webscaler-db']);
    const file = join(folder, 'ca.pem');
    await writeFile(file, 'a certificate');
    const given: Record<string, string[]> = {};
    for (const option of options) {
      const [, flag, value = ''] = /^(--[\w-]+)=(.+)$/.exec(option) ?? [];
      const [key = ''] = Object.entries(followCommand.options).find(([, { flags }]) => longFlag(flags) === flag) ?? [];
      given[key] = [...(given[key] ?? []), value.replace('/etc/externalname/ca.pem', file)];
    }
    await using made = await following(given, { PGUSER: 'follower', PGDATABASE: 'app', PGPASSWORD: 'secret' });
    expect(made.engine.name).toBe('patroni webscaler');
    expect(given['health']).toEqual([String(container?.ports[0]?.containerPort)]);
  });
});

interface Deployment {
  spec: { template: { spec: { containers: { args: string[]; ports: { containerPort: number }[] }[] } } };
}

describe('follow refuses', () => {
  const refused = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    called(['follow', 'webscaler-db', ...args], { environment: { ...environment, ...more }, stdin: '' });

  it.each([
    ['no engine', pair, '--engine: must be given'],
    ['no target', [...patroni, '--user', 'follower'], '--target: must be given'],
    [
      'a target without a member',
      [...patroni, ...pair, '-t', 'primary-db.example.com'],
      '--target: must name a member',
    ],
    ['a member twice', [...patroni, ...pair, '-t', 'db-1=other.example.com'], '--target: must name each member once'],
    ['a target that is not a host', [...patroni, '--user', 'x', '-t', 'db-1=not a host'], 'targets.db-1'],
    ['no account', [...patroni, '-t', 'db-1=primary-db.example.com'], '--user: must be given'],
    [
      'an option of another engine',
      [...patroni, ...pair, '--cluster', 'db/webscaler'],
      '--cluster: is for cnpg, not for patroni',
    ],
    [
      'Patroni without its scope',
      ['-e', 'patroni', '--member', 'https://db-1.example.com:8008', ...pair],
      '--scope: must be given',
    ],
    ['Patroni from two places', [...patroni, ...pair, '--objects', 'endpoints'], 'only one of them'],
    [
      'one member alone',
      ['-e', 'patroni', '--scope', 'x', '--member', 'https://db-1.example.com:8008', ...pair],
      'two members or more',
    ],
    [
      'a Cluster without a name',
      ['-e', 'cnpg', '--cluster', 'db/', ...pair],
      '--cluster: must be [namespace/]name[@kubeconfig]',
    ],
    ['one Cluster of a topology', ['-e', 'cnpg', '--cluster', 'db-1=webscaler', ...pair], 'two Clusters or more'],
    ['no monitor', ['-e', 'pg-auto-failover', ...pair], '--monitor: must be given'],
    [
      'a file that is not there',
      [...patroni, ...pair, '--engine-ca', '/nowhere/ca.pem'],
      '--engine-ca: must be a file in PEM',
    ],
    ['a health port that is not one', [...patroni, ...pair, '--health', 'localhost:8080'], '--health: must be a port'],
    [
      'a Lease that is too short',
      [...patroni, ...pair, '--lease-duration', '1s'],
      '--lease-duration: must be a time from 3s',
    ],
  ])('%s', async (_, args, message) => {
    expect(await refused(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  });

  it('a password on the command line, and does not repeat it', async () => {
    const monitor = 'postgres://follower:secret@monitor.example.com/pg_auto_failover';
    const { code, stderr } = await refused(['-e', 'pg-auto-failover', '--monitor', monitor, ...pair]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('must not hold a password') });
    expect(stderr).not.toContain('secret');
  });

  it('a target that the applications do not allow', async () => {
    const allowed = { EXTERNALNAME_ALLOWED_TARGETS: 'primary-db.example.com' };
    expect(await refused([...patroni, ...pair], allowed)).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('secondary-db.example.com'),
    });
  });

  it('a health port that another process has', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => taken.once('listening', done));
    const { port } = taken.address() as { port: number };
    try {
      const args = ['follow', 'webscaler-db', ...patroni, ...pair, '--no-lease', '--health', `127.0.0.1:${port}`];
      const { code, stderr } = await called(args, { environment, stdin: '' });
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('EADDRINUSE') });
    } finally {
      await new Promise((done) => taken.close(done));
    }
  });
});

describe('follow, on real servers', () => {
  let servers: PostgresPair;
  let local: LocalCluster;

  beforeAll(async () => {
    servers = await PostgresPair.start();
    local = await LocalCluster.start({
      services: [externalNameService({ name: 'webscaler-db', externalName: servers.primary.hostName })],
      hosts: servers.hosts,
    });
    await writeFile(join(folder, 'pair.pem'), servers.ca);
  }, 60_000);
  afterAll(async () => {
    await local?.close();
    await servers?.close();
  });

  const target = async () => {
    const service = await local.services.get('default', 'webscaler-db');
    return (service?.['spec'] as { externalName?: string } | undefined)?.externalName;
  };
  const holder = async () => {
    const lease = await local.objects
      .get('coordination.k8s.io/v1', 'Lease', 'default', 'webscaler-db-follower')
      .catch(() => undefined);
    return (lease as { spec?: { holderIdentity?: string } } | undefined)?.spec?.holderIdentity;
  };

  /** A follower that runs until it is ended. */
  async function running(args: readonly string[], columns?: number) {
    const [one, other] = servers.servers.map(({ hostName }) => hostName);
    const interruption = new AbortController();
    const kubeconfig = await local.writeKubeconfig();
    let shown = '';
    const over = called(
      [
        'follow',
        'webscaler-db',
        '-e',
        'sql',
        '--poll',
        '50ms',
        '-t',
        `one=${one}`,
        '-t',
        `other=${other}`,
        '-s',
        local.nameserver,
        ...args,
      ],
      {
        environment: {
          KUBECONFIG: kubeconfig,
          PGUSER: servers.user,
          PGPASSWORD: servers.password,
          PGDATABASE: servers.database,
          PGPORT: String(servers.port),
          PGSSLROOTCERT: join(folder, 'pair.pem'),
          NO_COLOR: '1',
        },
        ...(columns === undefined ? { stdin: '' } : { columns }),
        signal: interruption.signal,
        onOutput: (text) => {
          shown += text;
        },
      },
    );
    const end = () => {
      interruption.abort(new Interrupted('SIGINT'));
      return over;
    };
    onTestFinished(async () => {
      await end();
    });
    return { shown: () => shown, end };
  }

  it('switches the Service to the new leader, says so, answers probes and Prometheus, and leaves nothing behind', async () => {
    const port = await freePort();
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    const follower = await running(['-o', 'json', '--identity', 'replica-1', '--health', `127.0.0.1:${port}`]);
    await expect.poll(() => ask('/readyz').catch(() => undefined), { timeout: 15_000 }).toMatchObject({ status: 200 });
    expect(await ask('/healthz')).toMatchObject({ status: 200 });
    expect(await ask('/elsewhere')).toMatchObject({ status: 404 });
    expect(await holder()).toBe('replica-1');
    const to = servers.standby.hostName;
    await servers.switchover();
    await expect.poll(target, { timeout: 15_000 }).toBe(to);
    await expect.poll(async () => (await ask('/readyz')).status).toBe(200);
    const { text } = await ask('/metrics');
    const labels = 'external_service="webscaler-db.default.svc.cluster.local",engine="sql one, other"';
    expect(text).toContain(`externalname_follower_switches_total{${labels},result="switched"} 1`);
    expect(text).toContain(`externalname_follower_leader_info{${labels},member="other"} 1`);
    const { code, stdout, stderr } = await follower.end();
    expect(code).toBe(130);
    expect(stderr).toContain('are served on port');
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(told).toContainEqual(expect.objectContaining({ event: 'engine', state: 'leader', member: 'one' }));
    expect(told).toContainEqual(expect.objectContaining({ event: 'lease', identity: 'replica-1', held: true }));
    expect(told).toContainEqual(expect.objectContaining({ event: 'switched', to, member: 'other' }));
    expect(stdout).not.toContain(servers.password);
    expect(await holder()).toBe('');
    await expect(ask('/healthz')).rejects.toThrow();
  }, 60_000);

  it('is not ready while a guard holds, and says which on a terminal', async () => {
    await servers.primary.stop();
    try {
      const port = await freePort();
      const follower = await running(['--no-lease', '--health', `127.0.0.1:${port}`], 100);
      await expect.poll(follower.shown, { timeout: 15_000 }).toMatch(/held +not switched: unlocked/);
      const response = await fetch(`http://127.0.0.1:${port}/readyz`);
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ ready: false, hold: { reason: 'unlocked' } });
      const { code, stdout } = await follower.end();
      expect(code).toBe(130);
      expect(stdout).toMatch(/engine +heard \d+ ms ago: no leader to follow \(unlocked\)/);
      expect(stdout.endsWith('\u001b[J')).toBe(true);
    } finally {
      await servers.primary.start();
    }
  }, 60_000);

  it('only tells what it would do in a dry run', async () => {
    const from = await target();
    const away = servers.servers.find(({ hostName }) => hostName !== from)?.hostName ?? '';
    await local.services.patch('default', 'webscaler-db', [{ op: 'replace', path: '/spec/externalName', value: away }]);
    const follower = await running(['--dry-run']);
    await expect.poll(follower.shown, { timeout: 15_000 }).toContain(`would be: ${away} -> ${from}`);
    await follower.end();
    expect(await target()).toBe(away);
    expect(await holder()).toBe('');
  }, 60_000);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}
