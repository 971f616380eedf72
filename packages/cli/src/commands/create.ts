import { InvalidArgumentError } from '@externalname/core';
import {
  addressService,
  applicationDeployment,
  ciliumNetworkPolicy,
  clientPod,
  egressNetworkPolicy,
  externalNameService,
  serviceEntry,
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
  type CommandEntry,
  type CommandGroup,
  choice,
  command,
  flag,
  mapped,
  number,
  type OptionTable,
  type OptionValues,
  text,
  texts,
  words,
} from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { checks, given, meta, needed, pairs, podLabels, ports, subjects, version } from '../manifest-options.ts';

const targets = texts('--target <host>', 'host, or * and a domain for one label; repeatable');
const inNamespace = { ...meta, namespace: needed(meta.namespace) };
const roleOptions = {
  ...inNamespace,
  ...subjects,
  name: text('--name <name>', 'name of Role and RoleBinding; default: <service>-reader or <service>-switcher'),
} as const;

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
    kind({
      name: 'service',
      summary: 'A Service of type ExternalName',
      example: ['webscaler-db --to primary-db.example.com', 'a Service for one host'],
      options: { ...meta, ...checks, externalName: needed(text('--to <host>', 'host that it stands for')) },
      make: externalNameService,
    }),
    kind({
      name: 'address-service',
      summary: 'A Service without selector, and EndpointSlices, for IP addresses',
      example: ['webscaler-db --address 203.0.113.7 --port 5432', 'where an address has no name'],
      options: {
        ...meta,
        ...version,
        addresses: texts('--address <address>', 'IPv4 or IPv6 address; repeatable'),
        // Ports of a Service need names if there are several.
        ports: mapped(ports, (all) =>
          all.map((port, index) => ({ ...port, ...(all.length > 1 && { name: `port-${index + 1}` }) })),
        ),
        headless: mapped(flag('--headless', 'DNS answers with the addresses themselves'), (is) => is || undefined),
      },
      make: addressService,
    }),
    kind({
      name: 'service-for',
      summary: 'The Service that fits: for hosts, or for addresses',
      example: ['webscaler-db --target a.example.com,b.example.com', 'one Service for each host'],
      options: {
        ...meta,
        ...checks,
        targets: texts('--target <host>', 'host or address; repeatable'),
        ports: given(mapped(ports, (all) => all.map(({ port }) => ({ port })))),
      },
      make: serviceFor,
    }),
    kind({
      name: 'reader-role',
      summary: 'A role that may read and watch one Service',
      example: ['webscaler-db -n default --service-account default:app', 'for a pool with kubernetesSource()'],
      argument: 'service',
      options: roleOptions,
      make: (values) => serviceReaderRole(withSubjects(values)),
    }),
    kind({
      name: 'switcher-role',
      summary: 'A role that may switch one Service',
      example: ['webscaler-db -n default --group oncall', 'for who is on call'],
      argument: 'service',
      options: roleOptions,
      make: (values) => serviceSwitcherRole(withSubjects(values)),
    }),
    kind({
      name: 'admission-policy',
      summary: 'A ValidatingAdmissionPolicy: the hosts that a Service may point to',
      example: [
        'db-targets -n default --service webscaler-db --allowed-targets primary-db.example.com,secondary-db.example.com',
        'the allow-list, kept by the API server',
      ],
      options: {
        ...inNamespace,
        allowedTargets: texts('--allowed-targets <hosts>', 'hosts that may be pointed to'),
        service: text('--service <name>', 'the Service; default: all of the namespace'),
        validationActions: given(
          words('--action <name>', 'Deny, Warn or Audit; repeatable; default: Deny', ['Deny', 'Warn', 'Audit']),
        ),
      },
      make: targetAdmissionPolicy,
    }),
    kind({
      name: 'network-policy',
      summary: 'A NetworkPolicy that lets pods reach networks, and DNS',
      example: ['to-db --network 203.0.113.0/24 --port 5432 --pod-label app=web', 'egress by address'],
      options: {
        ...meta,
        ...version,
        networks: texts('--network <cidr>', 'network of the external service; repeatable'),
        ports,
        podLabels,
      },
      make: egressNetworkPolicy,
    }),
    kind({
      name: 'cilium-network-policy',
      summary: 'A CiliumNetworkPolicy that lets pods reach hosts by name',
      example: [
        'to-db --service webscaler-db.default.svc.cluster.local --target primary-db.example.com --port 5432',
        'egress by name',
      ],
      options: {
        ...meta,
        services: texts('--service <full name>', 'Service that the pods look up; repeatable'),
        targets,
        ports,
        podLabels,
      },
      make: ciliumNetworkPolicy,
    }),
    kind({
      name: 'service-entry',
      summary: 'An Istio ServiceEntry that lets the pods of a mesh out to hosts',
      example: [
        'db-targets --target primary-db.example.com,secondary-db.example.com --port 5432 --network 203.0.113.0/24',
        'PostgreSQL behind a mesh that lets out to known hosts only',
      ],
      options: {
        ...meta,
        targets,
        ports: mapped(ports, (all) => all.map(({ port }) => port)),
        protocol: choice('--protocol <name>', 'what a connection begins with; default: TCP', ['TCP', 'TLS']),
        networks: given(texts('--network <cidr>', 'network of the targets, needed for TCP; repeatable')),
        exportTo: given(texts('--export-to <namespace>', 'namespace that knows of it; repeatable; default: its own')),
      },
      make: ({ protocol = 'TCP', ports: numbers, ...values }) =>
        serviceEntry({ ...values, ports: numbers.map((port) => ({ port, protocol })) }),
    }),
    kind({
      name: 'deployment',
      summary: 'A Deployment whose pods know the allow-list, and look names up without waste',
      example: [
        'web --image registry.example.com/web:1 --allowed-targets primary-db.example.com,secondary-db.example.com --secret web-db',
        'an application',
      ],
      options: {
        ...meta,
        ...version,
        image: needed(text('--image <image>', 'image of the container')),
        replicas: number('--replicas <n>', 'how many pods; default: 2', { least: 0, whole: true }),
        allowedTargets: checks.allowedTargets,
        env: pairs('--env <key=value>', 'environment variable; repeatable'),
        envFromSecrets: texts('--secret <name>', 'Secret whose keys become environment variables; repeatable'),
        serviceAccountName: text('--service-account <name>', 'account of the pods'),
        dns: mapped(
          number('--ndots <n>', 'names with fewer dots use the search list; default: 2', {
            least: 0,
            most: 15,
            whole: true,
          }),
          (ndots) => (ndots === undefined ? undefined : { ndots }),
        ),
      },
      make: applicationDeployment,
    }),
    kind({
      name: 'pod',
      summary: 'A Pod to look around from',
      example: ['ubuntu | kubectl apply -f -', 'a shell in the cluster'],
      options: {
        ...meta,
        ...version,
        image: text('--image <image>', 'default: ubuntu:latest'),
        containerName: text('--container <name>', 'name of the container'),
      },
      make: clientPod,
    }),
    kind({
      name: 'switch-patch',
      summary: 'The patch of a switch, for kubectl patch',
      example: [
        'webscaler-db --expect primary-db.example.com --to secondary-db.example.com',
        'not applied if somebody else was faster',
      ],
      argument: 'service',
      options: {
        namespace: meta.namespace,
        ...checks,
        externalName: needed(text('--to <host>', 'the new target')),
        expect: text('--expect <host>', 'what it must point to now, as it is written there'),
        resourceVersion: text('--resource-version <version>', 'version that the Service must have'),
        type: choice('--type <type>', 'kind of patch; default: json', ['json', 'merge', 'apply']),
      },
      make: ({ service, namespace, type, expect: externalName, resourceVersion, ...target }) => {
        const patch = { ...target, onlyIf: { externalName, resourceVersion } };
        if (type === 'merge') return switchMergePatch(patch);
        return type === 'apply'
          ? switchApplyConfiguration({ ...patch, name: service, namespace })
          : switchJsonPatch(patch);
      },
      // A patch is a list for kubectl, not a list of manifests.
      isPatch: true,
    }),
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

