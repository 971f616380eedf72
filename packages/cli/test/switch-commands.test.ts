import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Readable } from 'node:stream';
import type { PlannedSwitch } from '@externalname/core';
import { externalNameService } from '@externalname/core/manifests';
import { kubernetesSource } from '@externalname/kubernetes';
import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { called } from './called.ts';

let cluster: LocalCluster;
let database: Server;
let environment: Record<string, string>;
let probing: readonly string[];

beforeEach(async () => {
  // What accepts connections stands for both databases. The ones with PostgreSQL are in switch.long.test.ts.
  database = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(database, 'listening');
  cluster = await LocalCluster.start({
    services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
    hosts: { 'primary-db.example.com': ['127.0.0.1'], 'secondary-db.example.com': ['127.0.0.1'] },
  });
  environment = {
    KUBECONFIG: await cluster.writeKubeconfig(),
    EXTERNALNAME_ALLOWED_TARGETS: 'primary-db.example.com,secondary-db.example.com',
  };
  probing = ['-p', String((database.address() as AddressInfo).port), '-s', cluster.nameserver, '--no-tls'];
});
afterEach(async () => {
  await cluster.close();
  database.close();
});

const pipe = (args: readonly string[], more: Record<string, string> = {}) =>
  called(args, { environment: { ...environment, ...more }, stdin: '' });
const target = async () => {
  const service = await cluster.services.get('default', 'webscaler-db');
  return (service?.['spec'] as { externalName?: string } | undefined)?.externalName;
};
const toSecondary = ['switch', 'webscaler-db', '--to', 'secondary-db.example.com'];

describe('switch, rollback and history in a pipe', () => {
  it('switch, and back again, and say who did what', async () => {
    const there = await pipe([
      ...toSecondary,
      '--yes',
      '--reason',
      'region down',
      '--by',
      'on-call',
      '--dns-server',
      cluster.nameserver,
      ...probing,
    ]);
    expect(there).toMatchObject({ code: 0, stderr: '' });
    expect(there.stdout).toContain('default/webscaler-db points to secondary-db.example.com now.');
    expect(there.stdout).toMatch(/^ {2}dns {6}done .* after \d+ ms$/m);
    expect(await target()).toBe('secondary-db.example.com');

    const back = await pipe(['rollback', 'webscaler-db', '--yes', '-o', 'json', ...probing]);
    expect(JSON.parse(back.stdout)).toMatchObject({ result: 'switched', to: 'primary-db.example.com' });
    expect(await target()).toBe('primary-db.example.com');

    const { stdout } = await pipe(['history', 'webscaler-db']);
    expect(stdout).toMatch(
      /secondary-db\.example\.com -> primary-db\.example\.com\n.*\n.*primary-db\.example\.com -> secondary-db\.example\.com\n *by on-call: region down/,
    );
  });

  it('refuse to switch without a terminal and without --yes, before anything is asked', async () => {
    const { code, stderr } = await pipe([...toSecondary, ...probing], { KUBECONFIG: '/nowhere' });
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
  });

  it('change nothing in a dry run', async () => {
    const { code, stdout } = await pipe([...toSecondary, '--dry-run', '-o', 'yaml', ...probing]);
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('result: dry-run') });
    expect(await target()).toBe('primary-db.example.com');
  });

  it('announce the switch to pools before they probe, if that is asked for', async () => {
    await using source = kubernetesSource({ service: 'webscaler-db', kubeConfig: environment['KUBECONFIG'] });
    const told: (string | PlannedSwitch | undefined)[] = [];
    source.subscribePlanned?.((plan) => told.push(plan));
    source.subscribe(({ externalName }) => told.push(externalName));
    await source.current();
    await expect.poll(() => told).toEqual(['primary-db.example.com']);
    expect((await pipe([...toSecondary, '--announce', '2m', '--yes', ...probing])).stderr).toContain('--announce');
    expect(await pipe([...toSecondary, '--announce', '1500ms', '--yes', ...probing])).toMatchObject({ code: 0 });
    const plan = { to: 'secondary-db.example.com', holdMillis: 1_500 };
    await expect.poll(() => told).toEqual(['primary-db.example.com', plan, 'secondary-db.example.com']);
  });

  it('do not log in to the databases unless they know as whom', async () => {
    const [port, number, ...dns] = probing;
    const { code, stderr } = await pipe([...toSecondary, '--yes', port ?? '', number ?? '', ...dns.slice(0, 2)]);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--no-postgres') });
  });

  it.each([
    { name: 'without --to', args: ['switch', 'webscaler-db', '--yes'], code: 2, says: '--to' },
    {
      name: 'where the target does not accept connections',
      args: [...toSecondary, '--yes', '-p', '1'],
      code: 3,
      says: 'probe-failed',
    },
    {
      name: 'from where the Service is not',
      args: [...toSecondary, '--yes', '--from', 'third-db.example.com'],
      code: 3,
      says: 'unexpected-target',
    },
    {
      name: 'to an address',
      args: ['switch', 'webscaler-db', '--to', '192.0.2.7', '--yes'],
      code: 2,
      says: '192.0.2.7',
    },
    {
      name: 'a Service that is not there',
      args: ['switch', 'nothing-db', '--to', 'secondary-db.example.com', '--yes'],
      code: 1,
      says: 'nothing-db',
    },
    {
      name: 'with an objection that is none',
      args: [...toSecondary, '--yes', '--accept', 'everything'],
      code: 2,
      says: 'split-brain',
    },
    {
      name: 'back where nothing was switched',
      args: ['rollback', 'webscaler-db', '--yes'],
      code: 3,
      says: 'nothing-to-roll-back',
    },
  ])('refuse to switch $name, and change nothing', async ({ args, code, says }) => {
    const { code: found, stdout, stderr } = await pipe([...args.slice(0, 2), ...probing, ...args.slice(2)]);
    expect({ found, text: stdout + stderr }).toMatchObject({ found: code, text: expect.stringContaining(says) });
    expect(await target()).toBe('primary-db.example.com');
  });

  it('need an allow-list to roll back', async () => {
    const { EXTERNALNAME_ALLOWED_TARGETS: _, ...others } = environment;
    const { code, stderr } = await called(['rollback', 'webscaler-db', '--yes', ...probing], {
      environment: others,
      stdin: '',
    });
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('allowedTargets') });
  });

  it('say that there is no cluster', async () => {
    const { code } = await pipe([...toSecondary, '--yes', ...probing], { KUBECONFIG: '/nowhere' });
    expect(code).toBe(4);
  });
});

describe('switch in a terminal', () => {
  it('asks, and switches after a yes', async () => {
    const answers = (text: string) => Object.assign(Readable.from([text]), { isTTY: true });
    const no = await called([...toSecondary, ...probing], { environment, terminal: answers('\n'), columns: 80 });
    expect(no).toMatchObject({ code: 3, stderr: 'Not confirmed: nothing was changed.\n' });
    expect(await target()).toBe('primary-db.example.com');
    const yes = await called([...toSecondary, ...probing], { environment, terminal: answers('y\n'), columns: 80 });
    expect(yes).toMatchObject({ code: 0, stdout: expect.stringContaining('Switch default/webscaler-db? [y/N] ') });
    expect(await target()).toBe('secondary-db.example.com');
  });
});
