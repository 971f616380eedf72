import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressService,
  applicationDeployment,
  ciliumNetworkPolicy,
  clientPod,
  dnsCacheSettings,
  egressNetworkPolicy,
  externalNameService,
  migrateFromExternalName,
  migrateToExternalName,
  serviceEntry,
  serviceFor,
  serviceReaderRole,
  serviceSwitcherRole,
  switchApplyConfiguration,
  switchJsonPatch,
  switchMergePatch,
  targetAdmissionPolicy,
} from '../manifests.ts';
import { matchesTargetPattern, parseTargetPattern } from '../names/index.ts';
import { parseManifests, type ServiceManifest, toYaml } from '../objects/index.ts';
import { serviceIssues, validate } from '../validation/index.ts';

const invalid = (...paths: string[]) =>
  expect.objectContaining({
    code: 'ERR_EXTERNALNAME_MANIFEST_INVALID',
    issues: paths.map((path) => expect.objectContaining({ path })),
  });
const badArgument = (argument: string) =>
  expect.objectContaining({ code: 'ERR_EXTERNALNAME_INVALID_ARGUMENT', argument });

describe('the manifests of the scenario', () => {
  it('are as a person would have written them', () => {
    const manifests = [
      externalNameService({ name: 'webscaler-db', namespace: 'default', externalName: 'primary-db.example.com' }),
      clientPod({ name: 'webscaler-client', namespace: 'default' }),
      externalNameService({ name: 'webscaler-manual', namespace: 'default', externalName: 'httpbin.org' }),
    ];
    expect(toYaml(manifests)).toBe(`apiVersion: v1
kind: Service
metadata:
  name: webscaler-db
  namespace: default
spec:
  type: ExternalName
  externalName: primary-db.example.com
---
apiVersion: v1
kind: Pod
metadata:
  name: webscaler-client
  namespace: default
spec:
  containers:
    - name: ubuntu-container
      image: ubuntu:latest
      command: ["/bin/bash", "-c", "while true; do sleep 3600; done"]
---
apiVersion: v1
kind: Service
metadata:
  name: webscaler-manual
  namespace: default
spec:
  type: ExternalName
  externalName: httpbin.org
`);
  });
});

describe('an ExternalName Service', () => {
  it('has no selector, no ports and nothing else that was not asked for', () => {
    const service = externalNameService({
      name: 'db',
      externalName: 'db.example.com',
      labels: { app: 'db' },
      annotations: { note: 'x' },
    });
    expect(service).toEqual({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'db', labels: { app: 'db' }, annotations: { note: 'x' } },
      spec: { type: 'ExternalName', externalName: 'db.example.com' },
    });
  });

  it('is refused with all problems at once', () => {
    const options = { name: 'DB', namespace: 'a_b', externalName: 'db_1.example.com', labels: { 'a b': 'x' } };
    expect(() => externalNameService(options)).toThrow(
      invalid('metadata.name', 'metadata.namespace', 'metadata.labels', 'spec.externalName'),
    );
  });

  it.each([
    '10.0.0.1',
    '127.1',
    '2130706433',
    '::1',
    `${'a'.repeat(64)}.example.com`,
    'db.default.svc.cluster.local',
    'pg.data.svc',
  ])('is refused if it could never work: %s', (externalName) => {
    expect(() => externalNameService({ name: 'db', externalName })).toThrow(
      expect.objectContaining({ code: 'ERR_EXTERNALNAME_MANIFEST_INVALID' }),
    );
  });

  it('says what works for an address', () => {
    expect(() => externalNameService({ name: 'db', externalName: '203.0.113.7' })).toThrow(
      /kind: EndpointSlice.*203\.0\.113\.7/s,
    );
  });

  it('is refused if the target is not on the allow-list', () => {
    const options = { name: 'db', externalName: 'evil.example.org', allowedTargets: ['*.example.com'] };
    expect(() => externalNameService(options)).toThrow(invalid('spec.externalName'));
  });

  it('is named by the rules of the version it is for', () => {
    const options = { name: '3scale-db', externalName: 'db.example.com' };
    expect(externalNameService({ ...options, kubernetesVersion: '1.36' }).metadata.name).toBe('3scale-db');
    expect(() => externalNameService({ ...options, kubernetesVersion: '1.35' })).toThrow(invalid('metadata.name'));
  });
});

