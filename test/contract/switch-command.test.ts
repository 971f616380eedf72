import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { fileURLToPath } from 'node:url';
import { externalNameService } from '@externalname/core/manifests';
import { LocalCluster } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContractCluster, clusters } from './clusters.ts';

const program = fileURLToPath(new URL('../../packages/cli/bin/externalname.mjs', import.meta.url));

// The commands that change a Service, as processes, against each API server. DNS and the databases are stand-ins: they are not what is asked.
describe.each(clusters)('externalname on $name', { timeout: 120_000 }, ({ start }) => {
  let cluster: ContractCluster;
  let namespace: string;
  let names: LocalCluster;
  let database: Server;

  beforeAll(async () => {
    cluster = await start();
    namespace = await cluster.namespace();
    names = await LocalCluster.start({
      hosts: { 'primary-db.example.com': ['127.0.0.1'], 'secondary-db.example.com': ['127.0.0.1'] },
    });
    database = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(database, 'listening');
    const service = externalNameService({ name: 'webscaler-db', namespace, externalName: 'primary-db.example.com' });
    await cluster.admin.must('POST', `/api/v1/namespaces/${namespace}/services`, service);
  });
  afterAll(async () => {
    database?.close();
    await names?.close();
    await cluster?.stop();
  });

  async function externalname(command: string, ...args: string[]) {
    const words = [program, command, 'webscaler-db', '-n', namespace, '--kubeconfig', cluster.kubeconfig, ...args];
    const child = spawn(process.execPath, words, {
      env: {
        ...process.env,
        EXTERNALNAME_ALLOWED_TARGETS: 'primary-db.example.com,secondary-db.example.com',
        NO_COLOR: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const [code] = await once(child, 'close');
    return { code, stdout, stderr };
  }
  const probing = () => ['-s', names.nameserver, '-p', String((database.address() as AddressInfo).port), '--no-tls'];
  const target = async () => {
    const service = await cluster.admin.must('GET', `/api/v1/namespaces/${namespace}/services/webscaler-db`);
    return (service['spec'] as { externalName?: string }).externalName;
  };

  it('shows in a dry run what it would do, and does nothing', async () => {
    const { code, stdout, stderr } = await externalname(
      'switch',
      '--to',
      'secondary-db.example.com',
      '--dry-run',
      ...probing(),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('the API server would accept it');
    expect(await target()).toBe('primary-db.example.com');
  });

  it('switches, with the Event and the watch', async () => {
    const { code, stdout } = await externalname(
      'switch',
      '--to',
      'secondary-db.example.com',
      '--yes',
      '--reason',
      'region down',
      ...probing(),
    );
    expect(stdout).toMatch(/event +done/);
    expect(stdout).toMatch(/watch +done .*seen \d+ ms after the patch/);
    expect({ code, target: await target() }).toEqual({ code: 0, target: 'secondary-db.example.com' });
  });

  it('rolls back', async () => {
    const { code, stdout } = await externalname('rollback', '--yes', '-o', 'json', ...probing());
    expect(JSON.parse(stdout)).toMatchObject({
      result: 'switched',
      from: 'secondary-db.example.com',
      to: 'primary-db.example.com',
    });
    expect({ code, target: await target() }).toEqual({ code: 0, target: 'primary-db.example.com' });
  });

  it('has both in its history, from the Service and from the Event', async () => {
    const { code, stdout } = await externalname('history', '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout).switches).toMatchObject([
      { target: 'primary-db.example.com', recordedIn: 'service' },
      { target: 'secondary-db.example.com', reason: 'region down', recordedIn: 'event' },
    ]);
  });

  it('refuses to switch from elsewhere than it was told, and changes nothing', async () => {
    const words = ['--to', 'secondary-db.example.com', '--from', 'third-db.example.com', '--yes'];
    expect(await externalname('switch', ...words, ...probing())).toMatchObject({ code: 3 });
    expect(await target()).toBe('primary-db.example.com');
  });
});
