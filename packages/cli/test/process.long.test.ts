import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { LocalCluster } from '@externalname/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bin = fileURLToPath(new URL('../bin/externalname.mjs', import.meta.url));
let cluster: LocalCluster;

beforeAll(async () => {
  const service = {
    metadata: { name: 'webscaler-db', namespace: 'default' },
    spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
  };
  cluster = await LocalCluster.start({ services: [service], hosts: { 'primary-db.example.com': ['127.0.0.1'] } });
});
afterAll(() => cluster?.close());

const begin = (...args: readonly string[]) =>
  spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

describe('the process of the command', () => {
  it('prints the version of the package', async () => {
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
    const child = begin('--version');
    const [text] = await once(child.stdout.setEncoding('utf8'), 'data');
    expect(text).toBe(`${version}\n`);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('ends by %s with status %i, while it waits', async (signal, status) => {
    const child = begin('resolve', 'webscaler-db', '--watch', '--nameserver', cluster.nameserver);
    await once(child.stdout, 'data');
    child.kill(signal);
    const [code] = await once(child, 'exit');
    expect(code).toBe(status);
  });

  it.each([
    ['resolve', ['--timeout', '60']],
    ['resolve', ['--count', '1000', '--timeout', '60']],
    ['doctor', ['--allowed-targets', 'primary-db.example.com', '--timeout', '60']],
    ['watch', []],
  ] as const)('%s %j ends by Ctrl-C in the middle of a question that no DNS server answers', async (name, more) => {
    cluster.dns.fault({ kind: 'silent' });
    try {
      const asked = cluster.queries().length;
      const kubeconfig = name === 'resolve' ? [] : ['--kubeconfig', await cluster.writeKubeconfig()];
      const child = begin(name, 'webscaler-db', '--nameserver', cluster.nameserver, ...kubeconfig, ...more);
      const ended = once(child, 'exit');
      let errors = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        errors += text;
      });
      await expect.poll(() => cluster.queries().length, { timeout: 20_000 }).toBeGreaterThan(asked);
      child.kill('SIGINT');
      // Long before the question would have been over.
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
      const [code, signal] = await ended;
      clearTimeout(late);
      expect({ code, signal, errors }).toEqual({ code: 130, signal: null, errors: '' });
    } finally {
      cluster.dns.heal();
    }
  });

  it('ends quietly if the reader of its output has read enough', async () => {
    const script = `"${process.execPath}" "${bin}" create --help | head -n 1; echo "status \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile('bash', ['-c', script], (_, out, err) => resolve({ stdout: out, stderr: err }));
    });
    expect(stdout).toBe('Usage: externalname create [options] [command]\nstatus 0\n');
    expect(stderr).toBe('');
  });

  it('gives the exit status of the command', async () => {
    const [code] = await once(begin('lint', '/nowhere/service.yaml'), 'exit');
    expect(code).toBe(2);
  });
});