describe('the body of a switch', () => {
  const externalName = 'secondary-db.example.com';

  it('is the JSON Patch of the scenario if nothing guards it', () => {
    expect(switchJsonPatch({ externalName })).toEqual([
      { op: 'replace', path: '/spec/externalName', value: externalName },
    ]);
  });

  it('tests the old value and the version first, as JSON Patch', () => {
    const onlyIf = { externalName: 'primary-db.example.com', resourceVersion: '42' };
    expect(switchJsonPatch({ externalName, onlyIf })).toEqual([
      { op: 'test', path: '/metadata/resourceVersion', value: '42' },
      { op: 'test', path: '/spec/externalName', value: 'primary-db.example.com' },
      { op: 'replace', path: '/spec/externalName', value: externalName },
    ]);
  });

  it('annotates the Service in the same patch, with slashes and tildes escaped', () => {
    const annotations = { set: { 'a.example/by': 'me', 'b~c': 'd', gone: null, absent: null }, current: { gone: 'x' } };
    expect(switchJsonPatch({ externalName, onlyIf: { uid: 'u' }, annotations })).toEqual([
      { op: 'test', path: '/metadata/uid', value: 'u' },
      { op: 'replace', path: '/spec/externalName', value: externalName },
      { op: 'add', path: '/metadata/annotations/a.example~1by', value: 'me' },
      { op: 'add', path: '/metadata/annotations/b~0c', value: 'd' },
      { op: 'remove', path: '/metadata/annotations/gone' },
    ]);
  });

  it('adds the whole map to a Service without annotations, guarded by its version only', () => {
    const annotations = { set: { 'a.example/by': 'me', gone: null } };
    expect(switchJsonPatch({ externalName, onlyIf: { resourceVersion: '42' }, annotations })).toEqual([
      { op: 'test', path: '/metadata/resourceVersion', value: '42' },
      { op: 'replace', path: '/spec/externalName', value: externalName },
      { op: 'add', path: '/metadata/annotations', value: { 'a.example/by': 'me' } },
    ]);
    expect(() => switchJsonPatch({ externalName, annotations })).toThrow(badArgument('onlyIf.resourceVersion'));
  });

  it('carries the version, as merge patch and as server-side apply', () => {
    const onlyIf = { resourceVersion: '42' };
    expect(switchMergePatch({ externalName })).toEqual({ spec: { externalName } });
    expect(switchMergePatch({ externalName, onlyIf })).toEqual({
      metadata: { resourceVersion: '42' },
      spec: { externalName },
    });
    expect(switchApplyConfiguration({ name: 'webscaler-db', namespace: 'default', externalName, onlyIf })).toEqual({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'webscaler-db', namespace: 'default', resourceVersion: '42' },
      spec: { type: 'ExternalName', externalName },
    });
  });

  it.each(['externalName', 'uid'])('is refused if the kind of patch cannot test the guard: %s', (guard) => {
    const onlyIf = { [guard]: 'primary-db.example.com' };
    expect(() => switchMergePatch({ externalName, onlyIf })).toThrow(badArgument(`onlyIf.${guard}`));
    expect(() => switchApplyConfiguration({ name: 'db', externalName, onlyIf })).toThrow(
      badArgument(`onlyIf.${guard}`),
    );
  });

  it('is refused for a target that is none, or not allowed', () => {
    expect(() => switchJsonPatch({ externalName: 'a b' })).toThrow(invalid('spec.externalName'));
    expect(() => switchMergePatch({ externalName, allowedTargets: ['primary-db.example.com'] })).toThrow(
      invalid('spec.externalName'),
    );
  });
});

