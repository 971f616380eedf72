import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalCluster } from '@externalname/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isInstalled, Running, run } from './tools/programs.ts';
import { clientManifest, serviceManifest, switchPatch } from './tools/webscaler.ts';

const hasKubectl = isInstalled('kubectl', ['version', '--client']);
if (!hasKubectl) console.warn('kubectl is not installed: the tests with kubectl are skipped');

describe.skipIf(!hasKubectl)('kubectl', () => {
  let cluster: LocalCluster;
  let folder: string;
  let kubeconfig: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kubectl-test-'));
  });

  beforeEach(async () => {
    cluster = await LocalCluster.start();
    kubeconfig = await cluster.writeKubeconfig();
    return () => cluster.close();
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  const kubectl = (args: readonly string[], env: Record<string, string> = {}) =>
    // Discovery is kept in HOME by server address, and a port may come again.
    run('kubectl', args, { env: { KUBECONFIG: kubeconfig, HOME: folder, ...env } });
  const file = async (name: string, text: string) => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };
  const applied = async () => kubectl(['apply', '-f', await file('service.yaml', serviceManifest)]);

  it('applies the manifests of the scenario, twice', async () => {
    expect(await applied()).toMatchObject({ stdout: 'service/webscaler-db created\n', stderr: '', code: 0 });
    expect((await applied()).stdout).toBe('service/webscaler-db unchanged\n');
    const client = await kubectl(['apply', '-f', await file('client.yaml', clientManifest)]);
    expect(client).toMatchObject({ stdout: 'pod/webscaler-client created\n', stderr: '', code: 0 });
  });

  it('switches by the JSON patch of the scenario', async () => {
    await applied();
    const patched = await kubectl(['patch', 'service', 'webscaler-db', '--type=json', `-p=${switchPatch}`]);
    expect(patched).toMatchObject({ stdout: 'service/webscaler-db patched\n', stderr: '', code: 0 });
    const target = await kubectl(['get', 'service', 'webscaler-db', '-o', 'jsonpath={.spec.externalName}']);
    expect(target.stdout).toBe('secondary-db.example.com');
  });

  it('shows a Service as a table and as YAML', async () => {
    await applied();
    const table = await kubectl(['get', 'svc']);
    expect(table.stdout).toMatch(/^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE\n/);
    expect(table.stdout).toMatch(/\nwebscaler-db +ExternalName +<none> +primary-db.example.com +<none> +\d+s\n/);
    const yaml = await kubectl(['get', 'svc', 'webscaler-db', '-o', 'yaml']);
    expect(yaml.stdout).toContain(
      'spec:\n  externalName: primary-db.example.com\n  sessionAffinity: None\n  type: ExternalName\nstatus:\n  loadBalancer: {}\n',
    );
  });

  it('watches a switch', async () => {
    await applied();
    await using watch = new Running('kubectl', ['get', 'svc', '-w'], { KUBECONFIG: kubeconfig, HOME: folder });
    await watch.prints(/webscaler-db .*primary-db.example.com/);
    await kubectl(['patch', 'service', 'webscaler-db', '--type=json', `-p=${switchPatch}`]);
    await watch.prints(/webscaler-db .*secondary-db.example.com/);
  });

  it('describes a Service with its events', async () => {
    await applied();
    const { uid } = (await cluster.services.get('default', 'webscaler-db')).metadata;
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'webscaler-db.switched', namespace: 'default' },
      involvedObject: { kind: 'Service', name: 'webscaler-db', namespace: 'default', uid },
      type: 'Normal',
      reason: 'Switched',
      message: 'to secondary-db.example.com',
      source: { component: 'operator' },
    };
    await cluster.objects.apply(event);
    const { stdout } = await kubectl(['describe', 'svc', 'webscaler-db']);
    expect(stdout).toMatch(/^Name: +webscaler-db$/m);
    expect(stdout).toMatch(/^External Name: +primary-db.example.com$/m);
    expect(stdout).toMatch(/Normal +Switched .* operator +to secondary-db.example.com/);
  });

  it('edits a Service with an editor that changes a line', async () => {
    await applied();
    const editor = await file('editor.sh', '#!/bin/sh\nsed -i s/primary-db.example.com/edited-db.example.com/ "$1"\n');
    await chmod(editor, 0o755);
    const edited = await kubectl(['edit', 'svc', 'webscaler-db'], { KUBE_EDITOR: editor });
    expect(edited).toMatchObject({ stdout: 'service/webscaler-db edited\n', code: 0 });
    const service = await cluster.services.get('default', 'webscaler-db');
    expect(service['spec']).toMatchObject({ externalName: 'edited-db.example.com' });
  });

  it('shows what an apply would change, and changes nothing', async () => {
    await applied();
    const changed = await file('changed.yaml', serviceManifest.replace('primary-db', 'secondary-db'));
    const difference = await kubectl(['diff', '-f', changed]);
    expect(difference.code).toBe(1);
    expect(difference.stdout).toContain(
      '-  externalName: primary-db.example.com\n+  externalName: secondary-db.example.com',
    );
    const dryRun = await kubectl(['apply', '--dry-run=server', '-f', changed]);
    expect(dryRun.stdout).toBe('service/webscaler-db configured (server dry run)\n');
    const service = await cluster.services.get('default', 'webscaler-db');
    expect(service['spec']).toMatchObject({ externalName: 'primary-db.example.com' });
  });

  it('is told in the words of the API server what is refused', async () => {
    const manifest = serviceManifest.replace('primary-db.example.com', 'not_a_name');
    const refused = await kubectl(['apply', '-f', await file('refused.yaml', manifest)]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(
      /^The Service "webscaler-db" is invalid: spec.externalName: Invalid value: "not_a_name": a lowercase RFC 1123 subdomain must/,
    );
    const missing = await kubectl(['get', 'svc', 'nothing']);
    expect(missing.stderr).toBe('Error from server (NotFound): services "nothing" not found\n');
    const unknown = await kubectl([
      'apply',
      '-f',
      await file('unknown.yaml', serviceManifest.replace('spec: {', 'spec: { externelName: x,')),
    ]);
    expect(unknown.stderr).toContain('strict decoding error: unknown field "spec.externelName"');
  });

  it('meets the conflict of two owners, and takes the field over by force', async () => {
    await applied();
    await kubectl(['patch', 'service', 'webscaler-db', '--type=json', `-p=${switchPatch}`, '--field-manager=switcher']);
    const mine = await file('mine.yaml', serviceManifest);
    const conflict = await kubectl(['apply', '--server-side', '--field-manager=gitops', '-f', mine]);
    expect(conflict.code).toBe(1);
    expect(conflict.stderr).toContain('conflict with "switcher" using v1: .spec.externalName');
    const forced = await kubectl(['apply', '--server-side', '--force-conflicts', '--field-manager=gitops', '-f', mine]);
    expect(forced).toMatchObject({ stdout: 'service/webscaler-db serverside-applied\n', code: 0 });
    const owners = await kubectl([
      'get',
      'svc',
      'webscaler-db',
      '-o',
      'jsonpath={.metadata.managedFields[?(@.operation=="Apply")].fieldsV1}',
    ]);
    expect(JSON.parse(owners.stdout)).toEqual({ 'f:spec': { 'f:externalName': {}, 'f:type': {} } });
  });

  it('may do what Roles grant to a ServiceAccount, and no more', async () => {
    await applied();
    await kubectl(['create', 'serviceaccount', 'switcher']);
    await kubectl([
      'create',
      'role',
      'switch-webscaler-db',
      '--verb=get,patch',
      '--resource=services',
      '--resource-name=webscaler-db',
    ]);
    await kubectl([
      'create',
      'rolebinding',
      'switch-webscaler-db',
      '--role=switch-webscaler-db',
      '--serviceaccount=default:switcher',
    ]);
    const token = (await kubectl(['create', 'token', 'switcher'])).stdout.trim();
    const limited = (args: readonly string[]) => {
      const server = ['--server', cluster.api.url, '--token', token, '--certificate-authority', join(folder, 'ca.pem')];
      return run('kubectl', [...server, ...args], { env: { KUBECONFIG: '/dev/null', HOME: folder } });
    };
    await file('ca.pem', cluster.api.certificateAuthority);
    expect((await limited(['auth', 'can-i', 'patch', 'service/webscaler-db'])).stdout).toBe('yes\n');
    expect((await limited(['auth', 'can-i', 'patch', 'service/other'])).stdout).toBe('no\n');
    expect((await limited(['auth', 'can-i', '--list'])).stdout).toMatch(
      /services +\[\] +\[webscaler-db\] +\[get patch\]/,
    );
    expect((await limited(['patch', 'service', 'webscaler-db', '--type=json', `-p=${switchPatch}`])).code).toBe(0);
    expect((await limited(['delete', 'service', 'webscaler-db'])).stderr).toBe(
      'Error from server (Forbidden): services "webscaler-db" is forbidden: User "system:serviceaccount:default:switcher" cannot delete resource "services" in API group "" in the namespace "default"\n',
    );
  });

  it('creates, labels, explains and deletes', async () => {
    const made = await kubectl(['create', 'service', 'externalname', 'docs', '--external-name', 'docs.example.com']);
    expect(made).toMatchObject({ stdout: 'service/docs created\n', code: 0 });
    expect((await kubectl(['label', 'svc', 'docs', 'team=a'])).stdout).toBe('service/docs labeled\n');
    expect((await kubectl(['get', 'svc', '-l', 'team=a', '-o', 'name'])).stdout).toBe('service/docs\n');
    expect((await kubectl(['explain', 'service.spec.externalName'])).stdout).toMatch(/FIELD: externalName <string>/);
    expect((await kubectl(['delete', 'svc', 'docs'])).stdout).toBe('service "docs" deleted\n');
    expect((await kubectl(['create', 'namespace', 'shop'])).code).toBe(0);
    expect((await kubectl(['delete', 'namespace', 'shop'])).stdout).toBe('namespace "shop" deleted\n');
  });
});
