import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as coreConnect from '../../packages/core/src/connect.ts';
import * as coreDns from '../../packages/core/src/dns.ts';
import * as coreEvents from '../../packages/core/src/events.ts';
import * as coreRoot from '../../packages/core/src/index.ts';
import * as coreManifests from '../../packages/core/src/manifests.ts';
import * as coreNames from '../../packages/core/src/names.ts';
import * as coreTargets from '../../packages/core/src/targets.ts';
import * as coreValidation from '../../packages/core/src/validation.ts';
import * as doctor from '../../packages/doctor/src/index.ts';
import * as drill from '../../packages/drill/src/index.ts';
import * as engines from '../../packages/engines/src/index.ts';
import * as httpAgent from '../../packages/http/src/agent.ts';
import * as httpRoot from '../../packages/http/src/index.ts';
import * as kubernetes from '../../packages/kubernetes/src/index.ts';
import * as pg from '../../packages/pg/src/index.ts';
import * as prometheusDrill from '../../packages/prometheus/src/drill.ts';
import * as prometheus from '../../packages/prometheus/src/index.ts';
import * as producer from '../../packages/prometheus/src/metric-producer.ts';
import * as telemetry from '../../packages/prometheus/src/opentelemetry.ts';
import * as testing from '../../packages/testing/src/index.ts';

/** How something public is called, with arguments that are right. Whatever takes options is given all that it has. */
export interface Call {
  readonly args: () => readonly unknown[];
  // biome-ignore lint/suspicious/noExplicitAny: whatever there is must be passable to what is typed
  readonly run: (...args: any[]) => unknown;
  /** Closes what was made. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly end?: (made: any) => unknown;
  /** Codes, beside ERR_EXTERNALNAME_INVALID_ARGUMENT, by which it refuses. */
  readonly codes?: readonly string[];
  /** Whether an error says that the arguments had been taken, and the call went on to what is not to happen here. */
  readonly stops?: (error: unknown) => boolean;
  /** How many arguments fast-check makes up, where a call takes long. */
  readonly runs?: number;
}

type Entry = 'constant' | 'error' | Call;

interface Face {
  readonly exports: object;
  /** By the name of the export. */
  readonly table: Readonly<Record<string, Entry>>;
  /** Functions of what the exports make. */
  readonly beyond: Readonly<Record<string, Call>>;
}

/** Every option, so that a new one that stands in no table is an error of types. */
type All<Options> = { readonly [Name in keyof Options]-?: unknown } & Readonly<Record<string, unknown>>;

/** What core offers at its root and at its subpaths. A name stands at one of them. */
const core = {
  ...coreRoot,
  ...coreConnect,
  ...coreDns,
  ...coreEvents,
  ...coreManifests,
  ...coreNames,
  ...coreTargets,
  ...coreValidation,
};

const manifest = ['ERR_EXTERNALNAME_MANIFEST_INVALID'];
const refusals = [
  'ERR_EXTERNALNAME_ALLOW_LIST_REQUIRED',
  'ERR_EXTERNALNAME_TARGET_REFUSED',
  'ERR_EXTERNALNAME_TARGET_IS_ADDRESS',
  'ERR_EXTERNALNAME_ADDRESS_REFUSED',
];
const stopped = new Error('stopped');
const kubernetesCodes = [
  ...refusals,
  'ERR_EXTERNALNAME_SWITCH_FAILED',
  'ERR_EXTERNALNAME_KUBERNETES_UNAVAILABLE',
  'ERR_EXTERNALNAME_KUBERNETES_CONFIG',
];
const isStopped = (error: unknown) => error === stopped;
const aborted = AbortSignal.abort(stopped);
const close = (made: { close?: () => unknown } | undefined) => made?.close?.();