describe('a Deployment for an application', () => {
  it('asks for names cheaply, and tells the application which targets are allowed', () => {
    const { spec } = applicationDeployment({
      name: 'orders',
      image: 'orders:1',
      allowedTargets: ['a.example.com', '*.b.example.com'],
    });
    expect(spec.template.spec?.dnsConfig?.options).toContainEqual({ name: 'ndots', value: '2' });
    expect(spec.template.spec?.containers[0]?.env).toEqual([
      { name: 'EXTERNALNAME_ALLOWED_TARGETS', value: 'a.example.com,*.b.example.com' },
    ]);
    expect(spec.template.metadata?.labels).toEqual(spec.selector.matchLabels);
  });

  it.each([
    ['replicas', { replicas: -1 }],
    ['dns.ndots', { dns: { ndots: 16 } }],
    ['dns.timeoutSeconds', { dns: { timeoutSeconds: 0 } }],
    ['dns.attempts', { dns: { attempts: 1.5 } }],
  ])('refuses %s out of range', (argument, options) => {
    expect(() => applicationDeployment({ name: 'orders', image: 'orders:1', ...options })).toThrow(invalid(argument));
  });
});

describe('a builder', () => {
  it('lists all problems of its options and of what it would make in one error', () => {
    const dns = { ndots: 99, attempts: 0 };
    const options = { name: 'Orders', image: '', replicas: 1.5, allowedTargets: ['*'], dns };
    expect(() => applicationDeployment(options)).toThrow(
      invalid(
        'replicas',
        'dns.ndots',
        'dns.attempts',
        'allowedTargets[0]',
        'metadata.name',
        'spec.template.spec.containers[0].name',
        'spec.template.spec.containers[0].image',
      ),
    );
    expect(() => addressService({ name: 'DB', addresses: ['x', '10.0.0.1', 'y'] })).toThrow(
      expect.objectContaining({
        issues: expect.arrayContaining(
          ['addresses[0]', 'addresses[2]', 'metadata.name'].map((path) => expect.objectContaining({ path })),
        ),
      }),
    );
    expect(() => serviceFor({ name: 'db', targets: ['a_b', 'c_d'] })).toThrow(
      invalid('spec.externalName', 'spec.externalName'),
    );
  });
});

describe('a Service for addresses', () => {
  it('has one slice a family, with the names of its ports', () => {
    const [service, four, six, ...rest] = addressService({
      name: 'db',
      namespace: 'app',
      addresses: ['203.0.113.7', { address: '2001:db8::7', ready: false, serving: true, terminating: true }],
      ports: [{ name: 'postgresql', port: 5432, targetPort: 6432, appProtocol: 'postgresql' }],
    });
    expect(rest).toEqual([]);
    expect(service).toMatchObject({
      kind: 'Service',
      spec: { ports: [{ name: 'postgresql', port: 5432, targetPort: 6432 }] },
    });
    expect(service).not.toHaveProperty('spec.selector');
    expect(four).toMatchObject({
      kind: 'EndpointSlice',
      addressType: 'IPv4',
      metadata: { namespace: 'app', labels: { 'kubernetes.io/service-name': 'db' } },
      ports: [{ name: 'postgresql', port: 6432, protocol: 'TCP' }],
      endpoints: [{ addresses: ['203.0.113.7'], conditions: { ready: true } }],
    });
    expect(six).toMatchObject({
      addressType: 'IPv6',
      endpoints: [{ conditions: { ready: false, serving: true, terminating: true } }],
    });
  });

  it('is headless if it has no ports', () => {
    expect(addressService({ name: 'db', addresses: ['203.0.113.7'] })[0]).toMatchObject({
      spec: { clusterIP: 'None' },
    });
  });

  it('puts at most 1000 endpoints into a slice', () => {
    const addresses = Array.from({ length: 1001 }, (_, index) => `10.0.${Math.floor(index / 250)}.${index % 250}`);
    const slices = addressService({ name: 'db', addresses }).slice(1);
    expect(slices.map((slice) => ('endpoints' in slice ? slice.endpoints.length : 0))).toEqual([1000, 1]);
    expect(new Set(slices.map(({ metadata }) => metadata.name)).size).toBe(2);
  });

  it.each(['127.0.0.1', '169.254.169.254', '0.0.0.0', '::1'])(
    'is refused for %s, as the API server would',
    (address) => {
      expect(() => addressService({ name: 'db', addresses: [address] })).toThrow(
        expect.objectContaining({ code: 'ERR_EXTERNALNAME_MANIFEST_INVALID' }),
      );
    },
  );

  it.each(['127.1', '10.0.0.1:5432', 'db.example.com', 'fe80::1%eth0'])(
    'is refused for %s, which is not an address',
    (address) => {
      expect(() => addressService({ name: 'db', addresses: [address] })).toThrow(invalid('addresses[0]'));
    },
  );
});

