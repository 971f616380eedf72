import { readFile } from 'node:fs/promises';
import { externalNameService } from '@externalname/core/manifests';
import { LocalCluster } from '@externalname/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { called } from './called.ts';

// The first command of a process loads its code first.
const loaded = { timeout: 20_000 };

describe('watch', () => {
  let cluster: LocalCluster;
  let environment: Record<string, string>;

  beforeEach(async () => {
    cluster = await LocalCluster.start({
      ttlSeconds: 0,
      services: [externalNameService({ name: 'webscaler-db', externalName: 'primary-db.example.com' })],
      hosts: { 'primary-db.example.com': ['127.0.0.11'], 'secondary-db.example.com': ['127.0.0.12'] },
    });
    environment = { KUBECONFIG: await cluster.writeKubeconfig() };
  });
  afterEach(() => cluster.close());

  const patch = () =>
    cluster.services.patch('default', 'webscaler-db', [
      { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
    ]);
  const watch = (...args: string[]) =>
    called(['watch', 'webscaler-db', '-s', cluster.nameserver, '--interval', '50ms', ...args], {
      environment,
      stdin: '',
    });

  it('has an object a line for each change, and ends when all see the new target', async () => {
    const watching = watch('-o', 'json', '--until', 'secondary-db.example.com', '--for', '20s');
    // As soon as the first question was asked, the old target has been seen or will be.
    await expect.poll(() => cluster.queries().length, loaded).toBeGreaterThan(0);
    await patch();
    const { code, stdout, stderr } = await watching;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const sights = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const last = (source: string) => sights.filter((sight) => sight.source === source).at(-1);
    expect(last('kubernetes')).toMatchObject({ target: 'secondary-db.example.com' });
    expect(last(`dns ${cluster.nameserver}`)).toMatchObject({
      target: 'secondary-db.example.com',
      addresses: ['127.0.0.12'],
    });
  });

  it('says after the time is up that not all have seen it', async () => {
    const { code, stdout } = await watch('--until', 'secondary-db.example.com', '--for', '500ms');
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} {2}dns 127\.0\.0\.1:\d+ {2}primary-db\.example\.com {2}127\.0\.0\.11$/m,
    );
    expect(stdout).toMatch(/ {2}kubernetes +primary-db\.example\.com$/m);
  });

  it('ends with Ctrl-C, and shows what is wrong meanwhile', async () => {
    cluster.dns.fault({ kind: 'servfail' });
    const interruption = new AbortController();
    const watching = called(['watch', 'webscaler-db', '-s', cluster.nameserver], {
      environment,
      stdin: '',
      signal: interruption.signal,
    });
    await expect.poll(() => cluster.queries().length, loaded).toBeGreaterThan(0);
    setTimeout(() => interruption.abort(new Error('Ctrl-C')), 300);
    const { code, stdout } = await watching;
    expect(code).toBe(130);
    expect(stdout).toMatch(/dns 127\.0\.0\.1:\d+ {2}.*SERVFAIL/i);
  });

  it('keeps a row for each source below on a terminal', async () => {
    const { stdout } = await called(['watch', 'webscaler-db', '-s', cluster.nameserver, '--for', '300ms'], {
      environment,
      columns: 100,
    });
    expect(stdout).toMatch(/kubernetes +primary-db\.example\.com {2}for \d+ s/);
    expect(stdout.endsWith('\u001b[J')).toBe(true);
  });
});

describe('dev', () => {
  it('runs a cluster until Ctrl-C, with the options that local-cluster has', async () => {
    const interruption = new AbortController();
    const running = called(['dev', '--dns-port', '0', '--ttl', '7', '--host', 'primary-db.example.com=127.0.0.11'], {
      signal: interruption.signal,
      onOutput: (text) => {
        if (text.includes('Press Ctrl-C')) interruption.abort(new Error('Ctrl-C'));
      },
    });
    const { code, stdout } = await running;
    expect(stdout).toContain('Local cluster is ready. Press Ctrl-C to end it.');
    const [, kubeconfig = ''] = /kubeconfig +(\S+)/.exec(stdout) ?? [];
    await expect(readFile(kubeconfig)).rejects.toMatchObject({ code: 'ENOENT' });
    expect([0, 130]).toContain(code);
  });

  it('refuses what local-cluster refuses, under its own name', async () => {
    expect(await called(['dev', '--host', 'nonsense'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('externalname dev: --host'),
    });
  });
});
