import { parseManifests } from '@externalname/core/manifests';
import { validate } from '@externalname/core/validation';
import { describe, expect, it } from 'vitest';
import { isGroup } from '../src/command.ts';
import { create } from '../src/commands/create.ts';
import { called } from './called.ts';

const service = `apiVersion: v1
kind: Service
metadata:
  name: webscaler-db
spec:
  clusterIP: 10.96.4.4
  selector:
    app: db
  ports:
    - port: 5432
`;

/** A call of each builder, and the kinds that it prints. */
const calls: readonly (readonly [kind: string, args: string, kinds: readonly string[]])[] = [
  [
    'service',
    'webscaler-db --to primary-db.example.com -n default --label app=db --annotation example.com/note=text=more',
    ['Service'],
  ],
  [
    'address-service',
    'webscaler-db --address 203.0.113.7,2001:db8::7 --port 5432',
    ['Service', 'EndpointSlice', 'EndpointSlice'],
  ],
  ['service-for', 'webscaler-db --target a.example.com,b.example.com', ['Service', 'Service']],
  ['reader-role', 'webscaler-db -n default --service-account default:app', ['Role', 'RoleBinding']],
  ['switcher-role', 'webscaler-db -n default --group oncall --user admin --name switch-db', ['Role', 'RoleBinding']],
  [
    'admission-policy',
    'db-targets -n default --service webscaler-db --allowed-targets *.example.com --action Warn',
    ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'],
  ],
  ['network-policy', 'to-db --network 203.0.113.0/24 --port 5432 --pod-label app=web', ['NetworkPolicy']],
  [
    'cilium-network-policy',
    'to-db --service webscaler-db.default.svc.cluster.local --target primary-db.example.com --port 5432',
    ['CiliumNetworkPolicy'],
  ],
  ['service-entry', 'db-targets --target *.example.com --port 5432 --network 203.0.113.0/24', ['ServiceEntry']],
  [
    'deployment',
    'web --image registry.example.com/web:1 --allowed-targets primary-db.example.com --secret web-db --env LEVEL=info --ndots 2',
    ['Deployment'],
  ],
  ['pod', 'ubuntu', ['Pod']],
];

describe('create', () => {
  it.each(calls)('%s prints what kubectl reads, as YAML and as JSON', async (kind, args, kinds) => {
    const words = ['create', kind, ...args.split(' ')];
    const { code, stdout, stderr } = await called(words);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(parseManifests(stdout).map((object) => object.kind)).toEqual(kinds);
    expect(validate(stdout).filter(({ severity }) => severity === 'error')).toEqual([]);
    const json = await called([...words, '-o', 'json']);
    expect(parseManifests(json.stdout)).toEqual(parseManifests(stdout));
  });

  it.each([
    [
      'json',
      [
        { op: 'test', path: '/spec/externalName', value: 'primary-db.example.com' },
        { op: 'replace', path: '/spec/externalName', value: 'secondary-db.example.com' },
      ],
    ],
    ['merge', { spec: { externalName: 'secondary-db.example.com' } }],
  ])('switch-patch prints a %s patch', async (type, patch) => {
    const expect_ = type === 'json' ? ['--expect', 'primary-db.example.com'] : [];
    const { stdout } = await called([
      'create',
      'switch-patch',
      'webscaler-db',
      '--to',
      'secondary-db.example.com',
      '--type',
      type,
      ...expect_,
    ]);
    expect(JSON.parse(stdout)).toEqual(patch);
  });

  it('migration plans the steps, from stdin', async () => {
    const { code, stdout } = await called(['create', 'migration', '--to', 'primary-db.example.com'], {
      stdin: service,
    });
    expect(code).toBe(0);
    expect(stdout).toContain('From ClusterIP to ExternalName');
    expect(stdout).toMatch(/^ {3}\$ kubectl /m);
    expect(parseManifests(stdout.split('Afterwards\n')[1] ?? '')[0]).toMatchObject({ spec: { type: 'ExternalName' } });
  });

  it('dns-cache prints settings and where the time goes', async () => {
    const { code, stdout } = await called(['create', 'dns-cache', '--seconds', '10']);
    expect(code).toBe(0);
    expect(stdout).toContain('# CoreDNS\n');
    expect(stdout).toContain('ttl 9');
  });

  it('has an example for every kind, that works', async () => {
    for (const { name, load } of create.commands) {
      const loaded = await load();
      const [example] = loaded.examples;
      expect(isGroup(loaded)).toBe(false);
      expect(example?.command.startsWith(`create ${name} `), name).toBe(true);
      const args =
        (example?.command ?? '')
          .split(' | ')[0]
          ?.split(' ')
          .filter((word) => word !== 'service.yaml') ?? [];
      expect(await called(args, { stdin: service }), name).toMatchObject({ code: 0, stderr: '' });
    }
  });

  it.each([
    [['service', 'webscaler-db'], '--to: is required here'],
    [['service', 'webscaler-db', '--to', '192.0.2.7'], 'is an address, not a host name'],
    [['service', 'webscaler-db', '--to', 'a.example.com', '--label', 'app'], '--label: must be key=value'],
    [['reader-role', 'webscaler-db', '-n', 'default'], 'name who gets the role'],
    [['reader-role', 'webscaler-db', '-n', 'default', '--service-account', 'app'], 'must be <namespace>:<name>'],
    [['network-policy', 'to-db', '--network', '203.0.113.0/24', '--port', 'https'], '--port: must be a port'],
    [['service', 'webscaler-db', '--to', 'a.example.com', '-o', 'xml'], '--output: must be yaml or json'],
  ])('refuses %j', async (args, message) => {
    const { code, stdout, stderr } = await called(['create', ...args]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });

  it('suggests the kind that was meant', async () => {
    expect(await called(['create', 'servise'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean service?'),
    });
  });
});