describe('what works for given targets', () => {
  const kinds = (targets: string[]) =>
    serviceFor({ name: 'db', targets, ports: [{ port: 5432 }] }).map(
      ({ kind, metadata }) => `${kind} ${metadata.name}`,
    );

  it('is one Service a name, or a Service and slices for addresses', () => {
    expect(kinds(['a.example.com'])).toEqual(['Service db']);
    expect(kinds(['a.example.com', 'b.example.com'])).toEqual(['Service db-1', 'Service db-2']);
    expect(kinds(['203.0.113.7', '2001:db8::7'])).toEqual([
      'Service db',
      'EndpointSlice db-ipv4-1',
      'EndpointSlice db-ipv6-1',
    ]);
  });

  it('is nothing for a mixture, or for none', () => {
    expect(() => kinds(['a.example.com', '203.0.113.7'])).toThrow(invalid('targets'));
    expect(() => kinds([])).toThrow(invalid('targets'));
  });
});

describe('a migration to ExternalName', () => {
  const clusterIP: ServiceManifest = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'db', namespace: 'app', resourceVersion: '7' },
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.7',
      clusterIPs: ['10.96.0.7'],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ port: 5432 }],
      selector: { app: 'db' },
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
    },
  };

  it('is one patch that clears what would stay without use, guarded by the version', () => {
    const { steps, result } = migrateToExternalName(clusterIP, { externalName: 'db.example.com' });
    expect(steps.map(({ action }) => action)).toEqual(['patch', 'verify']);
    expect(steps[0]).toMatchObject({
      contentType: 'application/merge-patch+json',
      body: {
        metadata: { resourceVersion: '7' },
        spec: {
          type: 'ExternalName',
          externalName: 'db.example.com',
          ports: null,
          selector: null,
          sessionAffinity: null,
          internalTrafficPolicy: null,
        },
      },
    });
    expect(steps[0]?.sideEffects.join(' ')).toContain('10.96.0.7 is released');
    expect(result.spec).toEqual({ type: 'ExternalName', externalName: 'db.example.com' });
  });

  it('leaves to the server what the server drops by itself', () => {
    const { steps } = migrateToExternalName(clusterIP, { externalName: 'db.example.com' });
    expect(steps[0]?.body).not.toHaveProperty('spec.clusterIP');
  });

  it('clears source ranges, which the server would refuse, in the field and in the annotation', () => {
    const annotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';
    const balancer: ServiceManifest = {
      ...clusterIP,
      metadata: { name: 'db', annotations: { [annotation]: '10.0.0.0/8', note: 'x' } },
      spec: {
        ...clusterIP.spec,
        type: 'LoadBalancer',
        loadBalancerSourceRanges: ['10.0.0.0/8'],
        allocateLoadBalancerNodePorts: true,
      },
    };
    const { steps, result } = migrateToExternalName(balancer, { externalName: 'db.example.com' });
    expect(steps[0]?.body).toMatchObject({
      metadata: { annotations: { [annotation]: null } },
      spec: { loadBalancerSourceRanges: null },
    });
    expect(result.metadata.annotations).toEqual({ note: 'x' });
  });

  it('has slices that were made by hand deleted', () => {
    const { selector: _, ...spec } = clusterIP.spec;
    const { steps } = migrateToExternalName({ ...clusterIP, spec }, { externalName: 'db.example.com' });
    expect(steps.map(({ action }) => action)).toEqual(['patch', 'delete-endpoint-slices', 'verify']);
  });

  it('goes back to ClusterIP with ports only', () => {
    const current = externalNameService({ name: 'db', externalName: 'db.example.com' });
    const { steps, result } = migrateFromExternalName(current, {
      to: 'ClusterIP',
      ports: [{ port: 5432 }],
      selector: { app: 'db' },
    });
    expect(steps[0]?.body).toEqual({
      spec: { type: 'ClusterIP', ports: [{ port: 5432 }], selector: { app: 'db' }, externalName: null },
    });
    expect(serviceIssues(result, current)).toEqual([]);
    expect(() => migrateFromExternalName(current, { to: 'ClusterIP' })).toThrow(invalid('spec.ports'));
  });

  it('goes back to headless without ports', () => {
    const current = externalNameService({ name: 'db', externalName: 'db.example.com' });
    expect(migrateFromExternalName(current, { to: 'headless' }).result.spec).toEqual({
      type: 'ClusterIP',
      clusterIP: 'None',
    });
  });

  it('is refused if there is nothing to migrate', () => {
    const current = externalNameService({ name: 'db', externalName: 'db.example.com' });
    expect(() => migrateToExternalName(current, { externalName: 'x.example.com' })).toThrow(badArgument('current'));
    expect(() => migrateFromExternalName(clusterIP, { to: 'headless' })).toThrow(badArgument('current'));
  });
});

