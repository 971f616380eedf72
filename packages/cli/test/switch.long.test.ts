import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { externalNameService } from '@externalname/core/manifests';
import { LocalCluster, PostgresPair } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Interrupted } from '../src/exit-codes.ts';
import { called } from './called.ts';

// One pair for all of these tests. They tell one story, in this order.
describe('switch, with all its probes, on real servers', () => {
  let pair: PostgresPair;
  let cluster: LocalCluster;
  let folder: string;
  let environment: Record<string, string>;

  beforeAll(async () => {
    pair = await PostgresPair.start();
    cluster = await LocalCluster.start({
      services: [externalNameService({ name: 'webscaler-db', externalName: pair.primary.hostName })],
      hosts: pair.hosts,
    });
    folder = await mkdtemp(join(tmpdir(), 'externalname-switch-'));
    await writeFile(join(folder, 'ca.pem'), pair.ca);
    environment = {
      KUBECONFIG: await cluster.writeKubeconfig(),
      EXTERNALNAME_ALLOWED_TARGETS: 'primary-db.example.com,secondary-db.example.com',
      PGUSER: pair.user,
      PGPASSWORD: pair.password,
      PGDATABASE: pair.database,
      PGPORT: String(pair.port),
      PGSSLROOTCERT: join(folder, 'ca.pem'),
    };
  });
  afterAll(async () => {
    await cluster?.close();
    await pair?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const run = (args: readonly string[], more: { signal?: AbortSignal; onOutput?: (text: string) => void } = {}) =>
    called([...args, '-s', cluster.nameserver], { environment, stdin: '', ...more });
  const toSecondary = ['switch', 'webscaler-db', '--to', 'secondary-db.example.com', '--yes'];
  const target = async () => {
    const service = await cluster.services.get('default', 'webscaler-db');
    return (service?.['spec'] as { externalName?: string } | undefined)?.externalName;
  };

  it('refuses a target that is still a standby, and an old one that takes writes', async () => {
    const { code, stdout } = await run(toSecondary);
    expect(code).toBe(3);
    expect(stdout).toContain('promote it first (not-writable)');
    expect(stdout).toContain('(split-brain)');
    expect(stdout).not.toContain(pair.password);
    expect(await target()).toBe('primary-db.example.com');
  });

  it('refuses a certificate of another name', async () => {
    const { secondary, other } = {
      secondary: await pair.authority.issue({ hostNames: ['secondary-db.example.com'] }),
      other: await pair.authority.issue({ hostNames: ['other-db.example.com'] }),
    };
    await pair.standby.setCertificate(other);
    try {
      const { code, stdout } = await run(toSecondary);
      expect(code).toBe(3);
      expect(stdout).toMatch(/tls \d+ of secondary-db\.example\.com: .*other-db\.example\.com/);
    } finally {
      await pair.standby.setCertificate(secondary);
    }
  });

  it('is given up with Ctrl-C while it waits for a promotion, and nothing was changed', async () => {
    const interruption = new AbortController();
    const switching = run([...toSecondary, '--wait-for-promotion', '1m'], {
      signal: interruption.signal,
      onOutput: (text) => {
        if (text.includes('points to')) setTimeout(() => interruption.abort(new Interrupted('SIGINT')), 1_000);
      },
    });
    expect(await switching).toMatchObject({ code: 130, stderr: expect.stringContaining('nothing was changed') });
    expect(await target()).toBe('primary-db.example.com');
  });

  it('waits for the promotion if it is told to, and switches then', async () => {
    const switching = run([...toSecondary, '--wait-for-promotion', '1m', '--reason', 'maintenance']);
    await pair.switchover({ rejoin: false });
    const { code, stdout } = await switching;
    expect(code).toBe(0);
    expect(stdout).toContain('default/webscaler-db points to secondary-db.example.com now.');
    expect(await target()).toBe('secondary-db.example.com');
  });

  it('does not roll back to a server that has missed the promotion', async () => {
    const { code, stdout } = await run(['rollback', 'webscaler-db', '--yes']);
    expect(code).toBe(3);
    expect(stdout).toContain('(older-timeline)');
    expect(await target()).toBe('secondary-db.example.com');
  });

  it('rolls back to the old primary after that was rebuilt and promoted', async () => {
    await pair.rejoin(pair.server('primary-db.example.com'));
    await pair.switchover({ rejoin: false });
    expect(await run(['rollback', 'webscaler-db', '--yes'])).toMatchObject({ code: 0 });
    expect(await target()).toBe('primary-db.example.com');
  });

  it('switches away from a server that is dead', async () => {
    await pair.rejoin(pair.server('secondary-db.example.com'));
    await pair.primary.kill();
    await pair.standby.promote();
    const { code, stdout } = await run(toSecondary);
    expect(code).toBe(0);
    expect(stdout).toMatch(/gone .*postgres of primary-db\.example\.com: .*ECONNREFUSED/);
    const { stdout: history } = await called(['history', 'webscaler-db', '-o', 'json'], { environment, stdin: '' });
    expect(JSON.parse(history).switches).toHaveLength(3);
  });
});
