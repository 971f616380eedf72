import {
  addressService,
  applicationDeployment,
  ciliumNetworkPolicy,
  clientPod,
  egressNetworkPolicy,
  externalNameService,
  serviceFor,
  serviceReaderRole,
  serviceSwitcherRole,
  switchApplyConfiguration,
  switchJsonPatch,
  switchMergePatch,
  targetAdmissionPolicy,
  toJson,
  toYaml,
} from '@externalname/core/manifests';
import {
  type Argument,
  type CommandEntry,
  type CommandGroup,
  choice,
  command,
  type Example,
  flag,
  list,
  number,
  type OptionTable,
  type OptionValues,
  text,
  texts,
} from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import {
  addresses,
  checks,
  checksOf,
  common,
  metaOf,
  name,
  oneOf,
  pairsOf,
  podLabels,
  ports,
  portsOf,
  required,
  roleOf,
  subjects,
  targets,
  versionOf,
} from '../manifest-options.ts';

/** Prints the manifests of every builder of core. */
export const create: CommandGroup = {
  about:
    'Prints manifests, after the checks of the API server and those for what it accepts although it cannot work. Changes no cluster.',
  examples: [
    { command: 'create service webscaler-db --to primary-db.example.com | kubectl apply -f -', does: 'the Service' },
    {
      command: 'create switcher-role webscaler-db -n default --service-account ops:switcher',
      does: 'who may switch it',
    },
  ],
  commands: [
    entry(
      'service',
      'A Service of type ExternalName',
      name,
      { ...common, ...checks, to: text('--to <host>', 'host that it stands for') },
      {
        example: { command: 'service webscaler-db --to primary-db.example.com', does: 'a Service for one host' },
        make: (named, options) =>
          externalNameService({
            ...metaOf(named, options),
            ...checksOf(options),
            externalName: required('--to', options.to),
          }),
      },
    ),
    entry(
      'address-service',
      'A Service without selector, and EndpointSlices, for IP addresses',
      name,
      { ...common, addresses, ports, headless: flag('--headless', 'DNS answers with the addresses themselves') },
      {
        example: {
          command: 'address-service webscaler-db --address 203.0.113.7 --port 5432',
          does: 'where an address has no name',
        },
        make: (named, options) =>
          addressService({
            ...metaOf(named, options),
            addresses: options.addresses,
            ports: portsOf(options.ports).map(({ port, protocol }, index, all) => ({
              port,
              ...(protocol && { protocol }),
              ...(all.length > 1 && { name: `port-${index + 1}` }),
            })),
            ...(options.headless && { headless: true }),
            ...versionOf(options),
          }),
      },
    ),
    entry(
      'service-for',
      'The Service that fits: for hosts, or for addresses',
      name,
      { ...common, ...checks, targets: texts('--target <host>', 'host or address; repeatable'), ports },
      {
        example: {
          command: 'service-for webscaler-db --target a.example.com,b.example.com',
          does: 'one Service for each host',
        },
        make: (named, options) =>
          serviceFor({
            ...metaOf(named, options),
            ...checksOf(options),
            targets: options.targets,
            ...(options.ports.length > 0 && { ports: portsOf(options.ports).map(({ port }) => ({ port })) }),
          }),
      },
    ),
    entry(
      'reader-role',
      'A role that may read and watch one Service',
      { name: '<service>', summary: 'name of the Service' },
      { ...common, ...subjects },
      {
        example: {
          command: 'reader-role webscaler-db -n default --service-account default:app',
          does: 'for a pool with kubernetesSource()',
        },
        make: (service, options) => serviceReaderRole(roleOf(service, options)),
      },
    ),
    entry(
      'switcher-role',
      'A role that may switch one Service',
      { name: '<service>', summary: 'name of the Service' },
      { ...common, ...subjects },
      {
        example: { command: 'switcher-role webscaler-db -n default --group oncall', does: 'for who is on call' },
        make: (service, options) => serviceSwitcherRole(roleOf(service, options)),
      },
    ),
    entry(
      'admission-policy',
      'A ValidatingAdmissionPolicy: the hosts that a Service may point to',
      name,
      {
        ...common,
        allowedTargets: checks.allowedTargets,
        service: text('--service <name>', 'the Service; default: all of the namespace'),
        actions: texts('--action <name>', 'Deny, Warn or Audit; repeatable; default: Deny'),
      },
      {
        example: {
          command:
            'admission-policy db-targets -n default --service webscaler-db --allowed-targets primary-db.example.com,secondary-db.example.com',
          does: 'the allow-list, kept by the API server',
        },
        make: (named, options) =>
          targetAdmissionPolicy({
            ...metaOf(named, options),
            namespace: required('--namespace', options.namespace),
            service: options.service,
            allowedTargets: options.allowedTargets,
            ...(options.actions.length > 0 && {
              validationActions: options.actions.map((action) => oneOf('--action', action, ['Deny', 'Warn', 'Audit'])),
            }),
          }),
      },
    ),
    entry(
      'network-policy',
      'A NetworkPolicy that lets pods reach networks, and DNS',
      name,
      {
        ...common,
        networks: texts('--network <cidr>', 'network of the external service; repeatable'),
        ports,
        podLabels,
      },
      {
        example: {
          command: 'network-policy to-db --network 203.0.113.0/24 --port 5432 --pod-label app=web',
          does: 'egress by address',
        },
        make: (named, options) =>
          egressNetworkPolicy({
            ...metaOf(named, options),
            ...versionOf(options),
            podLabels: pairsOf('--pod-label', options.podLabels),
            networks: options.networks,
            ports: portsOf(options.ports),
          }),
      },
    ),
    entry(
      'cilium-network-policy',
      'A CiliumNetworkPolicy that lets pods reach hosts by name',
      name,
      {
        ...common,
        services: texts('--service <full name>', 'Service that the pods look up; repeatable'),
        targets,
        ports,
        podLabels,
      },
      {
        example: {
          command:
            'cilium-network-policy to-db --service webscaler-db.default.svc.cluster.local --target primary-db.example.com --port 5432',
          does: 'egress by name',
        },
        make: (named, options) =>
          ciliumNetworkPolicy({
            ...metaOf(named, options),
            podLabels: pairsOf('--pod-label', options.podLabels),
            services: options.services,
            targets: options.targets,
            ports: portsOf(options.ports),
          }),
      },
    ),
    entry(
      'deployment',
      'A Deployment whose pods know the allow-list, and look names up without waste',
      name,
      {
        ...common,
        image: text('--image <image>', 'image of the container'),
        replicas: number('--replicas <n>', 'how many pods; default: 2', { least: 0, whole: true }),
        allowedTargets: checks.allowedTargets,
        env: list('--env <key=value>', 'environment variable; repeatable'),
        secrets: texts('--secret <name>', 'Secret whose keys become environment variables; repeatable'),
        serviceAccount: text('--service-account <name>', 'account of the pods'),
        ndots: number('--ndots <n>', 'names with fewer dots use the search list; default: 2', {
          least: 0,
          most: 15,
          whole: true,
        }),
      },
      {
        example: {
          command:
            'deployment web --image registry.example.com/web:1 --allowed-targets primary-db.example.com,secondary-db.example.com --secret web-db',
          does: 'an application',
        },
        make: (named, options) =>
          applicationDeployment({
            ...metaOf(named, options),
            ...versionOf(options),
            image: required('--image', options.image),
            replicas: options.replicas,
            ...(options.allowedTargets.length > 0 && { allowedTargets: options.allowedTargets }),
            env: pairsOf('--env', options.env),
            envFromSecrets: options.secrets,
            serviceAccountName: options.serviceAccount,
            ...(options.ndots !== undefined && { dns: { ndots: options.ndots } }),
          }),
      },
    ),
    entry(
      'pod',
      'A Pod to look around from',
      name,
      {
        ...common,
        image: text('--image <image>', 'default: ubuntu:latest'),
        container: text('--container <name>', 'name of the container'),
      },
      {
        example: { command: 'pod ubuntu | kubectl apply -f -', does: 'a shell in the cluster' },
        make: (named, options) =>
          clientPod({
            ...metaOf(named, options),
            ...versionOf(options),
            image: options.image,
            containerName: options.container,
          }),
      },
    ),
    entry(
      'switch-patch',
      'The patch of a switch, for kubectl patch',
      { name: '<service>', summary: 'name of the Service' },
      {
        ...common,
        ...checks,
        to: text('--to <host>', 'the new target'),
        expect: text('--expect <host>', 'what it must point to now, as it is written there'),
        resourceVersion: text('--resource-version <version>', 'version that the Service must have'),
        type: choice('--type <type>', 'kind of patch; default: json', ['json', 'merge', 'apply']),
      },
      {
        example: {
          command: 'switch-patch webscaler-db --expect primary-db.example.com --to secondary-db.example.com',
          does: 'not applied if somebody else was faster',
        },
        make: (service, options) => {
          const { expect: externalName, resourceVersion, type = 'json' } = options;
          const patch = {
            ...checksOf(options),
            externalName: required('--to', options.to),
            onlyIf: { externalName, resourceVersion },
          };
          if (type === 'json') return switchJsonPatch(patch);
          return type === 'merge'
            ? switchMergePatch(patch)
            : switchApplyConfiguration({ ...patch, name: service, namespace: options.namespace });
        },
        // A patch is a list for kubectl, not a list of manifests.
        defaultFormat: 'json',
      },
    ),
    {
      name: 'migration',
      summary: 'The steps from another type of Service to ExternalName, or back',
      load: async () => (await import('./create-plans.ts')).migration,
    },
    {
      name: 'dns-cache',
      summary: 'Settings of CoreDNS and NodeLocal DNSCache for a switch in so many seconds',
      load: async () => (await import('./create-plans.ts')).dnsCache,
    },
  ],
};

function entry<const Options extends OptionTable>(
  kind: string,
  summary: string,
  argument: Argument,
  options: Options,
  builder: {
    readonly example: Example;
    readonly make: (argument: string, options: OptionValues<Options>) => object | readonly object[];
    readonly defaultFormat?: 'json';
  },
): CommandEntry {
  const made = command({
    arguments: [argument],
    options,
    examples: [{ ...builder.example, command: `create ${builder.example.command}` }],
    async run({ arguments: [named = ''], options: values, output }) {
      const manifests = builder.make(named, values);
      const format = output.format === 'text' ? (builder.defaultFormat ?? 'yaml') : output.format;
      if (builder.defaultFormat === 'json' && format === 'json') output.raw(`${JSON.stringify(manifests)}\n`);
      else output.raw(format === 'json' ? toJson(manifests) : toYaml(manifests));
      return exitCodes.ok;
    },
  });
  return { name: kind, summary, load: async () => made };
}