const target = { externalName: 'primary-db.example.com', via: ['webscaler-db.default.svc.cluster.local'] };
const wholeTarget = { ...target, version: '1', source: 'dns', stale: false };
const endpoint = { target: wholeTarget, address: '203.0.113.7', family: 4, port: 5432 };
// What a clock of the caller's own says is its own affair.
class GivenClock {
  now = () => core.systemClock.now();
  date = () => core.systemClock.date();
  schedule = core.systemClock.schedule.bind(core.systemClock);
}
const clock = new GivenClock();
const dependencies = { clock, random: core.systemRandom };
const resolution = {
  name: 'webscaler-db.default.svc.cluster.local',
  chain: [{ name: 'webscaler-db.default.svc.cluster.local', target: 'primary-db.example.com', ttlSeconds: 5 }],
  canonicalName: 'primary-db.example.com',
  addresses: [{ address: '203.0.113.7', family: 4, ttlSeconds: 5 }],
  ttlSeconds: 5,
  stale: false,
};
class ScriptedResolver {
  async resolve() {
    return resolution;
  }
  async resolveHost() {
    return resolution;
  }
  async close() {}
}
const resolver = new ScriptedResolver();
const policy = core.createTargetPolicy({ allowedTargets: 'any' });
const cacheOptions = {
  maxNames: 10,
  minTtlSeconds: 0,
  maxTtlSeconds: 300,
  maxNegativeTtlSeconds: 30,
  failureTtlSeconds: 1,
  maxStaleSeconds: 3600,
  staleAfterMillis: 1800,
  prefetch: true,
} satisfies All<coreDns.CacheOptions>;
const resolverOptions = {
  nameservers: ['127.0.0.1:1'],
  resolvConfPath: '/nowhere/resolv.conf',
  searchDomains: ['default.svc.cluster.local'],
  ndots: 1,
  timeoutMillis: 10,
  attempts: 1,
  totalTimeoutMillis: 20,
  rotate: false,
  useTcp: false,
  edns0: true,
  hostsPath: '/nowhere/hosts',
  cache: cacheOptions,
} satisfies All<coreRoot.DnsResolverOptions>;
const named = {
  name: 'webscaler-db',
  namespace: 'default',
  labels: { app: 'webscaler' },
  annotations: { 'example.com/why': 'a test' },
};
const checks = { allowedTargets: ['*.example.com'], kubernetesVersion: '1.34', clusterDomain: 'cluster.local' };
const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'webscaler-db', namespace: 'default', resourceVersion: '1' },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.5', ports: [{ port: 5432 }] },
};
const externalService = {
  ...service,
  spec: { type: 'ExternalName', externalName: 'primary-db.example.com' },
};
const dns = { namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' }, nodeLocalAddress: '169.254.20.10' };
const clusterRole = {
  service: 'webscaler-db',
  namespace: 'default',
  subjects: [{ kind: 'ServiceAccount', name: 'app', namespace: 'default' }],
};
const switched = { externalName: 'secondary-db.example.com', ...checks };
const issue = {
  path: 'spec',
  code: 'required',
  severity: 'error',
  message: 'm',
  hint: 'h',
  document: 0,
  line: 1,
  column: 1,
};

const serviceOptions = {
  service: 'webscaler-queue',
  allowedTargets: ['*.example.com'],
  allowedNetworks: ['203.0.113.0/24'],
  namespace: 'default',
  clusterDomain: 'cluster.local',
  source: new core.StaticTargetSource('queue-a.example.com'),
  dns: resolver,
  attemptTimeoutMillis: 10,
} satisfies All<coreConnect.ServiceOptions>;
const connectOptions = {
  ...serviceOptions,
  port: 8883,
  timeoutMillis: 20,
  onSwitch: 'close',
  signal: aborted,
} satisfies All<coreConnect.ConnectOptions>;
const tlsOptions = { minVersion: 'TLSv1.3' };
const connectCodes = [...refusals, 'ERR_EXTERNALNAME_DEADLINE', 'ERR_EXTERNALNAME_CONNECT_TIMEOUT'];

const outlierDetection = {
  intervalMillis: 10,
  baseEjectionMillis: 10,
  longestEjectionMillis: 20,
  maxEjectionPercent: 50,
  failurePercent: 50,
  minimumRequests: 10,
  latencyFactor: 3,
  leastLatencyMillis: 10,
};

const coreTable: Readonly<Record<string, Entry>> = {
  ConnectTimeoutError: 'error',
  FailoverTimeoutError: 'error',
  TargetRetiredError: 'error',
  connect: { args: () => [connectOptions], run: core.connect, codes: connectCodes, stops: isStopped },
  connectTls: {
    args: () => [{ ...connectOptions, tls: tlsOptions }],
    run: core.connectTls,
    codes: connectCodes,
    stops: isStopped,
  },
  lazySocket: {
    args: () => [{ ...connectOptions, tls: tlsOptions }],
    run: (options) => core.lazySocket(options).on('error', () => {}),
    end: (socket: { destroy(): void }) => socket.destroy(),
    codes: connectCodes,
  },
  serviceSwitched: 'constant',
  targetNotFollowed: 'constant',
  AddressRefusedError: 'error',
  AllowListRequiredError: 'error',
  Balancer: {
    args: () => [
      {
        balancing: 'ordered',
        failureMemoryMillis: 10,
        weightOf: () => 1,
        slowStartMillis: 10,
        outlierDetection,
      },
      dependencies,
    ],
    run: (...args) => new core.Balancer(...(args as [])),
  },
  ClosedError: 'error',
  DeadlineError: 'error',
  DnsQueryError: 'error',
  DnsResolver: {
    args: () => [resolverOptions, dependencies],
    run: (...args) => new core.DnsResolver(...(args as [])),
    end: close,
  },
  DnsTargetSource: {
    args: () => [
      { service: 'webscaler-db', resolver, namespace: 'default', clusterDomain: 'cluster.local', timeoutMillis: 10 },
      dependencies,
    ],
    run: (...args) => new core.DnsTargetSource(...(args as [never])),
    end: close,
  },
  EventChannel: {
    args: () => ['externalname:test:happened'],
    run: (name) => new core.EventChannel(name),
  },
  ExternalNameError: 'error',
  FirstAvailableTargetSource: {
    args: () => [
      [new core.StaticTargetSource('primary-db.example.com')],
      { settleMillis: 10, timeoutMillis: 10 },
      { clock },
    ],
    run: (...args) => new core.FirstAvailableTargetSource(...(args as [never])),
    end: close,
  },
  InvalidArgumentError: 'error',
  ManifestInvalidError: 'error',
  ManifestSyntaxError: 'error',
  NoEndpointError: 'error',
  NoTargetError: 'error',
  ResolutionError: 'error',
  ServiceBalancer: {
    args: () => [
      [{ name: 'webscaler-db', priority: 0, weight: 1 }],
      {
        balancing: 'random',
        comeBackAfterMillis: 10,
        longestComeBackMillis: 20,
        stableMillis: 10,
        slowStartMillis: 10,
        outlierDetection,
      },
      dependencies,
    ],
    run: (...args) => new core.ServiceBalancer(...(args as [never])).order(),
  },
  StaticTargetSource: {
    args: () => ['primary-db.example.com'],
    run: (host) => new core.StaticTargetSource(host),
    end: close,
  },
  TargetIsAddressError: 'error',
  TargetRefusedError: 'error',
  TlsIdentityError: 'error',
  addressRefused: 'constant',
  addressService: {
    args: () => [
      {
        ...named,
        addresses: ['203.0.113.7', { address: '203.0.113.8', ready: true }],
        ports: [{ name: 'db', port: 5432, protocol: 'TCP', targetPort: 5432 }],
        headless: false,
        kubernetesVersion: '1.34',
      },
    ],
    run: core.addressService,
    codes: manifest,
  },
  answerChanged: 'constant',
  answerIgnored: 'constant',
  applicationDeployment: {
    args: () => [
      {
        ...named,
        image: 'webscaler:1',
        replicas: 2,
        allowedTargets: ['*.example.com'],
        env: { A: 'b' },
        envFromSecrets: ['secret'],
        serviceAccountName: 'app',
        dns: { ndots: 2, timeoutSeconds: 2, attempts: 3 },
        kubernetesVersion: '1.34',
      },
    ],
    run: core.applicationDeployment,
    codes: manifest,
  },
  backgroundFailed: 'constant',
  canonicalName: { args: () => ['Webscaler-DB.'], run: core.canonicalName },
  ciliumNetworkPolicy: {
    args: () => [
      {
        ...named,
        podLabels: { app: 'webscaler' },
        services: ['webscaler-db.default.svc.cluster.local'],
        targets: ['*.example.com'],
        ports: [{ port: 5432, protocol: 'TCP' }],
        dns: { namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' } },
      },
    ],
    run: core.ciliumNetworkPolicy,
    codes: manifest,
  },
  clientPod: {
    args: () => [
      { ...named, image: 'ubuntu:latest', containerName: 'ubuntu', command: ['sleep', '1'], kubernetesVersion: '1.34' },
    ],
    run: core.clientPod,
    codes: manifest,
  },
  createLookup: { args: () => [resolver], run: core.createLookup },
  createTargetPolicy: {
    args: () => [
      {
        allowedTargets: ['*.example.com'],
        allowedNetworks: ['203.0.113.0/24'],
        service: 'webscaler-db',
        host: 'primary-db.example.com',
      },
    ],
    run: core.createTargetPolicy,
    codes: refusals,
  },
  drillFinished: 'constant',
  discoverClusterContext: {
    args: () => [{ searchDomains: ['default.svc.cluster.local'], readNamespace: () => 'default' }],
    run: core.discoverClusterContext,
  },
  dnsAddressesChangedChannel: 'constant',
  dnsAnswerChannel: 'constant',
  dnsCacheSettings: {
    args: () => [
      { timeToSwitchSeconds: 10, clusterDomain: 'cluster.local', nodeLocalDns: true, clusterDnsAddress: '10.96.0.10' },
    ],
    run: core.dnsCacheSettings,
  },
  dnsChainChangedChannel: 'constant',
  dnsQueryChannel: 'constant',
  dnsSearchDomainFailedChannel: 'constant',
  egressNetworkPolicy: {
    args: () => [
      {
        ...named,
        podLabels: { app: 'webscaler' },
        networks: ['203.0.113.0/24'],
        ports: [{ port: 5432, protocol: 'TCP' }],
        dns,
        kubernetesVersion: '1.34',
      },
    ],
    run: core.egressNetworkPolicy,
    codes: manifest,
  },
  externalNameService: {
    args: () => [{ ...named, ...checks, externalName: 'primary-db.example.com' }],
    run: core.externalNameService,
    codes: manifest,
  },
  formatIssue: { args: () => [issue], run: core.formatIssue },
  githubAnnotations: { args: () => [[{ file: 'service.yaml', issues: [issue] }]], run: core.githubAnnotations },
  sarifLog: {
    args: () => [
      [{ file: 'service.yaml', issues: [issue] }],
      { tool: 'externalname' } satisfies All<coreValidation.SarifLogOptions>,
    ],
    run: core.sarifLog,
  },
  hostNameProblem: { args: () => ['primary-db.example.com'], run: core.hostNameProblem },
  isExternalNameError: { args: () => [new Error('none of ours')], run: core.isExternalNameError },
  isSameTarget: { args: () => [wholeTarget, wholeTarget], run: core.isSameTarget },
  isServiceName: {
    args: () => ['webscaler-db.default.svc.cluster.local', 'cluster.local'],
    run: core.isServiceName,
  },
  isWithin: { args: () => ['a.example.com', 'example.com'], run: core.isWithin },
  longestLabel: 'constant',
  longestName: 'constant',
  looksLikeAddress: { args: () => ['primary-db.example.com'], run: core.looksLikeAddress },
  matchesTargetPattern: {
    args: () => ['primary-db.example.com', [{ kind: 'one-label', name: 'example.com' }]],
    run: core.matchesTargetPattern,
  },
  migrateFromExternalName: {
    args: () => [
      externalService,
      { to: 'ClusterIP', ports: [{ port: 5432 }], selector: { app: 'db' }, kubernetesVersion: '1.34' },
    ],
    run: core.migrateFromExternalName,
    codes: manifest,
  },
  migrateToExternalName: {
    args: () => [service, { externalName: 'primary-db.example.com', ...checks }],
    run: core.migrateToExternalName,
    codes: manifest,
  },
  parseHostName: { args: () => ['primary-db.example.com', 'name'], run: core.parseHostName },
  parseManifests: {
    args: () => ['apiVersion: v1\nkind: Service\n'],
    run: core.parseManifests,
    codes: ['ERR_EXTERNALNAME_MANIFEST_SYNTAX'],
  },
  parseResolvConf: {
    args: () => ['nameserver 10.96.0.10', { hostname: 'pod', environment: { LOCALDOMAIN: 'a' } }],
    run: core.parseResolvConf,
  },
  parseServiceReference: {
    args: () => ['webscaler-db', { namespace: 'default', clusterDomain: 'cluster.local' }],
    run: core.parseServiceReference,
  },
  parseTargetPattern: { args: () => ['*.example.com', 'allowedTargets[0]'], run: core.parseTargetPattern },
  patchContentTypes: 'constant',
  raceEndpoints: {
    args: () => [
      [endpoint],
      async () => 'result',
      {
        attemptDelayMillis: 250,
        discard: () => undefined,
        isFinal: () => false,
        interleaveFamilies: true,
        signal: new AbortController().signal,
      },
      { clock },
    ],
    run: core.raceEndpoints,
    codes: ['ERR_EXTERNALNAME_NO_ENDPOINT'],
  },
  refused: { args: () => [[issue]], run: core.refused },
  resolveEndpoints: {
    args: () => [
      wholeTarget,
      { resolver, policy, port: 5432, plainHost: false, fresh: false, signal: new AbortController().signal },
    ],
    run: core.resolveEndpoints,
    codes: [...refusals, 'ERR_EXTERNALNAME_DNS_NO_ADDRESS'],
  },
  searchCandidates: {
    args: () => ['webscaler-db', { searchDomains: ['default.svc.cluster.local'], ndots: 5 }],
    run: core.searchCandidates,
  },
  serviceEntry: {
    args: () => [
      {
        ...named,
        targets: ['*.example.com'],
        ports: [{ port: 5432, protocol: 'TCP' }],
        networks: ['203.0.113.0/24'],
        exportTo: ['.'],
      },
    ],
    run: core.serviceEntry,
    codes: manifest,
  },
  serviceFor: {
    args: () => [{ ...named, ...checks, targets: ['primary-db.example.com'], ports: [{ port: 5432 }], headless: true }],
    run: core.serviceFor,
    codes: manifest,
  },
  serviceIssues: {
    args: () => [externalService, externalService, checks],
    run: core.serviceIssues,
  },
  serviceReaderRole: { args: () => [clusterRole], run: core.serviceReaderRole, codes: manifest },
  serviceReference: {
    args: () => ['webscaler-db', { namespace: 'default', clusterDomain: 'cluster.local' }],
    run: core.serviceReference,
  },
  serviceSwitcherRole: { args: () => [clusterRole], run: core.serviceSwitcherRole, codes: manifest },
  sourceDegraded: 'constant',
  sourceRecovered: 'constant',
  splitBrainSeen: 'constant',
  switchApplyConfiguration: {
    args: () => [{ name: 'webscaler-db', namespace: 'default', ...switched, onlyIf: { resourceVersion: '1' } }],
    run: core.switchApplyConfiguration,
    codes: manifest,
  },
  switchJsonPatch: {
    args: () => [
      {
        ...switched,
        onlyIf: { externalName: 'primary-db.example.com', uid: 'a', resourceVersion: '1' },
        annotations: { set: { a: 'b', c: null }, current: { c: 'd' } },
      },
    ],
    run: core.switchJsonPatch,
    codes: manifest,
  },
  switchMergePatch: {
    args: () => [{ ...switched, onlyIf: { resourceVersion: '1' } }],
    run: core.switchMergePatch,
    codes: manifest,
  },
  systemClock: 'constant',
  systemRandom: { args: () => [], run: core.systemRandom },
  targetAdmissionPolicy: {
    args: () => [
      {
        ...named,
        service: 'webscaler-db',
        allowedTargets: ['*.example.com'],
        onlyExternalName: true,
        unchangedTargetsPass: true,
        validationActions: ['Deny'],
      },
    ],
    run: core.targetAdmissionPolicy,
    codes: manifest,
  },
  targetChanged: 'constant',
  targetOfChain: {
    args: () => [
      ['webscaler-db.default.svc.cluster.local', 'primary-db.example.com'],
      { clusterDomain: 'cluster.local', plainHost: false },
    ],
    run: core.targetOfChain,
  },
  targetRefused: 'constant',
  tlsIdentity: { args: () => [target], run: core.tlsIdentity },
  toJson: { args: () => [externalService], run: core.toJson },
  toYaml: { args: () => [externalService], run: core.toYaml },
  validate: {
    args: () => ['kind: Service', { allowedTargets: ['*.example.com'], kubernetesVersion: '1.34' }],
    run: core.validate,
  },
  validationRules: 'constant',
};

// With no server, and no hosts.
const silentResolver = new core.DnsResolver({
  nameservers: ['127.0.0.1:1'],
  hostsPath: '/nowhere/hosts',
  totalTimeoutMillis: 50,
});
const askOptions = {
  fresh: true,
  family: 4,
  timeoutMillis: 10,
  signal: new AbortController().signal,
} satisfies All<coreRoot.ResolveOptions>;
const dnsCodes = [
  'ERR_EXTERNALNAME_DNS_NOT_FOUND',
  'ERR_EXTERNALNAME_DNS_NO_ADDRESS',
  'ERR_EXTERNALNAME_DNS_UNAVAILABLE',
];

/** A question to a source, which is then closed. */
function currentOf(make: () => coreRoot.TargetSource, signal = new AbortController().signal): Call {
  const options = { fresh: true, signal } satisfies All<coreRoot.CurrentOptions>;
  return {
    args: () => [options],
    run: async (given) => {
      const source = make();
      try {
        return await source.current(given);
      } finally {
        await source.close();
      }
    },
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 50,
  };
}

const coreBeyond: Readonly<Record<string, Call>> = {
  'Balancer.order, failed, succeeded, connected': {
    args: () => [[endpoint], endpoint],
    run: (endpoints, one) => {
      const balancer = new core.Balancer({ balancing: 'round-robin' });
      balancer.failed(one);
      balancer.connected(one)();
      balancer.succeeded(one);
      return balancer.order(endpoints);
    },
  },
  'Balancer.pick, shares, setWeight, requested, connectionsTo, status, subscribe': {
    args: () => [[endpoint], endpoint, 1, () => undefined],
    run: (endpoints, one, weight, listener) => {
      const balancer = new core.Balancer({ balancing: 'round-robin', outlierDetection: {} });
      balancer.subscribe(listener)();
      balancer.setWeight(one, weight);
      balancer.requested(one)('answered');
      balancer.connectionsTo(one);
      return [balancer.pick(endpoints), balancer.shares(endpoints), balancer.status()];
    },
  },
  'ServiceBalancer.probed, isSetAside, requested, subscribe': {
    args: () => ['webscaler-db', () => undefined],
    run: (name, listener) => {
      const balancer = new core.ServiceBalancer([{ name: 'webscaler-db' }], { stableMillis: 10 });
      balancer.subscribe(listener)();
      balancer.requested(name)('answered');
      balancer.probed(name);
      return [balancer.isSetAside(name), balancer.toProbe(), balancer.status()];
    },
  },
  'ServiceBalancer.failed, succeeded': {
    args: () => ['webscaler-db'],
    run: (name) => {
      const balancer = new core.ServiceBalancer([{ name: 'webscaler-db' }]);
      balancer.failed(name);
      balancer.succeeded(name);
    },
  },
  'DnsResolver.resolve': {
    args: () => ['localhost', askOptions],
    run: (name, options) => silentResolver.resolve(name, options),
    codes: dnsCodes,
  },
  'DnsResolver.resolveHost': {
    args: () => ['localhost', askOptions],
    run: (name, options) => silentResolver.resolveHost(name, options),
    codes: dnsCodes,
  },
  'StaticTargetSource.current': currentOf(() => new core.StaticTargetSource('primary-db.example.com')),
  'DnsTargetSource.current': currentOf(
    () => new core.DnsTargetSource({ service: 'webscaler-db.default', resolver: resolver as never }),
  ),
  'FirstAvailableTargetSource.current': currentOf(
    () => new core.FirstAvailableTargetSource([new core.StaticTargetSource('primary-db.example.com')]),
  ),
  'StaticTargetSource.set': {
    args: () => ['secondary-db.example.com'],
    run: (host) => new core.StaticTargetSource('primary-db.example.com').set(host),
  },
  'TargetPolicy.allows, checkTarget, checkAddress': {
    args: () => [target, '203.0.113.7'],
    run: (to, address) => {
      const checked = core.createTargetPolicy({ service: 'webscaler-db', allowedTargets: ['*.example.com'] });
      checked.allows(to);
      checked.checkTarget(to);
      checked.checkAddress(to, address);
    },
    codes: refusals,
  },
};

const liveness = { afterMillis: 1_000, intervalMillis: 700, failures: 2 };
const poolOptions = {
  service: 'webscaler-db',
  allowedTargets: ['*.example.com'],
  allowedNetworks: ['203.0.113.0/24'],
  namespace: 'default',
  clusterDomain: 'cluster.local',
  source: new core.StaticTargetSource('primary-db.example.com'),
  dns: resolverOptions,
  targetSessionAttrs: 'read-write',
  failoverTimeoutMillis: 10,
  drainTimeoutMillis: 10,
  readySessions: 0,
  reconnectSpreadMillis: 10,
  attemptTimeoutMillis: 10,
  endTimeoutMillis: 10,
  liveness,
  listenHeartbeatMillis: 10,
  idleCheckMillis: 10,
  plannedHoldMillis: 10,
  warmUp: 2,
  reader: {
    service: 'webscaler-db-ro',
    source: new core.StaticTargetSource('primary-db.example.com'),
    allowedTargets: ['*.example.com'],
    max: 2,
    balancing: 'round-robin',
    fallback: true,
    maxLagBytes: 0,
    maxLagMillis: 1_000,
    lagCheckMillis: 1_000,
    catchUpMillis: 0,
  } satisfies All<pg.ReaderOptions>,
  retireOnAddressChange: 'idle',
  maxWaiting: 10,
  pipelining: 16,
  statementCache: 100,
  requireAuth: ['scram-sha-256'],
  channelBinding: 'prefer',
  balancing: 'round-robin',
  outlierDetection,
  slowStartMillis: 10,
  host: 'webscaler-db',
  port: 5432,
  user: 'app',
  password: 'secret',
  database: 'app',
  connectionString: 'postgres://app@webscaler-db/app',
  ssl: { ca: 'ca', cert: 'cert', key: 'key', passphrase: 'phrase', minVersion: 'TLSv1.2' },
  max: 10,
  min: 0,
  poolSize: 10,
  idleTimeoutMillis: 10,
  connectionTimeoutMillis: 10,
  maxUses: 10,
  maxLifetimeSeconds: 10,
  allowExitOnIdle: false,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10,
  statement_timeout: 10,
  lock_timeout: 10,
  idle_in_transaction_session_timeout: 10,
  query_timeout: 10,
  application_name: 'app',
  fallback_application_name: 'app',
  options: '-c work_mem=4MB',
  client_encoding: 'utf8',
  replication: false,
  sslnegotiation: 'postgres',
  scramMaxIterations: 10,
  binary: false,
  types: { getTypeParser: () => (text: string) => text },
  log: () => undefined,
  onConnect: () => undefined,
  verify: () => undefined,
  // Refused for a Service, or another class of clients.
  stream: undefined,
  Client: undefined,
  pipeline: false,
  enableChannelBinding: true,
  Promise,
} satisfies All<pg.PoolOptions>;
const { service: _, allowedTargets: __, source: ___, balancing: ____, ...plainOptions } = poolOptions;
const balancedOptions = {
  services: [{ name: 'reads', service: 'webscaler-db', weight: 1, priority: 0 }],
  name: 'reads',
  failbackAfterMillis: 10,
  tryNextAfterMillis: 10,
  allowedTargets: ['*.example.com'],
  dns: resolverOptions,
  failoverTimeoutMillis: 10,
  ssl: false,
};
const endPool = (pool: { end(): unknown }) => pool.end();

const pgTable: Readonly<Record<string, Entry>> = {
  AuthenticationRefusedError: 'error',
  Client: { args: () => [poolOptions], run: (options) => new pg.Client(options), codes: refusals },
  BalancedPool: {
    args: () => [balancedOptions, dependencies],
    run: (...args) => new pg.BalancedPool(...(args as [never])),
    end: endPool,
    codes: refusals,
  },
  CleartextRefusedError: 'error',
  CommitOutcomeUnknownError: 'error',
  ConnectError: 'error',
  ConnectTimeoutError: 'error',
  ConnectionLostError: 'error',
  FailoverTimeoutError: 'error',
  NotReplayedError: 'error',
  PasswordRequiredError: 'error',
  PauseEndedError: 'error',
  PeerSilentError: 'error',
  Pool: {
    args: () => [poolOptions, dependencies],
    run: (...args) => new pg.Pool(...(args as [])),
    end: endPool,
    codes: refusals,
  },
  ProtocolViolationError: 'error',
  ReplicaLagError: 'error',
  ServerRoleError: 'error',
  TargetRetiredError: 'error',
  TooManyWaitingError: 'error',
  TransactionEndedEarlyError: 'error',
  TransactionRolledBackError: 'error',
  UnknownBackendError: 'error',
  classifyFailure: { args: () => [new Error('an error'), 'connected'], run: pg.classifyFailure },
  addressEjected: 'constant',
  serviceEjected: 'constant',
  connected: 'constant',
  addressesLeft: 'constant',
  drained: 'constant',
  operationEnded: 'constant',
  native: 'constant',
  outcomeOf: { args: () => [new Error('an error')], run: pg.outcomeOf },
  paused: 'constant',
  pgModule: 'constant',
  recentEventsOf: { args: () => [new Error('an error')], run: pg.recentEventsOf },
  replicaChanged: 'constant',
  resumed: 'constant',
  retried: 'constant',
  serviceNotFollowed: 'constant',
  stepTaken: 'constant',
  tokenAwaited: 'constant',
  serverProbed: 'constant',
  switched: 'constant',
  waited: 'constant',
  targetNotFollowed: 'constant',
};

const plainPool = () => new pg.Pool({ host: '127.0.0.1', port: 1, user: 'app' });
const isUnreachable = (error: unknown) => (error as { code?: unknown }).code === 'ECONNREFUSED';

const pgBeyond: Readonly<Record<string, Call>> = {
  'Pool, for a plain host': { args: () => [plainOptions], run: (options) => new pg.Pool(options), end: endPool },
  'Client, for a plain host': { args: () => [plainOptions], run: (options) => new pg.Client(options) },
  'Pool.transaction': {
    args: () => [
      async () => undefined,
      { isolationLevel: 'serializable', readOnly: true, deferrable: true, after: '1-0/3000148', signal: aborted },
    ],
    run: async (...args) => {
      const pool = plainPool();
      try {
        return await pool.transaction(...(args as [never]));
      } finally {
        await pool.end();
      }
    },
    stops: (error) => isStopped(error) || isUnreachable(error),
    runs: 50,
  },
  'Pool.ready': {
    args: () => [{ signal: aborted }],
    run: async (options) => {
      const pool = plainPool();
      try {
        return await pool.ready(options);
      } finally {
        await pool.end();
      }
    },
    stops: (error) => isStopped(error) || isUnreachable(error),
    runs: 50,
  },
  'Pool.pause': {
    args: () => [{ timeoutMillis: 10, signal: aborted }],
    run: async (options) => {
      const pool = plainPool();
      try {
        return await pool.pause(options);
      } finally {
        await pool.end();
      }
    },
    stops: isStopped,
    runs: 50,
  },
  'Pool.drained': {
    args: () => [{ signal: new AbortController().signal }],
    run: async (options) => {
      const pool = plainPool();
      try {
        return await pool.drained(options);
      } finally {
        await pool.end();
      }
    },
    runs: 50,
  },
};

const kubeConfig = {
  getCurrentCluster: () => ({ name: 'local', server: 'https://127.0.0.1:1' }),
  getCurrentUser: () => ({ name: 'me' }),
  getCurrentContext: () => 'local',
  getContextObject: () => ({ namespace: 'default' }),
  applyToHTTPSOptions: async () => undefined,
};
class GivenKubeConfig {
  getCurrentCluster = kubeConfig.getCurrentCluster;
  getCurrentUser = kubeConfig.getCurrentUser;
  getCurrentContext = kubeConfig.getCurrentContext;
  getContextObject = kubeConfig.getContextObject;
  applyToHTTPSOptions = kubeConfig.applyToHTTPSOptions;
}
const probe = { name: 'probe', run: async () => ({}) };
const switchOptions = {
  service: 'webscaler-db',
  namespace: 'default',
  clusterDomain: 'cluster.local',
  kubeConfig: new GivenKubeConfig(),
  allowedTargets: ['*.example.com'],
  reason: 'a test',
  by: 'me',
  probes: { target: [probe], previous: [probe] },
  probeTimeoutMillis: 10,
  maxLagBytes: 0,
  accept: ['lag'],
  waitForPromotionMillis: 0,
  announceMillis: 0,
  onProgress: () => undefined,
  dryRun: true,
  skip: ['dry-run', 'watch'],
  dnsServers: ['127.0.0.1:1'],
  propagationTimeoutMillis: 10,
  requestTimeoutMillis: 100,
  signal: aborted,
} satisfies All<kubernetes.SwitchOptions>;
class GivenClient {
  connect = async () => undefined;
  query = async () => ({ rows: [] });
  end = async () => undefined;
  on = () => undefined;
}
const inspectOptions = {
  namespace: 'default',
  kubeConfig: new GivenKubeConfig(),
  requestTimeoutMillis: 100,
  signal: aborted,
} satisfies All<kubernetes.InspectOptions>;
const state = {
  inRecovery: false,
  readOnly: false,
  systemIdentifier: '1',
  timeline: 1,
  logPosition: 1n,
  replayDelaySeconds: 0,
};

const kubernetesTable: Readonly<Record<string, Entry>> = {
  KubernetesConfigError: 'error',
  KubernetesForbiddenError: 'error',
  KubernetesRefusedError: 'error',
  KubernetesUnauthorizedError: 'error',
  KubernetesUnavailableError: 'error',
  NotExternalNameError: 'error',
  ServiceNotFoundError: 'error',
  SwitchFailedError: 'error',
  SwitchRefusedError: 'error',
  inspectPostgres: {
    args: () => [new GivenClient(), { signal: aborted }],
    run: kubernetes.inspectPostgres,
    stops: isStopped,
  },
  inspectService: {
    args: () => [{ ...inspectOptions, service: 'webscaler-db', clusterDomain: 'cluster.local' }, dependencies],
    run: kubernetes.inspectService,
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 60,
  },
  inspectTls: {
    args: () => [
      {
        target,
        address: '127.0.0.1',
        port: 1,
        ca: 'ca',
        protocol: 'postgres',
        timeoutMillis: 10,
        signal: aborted,
      } satisfies All<kubernetes.InspectTlsOptions>,
    ],
    run: kubernetes.inspectTls,
    // Nothing listens there, and the error of the socket is the answer.
    stops: (error) => isStopped(error) || (error as NodeJS.ErrnoException).code === 'ECONNREFUSED',
    codes: ['ERR_EXTERNALNAME_DEADLINE'],
    runs: 60,
  },
  judgePostgres: { args: () => [state, state, 0], run: kubernetes.judgePostgres },
  kubernetesSource: {
    args: () => [
      {
        service: 'webscaler-db',
        namespace: 'default',
        clusterDomain: 'cluster.local',
        kubeConfig: new GivenKubeConfig(),
        requestTimeoutMillis: 100,
        silenceMillis: 2_000,
        reconnectInitialMillis: 1,
        reconnectMaxMillis: 1,
        resolver,
      },
    ],
    run: kubernetes.kubernetesSource,
    end: close,
  },
  listServices: {
    args: () => [inspectOptions, dependencies],
    run: kubernetes.listServices,
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 60,
  },
  loadKubeConfig: {
    args: () => [
      {
        file: '/nowhere/kubeconfig',
        context: 'staging',
        environment: {},
      } satisfies All<kubernetes.LoadKubeConfigOptions>,
    ],
    run: kubernetes.loadKubeConfig,
    // There is no such file.
    stops: (error) => (error as { code?: string }).code === 'ERR_EXTERNALNAME_KUBERNETES_CONFIG',
    codes: ['ERR_EXTERNALNAME_KUBERNETES_CONFIG'],
    runs: 60,
  },
  postgresProbe: {
    args: () => [{ client: () => ({}) }],
    run: kubernetes.postgresProbe,
  },
  objectionKinds: 'constant',
  postgresClients: {
    args: () => [
      {
        Client: GivenClient,
        port: 5432,
        user: 'app',
        database: 'app',
        password: 'secret',
        ca: 'ca',
        lookup: () => undefined,
        connectionTimeoutMillis: 10,
      } satisfies All<kubernetes.PostgresClientsOptions>,
    ],
    run: kubernetes.postgresClients,
  },
  postgresServiceProbes: {
    args: () => [
      {
        port: 5432,
        ca: 'ca',
        lookup: () => undefined,
        client: () => new GivenClient(),
        tls: true,
      } satisfies All<kubernetes.PostgresServiceProbesOptions>,
    ],
    run: kubernetes.postgresServiceProbes,
  },
  resolvesProbe: { args: () => [{ lookup: () => undefined }], run: kubernetes.resolvesProbe },
  reviewAccess: {
    args: () => [
      { ...inspectOptions, permissions: [{ verb: 'get', group: '', resource: 'services', name: 'webscaler-db' }] },
      dependencies,
    ],
    run: kubernetes.reviewAccess,
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 60,
  },
  rollback: {
    args: () => [switchOptions, dependencies],
    run: kubernetes.rollback,
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 60,
  },
  switchAnnotations: 'constant',
  switchHistory: {
    args: () => [{ ...inspectOptions, service: 'webscaler-db', clusterDomain: 'cluster.local' }, dependencies],
    run: kubernetes.switchHistory,
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 60,
  },
  switchTarget: {
    args: () => [{ ...switchOptions, to: 'secondary-db.example.com', expect: 'primary-db.example.com' }, dependencies],
    run: kubernetes.switchTarget,
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 60,
  },
  tcpProbe: { args: () => [{ port: 5432, lookup: () => undefined }], run: kubernetes.tcpProbe },
  tlsProbe: {
    args: () => [{ port: 5432, lookup: () => undefined, ca: 'ca', protocol: 'postgres' }],
    run: kubernetes.tlsProbe,
  },
  waitForPropagation: {
    args: () => [
      {
        service: 'webscaler-db.default.svc.cluster.local',
        to: 'secondary-db.example.com',
        dnsServers: ['127.0.0.1:1'],
        timeoutMillis: 10,
        intervalMillis: 1,
        signal: aborted,
      },
    ],
    run: kubernetes.waitForPropagation,
    stops: isStopped,
    codes: ['ERR_EXTERNALNAME_DEADLINE'],
    runs: 60,
  },
};

const kubernetesBeyond: Readonly<Record<string, Call>> = {
  'kubernetesSource().current': currentOf(
    () => kubernetes.kubernetesSource({ service: 'webscaler-db.default', kubeConfig: new GivenKubeConfig() }),
    aborted,
  ),
};

const clusterOptions = {
  clusterDomain: 'cluster.local',
  ttlSeconds: 5,
  services: [{ ...externalService, metadata: { name: 'webscaler-db', namespace: 'default' } }],
  hosts: {
    'primary-db.example.com': ['127.0.0.1'],
    'secondary-db.example.com': {
      records: [{ type: 'CNAME', data: 'primary-db.example.com', name: 'secondary-db.example.com', ttl: 5 }],
      rcode: 'NOERROR',
      truncated: false,
    },
  },
  dns: {
    address: '127.0.0.1',
    port: 0,
    cache: { successSeconds: 30 },
    propagationDelayMillis: 0,
    forward: '127.0.0.1:1',
    upstreamTimeoutMillis: 10,
    podNames: true,
    namespaces: ['default'],
    ignoreEmptyServices: true,
    multiclusterDomain: 'clusterset.local',
  },
  api: { address: '127.0.0.1', port: 0, bookmarkIntervalMillis: 60_000 },
  exposed: false,
} satisfies All<testing.LocalClusterOptions>;
const hostRecord = { type: 'CNAME', data: 'primary-db.example.com', name: 'secondary-db.example.com', ttl: 5 };
const proxyTarget = { host: '127.0.0.1', port: 1 };

const testingTable: Readonly<Record<string, Entry>> = {
  ApiStatusError: 'error',
  FaultProxy: {
    args: () => [{ target: proxyTarget, address: '127.0.0.1' }, { clock }],
    run: testing.FaultProxy.start,
    end: close,
    codes: ['ERR_EXTERNALNAME_PROXY_LISTEN'],
    runs: 100,
  },
  LocalCluster: {
    args: () => [clusterOptions, dependencies],
    run: testing.LocalCluster.start,
    end: close,
    codes: ['ERR_EXTERNALNAME_API_STATUS', 'ERR_EXTERNALNAME_DNS_LISTEN'],
    runs: 60,
  },
  PostgresPair: {
    args: () => [
      {
        hostNames: { primary: 'primary-db.example.com', standby: 'secondary-db.example.com' },
        addresses: { primary: '127.0.0.11', standby: '127.0.0.12' },
        port: 15432,
        synchronous: true,
        user: 'app',
        password: 'secret',
        database: 'app',
        parameters: { work_mem: '4MB' },
        accessRules: ['host all all all reject'],
        authority: { certificate: 'ca', issue: async () => ({ certificate: 'c', privateKey: 'k' }) },
        timeoutMillis: 1,
        signal: aborted,
      },
    ],
    run: (options) => testing.PostgresPair.start(options),
    end: close,
    stops: isStopped,
    codes: ['ERR_EXTERNALNAME_DEADLINE', 'ERR_EXTERNALNAME_POSTGRES_UNAVAILABLE'],
    runs: 60,
  },
  // Made by a pair, and by nothing else.
  PostgresServer: { args: () => [], run: () => undefined },
  PostgresServerError: 'error',
  PostgresUnavailableError: 'error',
  ProxyListenError: 'error',
  WriteLedger: {
    args: () => [{ hungAfterMillis: 15_000 }],
    run: (options) => new testing.WriteLedger(options),
  },
  WriteLoad: {
    args: () => [
      {
        workers: 20,
        write: async () => '127.0.0.1',
        pauseMillis: 20,
        firstId: 1,
        outcomeOf: () => undefined,
        now: () => 0,
      } satisfies All<testing.WriteLoadOptions>,
    ],
    run: (options) => new testing.WriteLoad(options),
  },
  countWrites: { args: () => [async () => [], { table: 'writes' }], run: testing.countWrites },
  createCertificateAuthority: {
    args: () => [{ name: 'Throw-away CA' }],
    run: testing.createCertificateAuthority,
    runs: 50,
  },
  createWriteTable: {
    args: () => [async () => [], { table: 'writes', owner: 'app' } satisfies All<testing.WriteTableOptions>],
    run: testing.createWriteTable,
  },
  measureWrites: {
    args: () => [
      {
        ledger: new testing.WriteLedger(),
        workers: 20,
        from: 0,
        to: 10_000,
        patchedAt: 5_000,
        address: '127.0.0.1',
        rows: new Map(),
        earlier: { ids: { lost: [], duplicated: [] } },
      } satisfies All<testing.WriteFacts>,
    ],
    run: testing.measureWrites,
  },
  plotWrites: {
    args: () => [
      {
        groups: [{ title: 'ours', series: [{ name: 'primary-db', at: [1, 2], paint: (text: string) => text }] }],
        marks: [{ name: 'patch', at: 1 }],
        from: 0,
        to: 10,
        width: 80,
      } satisfies All<testing.PlotOptions>,
    ],
    run: testing.plotWrites,
  },
  runLocalCluster: {
    args: () => [
      {
        args: ['--dns-port', '0'],
        print: () => undefined,
        printError: () => undefined,
        signal: aborted,
        name: 'local-cluster',
      } satisfies All<testing.LocalClusterCommandOptions>,
    ],
    run: testing.runLocalCluster,
    runs: 20,
  },
  writeRates: {
    args: () => [{ series: [[1, 2]], from: 0, to: 10, columns: 80 } satisfies All<testing.WriteRatesOptions>],
    run: testing.writeRates,
  },
};

const cluster = testing.LocalCluster.start({ clusterDomain: 'cluster.local' });
const authority = testing.createCertificateAuthority();
const proxy = testing.FaultProxy.start({ target: proxyTarget });
// Nothing runs there.
const downServer = new testing.PostgresServer({
  hostName: 'primary-db.example.com',
  address: '127.0.0.11',
  port: 1,
  folder: '/nowhere',
  clusterName: 'nowhere',
  binaries: { folder: '/nowhere', account: {} } as never,
  onPromoted: () => undefined,
  isClosed: () => false,
});
const waitOptions = {
  timeoutMillis: 100,
  signal: new AbortController().signal,
} satisfies All<testing.ServerWaitOptions>;
const isDown = (error: unknown) =>
  ['ERR_EXTERNALNAME_POSTGRES_SERVER', 'ERR_EXTERNALNAME_DEADLINE'].includes((error as { code: string }).code);
/** Resolves when what the calls share has started. */
export const ready: Promise<unknown> = Promise.all([cluster, authority, proxy]);

const testingBeyond: Readonly<Record<string, Call>> = {
  'LocalCluster.hosts.set, delete': {
    args: () => ['secondary-db.example.com', { records: [hostRecord], rcode: 'NOERROR', truncated: false }],
    run: async (name, entry) => {
      const { hosts } = await cluster;
      hosts.set(name, entry);
      hosts.delete(name);
    },
  },
  'LocalCluster.hosts.set, with addresses': {
    args: () => ['secondary-db.example.com', ['127.0.0.1']],
    run: async (name, entry) => (await cluster).hosts.set(name, entry),
  },
  'LocalCluster.dns.fault': {
    args: () => [{ kind: 'servfail', name: 'primary-db.example.com' }],
    run: async (fault) => (await cluster).dns.fault(fault),
    end: (fault: { end(): void }) => fault.end(),
  },
  'WriteLoad.stop': {
    args: () => [{ timeoutMillis: 10, signal: new AbortController().signal }],
    run: (options) => new testing.WriteLoad({ workers: 1, write: async () => '127.0.0.1' }).stop(options),
  },
  'LocalCluster.api.fault': {
    args: () => [{ kind: 'status', code: 503, retryAfterSeconds: 1, verb: 'list', resource: 'services', times: 1 }],
    run: async (fault) => (await cluster).api.fault(fault),
    end: (fault: { end(): void }) => fault.end(),
  },
  'LocalCluster.api.tokenFor, a user': {
    args: () => [{ user: 'me', groups: ['developers'] }, { lifetimeSeconds: 60 }],
    run: async (identity, options) => (await cluster).api.tokenFor(identity, options),
  },
  'LocalCluster.api.tokenFor, a ServiceAccount': {
    args: () => [{ serviceAccount: 'app', namespace: 'default' }],
    run: async (identity) => (await cluster).api.tokenFor(identity),
  },
  'FaultProxy.cutAfter, blackHole, latency, throttle, halfOpen': {
    args: () => [100, 'to-client', 'client', { direction: 'to-client', by: 'reset' }],
    run: async (amount, direction, side, options) => {
      const faulty = await proxy;
      faulty.cutAfter(amount, options);
      faulty.blackHole(direction);
      faulty.latency(amount, direction);
      faulty.throttle(amount, direction);
      faulty.halfOpen(side);
    },
  },
  'PostgresServer.start': {
    args: () => [waitOptions],
    run: (options) => downServer.start(options),
    stops: (error) => (error as { code?: unknown }).code === 'ENOENT',
    runs: 50,
  },
  'PostgresServer.stop': {
    args: () => ['fast', waitOptions],
    run: (mode, options) => downServer.stop(mode, options),
    runs: 50,
  },
  'PostgresServer.promote': {
    args: () => [{ ...waitOptions, synchronousStandbyNames: 'keep' } satisfies All<testing.PromoteOptions>],
    run: (options) => downServer.promote(options),
    stops: isDown,
  },
  'PostgresServer.demote': {
    args: () => [{ ...waitOptions, openTransactions: 'wait' } satisfies All<testing.DemoteOptions>],
    run: (options) => downServer.demote(options),
    stops: isDown,
  },
  'PostgresServer.query': {
    args: () => ['select $1', ['a'], { ...waitOptions, database: 'app' }],
    run: (...args) => downServer.query(...(args as [never])),
    stops: isDown,
  },
  'PostgresServer.waitForReplay': {
    args: () => ['0/3000148', waitOptions],
    run: (position, options) => downServer.waitForReplay(position, options),
    stops: isDown,
  },
  ...Object.fromEntries(
    (['fence', 'unfence', 'role', 'position'] as const).map((method) => [
      `PostgresServer.${method}`,
      { args: () => [waitOptions], run: (options) => downServer[method](options), stops: isDown } satisfies Call,
    ]),
  ),
  'CertificateAuthority.issue': {
    args: () => [
      {
        hostNames: ['primary-db.example.com'],
        addresses: ['127.0.0.1'],
        notBefore: new Date(0),
        notAfter: new Date(1e12),
      },
    ],
    run: async (request) => (await authority).issue(request),
    runs: 50,
  },
};

const httpOptions = {
  ...serviceOptions,
  tls: tlsOptions,
  hostHeader: 'target',
  failoverTimeoutMillis: 0,
  environmentProxy: 'refuse',
} satisfies All<httpRoot.HttpOptions>;
const httpTable: Readonly<Record<string, Entry>> = {
  createAgent: {
    args: () => [
      {
        ...httpOptions,
        protocol: 'https:',
        keepAlive: true,
        maxSockets: 1,
        maxFreeSockets: 1,
        maxTotalSockets: 1,
        scheduling: 'lifo',
        timeout: 10,
      } satisfies All<httpAgent.AgentOptions>,
    ],
    run: httpAgent.createAgent,
    end: close,
    codes: refusals,
  },
  createDispatcher: {
    args: () => [
      {
        ...httpOptions,
        allowHttp: false,
        allowH2: true,
        connections: 1,
        pipelining: 1,
        headersTimeout: 10,
        bodyTimeout: 10,
        keepAliveTimeout: 10,
        keepAliveMaxTimeout: 10,
        keepAliveTimeoutThreshold: 10,
        maxHeaderSize: 10,
        maxResponseSize: 10,
        maxRequestsPerClient: 10,
        maxConcurrentStreams: 10,
      } satisfies All<httpRoot.DispatcherOptions>,
    ],
    run: httpRoot.createDispatcher,
    end: close,
    codes: refusals,
  },
  httpRetry: 'constant',
};
class ScriptedRegistry {
  registerMetric() {}
  removeSingleMetric() {}
  getSingleMetric() {}
}
const idlePool = {
  status: () => ({ name: 'webscaler-db', serving: true, max: 10, waiting: 0, connections: [], readySessions: {} }),
};
const idleFollower = {
  status: () => ({ service: 'webscaler-db', engineName: 'patroni demo', holdsLease: true, settled: true }),
};
const metricsOptions = {
  pools: [idlePool],
  followers: [idleFollower],
  register: new ScriptedRegistry(),
  clusterDomain: 'cluster.local',
} satisfies All<prometheus.MetricsOptions>;
const telemetryOptions = {
  pools: [idlePool],
  followers: [idleFollower],
  meterProvider: undefined,
  tracerProvider: undefined,
  metrics: true,
  spans: true,
  clusterDomain: 'cluster.local',
} satisfies All<telemetry.TelemetryOptions>;

class ScriptedPostgres {
  connect = async () => undefined;
  query = async () => ({ rows: [] });
  end = async () => undefined;
  on = () => undefined;
}
const httpAccess = {
  ca: 'ca',
  cert: 'cert',
  key: 'key',
  servername: 'db-1.example.com',
  username: 'reader',
  password: 'secret',
} satisfies All<engines.HttpAccess>;
const polling = { pollMillis: 60_000, requestTimeoutMillis: 10 } satisfies All<engines.EngineOptions>;
class ScriptedReader {
  name = 'scripted';
  read = async () => ({ state: 'leader' as const, member: 'db-1' });
}
const scriptedEngine = engines.createEngine(new ScriptedReader());
const memberTargets = { 'db-1': 'primary-db.example.com', 'db-2': 'secondary-db.example.com' };
const patroni = { scope: 'webscaler', rest: httpAccess, staleMillis: 1_000, ...polling };
const cnpgCluster = {
  cluster: 'webscaler',
  namespace: 'db',
  kubeConfig: new GivenKubeConfig(),
} satisfies All<engines.CnpgCluster>;

const enginesTable: Readonly<Record<string, Entry>> = {
  EngineUnknownError: 'error',
  LeaseLostError: 'error',
  engineStateChanged: 'constant',
  followerHeld: 'constant',
  followerLease: 'constant',
  followerSwitched: 'constant',
  auroraEngine: {
    args: () => [
      {
        instances: ['webscaler-1.example.com', 'webscaler-2.example.com'],
        client: () => new ScriptedPostgres(),
        kind: 'aurora',
        name: 'webscaler',
        staleMillis: 1_000,
        ...polling,
      } satisfies All<engines.AuroraEngineOptions>,
      dependencies,
    ],
    run: engines.auroraEngine,
    end: close,
  },
  cnpgEngine: {
    args: () => [{ ...cnpgCluster, ...polling }, dependencies],
    run: engines.cnpgEngine,
    end: close,
  },
  createEngine: {
    args: () => [new ScriptedReader(), polling, dependencies],
    run: engines.createEngine,
    end: close,
  },
  engineSource: {
    args: () => [
      {
        engine: scriptedEngine,
        targets: memberTargets,
        client: () => new ScriptedPostgres(),
        probeTimeoutMillis: 10,
      } satisfies All<engines.EngineSourceOptions>,
      dependencies,
    ],
    run: engines.engineSource,
    end: close,
  },
  followEngine: {
    args: () => [
      {
        engine: scriptedEngine,
        targets: memberTargets,
        service: 'webscaler-db',
        namespace: 'default',
        clusterDomain: 'cluster.local',
        kubeConfig: new GivenKubeConfig(),
        client: () => new ScriptedPostgres(),
        writeStatement: 'select 1',
        lease: { name: 'webscaler-db-follower', identity: 'one', durationMillis: 3_000 },
        dryRun: true,
        requestTimeoutMillis: 100,
        probeTimeoutMillis: 10,
        dnsServers: ['127.0.0.1:1'],
        signal: aborted,
      } satisfies All<engines.FollowEngineOptions>,
      dependencies,
    ],
    run: engines.followEngine,
    end: close,
  },
  patroniEngine: {
    args: () => [{ ...patroni, members: ['http://127.0.0.1:1', 'http://127.0.0.2:1'] }, dependencies],
    run: engines.patroniEngine,
    end: close,
  },
  pgAutoFailoverEngine: {
    args: () => [
      {
        monitor: () => new ScriptedPostgres(),
        formation: 'default',
        group: 0,
        staleMillis: 1_000,
        ...polling,
      } satisfies All<engines.PgAutoFailoverEngineOptions>,
      dependencies,
    ],
    run: engines.pgAutoFailoverEngine,
    end: close,
  },
  sqlEngine: {
    args: () => [
      {
        candidates: memberTargets,
        client: () => new ScriptedPostgres(),
        name: 'webscaler',
        ...polling,
      } satisfies All<engines.SqlEngineOptions>,
      dependencies,
    ],
    run: engines.sqlEngine,
    end: close,
  },
};

/** Ways of an engine that exclude each other. */
const enginesBeyond: Readonly<Record<string, Call>> = {
  'cnpgEngine of a topology': {
    args: () => [{ clusters: { east: cnpgCluster, west: cnpgCluster }, ...polling }],
    run: engines.cnpgEngine,
    end: close,
  },
  'patroniEngine in etcd': {
    args: () => [
      {
        ...patroni,
        etcd: {
          endpoints: ['http://127.0.0.1:1'],
          namespace: '/service',
          ...httpAccess,
        } satisfies All<engines.PatroniEtcdOptions>,
      },
    ],
    run: engines.patroniEngine,
    end: close,
  },
  'patroniEngine in Kubernetes': {
    args: () => [
      {
        ...patroni,
        kubernetes: {
          namespace: 'db',
          kubeConfig: new GivenKubeConfig(),
          objects: 'configmaps',
          restApis: { 'db-1': 'http://127.0.0.1:1' },
        } satisfies All<engines.PatroniKubernetesOptions>,
      },
    ],
    run: engines.patroniEngine,
    end: close,
  },
};

const ownNameservers = {
  nameservers: ['127.0.0.1:1'],
  resolvConfPath: '/dev/null',
} satisfies All<doctor.NameserverOptions>;
const diagnoseOptions = {
  ...ownNameservers,
  service: 'webscaler-db',
  namespace: 'default',
  clusterDomain: 'cluster.local',
  allowedTargets: ['*.example.com'],
  allowedNetworks: ['203.0.113.0/24'],
  protocol: 'postgres',
  port: 5432,
  path: '/',
  ca: 'ca',
  login: { user: 'app', database: 'app', password: 'secret' } satisfies All<doctor.PostgresLogin>,
  role: 'primary',
  timeoutMillis: 10,
  program: 'externalname',
  environment: {},
  signal: aborted,
};
const traceOptions = {
  ...ownNameservers,
  name: 'webscaler-db',
  namespace: 'default',
  clusterDomain: 'cluster.local',
  timeoutMillis: 10,
  signal: aborted,
} satisfies All<doctor.TraceNameOptions>;

const doctorTable: Readonly<Record<string, Entry>> = {
  findingCodes: 'constant',
  describeAnswer: {
    args: () => [
      {
        server: '127.0.0.1:53',
        name: 'primary-db.example.com',
        outcome: 'addresses',
        failure: undefined,
        detail: '',
        chain: [{ target: 'primary-db.example.com', ttlSeconds: 5 }],
        addresses: [{ address: '203.0.113.7', ttlSeconds: 5 }],
        elapsedMillis: 1,
      } satisfies All<doctor.NameAnswer>,
    ],
    run: doctor.describeAnswer,
  },
  diagnose: {
    args: () => [{ ...diagnoseOptions, kubeConfig: new GivenKubeConfig() }],
    run: doctor.diagnose,
    stops: isStopped,
    codes: refusals,
    runs: 60,
  },
  explainError: {
    args: () => ['curl: (60)', { program: 'externalname' } satisfies All<doctor.ExplainErrorOptions>],
    run: doctor.explainError,
  },
  isCommand: { args: () => ['dig example.com'], run: doctor.isCommand },
  measureName: {
    args: () => [{ ...traceOptions, count: 1, pauseMillis: 0 } satisfies All<doctor.MeasureNameOptions>],
    run: doctor.measureName,
    stops: isStopped,
    runs: 60,
  },
  traceName: { args: () => [traceOptions], run: doctor.traceName, stops: isStopped, runs: 60 },
  watchName: {
    args: () => [
      { ...traceOptions, onAnswer: () => undefined, intervalMillis: 1 } satisfies All<doctor.WatchNameOptions>,
    ],
    run: doctor.watchName,
    stops: isStopped,
    runs: 60,
  },
  watchService: {
    args: () => [
      {
        ...ownNameservers,
        service: 'webscaler-db',
        namespace: 'default',
        clusterDomain: 'cluster.local',
        kubeConfig: new GivenKubeConfig(),
        onSight: () => undefined,
        until: 'secondary-db.example.com',
        intervalMillis: 50,
        signal: aborted,
      } satisfies All<doctor.WatchServiceOptions>,
    ],
    run: doctor.watchService,
    stops: isStopped,
    runs: 60,
  },
};

/** Ways of a diagnosis that exclude each other. */
const doctorBeyond: Readonly<Record<string, Call>> = {
  'diagnose as kubectl': {
    args: () => [
      {
        ...diagnoseOptions,
        kubectl: { kubeconfig: '/nowhere/kubeconfig', context: 'staging' } satisfies All<doctor.KubectlOptions>,
      },
    ],
    run: doctor.diagnose,
    stops: isStopped,
    codes: refusals,
    runs: 60,
  },
};

const drillTable: Readonly<Record<string, Entry>> = {
  DrillNotConfirmedError: 'error',
  DrillUnfinishedError: 'error',
  runDrill: {
    args: () => [
      {
        kind: 'planned',
        canary: {
          service: 'canary-db',
          namespace: 'drill',
          clusterDomain: 'cluster.local',
          kubeConfig: new GivenKubeConfig(),
          to: 'secondary-db.example.com',
          allowedTargets: ['*.example.com'],
          allowedNetworks: ['203.0.113.0/24'],
          connection: {
            port: 5432,
            user: 'app',
            database: 'app',
            password: 'secret',
            ca: 'ca',
          } satisfies All<drill.CanaryConnection>,
          accept: ['lag'],
          nameservers: ['127.0.0.1:1'],
          crashCommand: 'false',
          promoteCommand: 'false',
          waitForPromotionMillis: 0,
          confirm: () => false,
        } satisfies All<drill.CanaryOptions>,
        workers: 1,
        connections: 1,
        pauseMillis: 0,
        settleMillis: 0,
        recoveryMillis: 0,
        decisionMillis: 0,
        follow: 'dns',
        ttlSeconds: 0,
        thresholds: {
          lost: 0,
          twice: 0,
          hung: 0,
          failed: 0,
          pauseMillis: 0,
          firstWriteMillis: 0,
          allMovedMillis: 0,
        } satisfies All<drill.DrillThresholds>,
        makePool: () => undefined,
        onEvent: () => undefined,
        onStatus: () => undefined,
        signal: aborted,
      } satisfies All<drill.DrillOptions>,
    ],
    // Without options a drill begins, which takes half a minute and has tests of its own.
    run: (options = {}) =>
      drill.runDrill(typeof options === 'object' && options !== null ? { signal: aborted, ...options } : options),
    stops: isStopped,
    codes: kubernetesCodes,
    runs: 60,
  },
};

/** What each package exports, and how it is called. */
export const faces: Readonly<Record<string, Face>> = {
  core: { exports: core, table: coreTable, beyond: coreBeyond },
  http: { exports: { ...httpRoot, ...httpAgent }, table: httpTable, beyond: {} },
  pg: { exports: ourOwn(pg), table: pgTable, beyond: pgBeyond },
  kubernetes: { exports: kubernetes, table: kubernetesTable, beyond: kubernetesBeyond },
  engines: { exports: engines, table: enginesTable, beyond: enginesBeyond },
  doctor: { exports: doctor, table: doctorTable, beyond: doctorBeyond },
  drill: { exports: drill, table: drillTable, beyond: {} },
  prometheus: {
    exports: { ...prometheus, ...prometheusDrill, ...producer, ...telemetry },
    table: {
      collectMetrics: {
        args: () => [metricsOptions],
        run: (...args) => prometheus.collectMetrics(...(args as [])),
        end: close,
      },
      collectTelemetry: {
        args: () => [telemetryOptions],
        run: (...args) => telemetry.collectTelemetry(...(args as [])),
        end: close,
      },
      createMetricProducer: {
        args: () => [
          {
            pools: [idlePool],
            followers: [idleFollower],
            temporality: 'delta',
            clusterDomain: 'cluster.local',
          } satisfies All<producer.MetricProducerOptions>,
        ],
        run: producer.createMetricProducer,
        end: close,
      },
      writeDrill: {
        args: () => [
          {
            file: join(tmpdir(), `externalname-face-${process.pid}.prom`),
            name: 'webscaler-db',
            passed: true,
            at: new Date(),
          } satisfies All<prometheusDrill.DrillRecord>,
        ],
        run: prometheusDrill.writeDrill,
      },
      labelBounds: 'constant',
      metrics: 'constant',
    },
    beyond: {},
  },
  testing: { exports: testing, table: testingTable, beyond: testingBeyond },
};

/** Without the names that are passed on from `pg`, and all of them once more as the default export. */
function ourOwn({ default: _, ...names }: typeof pg): object {
  const fromPg = createRequire(new URL('../../packages/pg/package.json', import.meta.url));
  const passedOn = new Set<unknown>(Object.values(fromPg('pg') as object));
  return Object.fromEntries(Object.entries(names).filter(([, value]) => !passedOn.has(value)));
}
