import { InvalidArgumentError } from '@externalname/core';
import type { EgressPort, RoleSubject } from '@externalname/core/manifests';
import { clusterOptions } from './cluster.ts';
import { list, mapped, type Option, text, texts } from './command.ts';

// Options of builders under the names that builders have for them, with the values that builders take: what is not given is undefined.

/** Name, labels and annotations of an object; its name is the argument. */
export const meta = {
  namespace: text(
    '-n, --namespace <name>',
    'namespace to write into the manifest; default: none, so that kubectl -n decides',
  ),
  labels: given(pairs('--label <key=value>', 'label of the object; repeatable')),
  annotations: given(pairs('--annotation <key=value>', 'annotation of the object; repeatable')),
} as const;

/** The version whose rules apply. */
export const version = { kubernetesVersion: text('--kubernetes-version <version>', 'version whose rules apply, 1.35') };

/** What targets are checked against. */
export const checks = {
  allowedTargets: given(texts('--allowed-targets <hosts>', 'hosts that may be pointed to')),
  clusterDomain: clusterOptions.clusterDomain,
  ...version,
} as const;

/** Ports of the target. */
export const ports = mapped(texts('--port <port>', 'port of the target, 5432 or 53/UDP; repeatable'), (written, flag) =>
  written.map((each): EgressPort => {
    const [, port, protocol] = /^(\d{1,5})(?:\/(TCP|UDP))?$/i.exec(each) ?? [];
    if (port === undefined) throw refused(flag, 'a port, 5432 or 53/UDP', each);
    return { port: Number(port), ...(protocol !== undefined && { protocol: protocol.toUpperCase() as 'TCP' | 'UDP' }) };
  }),
);

/** The pods that a policy applies to. */
export const podLabels = pairs(
  '--pod-label <key=value>',
  'label of the pods that it applies to; repeatable; default: all pods',
);

/** Who gets a role. */
export const subjects = {
  serviceAccounts: mapped(
    texts('--service-account <namespace:name>', 'account that gets the role; repeatable'),
    (written, flag) =>
      written.map((each): RoleSubject => {
        const [namespace, name] = each.split(':');
        if (!namespace || !name) throw refused(flag, '<namespace>:<name>', each);
        return { kind: 'ServiceAccount', namespace, name };
      }),
  ),
  users: texts('--user <name>', 'user that gets the role; repeatable'),
  groups: texts('--group <name>', 'group that gets the role; repeatable'),
} as const;

/** The option of the labels of pods, and of everything else that is written as `key=value`; the value may have further `=`. */
export function pairs(flags: string, summary: string): Option<Readonly<Record<string, string>>> {
  return mapped(list(flags, summary), (written, flag) =>
    Object.fromEntries(
      written.map((each) => {
        const at = each.indexOf('=');
        if (at < 1) throw refused(flag, 'key=value', each);
        return [each.slice(0, at), each.slice(at + 1)];
      }),
    ),
  );
}

/** The option, which this kind cannot do without. */
export function needed<Value>(option: Option<Value | undefined>): Option<Value> {
  return mapped(option, (value, flag) => {
    if (value === undefined) throw new InvalidArgumentError(flag, 'is required here');
    return value;
  });
}

/** The option, undefined where nothing was given. */
export function given<Value extends object>(option: Option<Value>): Option<Value | undefined> {
  return { ...option, read: (texts) => (texts.length === 0 ? undefined : option.read(texts)) };
}

function refused(flag: string, wanted: string, written: string): InvalidArgumentError {
  return new InvalidArgumentError(flag, `must be ${wanted}, got ${JSON.stringify(written)}`);
}