describe('roles', () => {
  const options = {
    service: 'webscaler-db',
    namespace: 'default',
    subjects: [{ kind: 'ServiceAccount' as const, name: 'orders', namespace: 'shop' }],
  };

  it('let a workload read and watch this Service and no other', () => {
    const [role, binding] = serviceReaderRole(options);
    expect(role.rules).toEqual([
      { apiGroups: [''], resources: ['services'], resourceNames: ['webscaler-db'], verbs: ['get', 'list', 'watch'] },
    ]);
    expect(binding).toMatchObject({ roleRef: { kind: 'Role', name: role.metadata.name }, subjects: options.subjects });
  });

  it('let an operator patch this Service and no other', () => {
    const [role] = serviceSwitcherRole(options);
    expect(role.rules).toEqual([
      { apiGroups: [''], resources: ['services'], resourceNames: ['webscaler-db'], verbs: ['get', 'patch'] },
    ]);
  });

  it('are refused for a subject that is none', () => {
    expect(() =>
      serviceReaderRole({ ...options, subjects: [{ kind: 'ServiceAccount', name: 'orders', namespace: '' }] }),
    ).toThrow(invalid('subjects[0].namespace'));
  });
});

describe('an admission policy', () => {
  const options = {
    name: 'targets',
    namespace: 'default',
    allowedTargets: ['primary-db.example.com', '*.standby.example.com'],
  };

  it('pins the targets of one Service, its type and its externalIPs', () => {
    const [policy, binding] = targetAdmissionPolicy({ ...options, service: 'webscaler-db' });
    expect(policy.spec.validations).toHaveLength(3);
    expect(policy.spec.matchConditions?.[0]?.expression).toContain("== 'webscaler-db'");
    expect(binding.spec).toMatchObject({ policyName: 'targets', validationActions: ['Deny'] });
  });

  it('pins the targets of a whole namespace', () => {
    const [policy, binding] = targetAdmissionPolicy(options);
    expect(policy.spec.validations).toHaveLength(1);
    expect(policy.spec).not.toHaveProperty('matchConditions');
    expect(binding.spec.matchResources?.namespaceSelector).toEqual({
      matchLabels: { 'kubernetes.io/metadata.name': 'default' },
    });
  });

  it('means what the allow-list of the client means', () => {
    const [policy] = targetAdmissionPolicy({ ...options, unchangedTargetsPass: false });
    const expression = policy.spec.validations?.[0]?.expression ?? '';
    const patterns = options.allowedTargets.map((text) => parseTargetPattern(text));
    const part = fc.constantFrom('primary-db', 'standby', 'x', 'example', 'com', 'xstandby', '');
    const name = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(name, fc.boolean(), (text, dotted) => {
        const externalName = dotted ? `${text}.` : text;
        expect(evaluate(expression, externalName)).toBe(matchesTargetPattern(externalName, patterns));
      }),
    );
  });

  it.each([
    ['allowedTargets', { allowedTargets: [] }],
    ['allowedTargets[0]', { allowedTargets: ['*'] }],
    ['onlyExternalName', { onlyExternalName: true }],
  ])('is refused for a %s that makes no sense', (argument, wrong) => {
    expect(() => targetAdmissionPolicy({ ...options, ...wrong })).toThrow(invalid(argument));
  });
});

