import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { called } from './called.ts';
import { DoctorSet } from './doctor-set.ts';

let set: DoctorSet;

beforeAll(async () => {
  set = await DoctorSet.start();
  await set.service();
});
afterEach(() => set.heal());
afterAll(() => set?.close());

const resolve = (...args: readonly string[]) => called(['resolve', ...args, '--nameserver', set.cluster.nameserver]);
const answerOf = async (...args: readonly string[]) => JSON.parse((await resolve(...args, '-o', 'json')).stdout);

describe('resolve', () => {
  it('shows the chain hop by hop, with TTLs, the server and the time', async () => {
    const { code, stdout } = await resolve('webscaler-db');
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${set.cluster.nameserver} {2}[\\d.]+ ms$`, 'm'));
    expect(stdout).toMatch(
      /^ {2}webscaler-db\.default\.svc\.cluster\.local +CNAME +5 s +[\d.]+ ms +primary-db\.example\.com$/m,
    );
    expect(stdout).toMatch(/^ {2}primary-db\.example\.com +A +5 s +127\.0\.0\.1$/m);
  });

  it.each([
    ['webscaler-db', []],
    ['webscaler-db.default', []],
    ['webscaler-db', ['--namespace', 'default']],
    ['webscaler-db.default.svc.cluster.local.', []],
  ])('completes %s %j as a pod does', async (name, more) => {
    expect(await answerOf(name, ...more)).toMatchObject({
      name: 'webscaler-db.default.svc.cluster.local',
      answers: [{ outcome: 'addresses', chain: [{ target: 'primary-db.example.com' }] }],
    });
  });

  it('takes any host name', async () => {
    expect(await answerOf('primary-db.example.com')).toMatchObject({
      name: 'primary-db.example.com',
      answers: [{ chain: [] }],
    });
  });

  it('shows how far it came where the target does not exist', async () => {
    set.cluster.hosts.delete('primary-db.example.com');
    const { code, stdout } = await resolve('webscaler-db');
    expect(code).toBe(1);
    expect(stdout).toContain('  primary-db.example.com: NXDOMAIN');
  });

  it('takes servers and search list from the resolv.conf of a pod', async () => {
    const file = join(set.folder, 'pod-resolv.conf');
    await writeFile(file, set.cluster.resolvConf('payments'));
    await set.cluster.services.apply({
      metadata: { name: 'db', namespace: 'payments' },
      spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
    });
    expect(await answerOf('db', '--resolv-conf', file)).toMatchObject({ name: 'db.payments.svc.cluster.local' });
  });

  it('measures: percentiles for each name of the chain and each server', async () => {
    const { code, stdout } = await resolve('webscaler-db', '--count', '20');
    expect(code).toBe(0);
    const rows = stdout
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.split(/ {2,}/));
    expect(rows.map((row) => [row[0], row[1], row[2], row.at(-1)])).toEqual([
      [set.cluster.nameserver, '20', '0', 'webscaler-db.default.svc.cluster.local'],
      [set.cluster.nameserver, '20', '0', 'primary-db.example.com'],
    ]);
  });

  it('counts what failed, and says how', async () => {
    set.cluster.dns.fault({ kind: 'servfail', name: 'primary-db.example.com' });
    const { code, stdout } = await resolve('primary-db.example.com', '--count', '3', '-o', 'json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout).measured).toMatchObject([{ asked: 3, failed: 3, failures: { refused: 3 } }]);
  });

  it('watches: a line when an answer changes, until it is ended', async () => {
    const ending = new AbortController();
    const seen: string[] = [];
    const running = called(
      [
        'resolve',
        'webscaler-db',
        '--watch',
        '--interval',
        '0.01',
        '--nameserver',
        set.cluster.nameserver,
        '-o',
        'json',
      ],
      {
        signal: ending.signal,
        onOutput: (text) => seen.push(text),
      },
    );
    await expect.poll(() => seen.join('')).toContain('primary-db.example.com');
    set.cluster.hosts.set('secondary-db.example.com', ['127.0.0.2']);
    await set.service('secondary-db.example.com');
    await expect.poll(() => seen.join('')).toContain('secondary-db.example.com');
    ending.abort();
    expect(await running).toMatchObject({ code: 130 });
    expect(
      seen
        .join('')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).chain[0].target),
    ).toEqual(['primary-db.example.com', 'secondary-db.example.com']);
  });

  it('refuses --watch with --count', async () => {
    expect(await resolve('webscaler-db', '--watch', '--count', '2')).toMatchObject({ code: 2 });
  });
});

describe('completion of a Service', () => {
  it('asks the cluster', async () => {
    const { stdout } = await called(['__complete', 'doctor', '--kubeconfig', set.kubeconfig, 'web']);
    expect(stdout).toBe('webscaler-db\n:4\n');
  });

  it('offers nothing, and no error, where the cluster cannot be asked', async () => {
    const answer = await called(['__complete', 'doctor', '--kubeconfig', '/nowhere/kubeconfig', 'web']);
    expect(answer).toEqual({ code: 0, stdout: ':4\n', stderr: '' });
  });
});
