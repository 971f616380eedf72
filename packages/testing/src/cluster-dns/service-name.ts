import { labelsOf } from './message.ts';

/**
 * What a name of the cluster's zone asks for.
 *
 * `apex` and `branch` are the names that exist only because something is below them: the zone itself, `svc`, `pod`.
 * A name with too many labels, or without `svc` or `pod` at its place, is `invalid` and never exists.
 *
 * Source: Kubernetes DNS specification 1.1.0 sections 2.3 to 2.5; CoreDNS `plugin/kubernetes/parse.go`.
 */
export type ServiceName =
  | { readonly kind: 'branch' }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'namespace'; readonly of: 'svc' | 'pod'; readonly namespace: string }
  | {
      readonly kind: 'object';
      readonly of: 'svc' | 'pod';
      readonly namespace: string;
      /** The Service, or the pod's address with dashes. */
      readonly name: string;
      /** One label below a Service. */
      readonly endpoint?: string;
      /** From a multi-cluster zone only. */
      readonly cluster?: string;
      /** `_port._protocol` below a Service, without underscores. */
      readonly port?: string;
      readonly protocol?: string;
    };

/** Reads `name`, which lies within `zone`. Both fully qualified, in any case; the parts come out in lower case. */
export function parseServiceName(name: string, zone: string, options: { multicluster: boolean }): ServiceName {
  const labels = labelsOf(name.toLowerCase());
  const own = labels.slice(0, labels.length - labelsOf(zone).length);
  const of = own.pop();
  if (of === undefined) return { kind: 'branch' };
  if (of !== 'svc' && of !== 'pod') return { kind: 'invalid' };
  const namespace = own.pop();
  if (namespace === undefined) return { kind: 'branch' };
  const object = own.pop();
  if (object === undefined) return { kind: 'namespace', of, namespace };

  const found = { kind: 'object', of, namespace, name: object } as const;
  const [left, right] = own;
  if (left === undefined) return found;
  if (own.length > 2) return { kind: 'invalid' };
  if (right === undefined) return { ...found, endpoint: left };
  // Two labels are a port and a protocol, with or without underscores; only a multi-cluster zone has another use for them.
  if (options.multicluster && !left.startsWith('_') && !right.startsWith('_')) {
    return { ...found, endpoint: left, cluster: right };
  }
  return { ...found, port: withoutUnderscore(left), protocol: withoutUnderscore(right) };
}

function withoutUnderscore(label: string): string {
  return label.startsWith('_') ? label.slice(1) : label;
}
