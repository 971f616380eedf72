import { spawnSync } from 'node:child_process';
import {
  addressService,
  applicationDeployment,
  clientPod,
  egressNetworkPolicy,
  externalNameService,
  type KubernetesObject,
  parseManifests,
  serviceReaderRole,
  serviceSwitcherRole,
  switchJsonPatch,
  targetAdmissionPolicy,
  toJson,
  toYaml,
} from '@externalname/core/manifests';
import { describe, expect, it } from 'vitest';

const found = spawnSync('kubectl', ['version', '--client']).status === 0;
const missing = found ? '' : ' (skipped: there is no kubectl on the PATH)';

const namespace = 'default';
const service = externalNameService({ name: 'webscaler-db', namespace, externalName: 'primary-db.example.com' });
const manifests: KubernetesObject[] = [
  service,
  clientPod({ name: 'webscaler-client', namespace }),
  applicationDeployment({
    name: 'orders',
    namespace,
    image: 'registry.example.com/orders:1.4.2',
    allowedTargets: ['*.example.com'],
    env: { PGUSER: 'yes' },
  }),
  ...addressService({
    name: 'legacy',
    namespace,
    addresses: ['203.0.113.7', '2001:db8::7'],
    ports: [{ name: 'postgresql', port: 5432 }],
  }),
  ...serviceReaderRole({
    service: 'webscaler-db',
    namespace,
    subjects: [{ kind: 'ServiceAccount', name: 'orders', namespace }],
  }),
  ...serviceSwitcherRole({ service: 'webscaler-db', namespace, subjects: [{ kind: 'Group', name: 'operators' }] }),
  ...targetAdmissionPolicy({
    name: 'targets',
    namespace,
    service: 'webscaler-db',
    allowedTargets: ['primary-db.example.com', '*.standby.example.com'],
  }),
  egressNetworkPolicy({
    name: 'egress',
    namespace,
    podLabels: { app: 'orders' },
    networks: ['203.0.113.0/24'],
    ports: [{ port: 5432 }],
  }),
];

describe.skipIf(!found)(`the real kubectl${missing}`, () => {
  it.each(manifests.map((manifest) => [manifest.kind, manifest.metadata.name, manifest] as const))(
    'reads the %s %s as it was built',
    (_kind, _name, manifest) => {
      const [read] = parseManifests(
        kubectl(toYaml(manifest), 'annotate', '--local', '-f', '-', '-o', 'yaml', 'checked=true'),
      );
      expect(read).toMatchObject(manifest);
      expect(read?.metadata.annotations).toEqual({ checked: 'true' });
    },
  );

  it('reads several documents of one stream, and a List of JSON', () => {
    const names = manifests.map(({ metadata }) => metadata.name);
    for (const text of [toYaml(manifests), toJson(manifests)]) {
      const out = kubectl(
        text,
        'annotate',
        '--local',
        '-f',
        '-',
        '-o',
        'jsonpath={.metadata.name}{"\\n"}',
        'checked=true',
      );
      expect(out.trim().split('\n')).toEqual(names);
    }
  });

  it('applies the JSON patch of a switch with the same result as ours', () => {
    const externalName = 'secondary-db.example.com';
    const onlyIf = { externalName: 'primary-db.example.com' };
    for (const patch of [switchJsonPatch({ externalName }), switchJsonPatch({ externalName, onlyIf })]) {
      const out = kubectl(
        toYaml(service),
        'patch',
        '--local',
        '--type=json',
        '-f',
        '-',
        '-o',
        'yaml',
        '-p',
        JSON.stringify(patch),
      );
      expect(parseManifests(out)).toEqual([externalNameService({ name: 'webscaler-db', namespace, externalName })]);
    }
  });

  it('refuses the patch where its guard does not hold', () => {
    const patch = switchJsonPatch({
      externalName: 'secondary-db.example.com',
      onlyIf: { externalName: 'other-db.example.com' },
    });
    const { status } = run(toYaml(service), [
      'patch',
      '--local',
      '--type=json',
      '-f',
      '-',
      '-o',
      'yaml',
      '-p',
      JSON.stringify(patch),
    ]);
    expect(status).not.toBe(0);
  });
});

function kubectl(input: string, ...args: string[]): string {
  const { status, stdout, stderr } = run(input, args);
  if (status !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Without a server: `--local` reads and changes the text alone. */
function run(input: string, args: string[]) {
  return spawnSync('kubectl', args, {
    input,
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, KUBECONFIG: '/dev/null' },
  });
}