describe('policies for egress', () => {
  it('let pods out to the networks, the ports and DNS only', () => {
    const policy = egressNetworkPolicy({
      name: 'out',
      podLabels: { app: 'orders' },
      networks: ['203.0.113.0/24'],
      ports: [{ port: 5432 }],
    });
    expect(policy.spec.policyTypes).toEqual(['Egress']);
    expect(policy.spec.egress?.[0]).toEqual({
      to: [{ ipBlock: { cidr: '203.0.113.0/24' } }],
      ports: [{ protocol: 'TCP', port: 5432 }],
    });
    expect(policy.spec.egress?.[1]?.ports).toEqual([
      { protocol: 'UDP', port: 53 },
      { protocol: 'TCP', port: 53 },
    ]);
    expect(policy.spec.egress).toHaveLength(2);
  });

  it('never let everything out by a list left empty', () => {
    const options = { name: 'out', podLabels: {}, networks: ['203.0.113.0/24'], ports: [{ port: 5432 }] };
    expect(() => egressNetworkPolicy({ ...options, networks: [] })).toThrow(invalid('networks'));
    expect(() => egressNetworkPolicy({ ...options, ports: [] })).toThrow(invalid('ports'));
    expect(() => egressNetworkPolicy({ ...options, networks: ['203.0.113.7/24'] })).toThrow(
      invalid('spec.egress[0].to[0].ipBlock.cidr'),
    );
  });

  it('name the Service and its targets, for Cilium', () => {
    const policy = ciliumNetworkPolicy({
      name: 'out',
      podLabels: { app: 'orders' },
      services: ['webscaler-db.default.svc.cluster.local'],
      targets: ['primary-db.example.com', '*.standby.example.com'],
      ports: [{ port: 5432 }],
    });
    expect(policy.spec.egress[1]?.toFQDNs).toEqual([
      { matchName: 'webscaler-db.default.svc.cluster.local' },
      { matchName: 'primary-db.example.com' },
      { matchPattern: '*.standby.example.com' },
    ]);
  });
});

describe('a ServiceEntry for Istio', () => {
  const options = {
    name: 'webscaler-db',
    targets: ['primary-db.example.com', 'Secondary-DB.example.com.'],
    ports: [{ port: 5432, protocol: 'TCP' as const }],
    networks: ['203.0.113.0/24', '2001:db8::7'],
  };

  it('names every target, so that a switch needs no change in the mesh', () => {
    expect(serviceEntry(options)).toEqual({
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'webscaler-db' },
      spec: {
        hosts: ['primary-db.example.com', 'secondary-db.example.com'],
        addresses: ['203.0.113.0/24', '2001:db8::7'],
        ports: [{ number: 5432, name: 'tcp-5432', protocol: 'TCP' }],
        location: 'MESH_EXTERNAL',
        resolution: 'NONE',
        exportTo: ['.'],
      },
    });
  });

  it('needs networks for TCP, as the sidecar would take every connection to the port for one to these hosts', () => {
    expect(() => serviceEntry({ ...options, networks: undefined })).toThrow(invalid('networks'));
    const tls = serviceEntry({ ...options, networks: undefined, ports: [{ port: 443, protocol: 'TLS' }] });
    expect(tls.spec).not.toHaveProperty('addresses');
    expect(tls.spec.ports).toEqual([{ number: 443, name: 'tls-443', protocol: 'TLS' }]);
  });

  it.each([
    ['targets', { targets: [] }],
    ['targets[0]', { targets: ['not a host'] }],
    ['ports', { ports: [] }],
    ['ports[0].port', { ports: [{ port: 0, protocol: 'TCP' as const }] }],
    ['ports[1].port', { ports: [...options.ports, ...options.ports] }],
    ['networks[0]', { networks: ['203.0.113.7/24'] }],
    ['networks[0]', { networks: ['primary-db.example.com'] }],
  ])('is refused with the place of the mistake: %s', (path, wrong) => {
    expect(() => serviceEntry({ ...options, ...wrong })).toThrow(invalid(path));
  });
});

