import { InvalidArgumentError } from '@externalname/core';
import type { EgressPort, RoleSubject } from '@externalname/core/manifests';
import { clusterOptions } from './cluster.ts';
import { type Argument, choice, list, text, texts } from './command.ts';

/** The argument of most kinds. */
export const name: Argument = { name: '<name>', summary: 'name of the object' };

/** What every kind takes. */
export const common = {
  namespace: text(
    '-n, --namespace <name>',
    'namespace to write into the manifest; default: none, so that kubectl -n decides',
  ),
  labels: list('--label <key=value>', 'label of the object; repeatable'),
  annotations: list('--annotation <key=value>', 'annotation of the object; repeatable'),
  kubernetesVersion: text('--kubernetes-version <version>', 'version whose rules apply, 1.35'),
  output: choice('-o, --output <format>', 'how the manifests are written; default: yaml', ['yaml', 'json']),
} as const;
/** What builders check targets against. */
export const checks = {
  allowedTargets: texts('--allowed-targets <hosts>', 'hosts that may be pointed to'),
  clusterDomain: clusterOptions.clusterDomain,
} as const;
export const addresses = texts('--address <address>', 'IPv4 or IPv6 address; repeatable');
export const targets = texts('--target <host>', 'host, or * and a domain for one label; repeatable');
export const ports = texts('--port <port>', 'port of the target, 5432 or 53/UDP; repeatable');
export const podLabels = list(
  '--pod-label <key=value>',
  'label of the pods that it applies to; repeatable; default: all pods',
);
export const subjects = {
  serviceAccounts: texts('--service-account <namespace:name>', 'account that gets the role; repeatable'),
  users: texts('--user <name>', 'user that gets the role; repeatable'),
  groups: texts('--group <name>', 'group that gets the role; repeatable'),
  name: text('--name <name>', 'name of Role and RoleBinding; default: <service>-reader or <service>-switcher'),
} as const;

/** The values of {@link common}. */
export interface CommonValues {
  readonly namespace: string | undefined;
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
}

/** Name, namespace, labels and annotations, as builders take them. */
export function metaOf(named: string, { namespace, labels, annotations }: CommonValues) {
  return {
    name: named,
    namespace,
    ...(labels.length > 0 && { labels: pairsOf('--label', labels) }),
    ...(annotations.length > 0 && { annotations: pairsOf('--annotation', annotations) }),
  };
}

/** The version whose rules apply, if it was given. */
export function versionOf({ kubernetesVersion }: { readonly kubernetesVersion: string | undefined }) {
  return kubernetesVersion === undefined ? {} : { kubernetesVersion };
}

/** What targets are checked against, if it was given. */
export function checksOf(options: {
  readonly allowedTargets: readonly string[];
  readonly clusterDomain: string | undefined;
  readonly kubernetesVersion?: string | undefined;
}) {
  const { allowedTargets, clusterDomain, kubernetesVersion } = options;
  return { ...(allowedTargets.length > 0 && { allowedTargets }), clusterDomain, kubernetesVersion };
}

/** The options of a role for one Service. */
export function roleOf(
  service: string,
  options: CommonValues & {
    readonly serviceAccounts: readonly string[];
    readonly users: readonly string[];
    readonly groups: readonly string[];
    readonly name: string | undefined;
  },
) {
  const accounts = options.serviceAccounts.map((written): RoleSubject => {
    const [namespace, account] = written.split(':');
    if (!namespace || !account)
      throw new InvalidArgumentError('--service-account', `must be <namespace>:<name>, got ${JSON.stringify(written)}`);
    return { kind: 'ServiceAccount', namespace, name: account };
  });
  const bound: RoleSubject[] = [
    ...accounts,
    ...options.users.map((user): RoleSubject => ({ kind: 'User', name: user })),
    ...options.groups.map((group): RoleSubject => ({ kind: 'Group', name: group })),
  ];
  if (bound.length === 0)
    throw new InvalidArgumentError('--service-account', 'name who gets the role: --service-account, --user or --group');
  const { name: _, ...meta } = metaOf('', options);
  return {
    ...meta,
    service,
    namespace: required('--namespace', options.namespace),
    subjects: bound,
    ...(options.name !== undefined && { name: options.name }),
  };
}

/** `5432`, `53/UDP` */
export function portsOf(written: readonly string[]): EgressPort[] {
  return written.map((each) => {
    const [, port, protocol] = /^(\d{1,5})(?:\/(TCP|UDP))?$/i.exec(each) ?? [];
    if (port === undefined)
      throw new InvalidArgumentError('--port', `must be a port, 5432 or 53/UDP, got ${JSON.stringify(each)}`);
    return { port: Number(port), ...(protocol !== undefined && { protocol: protocol.toUpperCase() as 'TCP' | 'UDP' }) };
  });
}

/** `key=value`, each; the value may have further `=`. */
export function pairsOf(option: string, written: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    written.map((each) => {
      const at = each.indexOf('=');
      if (at < 1) throw new InvalidArgumentError(option, `must be key=value, got ${JSON.stringify(each)}`);
      return [each.slice(0, at), each.slice(at + 1)];
    }),
  );
}

/** The value of an option that this kind cannot do without. */
export function required<Value>(option: string, value: Value | undefined): Value {
  if (value === undefined) throw new InvalidArgumentError(option, 'is required here');
  return value;
}

/** One of a few words. */
export function oneOf<const Word extends string>(option: string, written: string, words: readonly Word[]): Word {
  const word = words.find((each) => each === written);
  if (word === undefined)
    throw new InvalidArgumentError(option, `must be ${words.join(', ')}, got ${JSON.stringify(written)}`);
  return word;
}
