import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContractCluster, clusters } from './clusters.ts';
import { kubectlBinary } from './kubectl-judge.ts';

const bin = resolve(import.meta.dirname, '../../packages/cli/bin');
const missing = kubectlBinary === undefined ? ' (skipped: neither KUBEBUILDER_ASSETS nor KUBECTL has one)' : '';

describe.skipIf(kubectlBinary === undefined)(`the plugin of the real kubectl${missing}`, { timeout: 120_000 }, () => {
  let folder: string;

  beforeAll(async () => {
    // As npm links the bins of a package that was installed globally.
    folder = await mkdtemp(join(tmpdir(), 'externalname-plugin-'));
    await symlink(join(bin, 'kubectl-externalname.mjs'), join(folder, 'kubectl-externalname'));
    await symlink(join(bin, 'kubectl-complete-externalname.mjs'), join(folder, 'kubectl_complete-externalname'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  interface Run {
    readonly code: number;
    readonly stdout: string;
    readonly stderr: string;
  }

  function kubectl(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
    const path = [folder, dirname(process.execPath), process.env['PATH']].join(delimiter);
    const env = { ...process.env, ...environment, PATH: path };
    return new Promise((done) => {
      execFile(kubectlBinary ?? '', args, { env }, (error, stdout, stderr) => {
        done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  }

  it('is found by its name', async () => {
    expect((await kubectl(['plugin', 'list'])).stdout).toContain('kubectl-externalname');
    expect(await kubectl(['externalname', '--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect((await kubectl(['externalname', 'doctor', '--help'])).stdout).toContain(
      'Usage: kubectl externalname doctor',
    );
  });

  describe.each(clusters)('against $name', ({ start }) => {
    let cluster: ContractCluster;
    let namespace: string;

    beforeAll(async () => {
      cluster = await start();
      namespace = await cluster.namespace();
      const created = await kubectl(
        [
          'create',
          'service',
          'externalname',
          'webscaler-db',
          '--external-name',
          'primary-db.example.com',
          '-n',
          namespace,
        ],
        { KUBECONFIG: cluster.kubeconfig },
      );
      expect(created.stderr).toBe('');
    }, 120_000);
    afterAll(() => cluster?.stop());

    it('reads the Service, says who wrote it, and what this user may do', async () => {
      const asked = [
        'externalname',
        'doctor',
        'webscaler-db',
        '-n',
        namespace,
        '--nameserver',
        '127.0.0.1:1',
        '-o',
        'json',
      ];
      const { code, stdout } = await kubectl(asked, { KUBECONFIG: cluster.kubeconfig });
      expect(code).toBe(1);
      const { target, findings, facts } = JSON.parse(stdout);
      expect(target).toBe('primary-db.example.com');
      // No DNS server listens there.
      expect(findings[0].rule).toBe('dns-all-silent');
      expect(facts.service).toMatchObject({
        kind: 'found',
        type: 'ExternalName',
        writers: [{ manager: 'kubectl-create' }],
      });
      expect(facts.access.permissions.every((each: { allowed: boolean }) => each.allowed)).toBe(true);
    });

    it('says that there is none, and which there are', async () => {
      const asked = ['externalname', 'doctor', 'webscaler', '-n', namespace, '-o', 'json'];
      const { findings } = JSON.parse((await kubectl(asked, { KUBECONFIG: cluster.kubeconfig })).stdout);
      expect(findings[0]).toMatchObject({ rule: 'service-missing', means: expect.stringContaining('webscaler-db') });
    });

    it('prints what kubectl applies', async () => {
      const { stdout } = await kubectl([
        'externalname',
        'create',
        'service',
        'other-db',
        '--to',
        'a.example.com',
        '-n',
        namespace,
      ]);
      const file = join(folder, 'manifest.yaml');
      await writeFile(file, stdout);
      const applied = await kubectl(['apply', '-f', file], { KUBECONFIG: cluster.kubeconfig });
      expect(applied).toMatchObject({ code: 0, stdout: 'service/other-db created\n' });
    });

    it('completes names of Services, as kubectl asks for them', async () => {
      const { stdout } = await kubectl(['__complete', 'externalname', 'doctor', '-n', namespace, 'web'], {
        KUBECONFIG: cluster.kubeconfig,
      });
      expect(stdout).toContain('webscaler-db\n');
    });
  });
});