/** A kind of manifest: its options are those of the builder, which checks them. */
interface Kind<Argument extends string, Options extends OptionTable> {
  readonly name: string;
  readonly summary: string;
  /** The arguments of a call, and what it is for. */
  readonly example: readonly [call: string, does: string];
  /** What the builder calls the argument. @defaultValue `name` */
  readonly argument?: Argument;
  readonly options: Options;
  readonly make: (
    values: Readonly<Record<NoInfer<Argument>, string>> & OptionValues<NoInfer<Options>>,
  ) => object | readonly object[];
  readonly isPatch?: boolean;
}

function kind<const Options extends OptionTable, const Argument extends string = 'name'>(
  given: Kind<Argument, Options>,
): CommandEntry {
  const { name, summary, example, argument = 'name', options, make, isPatch = false } = given;
  const [call, does] = example;
  const output = choice('-o, --output <format>', `how it is written; default: ${isPatch ? 'json' : 'yaml'}`, [
    'yaml',
    'json',
  ]);
  const made = command({
    arguments: [{ name: `<${argument}>`, summary: `name of the ${argument === 'name' ? 'object' : 'Service'}` }],
    options: { ...options, output },
    examples: [{ command: `create ${name} ${call}`, does }],
    async run({ arguments: [named = ''], options: { output: format, ...values }, output }) {
      const manifests = make({ [argument]: named, ...values } as Parameters<typeof make>[0]);
      if (isPatch && format !== 'yaml') output.raw(`${JSON.stringify(manifests)}\n`);
      else output.raw(format === 'json' ? toJson(manifests) : toYaml(manifests));
      return exitCodes.ok;
    },
  });
  return { name, summary, load: async () => made };
}

/** The options of a role, with all who get it in one list. */
function withSubjects<Values extends OptionValues<typeof subjects>>(values: Values) {
  const { serviceAccounts, users, groups, ...role } = values;
  const all = [
    ...serviceAccounts,
    ...users.map((name) => ({ kind: 'User', name }) as const),
    ...groups.map((name) => ({ kind: 'Group', name }) as const),
  ];
  if (all.length === 0)
    throw new InvalidArgumentError('--service-account', 'name who gets the role: --service-account, --user or --group');
  return { ...role, subjects: all };
}