describe('DNS settings for a wanted time to switch', () => {
  it.each([2, 5, 6, 10, 31, 60, 3600])('keep within %d s', (timeToSwitchSeconds) => {
    const settings = dnsCacheSettings({ timeToSwitchSeconds });
    expect(settings.worstCaseSeconds).toBeLessThanOrEqual(timeToSwitchSeconds);
    expect(settings.coreDns).toContain(`ttl ${settings.ttlSeconds}\n`);
  });

  it('turn the cache of the node off if the time is shorter than it keeps anything', () => {
    expect(dnsCacheSettings({ timeToSwitchSeconds: 5 })).toMatchObject({ ttlSeconds: 4, nodeCacheSeconds: 0 });
    expect(dnsCacheSettings({ timeToSwitchSeconds: 5 }).nodeLocalDns).not.toContain('cache');
    expect(dnsCacheSettings({ timeToSwitchSeconds: 10 }).nodeLocalDns).toContain('success 9984 9');
  });

  it('are for CoreDNS alone if there is no other cache', () => {
    expect(dnsCacheSettings({ timeToSwitchSeconds: 10, nodeLocalDns: false })).not.toHaveProperty('nodeLocalDns');
  });

  it.each([1, 1.5, 3601, Number.NaN])('are refused for %d s', (timeToSwitchSeconds) => {
    expect(() => dnsCacheSettings({ timeToSwitchSeconds })).toThrow(badArgument('timeToSwitchSeconds'));
  });
});

describe('whatever the builders make', () => {
  const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/);
  const host = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => `${labels.join('.')}.example.com`);
  const port = fc.integer({ min: 1, max: 65_535 });
  const byte = fc.integer({ min: 0, max: 255 });
  const address = fc.oneof(
    fc.tuple(byte, byte).map(([left, right]) => `203.0.${left}.${right}`),
    fc.integer({ min: 1, max: 0xffff }).map((last) => `2001:db8::${last.toString(16)}`),
  );
  const options = fc.record({
    name: label,
    namespace: label,
    hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 3 }),
    addresses: fc.uniqueArray(address, { minLength: 1, maxLength: 5 }),
    port,
    key: label,
    value: label,
  });
  const manifests = options.map(({ name, namespace, hosts, addresses, port, key, value }) => {
    const labels = { [key]: value };
    const ports = [{ name: 'main', port }];
    return [
      externalNameService({
        name,
        namespace,
        labels,
        annotations: { [`example.com/${key}`]: value },
        externalName: `${hosts[0]}`,
      }),
      ...serviceFor({ name, namespace, targets: hosts }),
      ...addressService({ name, namespace, labels, addresses, ports }),
      clientPod({ name, namespace, labels }),
      applicationDeployment({ name, namespace, image: value, allowedTargets: hosts }),
      ...serviceReaderRole({ service: name, namespace, subjects: [{ kind: 'Group', name: value }] }),
      ...serviceSwitcherRole({ service: name, namespace, subjects: [{ kind: 'ServiceAccount', name, namespace }] }),
      ...targetAdmissionPolicy({ name, namespace, service: name, allowedTargets: hosts }),
      egressNetworkPolicy({ name, namespace, podLabels: labels, networks: ['203.0.113.0/24'], ports: [{ port }] }),
      ciliumNetworkPolicy({ name, namespace, podLabels: labels, services: [], targets: hosts, ports: [{ port }] }),
      serviceEntry({ name, namespace, labels, targets: hosts, ports: [{ port, protocol: 'TLS' }] }),
    ];
  });

  it('validates without an error, and comes back from YAML unchanged: 1,000 objects', () => {
    let objects = 0;
    fc.assert(
      fc.property(manifests, (made) => {
        expect(validate(made).filter(({ severity }) => severity === 'error')).toEqual([]);
        expect(parseManifests(toYaml(made))).toEqual(made);
        objects += made.length;
      }),
      { numRuns: 70 },
    );
    expect(objects).toBeGreaterThan(1000);
  }, 60_000);
});

/** The expression of the policy, with CEL's words put into those of JavaScript. The API server itself is asked in test/contract. */
function evaluate(expression: string, externalName: string): boolean {
  const target = (externalName.endsWith('.') ? externalName.slice(0, -1) : externalName).toLowerCase();
  const script = expression
    .replaceAll('variables.target', 'target')
    .replaceAll(/target(\.substring\(target\.indexOf\('\.'\) \+ 1\))? in (\[[^\]]*\])/g, '$2.includes(target$1)');
  return (
    Function('object', 'target', `return ${script};`)({ spec: { type: 'ExternalName', externalName } }, target) === true
  );
}
